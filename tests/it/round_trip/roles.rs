//! Roles from the STS of ministack, which verifies signatures and policies, and its emulated IMDS and container
//! endpoint.

use std::{
    path::Path,
    process::Command,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use presignd::{
    clock::Clock,
    pb::{GetObject, PresignedRequest, presign_request::Operation},
};
use serde_json::{Value, json};
use tonic_health::pb::health_check_response::ServingStatus::NotServing;

use super::RoundTrip;
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    grpc::parameter,
    http::Request,
    python,
    s3::{PLAIN_BUCKET, Server},
    scrape::Scrape,
    sidecar::{Sidecar, presignd},
};

/// The default lifetime of a session.
const HOUR: Duration = Duration::from_secs(3_600);
const SEVEN_DAYS: i64 = 604_800;

/// A JSON Web Token for the role `web` of `tests/python/roles.py`. Its parts are `{"alg":"RS256","typ":"JWT"}`,
/// `{"iss":"https://oidc.example","sub":"system:serviceaccount:team:app","aud":"sts.amazonaws.com"}` and `signature`.
const WEB_IDENTITY: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZSIsInN1YiI6InN5c3RlbTpzZXJ2aWNlYWNjb3VudDp0ZWFtOmFwcCIsImF1ZCI6InN0cy5hbWF6b25hd3MuY29tIn0.\
    c2lnbmF0dXJl";

/// The access key of the user who can assume the roles of `tests/python/roles.py`.
fn user() -> &'static (String, String) {
    static USER: OnceLock<(String, String)> = OnceLock::new();
    USER.get_or_init(|| {
        let root =
            json!({"endpoint": Server::ministack().endpoint(), "key": ACCESS_KEY, "secret": SECRET_KEY});
        let printed = python::run(python::script("roles.py"), &root.to_string());
        let made: Value = serde_json::from_str(&printed).expect("the script prints JSON");
        let text = |name: &str| made[name].as_str().expect("the script prints key and secret").to_owned();
        (text("key"), text("secret"))
    })
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::000000000000:role/{name}")
}

/// presignd with the STS of ministack, without credentials.
fn with_sts() -> Command {
    let mut command = presignd();
    command.env("AWS_ENDPOINT_URL_STS", Server::ministack().endpoint()).env("AWS_REGION", "us-east-1");
    command
}

/// presignd with the STS of ministack and the key of the user in its environment.
fn as_user() -> Command {
    let (key, secret) = user();
    let mut command = with_sts();
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

/// As [`with_sts`], with the path of a file with a web identity. Creates the roles.
fn as_app(folder: &Path) -> (Command, String) {
    user();
    let token = folder.join("token");
    std::fs::write(&token, WEB_IDENTITY).expect("the token is written");
    (with_sts(), token.to_str().expect("the path is text").to_owned())
}

#[tokio::test]
async fn assumed_role_urls_work_and_expire_with_the_session() {
    let (direct, outsider) = (role("direct"), role("outsider"));
    // The first role can be assumed only with the default session name.
    let by_default = ["--signers-default-assume-role", &direct];
    check_session(as_user(), &by_default, HOUR).await;
    let with_settings = [
        "--signers-default-assume-role",
        &outsider,
        "--signers-default-external-id",
        "partner-7",
        "--signers-default-session-duration",
        "15m",
    ];
    check_session(as_user(), &with_settings, Duration::from_secs(900)).await;
}

/// The first role has no rights to S3, and the last role trusts only the first. The first rejects an external ID, the
/// last requires one.
#[tokio::test]
async fn the_last_of_two_chained_roles_signs() {
    let chain = format!("{},{}", role("hop"), role("last"));
    let arguments = [
        "--signers-default-assume-role",
        &chain,
        "--signers-default-external-id",
        "partner-7",
        "--signers-default-session-name",
        "chained",
    ];
    check_session(as_user(), &arguments, HOUR).await;
}

#[tokio::test]
async fn a_web_identity_role_can_assume_another_role() {
    let folder = tempfile::tempdir().unwrap();
    let web = role("web");
    let chain = format!("{web},{}", role("after-web"));
    for roles in [&web, &chain] {
        let (command, token) = as_app(folder.path());
        let arguments = ["--signers-default-web-identity", &token, "--signers-default-assume-role", roles];
        check_session(command, &arguments, HOUR).await;
    }
    // With the variables of EKS, for the provider `web_identity` and for the default chain.
    for arguments in [&["--signers-default-provider", "web_identity"][..], &[]] {
        let (mut command, token) = as_app(folder.path());
        command.env("AWS_WEB_IDENTITY_TOKEN_FILE", token).env("AWS_ROLE_ARN", &web);
        check_session(command, arguments, HOUR).await;
    }
}

#[tokio::test]
async fn a_denied_role_gives_no_credentials() {
    let (last, outsider) = (role("last"), role("outsider"));
    let without_first_role = ["--signers-default-assume-role", &last];
    let with_other_id =
        ["--signers-default-assume-role", &outsider, "--signers-default-external-id", "partner-8"];
    for arguments in [&without_first_role[..], &with_other_id] {
        let sidecar = Sidecar::spawn(as_user(), arguments);
        sidecar.wait_for_log("failed to load credentials, retrying in").await;
        sidecar.wait_for_health("signer.default", NotServing).await;
        let log = sidecar.log();
        assert!(!log.contains("credentials loaded") && !log.contains(&user().1), "{log}");
    }
}

/// IMDS also gives the region.
#[tokio::test]
async fn emulated_imds_gives_credentials_and_region() {
    let server = Server::ministack();
    for arguments in [&["--signers-default-provider", "imds"][..], &[]] {
        let mut command = presignd();
        command
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint());
        check_emulated_metadata(command, arguments).await;
    }
}

