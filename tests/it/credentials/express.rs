//! Directory buckets: URLs are signed with the credentials of a session, which a fake S3 creates.

use std::{process::Command, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Region, SharedCredentialsProvider},
    presigning::PresigningConfig,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use futures_util::future::join_all;
use presignd::pb::{PresignRequest, PresignedRequest};
use prost_types::Timestamp;
use tonic::Code;

use super::{FakeAws, Fault, Keys, assert_no_secrets, has_canary, start_serving, with_provider};
use crate::{
    oracles::sigv4,
    support::{
        aws::RequestKind,
        clock::{FakeClock, FakedClocks},
        grpc::{
            GrpcError, batch, error_of, get, parameter, presigned, refused, results, says_when_to_retry,
            seconds, url_of,
        },
        in_process::{Case, Parts},
        provider::from_now,
        sidecar::Sidecar,
    },
};

const BUCKET: &str = "logs--use1-az4--x-s3";

/// presignd with these keys, and with the fake S3 as its endpoint.
fn with_s3(s3: &FakeAws, own: &Keys) -> Command {
    let mut command = with_provider("environment");
    command
        .env("AWS_ACCESS_KEY_ID", &own.id)
        .env("AWS_SECRET_ACCESS_KEY", &own.secret)
        .env("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", s3.url());
    command
}

fn get_from_bucket(key: &str) -> PresignRequest {
    PresignRequest { bucket: BUCKET.to_owned(), ..get(key) }
}

async fn url(sidecar: &Sidecar) -> PresignedRequest {
    presigned(sidecar.client().await.presign(get_from_bucket("a//b c.txt")).await)
}

