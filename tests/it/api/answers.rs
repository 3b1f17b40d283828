//! The fields of a response: lifetimes, clamp reason, times, method and headers. All agree with the URL.

use std::{collections::BTreeMap, time::SystemTime};

use presignd::{
    clock::Clock,
    pb::{self, ClampReason, presign_request::Operation},
};
use prost_types::Duration;
use tonic::Code;

use crate::support::{
    grpc::{GrpcError, get, metadata, parameter, presigned, put, refused, request, seconds},
    provider::{CredentialProcess, from_now},
    sidecar::Sidecar,
};

const DAY: i64 = 24 * 3_600;

/// `GetObject` with this `expires_in`.
fn lasting(expires_in: Option<Duration>) -> pb::PresignRequest {
    pb::PresignRequest { expires_in, ..get("key") }
}

/// Presigns a request, and checks that the fields of the response agree with each other and with the clock.
async fn presign_and_check(sidecar: &Sidecar, request: pb::PresignRequest) -> pb::PresignedRequest {
    let before = Clock::system().now();
    let presigned = presigned(sidecar.client().await.presign(request).await);
    assert_consistent(&presigned);
    let signed_at = presigned.signed_at.unwrap();
    let whole = |time: SystemTime| prost_types::Timestamp::from(time).seconds;
    assert!((whole(before)..=whole(Clock::system().now())).contains(&signed_at.seconds), "{signed_at}");
    presigned
}

fn assert_consistent(answer: &pb::PresignedRequest) {
    let (signed_at, expires_at) = (answer.signed_at.unwrap(), answer.expires_at.unwrap());
    let (granted, requested) = (answer.granted.unwrap(), answer.requested.unwrap());
    assert_eq!((signed_at.nanos, expires_at.nanos, granted.nanos, requested.nanos), (0, 0, 0, 0));
    assert_eq!(expires_at.seconds, signed_at.seconds + granted.seconds);
    assert_eq!(parameter(&answer.url, "X-Amz-Expires"), granted.seconds.to_string());
    let basic = signed_at.to_string().replace(['-', ':'], "");
    assert_eq!(parameter(&answer.url, "X-Amz-Date"), basic);
    let (_, last) = answer.url.rsplit_once('&').unwrap();
    let signature = last.strip_prefix("X-Amz-Signature=").expect("the signature comes last");
    assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_clamped = granted.seconds < requested.seconds;
    assert_eq!(is_clamped, answer.clamp_reason() != ClampReason::None);
}

/// Granted and requested seconds, and the name of the clamp reason.
fn lifetimes(answer: &pb::PresignedRequest) -> (i64, i64, &'static str) {
    let reason = answer.clamp_reason().as_str_name().trim_start_matches("CLAMP_REASON_");
    (answer.granted.unwrap().seconds, answer.requested.unwrap().seconds, reason)
}

#[tokio::test]
async fn requested_lifetimes_are_granted_up_to_seven_days() {
    let sidecar = Sidecar::start(&[]).await;
    let rows = [
        (None, (900, 900, "NONE")),
        (Some(seconds(1)), (1, 1, "NONE")),
        (Some(seconds(3_600)), (3_600, 3_600, "NONE")),
        (Some(Duration { seconds: 1, nanos: 900_000_000 }), (1, 1, "NONE")),
        (Some(seconds(7 * DAY)), (7 * DAY, 7 * DAY, "NONE")),
        (Some(seconds(7 * DAY + 1)), (7 * DAY, 7 * DAY + 1, "SERVICE_MAXIMUM")),
        (Some(seconds(8 * DAY)), (7 * DAY, 8 * DAY, "SERVICE_MAXIMUM")),
        (Some(seconds(315_576_000_000)), (7 * DAY, 315_576_000_000, "SERVICE_MAXIMUM")),
    ];
    for (asked, expected) in rows {
        assert_eq!(lifetimes(&presign_and_check(&sidecar, lasting(asked)).await), expected, "{asked:?}");
    }
}

#[tokio::test]
async fn the_maximum_and_default_of_the_server_apply() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h", "--expiry-default", "2m"]).await;
    for (asked, expected) in [
        (None, (120, 120, "NONE")),
        (Some(seconds(3_600)), (3_600, 3_600, "NONE")),
        (Some(seconds(3_601)), (3_600, 3_601, "SERVER_MAXIMUM")),
        (Some(seconds(8 * DAY)), (3_600, 8 * DAY, "SERVER_MAXIMUM")),
    ] {
        assert_eq!(lifetimes(&presign_and_check(&sidecar, lasting(asked)).await), expected, "{asked:?}");
    }
}

#[tokio::test]
async fn no_url_outlives_its_credentials() {
    let end = from_now(std::time::Duration::from_secs(600));
    let provider = CredentialProcess::new();
    provider.set_expiry(end);
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    sidecar.wait_until_serving().await;
    let clamped = presign_and_check(&sidecar, lasting(Some(seconds(900)))).await;
    let (granted, requested, reason) = lifetimes(&clamped);
    assert_eq!((requested, reason), (900, "CREDENTIAL_EXPIRY"));
    assert!((500..=600).contains(&granted), "{granted}");
    assert_eq!(
        clamped.expires_at.unwrap(),
        prost_types::Timestamp::from(end),
        "the URL or form expires with the credentials"
    );
    assert_eq!(parameter(&clamped.url, "X-Amz-Security-Token"), "a-session-token");
    let short = presign_and_check(&sidecar, lasting(Some(seconds(60)))).await;
    assert_eq!(lifetimes(&short), (60, 60, "NONE"));
}