#[tokio::test]
async fn an_emulated_container_endpoint_gives_credentials() {
    let uri = format!("{}/v2/credentials/a-task", Server::ministack().endpoint());
    for arguments in [&["--signers-default-provider", "container"][..], &[]] {
        let mut command = presignd();
        command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri).env("AWS_REGION", "us-east-1");
        check_emulated_metadata(command, arguments).await;
    }
}

/// Starts presignd with a session of ministack, which lasts for `lifetime` when it is new. Its URLs work, and expire
/// with the session.
async fn check_session(command: Command, arguments: &[&str], lifetime: Duration) {
    let server = Server::ministack();
    let caller = start(command, arguments).await;
    let content = format!("with {}", arguments.join(" "));
    let key = format!("roles/{content}");
    caller.put(PLAIN_BUCKET, &key, content.clone()).await;
    assert_eq!(caller.get(PLAIN_BUCKET, &key).await.text(), content);

    let url = presign_until_session_expiry(&caller, &key, lifetime).await;
    let request = Request::of(&url);
    assert_eq!(request.send(server.port).await.text(), content, "a URL that expires with the session");
    // ministack accepts only the token of the session.
    let token = parameter(&url.url, "X-Amz-Security-Token");
    let mut other = request.clone();
    other.target = request.target.replace(token, &format!("{token}0"));
    assert_eq!(other.send(server.port).await.verdict(), "400 InvalidToken");
}

/// Starts presignd with emulated metadata. Its credentials have the real format, but are unknown to the emulated S3.
async fn check_emulated_metadata(command: Command, arguments: &[&str]) {
    let caller = start(command, arguments).await;
    let url = presign_until_session_expiry(&caller, "roles/metadata", HOUR).await;
    let verdict = Request::of(&url).send(caller.server.port).await.verdict();
    assert_eq!(verdict, "403 InvalidAccessKeyId", "{arguments:?}");
}

async fn start(command: Command, arguments: &[&str]) -> RoundTrip {
    let sidecar = Sidecar::spawn(command, arguments);
    sidecar.wait_until_serving().await;
    RoundTrip::with_sidecar(Server::ministack(), sidecar).await
}

/// Presigns a URL for seven days, which must be shortened to the remaining lifetime of the session. `lifetime` is that
/// of a new session.
async fn presign_until_session_expiry(caller: &RoundTrip, key: &str, lifetime: Duration) -> PresignedRequest {
    let get = Operation::GetObject(GetObject::default());
    let url = caller.presign_with_expiry(PLAIN_BUCKET, key, get, Some(SEVEN_DAYS)).await;
    let scope: Vec<_> = parameter(&url.url, "X-Amz-Credential").split("%2F").collect();
    let [key, _day, "us-east-1", "s3", "aws4_request"] = scope[..] else { panic!("{scope:?}") };
    // The format of the credentials of ministack, which differs from that of the user.
    assert!(key.starts_with("ASIA") && key.len() == 20, "{key}");
    let token = parameter(&url.url, "X-Amz-Security-Token");
    assert!(token.starts_with("FwoGZX") && token.len() > 100, "{token}");

    assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_CREDENTIAL_EXPIRY");
    let end = url.expires_at.expect("expires_at is set").seconds;
    let labels = [("signer", "default")];
    let metric =
        Scrape::of(&caller.sidecar).await.get("presignd_credentials_expiry_timestamp_seconds", &labels);
    assert_eq!(end.to_string(), metric.to_string(), "the URL and the credentials expire together");
    let latest = Clock::system().now() + lifetime;
    let end = SystemTime::try_from(url.expires_at.unwrap()).expect("it is after 1970");
    let elapsed = latest.duration_since(end).expect("the URL expires with the session at the latest");
    assert!(elapsed < Duration::from_secs(60), "the session is new, but {elapsed:?} of it have passed");
    url
}
