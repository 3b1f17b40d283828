//! Directory buckets: signed for with the credentials of a session of their own, which a faked S3 gives.

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

use super::{Aws, Fault, Keys, has_canary, kept_secrets, serving, with_provider};
use crate::{
    oracles::sigv4,
    support::{
        aws::Kind,
        clock::{OwnClock, Sets},
        grpc::{
            Told, batch, error_of, get, parameter, presigned, refused, results, says_when_to_retry, seconds,
            url_of,
        },
        in_process::{Case, Parts},
        provider::from_now,
        sidecar::Sidecar,
    },
};

const BUCKET: &str = "logs--use1-az4--x-s3";

/// presignd with its own keys, which S3 knows under this endpoint.
fn beside(s3: &Aws, own: &Keys) -> Command {
    let mut command = with_provider("environment");
    command
        .env("AWS_ACCESS_KEY_ID", &own.id)
        .env("AWS_SECRET_ACCESS_KEY", &own.secret)
        .env("PRESIGND_SIGNERS_DEFAULT_ENDPOINT", s3.url());
    command
}

fn of_the_bucket(key: &str) -> PresignRequest {
    PresignRequest { bucket: BUCKET.to_owned(), ..get(key) }
}

async fn url(sidecar: &Sidecar) -> PresignedRequest {
    presigned(sidecar.client().await.presign(of_the_bucket("a//b c.txt")).await)
}

/// What aws-sigv4 signs the same request with, given the session.
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
    sigv4::signed(presigned, &parts, &params.into())
}

/// Asserts that a URL is of a session.
fn is_of(session: &Keys, presigned: &PresignedRequest) {
    assert!(session.are_in(presigned), "{} signs", session.id);
    let token = Parts::of(&presigned.url).value("X-Amz-S3session-Token");
    assert_eq!(token, session.token);
    assert!(!presigned.url.contains("X-Amz-Security-Token"));
    assert_eq!(parameter(&presigned.url, "X-Amz-Signature"), signature(session, presigned));
}

