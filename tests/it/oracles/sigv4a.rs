//! SigV4A signatures are random, so two signers never give the same text. They agree if an independent verifier (p256)
//! accepts both signatures for the same string to sign.

use aws_sigv4::sign::v4a;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey, signature::Verifier};
use presignd::pb::{self, GetObject, PutObject, presign_request::Operation};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::{cases::KEYS, sigv4};
use crate::support::{
    ACCESS_KEY, OUTPOSTS_ARN, SECRET_KEY,
    in_process::{Case, InProcess, Parts},
};

const MULTI_REGION_ARN: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
const OUTPOSTS_ALIAS: &str = "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3";

/// Targets that are signed with SigV4A: the target, its host, and the service in the scope.
const TARGETS: [(&str, &str, &str); 3] = [
    (MULTI_REGION_ARN, "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com", "s3"),
    (
        OUTPOSTS_ARN,
        "demo-123456789012.op-01234567890123456.s3-outposts.us-east-1.amazonaws.com",
        "s3-outposts",
    ),
    (
        OUTPOSTS_ALIAS,
        "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3.op-0b1d075431d83bebd.s3-outposts.us-east-1\
         .amazonaws.com",
        "s3-outposts",
    ),
];

fn case(bucket: &str, index: usize, token: Option<&str>) -> Case {
    let operation = [
        Operation::GetObject(GetObject { version_id: "a/b".into(), ..Default::default() }),
        Operation::PutObject(PutObject { content_type: "text/plain".into(), ..Default::default() }),
    ];
    Case {
        session_token: token.map(str::to_owned),
        expires_in: 604_800,
        settings: vec![("SIGV4A", "true".to_owned())],
        ..Case::new(bucket, KEYS[index], operation[index % 2].clone())
    }
}

#[tokio::test]
async fn sigv4a_signatures_of_presignd_and_aws_sigv4_verify() {
    let service = InProcess::new();
    for (bucket, host, name) in TARGETS {
        for (index, key) in KEYS.iter().enumerate() {
            for token in [None, Some("AQoDYXdzEJr//////////wEa+oAK/==")] {
                let case = case(bucket, index, token);
                let ours = service.presign(&case).await.unwrap();
                let parts = Parts::of(&ours.url);
                assert_eq!(parts.origin, format!("https://{host}"));
                assert_eq!(parts.value("X-Amz-Algorithm").unwrap(), "AWS4-ECDSA-P256-SHA256");
                assert_eq!(
                    parts.value("X-Amz-Credential").unwrap(),
                    format!("{ACCESS_KEY}/20130524/{name}/aws4_request")
                );
                assert_eq!(parts.value("X-Amz-Region-Set").unwrap(), "*");
                let text = string_to_sign(&ours, &parts, name);
                let signature = parts.value("X-Amz-Signature").unwrap();
                assert!(is_valid(&signature, &text), "ours, for {key:?}");
                assert!(
                    is_valid(&sign_with_aws_sigv4(&case, &ours, &parts, name), &text),
                    "aws-sigv4's, for {key:?}"
                );
                assert!(!is_valid(&signature, &text.replace('0', "1")));
            }
        }
    }
}

/// presignd signs these with p256, so ring verifies them.
#[tokio::test]
async fn sigv4a_url_in_a_window_is_stable_and_verifies() {
    let service = InProcess::new();
    for (bucket, _, name) in TARGETS {
        for index in 0..KEYS.len() {
            let mut case = case(bucket, index, None);
            case.reuse_window = Some(3_600);
            let first = service.presign(&case).await.unwrap();
            case.time += 3_599;
            assert!(service.presign(&case).await.unwrap() == first, "{bucket}");
            let parts = Parts::of(&first.url);
            let text = string_to_sign(&first, &parts, name);
            let signature = parts.value("X-Amz-Signature").unwrap();
            assert!(is_valid_by_ring(&signature, &text) && is_valid(&signature, &text), "{bucket}");
            case.time += 1;
            assert_ne!(service.presign(&case).await.unwrap().url, first.url);
        }
    }
}

#[tokio::test]
async fn outposts_are_signed_with_sigv4_by_default() {
    let service = InProcess::new();
    for bucket in [OUTPOSTS_ARN, OUTPOSTS_ALIAS] {
        let case = Case { settings: Vec::new(), ..case(bucket, 0, None) };
        let parts = Parts::of(&service.presign(&case).await.unwrap().url);
        assert_eq!(parts.value("X-Amz-Algorithm").unwrap(), "AWS4-HMAC-SHA256");
        assert_eq!(parts.value("X-Amz-Region-Set"), None);
    }
}

/// The string to sign, built from the URL as
/// [AWS documents it](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
fn string_to_sign(presigned: &pb::PresignedRequest, parts: &Parts, name: &str) -> String {
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
    format!("AWS4-ECDSA-P256-SHA256\n{date}\n{}/{name}/aws4_request\n{hash}", &date[..8])
}

fn decode_hex(signature: &str) -> Vec<u8> {
    (0..signature.len() / 2)
        .map(|index| u8::from_str_radix(&signature[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}

fn is_valid_by_ring(signature: &str, text: &str) -> bool {
    let key = v4a::generate_signing_key(ACCESS_KEY, SECRET_KEY);
    let public = SigningKey::from_slice(key.as_ref()).unwrap().verifying_key().to_sec1_point(false);
    let by_ring = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.as_bytes());
    by_ring.verify(text.as_bytes(), &decode_hex(signature)).is_ok()
}

fn is_valid(signature: &str, text: &str) -> bool {
    let key = v4a::generate_signing_key(ACCESS_KEY, SECRET_KEY);
    let verifier = VerifyingKey::from(&SigningKey::from_slice(key.as_ref()).unwrap());
    verifier.verify(text.as_bytes(), &DerSignature::from_bytes(&decode_hex(signature)).unwrap()).is_ok()
}

/// Signs the same request with aws-sigv4 and returns the signature.
fn sign_with_aws_sigv4(case: &Case, ours: &pb::PresignedRequest, parts: &Parts, name: &str) -> String {
    let identity = sigv4::credentials(case).into();
    let params = v4a::SigningParams::builder()
        .identity(&identity)
        .region_set("*")
        .name(name)
        .time(case.at())
        .settings(sigv4::settings(case))
        .build()
        .unwrap();
    sigv4::sign_request(ours, parts, &params.into())
}