/// The signature of aws-sigv4 for the same request with this session.
fn signature(session: &Keys, presigned: &PresignedRequest) -> String {
    let parts = Parts::of(&presigned.url);
    let granted = presigned.granted.unwrap().seconds.unsigned_abs();
    let mut settings = sigv4::settings(&Case {
        expires_in: granted,
        ..Case::new(BUCKET, "", presignd::pb::presign_request::Operation::GetObject(<_>::default()))
    });
    settings.excluded_headers = None;
    settings.session_token_name_override = Some("X-Amz-S3session-Token");
    let identity =
        Credentials::new(&*session.id, &*session.secret, session.token.clone(), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3express")
        .time(presigned.signed_at.unwrap().try_into().unwrap())
        .settings(settings)
        .build()
        .unwrap();
    sigv4::sign_request(presigned, &parts, &params.into())
}

/// Asserts that a session signed a URL.
fn assert_signed_by(session: &Keys, presigned: &PresignedRequest) {
    assert!(session.are_in(presigned), "not signed with {}", session.id);
    let token = Parts::of(&presigned.url).value("X-Amz-S3session-Token");
    assert_eq!(token, session.token);
    assert!(!presigned.url.contains("X-Amz-Security-Token"));
    assert_eq!(parameter(&presigned.url, "X-Amz-Signature"), signature(session, presigned));
}

#[tokio::test]
async fn a_directory_bucket_url_expires_with_its_session() {
    let (own, session) = (Keys::permanent("own"), Keys::expiring_in("session", 300));
    let s3 = FakeAws::with_keys(&session);
    let sidecar = start_serving(with_s3(&s3, &own)).await;
    let url = url(&sidecar).await;
    assert_signed_by(&session, &url);
    assert_eq!(url.expires_at, session.end.map(Timestamp::from));
    assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_SESSION_EXPIRY");
    let asked = s3.wait_for_request(RequestKind::CreateSession, 1).await;
    let explained = presignd::pb::ExplainRequest {
        url: url.url.clone(),
        method: url.method.clone(),
        ..Default::default()
    };
    let explained = sidecar.client().await.explain(explained).await.unwrap().into_inner();
    assert_eq!(
        (explained.verdict().as_str_name(), explained.findings.as_slice()),
        ("VERDICT_VALID", &[][..])
    );
    assert_eq!(asked.signed_by(), own.id);
    assert!(asked.authorization.contains("/us-east-1/s3express/aws4_request"), "the scope of the call");
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn directory_bucket_urls_equal_those_of_the_aws_sdk() {
    let (own, session) = (Keys::permanent("own"), Keys::expiring_in("session", 300));
    let s3 = FakeAws::with_keys(&session);
    let sidecar = start_serving(with_s3(&s3, &own)).await;
    let mut request = get_from_bucket("folder/a b.txt");
    request.expires_in = Some(seconds(60));
    request.query.insert("x-id".to_owned(), "GetObject".to_owned());
    let ours = presigned(sidecar.client().await.presign(request).await);

    let keys = Credentials::new(&*own.id, &*own.secret, own.token.clone(), None, "test");
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(s3.url())
        .http_client(http)
        .build();
    let presigning = PresigningConfig::builder()
        .start_time(ours.signed_at.unwrap().try_into().unwrap())
        .expires_in(Duration::from_secs(60))
        .build()
        .unwrap();
    let call = Client::from_conf(config).get_object().bucket(BUCKET).key("folder/a b.txt");
    let theirs = call.presigned(presigning).await.unwrap();
    assert_eq!(Parts::of(&ours.url), Parts::of(theirs.uri()));
}

#[tokio::test]
async fn concurrent_callers_share_one_cached_session() {
    let session = Keys::expiring_in("session", 300);
    let s3 = FakeAws::with_keys(&session);
    let sidecar = start_serving(with_s3(&s3, &Keys::permanent("own"))).await;
    s3.set_fault(Fault::Hanging);
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(sidecar.client().await);
    }
    let calls = clients.iter_mut().map(|client| client.presign(get_from_bucket("key")));
    let released = async {
        s3.wait_for_request(RequestKind::CreateSession, 1).await;
        s3.set_keys(&session);
    };
    let (answers, ()) = tokio::join!(join_all(calls), released);
    for answer in answers {
        assert!(session.are_in(&presigned(answer)));
    }
    let many = batch((0..200).map(|number| get_from_bucket(&number.to_string())).collect());
    for result in results(clients[0].batch_presign(many).await) {
        assert!(session.are_in(url_of(&result)));
    }
    assert_eq!(s3.request_count(RequestKind::CreateSession), 1);
}

#[tokio::test]
async fn a_session_is_renewed_in_the_background_at_half_life() {
    let (first, second) = (Keys::expiring_in("first", 300), Keys::expiring_in("second", 600));
    let s3 = FakeAws::with_keys(&first);
    let mut command = with_s3(&s3, &Keys::permanent("own"));
    let clock = FakeClock::attach(&mut command, FakedClocks::All);
    let sidecar = start_serving(command).await;
    assert!(first.are_in(&url(&sidecar).await));
    clock.set_and_wait(&sidecar, 140).await;
    assert!(first.are_in(&url(&sidecar).await));
    assert_eq!(s3.request_count(RequestKind::CreateSession), 1);

    clock.set_and_wait(&sidecar, 160).await;
    s3.set_fault(Fault::Hanging);
    assert!(first.are_in(&url(&sidecar).await), "the old session signs while the new one is created");
    s3.wait_for_request(RequestKind::CreateSession, 2).await;
    assert!(first.are_in(&url(&sidecar).await));
    s3.set_keys(&second);
    let renewing = async { while !second.are_in(&url(&sidecar).await) {} };
    tokio::time::timeout(crate::support::sidecar::PATIENCE, renewing)
        .await
        .expect("the new session is used in time");
    assert_eq!(s3.request_count(RequestKind::CreateSession), 2);
}

#[tokio::test]
async fn a_url_expires_with_the_credentials_of_the_signer() {
    let session = Keys::expiring_in("session", 300);
    let s3 = FakeAws::with_keys(&session);
    let mut command = with_s3(&s3, &Keys::permanent("own"));
    let end = from_now(Duration::from_secs(120));
    command
        .env("AWS_SESSION_TOKEN", "canary-own-token")
        .env("AWS_CREDENTIAL_EXPIRATION", Timestamp::from(end).to_string());
    let sidecar = start_serving(command).await;
    let url = url(&sidecar).await;
    assert!(session.are_in(&url));
    assert_eq!(url.expires_at, Some(Timestamp::from(end)));
    assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_CREDENTIAL_EXPIRY");
}

#[tokio::test]
async fn a_rejected_session_fails_only_its_own_urls() {
    let s3 = FakeAws::without_keys();
    let sidecar = start_serving(with_s3(&s3, &Keys::permanent("own"))).await;
    let mut client = sidecar.client().await;
    let expected = GrpcError::new(
        Code::FailedPrecondition,
        "SESSION_REFUSED",
        None,
        "S3 rejected CreateSession for logs--use1-az4--x-s3: AccessDenied; allow s3express:CreateSession on this directory \
         bucket to the signer's role, or set disable_session_auth of the signer",
    );
    assert_eq!(GrpcError::of(&refused(client.presign(get_from_bucket("key")).await)), expected);
    let answers = results(client.batch_presign(batch(vec![get("a"), get_from_bucket("b"), get("c")])).await);
    url_of(&answers[0]);
    assert_eq!(GrpcError::of(&error_of(&answers[1])), expected);
    url_of(&answers[2]);
    assert_eq!(s3.request_count(RequestKind::CreateSession), 1, "the error is cached for a second");
    assert_no_secrets(&sidecar).await;

    let session = Keys::expiring_in("session", 300);
    s3.set_keys(&session);
    let recovering = async {
        loop {
            if let Ok(answer) = client.presign(get_from_bucket("key")).await {
                return presigned(Ok(answer));
            }
        }
    };
    let url = tokio::time::timeout(crate::support::sidecar::PATIENCE, recovering).await.unwrap();
    assert_signed_by(&session, &url);
}

#[tokio::test]
async fn invalid_items_create_no_session() {
    let session = Keys::expiring_in("session", 300);
    let s3 = FakeAws::with_keys(&session);
    let sidecar = start_serving(with_s3(&s3, &Keys::permanent("own"))).await;
    let mut client = sidecar.client().await;
    let invalid = (0..20).map(|number| PresignRequest {
        bucket: format!("logs{number}--use1-az4--x-s3"),
        key: String::new(),
        ..get("")
    });
    let answers = results(client.batch_presign(batch(invalid.collect())).await);
    assert_eq!(answers.len(), 20);
    for answer in &answers {
        let error = GrpcError::of(&error_of(answer));
        assert_eq!((error.code, error.reason.as_str()), (Code::InvalidArgument, "KEY_INVALID"));
    }
    refused(client.presign(get_from_bucket("")).await);
    assert_eq!(s3.request_count(RequestKind::CreateSession), 0);
    // A valid item in the same batch creates the session of its own bucket only.
    let mixed = vec![get_from_bucket(""), get_from_bucket("key")];
    let answers = results(client.batch_presign(batch(mixed)).await);
    assert_eq!(GrpcError::of(&error_of(&answers[0])).reason, "KEY_INVALID");
    assert!(session.are_in(url_of(&answers[1])));
    assert_eq!(s3.request_count(RequestKind::CreateSession), 1);
}

#[tokio::test]
async fn a_failing_s3_is_reported_as_retryable() {
    for fault in [Fault::Unreachable, Fault::Status(503), Fault::Empty] {
        let s3 = FakeAws::with_keys(&Keys::expiring_in("session", 300));
        let sidecar = start_serving(with_s3(&s3, &Keys::permanent("own"))).await;
        s3.set_fault(fault);
        let status = refused(sidecar.client().await.presign(get_from_bucket("key")).await);
        let error = GrpcError::of(&status);
        assert_eq!(
            (error.code, error.reason.as_str()),
            (Code::Unavailable, "SESSION_UNAVAILABLE"),
            "{fault:?}"
        );
        assert!(says_when_to_retry(&status));
        assert!(!has_canary(&status.to_string()), "{status}");
        assert_no_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn without_session_auth_the_signer_keys_sign() {
    let own = Keys::permanent("own");
    let s3 = FakeAws::with_keys(&Keys::expiring_in("session", 300));
    let mut command = with_s3(&s3, &own);
    command.env("PRESIGND_SIGNERS_DEFAULT_DISABLE_SESSION_AUTH", "true");
    let sidecar = start_serving(command).await;
    let url = url(&sidecar).await;
    assert!(own.are_in(&url) && url.url.contains("%2Fs3express%2Faws4_request"));
    assert_eq!(s3.request_count(RequestKind::CreateSession), 0);
}