#[tokio::test]
async fn a_directory_bucket_is_signed_for_with_a_session_and_the_url_ends_with_it() {
    let (own, session) = (Keys::unending("own"), Keys::lasting("session", 300));
    let s3 = Aws::giving(&session);
    let sidecar = serving(beside(&s3, &own)).await;
    let url = url(&sidecar).await;
    is_of(&session, &url);
    assert_eq!(url.expires_at, session.end.map(Timestamp::from));
    assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_SESSION_EXPIRY");
    let asked = s3.asked(Kind::CreateSession, 1).await;
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
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn the_url_is_the_one_of_the_aws_sdk_presigner_with_the_same_session() {
    let (own, session) = (Keys::unending("own"), Keys::lasting("session", 300));
    let s3 = Aws::giving(&session);
    let sidecar = serving(beside(&s3, &own)).await;
    let mut request = of_the_bucket("folder/a b.txt");
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
async fn a_session_is_had_once_for_many_callers_and_kept() {
    let session = Keys::lasting("session", 300);
    let s3 = Aws::giving(&session);
    let sidecar = serving(beside(&s3, &Keys::unending("own"))).await;
    s3.fault(Fault::Held);
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(sidecar.client().await);
    }
    let calls = clients.iter_mut().map(|client| client.presign(of_the_bucket("key")));
    let released = async {
        s3.asked(Kind::CreateSession, 1).await;
        s3.give(&session);
    };
    let (answers, ()) = tokio::join!(join_all(calls), released);
    for answer in answers {
        assert!(session.are_in(&presigned(answer)));
    }
    let many = batch((0..200).map(|number| of_the_bucket(&number.to_string())).collect());
    for result in results(clients[0].batch_presign(many).await) {
        assert!(session.are_in(url_of(&result)));
    }
    assert_eq!(s3.count(Kind::CreateSession), 1);
}

#[tokio::test]
async fn a_session_is_renewed_when_half_of_its_time_is_over_and_no_caller_waits_for_that() {
    let (first, second) = (Keys::lasting("first", 300), Keys::lasting("second", 600));
    let s3 = Aws::giving(&first);
    let mut command = beside(&s3, &Keys::unending("own"));
    let clock = OwnClock::of(&mut command, Sets::AllTime);
    let sidecar = serving(command).await;
    assert!(first.are_in(&url(&sidecar).await));
    clock.set_for(&sidecar, 140).await;
    assert!(first.are_in(&url(&sidecar).await));
    assert_eq!(s3.count(Kind::CreateSession), 1);

    clock.set_for(&sidecar, 160).await;
    s3.fault(Fault::Held);
    assert!(first.are_in(&url(&sidecar).await), "the old one signs while the new one is had");
    s3.asked(Kind::CreateSession, 2).await;
    assert!(first.are_in(&url(&sidecar).await));
    s3.give(&second);
    let renewing = async { while !second.are_in(&url(&sidecar).await) {} };
    tokio::time::timeout(crate::support::sidecar::PATIENCE, renewing).await.expect("it takes over in time");
    assert_eq!(s3.count(Kind::CreateSession), 2);
}

#[tokio::test]
async fn the_own_credentials_end_a_session_that_would_last_longer() {
    let session = Keys::lasting("session", 300);
    let s3 = Aws::giving(&session);
    let mut command = beside(&s3, &Keys::unending("own"));
    let end = from_now(Duration::from_secs(120));
    command
        .env("AWS_SESSION_TOKEN", "canary-own-token")
        .env("AWS_CREDENTIAL_EXPIRATION", Timestamp::from(end).to_string());
    let sidecar = serving(command).await;
    let url = url(&sidecar).await;
    assert!(session.are_in(&url));
    assert_eq!(url.expires_at, Some(Timestamp::from(end)));
    assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_CREDENTIAL_EXPIRY");
}

#[tokio::test]
async fn a_session_that_s3_refuses_is_told_with_what_to_do_and_spoils_no_other_url() {
    let s3 = Aws::denying();
    let sidecar = serving(beside(&s3, &Keys::unending("own"))).await;
    let mut client = sidecar.client().await;
    let told = Told::new(
        Code::FailedPrecondition,
        "SESSION_REFUSED",
        None,
        "S3 rejected CreateSession for logs--use1-az4--x-s3: AccessDenied; allow s3express:CreateSession on this directory \
         bucket to the signer's role, or set disable_session_auth of the signer",
    );
    assert_eq!(Told::of(&refused(client.presign(of_the_bucket("key")).await)), told);
    let answers = results(client.batch_presign(batch(vec![get("a"), of_the_bucket("b"), get("c")])).await);
    url_of(&answers[0]);
    assert_eq!(Told::of(&error_of(&answers[1])), told);
    url_of(&answers[2]);
    assert_eq!(s3.count(Kind::CreateSession), 1, "who comes within a second is told the same");
    kept_secrets(&sidecar).await;

    let session = Keys::lasting("session", 300);
    s3.give(&session);
    let recovering = async {
        loop {
            if let Ok(answer) = client.presign(of_the_bucket("key")).await {
                return presigned(Ok(answer));
            }
        }
    };
    let url = tokio::time::timeout(crate::support::sidecar::PATIENCE, recovering).await.unwrap();
    is_of(&session, &url);
}

#[tokio::test]
async fn an_s3_that_fails_is_told_as_passing() {
    for fault in [Fault::Refused, Fault::Status(503), Fault::Empty] {
        let s3 = Aws::giving(&Keys::lasting("session", 300));
        let sidecar = serving(beside(&s3, &Keys::unending("own"))).await;
        s3.fault(fault);
        let status = refused(sidecar.client().await.presign(of_the_bucket("key")).await);
        let told = Told::of(&status);
        assert_eq!(
            (told.code, told.reason.as_str()),
            (Code::Unavailable, "SESSION_UNAVAILABLE"),
            "{fault:?}"
        );
        assert!(says_when_to_retry(&status));
        assert!(!has_canary(&status.to_string()), "{status}");
        kept_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn without_session_authentication_the_own_keys_sign_and_s3_is_not_asked() {
    let own = Keys::unending("own");
    let s3 = Aws::giving(&Keys::lasting("session", 300));
    let mut command = beside(&s3, &own);
    command.env("PRESIGND_SIGNERS_DEFAULT_DISABLE_SESSION_AUTH", "true");
    let sidecar = serving(command).await;
    let url = url(&sidecar).await;
    assert!(own.are_in(&url) && url.url.contains("%2Fs3express%2Faws4_request"));
    assert_eq!(s3.count(Kind::CreateSession), 0);
}