#[tokio::test]
async fn a_form_has_the_same_lifetime_fields_as_a_url() {
    let end = from_now(std::time::Duration::from_secs(600));
    let provider = CredentialProcess::new();
    provider.set_expiry(end);
    let sidecar = Sidecar::spawn(provider.command(), &["--expiry-default", "2m"]);
    sidecar.wait_until_serving().await;
    let mut client = sidecar.client().await;
    for (asked, requested, is_clamped) in [(None, 120, false), (Some(seconds(900)), 900, true)] {
        let form = pb::PresignPostRequest {
            bucket: "plain-bucket".to_owned(),
            key: "key".to_owned(),
            expires_in: asked,
            ..Default::default()
        };
        let form = client.presign_post(form).await.unwrap().into_inner();
        let (granted, expires_at) = (form.granted.unwrap(), form.expires_at.unwrap());
        assert_eq!(form.requested, Some(seconds(requested)));
        let reason = if is_clamped { "CLAMP_REASON_CREDENTIAL_EXPIRY" } else { "CLAMP_REASON_NONE" };
        assert_eq!((form.clamp_reason().as_str_name(), granted.seconds < requested), (reason, is_clamped));
        assert!(
            !is_clamped || expires_at == prost_types::Timestamp::from(end),
            "the URL or form expires with the credentials"
        );
        assert_eq!(form.fields["x-amz-security-token"], "a-session-token");
        let policy = aws_smithy_types::base64::decode(&form.fields["policy"]).unwrap();
        let policy: serde_json::Value = serde_json::from_slice(&policy).unwrap();
        assert_eq!(policy["expiration"], expires_at.to_string());
        let signed_at = prost_types::Timestamp { seconds: expires_at.seconds - granted.seconds, nanos: 0 };
        assert_eq!(form.fields["x-amz-date"], signed_at.to_string().replace(['-', ':'], ""));
    }
}

#[tokio::test]
async fn a_min_expires_in_that_can_be_granted_has_no_effect() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h"]).await;
    let zero = Some(Duration { seconds: 0, nanos: 1 });
    for (asked, minimum, granted) in [
        (None, Some(seconds(900)), 900),
        (Some(seconds(7_200)), Some(seconds(3_600)), 3_600),
        (None, zero, 900),
    ] {
        let request = pb::PresignRequest { min_expires_in: minimum, ..lasting(asked) };
        assert_eq!(lifetimes(&presign_and_check(&sidecar, request).await).0, granted, "{minimum:?}");
    }
}

#[tokio::test]
async fn a_min_expires_in_that_cannot_be_granted_is_refused() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h"]).await;
    let mut client = sidecar.client().await;
    for (asked, minimum, message, grantable, reason) in [
        (
            7_200,
            7_200,
            "min_expires_in is 2h, but at most 1h can be granted: limited by this server's expiry.max",
            "3600",
            "SERVER_MAXIMUM",
        ),
        (
            60,
            61,
            "min_expires_in is 1m 1s, but at most 1m can be granted: expires_in does not ask for more",
            "60",
            "NONE",
        ),
    ] {
        let request =
            pb::PresignRequest { min_expires_in: Some(seconds(minimum)), ..lasting(Some(seconds(asked))) };
        let status = refused(client.presign(request).await);
        assert_eq!(
            GrpcError::of(&status),
            GrpcError::new(Code::FailedPrecondition, "EXPIRY_TOO_SHORT", None, message)
        );
        let expected = [
            ("grantable_seconds", grantable.to_owned()),
            ("min_expires_in_seconds", minimum.to_string()),
            ("clamp_reason", reason.to_owned()),
        ];
        assert_eq!(metadata(&status), expected.map(|(name, value)| (name.to_owned(), value)).into());
    }
}

#[tokio::test]
async fn a_response_has_the_method_and_headers_to_send() {
    let sidecar = Sidecar::start(&[]).await;
    let typed = pb::PutObject {
        content_type: "text/plain".to_owned(),
        metadata: BTreeMap::from([("Owner".to_owned(), "me".to_owned())]),
        ..Default::default()
    };
    let mut both = request("key", Operation::PutObject(typed));
    both.headers.insert("X-Custom".to_owned(), "  as it is  ".to_owned());
    let upload = Operation::CreateMultipartUpload(pb::CreateMultipartUpload::default());
    let rows: [(pb::PresignRequest, &str, &[(&str, &str)]); 6] = [
        (get("key"), "GET", &[]),
        (put("key"), "PUT", &[]),
        (request("key", Operation::HeadObject(pb::HeadObject::default())), "HEAD", &[]),
        (request("key", Operation::DeleteObject(pb::DeleteObject::default())), "DELETE", &[]),
        (request("key", upload), "POST", &[]),
        (
            both,
            "PUT",
            &[("content-type", "text/plain"), ("x-amz-meta-owner", "me"), ("x-custom", "as it is")],
        ),
    ];
    for (request, method, headers) in rows {
        let answer = presign_and_check(&sidecar, request).await;
        let headers: BTreeMap<String, String> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!((answer.method.as_str(), &answer.headers), (method, &headers));
        let names: Vec<&str> = answer.headers.keys().map(String::as_str).collect();
        let signed: Vec<&str> = parameter(&answer.url, "X-Amz-SignedHeaders").split("%3B").collect();
        let mut expected = [names, vec!["host"]].concat();
        expected.sort_unstable();
        assert_eq!(signed, expected);
    }
}
