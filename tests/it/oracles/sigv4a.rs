//! SigV4A has randomness in it, so that two signers never agree by text. They agree when the signature of each is good
//! for the same string to sign, by a third party's verifier (p256).

use aws_sigv4::sign::v4a;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey, signature::Verifier};
use presignd::pb::{self, GetObject, PutObject, presign_request::Operation};
use sha2::{Digest, Sha256};

use super::{cases::KEYS, sigv4};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    in_process::{Case, InProcess, Parts},
};

const MULTI_REGION_ARN: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";

#[tokio::test]
async fn a_url_for_a_multi_region_access_point_and_one_of_aws_sigv4_are_good_for_the_same_string() {
    let service = InProcess::new();
    for (place, key) in KEYS.iter().enumerate() {
        for token in [None, Some("AQoDYXdzEJr//////////wEa+oAK/==".to_owned())] {
            let operation = [
                Operation::GetObject(GetObject { version_id: "a/b".into(), ..Default::default() }),
                Operation::PutObject(PutObject { content_type: "text/plain".into(), ..Default::default() }),
            ];
            let case = Case {
                session_token: token,
                expires_in: 604_800,
                ..Case::new(MULTI_REGION_ARN, key, operation[place % 2].clone())
            };
            let ours = service.presign(&case).await.unwrap();
            let parts = Parts::of(&ours.url);
            assert_eq!(parts.origin, "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com");
            assert_eq!(parts.value("X-Amz-Algorithm").unwrap(), "AWS4-ECDSA-P256-SHA256");
            assert_eq!(
                parts.value("X-Amz-Credential").unwrap(),
                format!("{ACCESS_KEY}/20130524/s3/aws4_request")
            );
            assert_eq!(parts.value("X-Amz-Region-Set").unwrap(), "*");
            let text = string_to_sign(&ours, &parts);
            assert!(is_good(&parts.value("X-Amz-Signature").unwrap(), &text), "ours, for {key:?}");
            assert!(is_good(&aws_sigv4(&case, &ours, &parts), &text), "aws-sigv4's, for {key:?}");
            assert!(!is_good(&parts.value("X-Amz-Signature").unwrap(), &text.replace('0', "1")));
        }
    }
}

/// The string to sign, put together from the finished URL as
/// [AWS documents it](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
fn string_to_sign(presigned: &pb::PresignedRequest, parts: &Parts) -> String {
    let query: Vec<_> =
        parts.query.iter().filter(|pair| !pair.starts_with("X-Amz-Signature=")).map(String::as_str).collect();
    let host = parts.origin.trim_start_matches("https://").to_owned();
    let mut headers = presigned.headers.clone();
    headers.insert("host".to_owned(), host);
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\nUNSIGNED-PAYLOAD",
        presigned.method,
        parts.path,
        query.join("&")
    );
    let hash: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    let date = parts.value("X-Amz-Date").unwrap();
    format!("AWS4-ECDSA-P256-SHA256\n{date}\n{}/s3/aws4_request\n{hash}", &date[..8])
}

fn is_good(signature: &str, text: &str) -> bool {
    let key = v4a::generate_signing_key(ACCESS_KEY, SECRET_KEY);
    let verifier = VerifyingKey::from(&SigningKey::from_slice(key.as_ref()).unwrap());
    let bytes: Vec<u8> = (0..signature.len() / 2)
        .map(|place| u8::from_str_radix(&signature[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    verifier.verify(text.as_bytes(), &DerSignature::from_bytes(&bytes).unwrap()).is_ok()
}

/// The signature that aws-sigv4 makes for the same request.
fn aws_sigv4(case: &Case, ours: &pb::PresignedRequest, parts: &Parts) -> String {
    let identity = sigv4::credentials(case).into();
    let params = v4a::SigningParams::builder()
        .identity(&identity)
        .region_set("*")
        .name("s3")
        .time(case.at())
        .settings(sigv4::settings(case))
        .build()
        .unwrap();
    sigv4::signed(ours, parts, &params.into())
}
