//! The presigner of aws-sdk-s3 must give the same URL. It adds `x-id`, so the request to presignd has it too.

use std::time::Duration;

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation},
    presigning::{PresignedRequest, PresigningConfig},
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use presignd::pb::{self, presign_request::Operation};

use super::cases;
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    in_process::{Case, InProcess, Parts},
};

#[tokio::test]
async fn urls_equal_those_of_the_aws_sdk_presigner() {
    let service = InProcess::new();
    let mut compared = 0;
    for (sample, mut case) in cases::all() {
        let Some(theirs) = presign_with_sdk(&case).await else { continue };
        let added = Parts::of(theirs.uri()).value("x-id");
        case.query = added.iter().map(|_| ("x-id", sample.name)).collect();
        let ours = service.presign(&case).await.unwrap();
        if case.key.is_empty() && case.bucket == "dotted.bucket" {
            // The SDK puts a slash after a bucket in the path, boto3 does not; presignd follows boto3.
            assert_eq!(format!("{}/", Parts::of(&ours.url).path), Parts::of(theirs.uri()).path);
            continue;
        }
        assert_eq!(Parts::of(&ours.url), Parts::of(theirs.uri()), "{} of {:?}", sample.name, case.key);
        assert_eq!(ours.method, theirs.method());
        compared += 1;
    }
    assert!(compared > 700, "{compared} cases");
}

fn client(case: &Case) -> Client {
    let token = case.session_token.clone();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .region(Region::new(case.region))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, token, None, "test"))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}

/// Presigns a case with the SDK; `None` if the SDK cannot presign it.
async fn presign_with_sdk(case: &Case) -> Option<PresignedRequest> {
    let client = client(case);
    let config = PresigningConfig::builder()
        .start_time(case.at())
        .expires_in(Duration::from_secs(case.expires_in))
        .build()
        .unwrap();
    let (bucket, key) = (case.bucket.clone(), case.key.clone());
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(match &case.operation {
        Operation::GetObject(pb::GetObject {
            version_id,
            response_content_disposition,
            part_number,
            range,
            ..
        }) => {
            if part_number.is_some() {
                return None;
            }
            let call = client.get_object().bucket(bucket).key(key).set_version_id(set(version_id));
            let call = call.set_response_content_disposition(set(response_content_disposition));
            call.set_range(set(range)).presigned(config).await.unwrap()
        }
        Operation::HeadObject(message) => {
            let call = client.head_object().bucket(bucket).key(key).set_version_id(set(&message.version_id));
            call.presigned(config).await.unwrap()
        }
        Operation::PutObject(message) if message.content_type.is_empty() => {
            client.put_object().bucket(bucket).key(key).presigned(config).await.unwrap()
        }
        Operation::DeleteObject(message) => {
            let call = client.delete_object().bucket(bucket).key(key).set_mfa(set(&message.mfa));
            let call = call.set_bypass_governance_retention(message.bypass_governance_retention);
            call.set_version_id(set(&message.version_id)).presigned(config).await.unwrap()
        }
        Operation::UploadPart(message) => {
            let call = client.upload_part().bucket(bucket).key(key).set_part_number(message.part_number);
            call.set_upload_id(set(&message.upload_id)).presigned(config).await.unwrap()
        }
        Operation::ListObjectVersions(message) => {
            let call = client.list_object_versions().bucket(bucket).set_key_marker(set(&message.key_marker));
            call.encoding_type(aws_sdk_s3::types::EncodingType::Url).presigned(config).await.unwrap()
        }
        _ => return None,
    })
}
