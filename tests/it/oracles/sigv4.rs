//! aws-sigv4 must give the same signature for the same request.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
        SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use presignd::{
    pb::{self, presign_request::Operation},
    presign::operation::OPERATIONS,
};

use super::cases;
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    in_process::{Case, InProcess, Parts},
};

#[tokio::test]
async fn thousands_of_signatures_equal_those_of_aws_sigv4() {
    let service = InProcess::new();
    let mut all = cases::all();
    for (_, case) in &mut all {
        // aws-sigv4 never signs this header in presigned URLs; the comparison with boto3 covers it.
        if let Operation::GetObject(message) = &mut case.operation {
            message.checksum_mode.clear();
        }
    }
    let mut operations = std::collections::BTreeSet::new();
    for (sample, case) in &all {
        let ours = service.presign(case).await.unwrap();
        let parts = Parts::of(&ours.url);
        assert_eq!(
            parts.value("X-Amz-Signature").unwrap(),
            signature(case, &ours, &parts),
            "{} of {:?} in {}",
            sample.name,
            case.key,
            case.bucket
        );
        operations.insert(sample.name);
    }
    assert!(all.len() > 3_000, "{} cases", all.len());
    let missing = OPERATIONS.iter().find(|operation| !operations.contains(operation.name));
    assert!(missing.is_none(), "no sample for {missing:?}");
}

fn signature(case: &Case, ours: &pb::PresignedRequest, parts: &Parts) -> String {
    let mut settings = settings(case);
    settings.excluded_headers = None;
    let credential = parts.value("X-Amz-Credential").unwrap();
    let scope: Vec<&str> = credential.split('/').collect();
    let identity = credentials(case).into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope[2])
        .name(scope[3])
        .time(case.at())
        .settings(settings)
        .build()
        .unwrap();
    sign_request(ours, parts, &params.into())
}

/// The settings of aws-sigv4 for S3.
pub fn settings(case: &Case) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(case.expires_in));
    settings
}

pub fn credentials(case: &Case) -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET_KEY, case.session_token.clone(), None, "test")
}

/// Signs the request of a URL from presignd, without its authentication parameters, and returns the signature.
pub fn sign_request(ours: &pb::PresignedRequest, parts: &Parts, params: &SigningParams<'_>) -> String {
    let own: Vec<&str> =
        parts.query.iter().filter(|pair| !pair.starts_with("X-Amz-")).map(String::as_str).collect();
    let separator = if own.is_empty() { "" } else { "?" };
    let uri = format!("{}{}{separator}{}", parts.origin, parts.path, own.join("&"));
    let headers = ours.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::UnsignedPayload;
    let request = SignableRequest::new(&ours.method, uri, headers, body).unwrap();
    sign(request, params).unwrap().signature().to_owned()
}
