//! Roles assumed through an STS that verifies, and the metadata endpoints of a well-known emulator: ministack's.

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

use super::Caller;
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    grpc::parameter,
    http::Request,
    python,
    s3::{PLAIN_BUCKET, Server},
    scrape::Scrape,
    sidecar::{Sidecar, presignd},
};

/// Of each session, unless it is told otherwise.
const HOUR: Duration = Duration::from_secs(3_600);
const SEVEN_DAYS: i64 = 604_800;

/// A JSON Web Token for the role `web` of `tests/python/roles.py`, of `{"alg":"RS256","typ":"JWT"}`,
/// `{"iss":"https://oidc.example","sub":"system:serviceaccount:team:app","aud":"sts.amazonaws.com"}` and `signature`.
const WEB_IDENTITY: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZSIsInN1YiI6InN5c3RlbTpzZXJ2aWNlYWNjb3VudDp0ZWFtOmFwcCIsImF1ZCI6InN0cy5hbWF6b25hd3MuY29tIn0.\
    c2lnbmF0dXJl";

/// The access key of the user who may assume the roles that `tests/python/roles.py` made.
fn user() -> &'static (String, String) {
    static USER: OnceLock<(String, String)> = OnceLock::new();
    USER.get_or_init(|| {
        let root =
            json!({"endpoint": Server::ministack().endpoint(), "key": ACCESS_KEY, "secret": SECRET_KEY});
        let printed = python::run(python::script("roles.py"), &root.to_string());
        let made: Value = serde_json::from_str(&printed).expect("it prints JSON");
        let text = |name: &str| made[name].as_str().expect("a key has both").to_owned();
        (text("key"), text("secret"))
    })
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::000000000000:role/{name}")
}

/// presignd with ministack's STS, and no credentials.
fn with_sts() -> Command {
    let mut command = presignd();
    command.env("AWS_ENDPOINT_URL_STS", Server::ministack().endpoint()).env("AWS_REGION", "us-east-1");
    command
}

/// presignd with ministack's STS, and the user's key in its environment.
fn as_user() -> Command {
    let (key, secret) = user();
    let mut command = with_sts();
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

/// As [`with_sts`], with a web identity in a file. The roles are there.
fn as_app(folder: &Path) -> (Command, String) {
    user();
    let token = folder.join("token");
    std::fs::write(&token, WEB_IDENTITY).expect("it can be written");
    (with_sts(), token.to_str().expect("the path is text").to_owned())
}

#[tokio::test]
async fn urls_of_an_assumed_role_are_accepted_and_say_when_its_session_ends() {
    let (direct, outsider) = (role("direct"), role("outsider"));
    // The first role may be assumed with the default name of the session alone.
    let by_default = ["--signers-default-assume-role", &direct];
    signs_with_a_session(as_user(), &by_default, HOUR).await;
    let as_told = [
        "--signers-default-assume-role",
        &outsider,
        "--signers-default-external-id",
        "partner-7",
        "--signers-default-session-duration",
        "15m",
    ];
    signs_with_a_session(as_user(), &as_told, Duration::from_secs(900)).await;
}

/// Each role can do only its part: the first may not touch S3, and the last trusts the first alone. The first is
/// refused with an external ID, the last without.
#[tokio::test]
async fn the_last_of_two_roles_is_assumed_with_the_first_and_signs() {
    let chain = format!("{},{}", role("hop"), role("last"));
    let arguments = [
        "--signers-default-assume-role",
        &chain,
        "--signers-default-external-id",
        "partner-7",
        "--signers-default-session-name",
        "chained",
    ];
    signs_with_a_session(as_user(), &arguments, HOUR).await;
}

#[tokio::test]
async fn a_web_identity_assumes_its_role_and_from_there_another() {
    let folder = tempfile::tempdir().unwrap();
    let web = role("web");
    let chain = format!("{web},{}", role("after-web"));
    for roles in [&web, &chain] {
        let (command, token) = as_app(folder.path());
        let arguments = ["--signers-default-web-identity", &token, "--signers-default-assume-role", roles];
        signs_with_a_session(command, &arguments, HOUR).await;
    }
    // As EKS tells it, to the provider that was asked for, and to the default chain.
    for arguments in [&["--signers-default-provider", "web_identity"][..], &[]] {
        let (mut command, token) = as_app(folder.path());
        command.env("AWS_WEB_IDENTITY_TOKEN_FILE", token).env("AWS_ROLE_ARN", &web);
        signs_with_a_session(command, arguments, HOUR).await;
    }
}

#[tokio::test]
async fn a_role_that_must_not_be_assumed_gives_no_credentials() {
    let (last, outsider) = (role("last"), role("outsider"));
    let without_the_first = ["--signers-default-assume-role", &last];
    let of_another =
        ["--signers-default-assume-role", &outsider, "--signers-default-external-id", "partner-8"];
    for arguments in [&without_the_first[..], &of_another] {
        let sidecar = Sidecar::spawn(as_user(), arguments);
        sidecar.logged("failed to load credentials, retrying in").await;
        sidecar.health("signer.default", NotServing).await;
        let log = sidecar.log();
        assert!(!log.contains("credentials loaded") && !log.contains(&user().1), "{log}");
    }
}

/// The region comes from the same place.
#[tokio::test]
async fn the_instance_metadata_of_an_emulator_gives_credentials_and_the_region() {
    let server = Server::ministack();
    for arguments in [&["--signers-default-provider", "imds"][..], &[]] {
        let mut command = presignd();
        command
            .env("AWS_EC2_METADATA_DISABLED", "false")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint());
        signs_with_the_emulators(command, arguments).await;
    }
}

#[tokio::test]
async fn the_container_endpoint_of_an_emulator_gives_credentials() {
    let uri = format!("{}/v2/credentials/a-task", Server::ministack().endpoint());
    for arguments in [&["--signers-default-provider", "container"][..], &[]] {
        let mut command = presignd();
        command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri).env("AWS_REGION", "us-east-1");
        signs_with_the_emulators(command, arguments).await;
    }
}

/// Starts presignd, which has credentials that ministack knows: its URLs put and get, until the session ends.
async fn signs_with_a_session(command: Command, arguments: &[&str], lasts: Duration) {
    let server = Server::ministack();
    let caller = start(command, arguments).await;
    let content = format!("with {}", arguments.join(" "));
    let key = format!("roles/{content}");
    caller.put(PLAIN_BUCKET, &key, content.clone()).await;
    assert_eq!(caller.get(PLAIN_BUCKET, &key).await.text(), content);

    let url = ends_with_the_session(&caller, &key, lasts).await;
    let request = Request::of(&url);
    assert_eq!(request.send(server.port).await.text(), content, "a URL until the end");
    // ministack takes the session's own token alone.
    let token = parameter(&url.url, "X-Amz-Security-Token");
    let mut other = request.clone();
    other.target = request.target.replace(token, &format!("{token}0"));
    assert_eq!(other.send(server.port).await.verdict(), "400 InvalidToken");
}

/// Starts presignd, which has credentials of the emulator's metadata: those are real in their form, but its S3 does not
/// know them.
async fn signs_with_the_emulators(command: Command, arguments: &[&str]) {
    let caller = start(command, arguments).await;
    let url = ends_with_the_session(&caller, "roles/metadata", HOUR).await;
    let verdict = Request::of(&url).send(caller.server.port).await.verdict();
    assert_eq!(verdict, "403 InvalidAccessKeyId", "{arguments:?}");
}

async fn start(command: Command, arguments: &[&str]) -> Caller {
    let sidecar = Sidecar::spawn(command, arguments);
    sidecar.serving().await;
    Caller::using(Server::ministack(), sidecar).await
}

/// A URL for seven days, which is cut to what is left of a session that lasts so long when it is new.
async fn ends_with_the_session(caller: &Caller, key: &str, lasts: Duration) -> PresignedRequest {
    let get = Operation::GetObject(GetObject::default());
    let url = caller.presign_for(PLAIN_BUCKET, key, get, Some(SEVEN_DAYS)).await;
    let scope: Vec<_> = parameter(&url.url, "X-Amz-Credential").split("%2F").collect();
    let [key, _day, "us-east-1", "s3", "aws4_request"] = scope[..] else { panic!("{scope:?}") };
    // As ministack makes them; no other credentials are there, but for the user's.
    assert!(key.starts_with("ASIA") && key.len() == 20, "{key}");
    let token = parameter(&url.url, "X-Amz-Security-Token");
    assert!(token.starts_with("FwoGZX") && token.len() > 100, "{token}");

    assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_CREDENTIAL_EXPIRY");
    let end = url.expires_at.expect("expires_at is set").seconds;
    let labels = [("signer", "default")];
    let told =
        Scrape::of(&caller.sidecar).await.get("presignd_credentials_expiry_timestamp_seconds", &labels);
    assert_eq!(end.to_string(), told.to_string(), "the URL and the credentials end together");
    let latest = Clock::system().now() + lasts;
    let end = SystemTime::try_from(url.expires_at.unwrap()).expect("it is after 1970");
    let spent = latest.duration_since(end).expect("it ends with the session at the latest");
    assert!(spent < Duration::from_secs(60), "the session was new, and {spent:?} of it are gone");
    url
}
