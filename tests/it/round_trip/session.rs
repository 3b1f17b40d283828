//! Temporary credentials: the session token is signed.

use presignd::pb::{
    GetObject, PresignPostRequest, PresignPostResponse, PutObject, presign_request::Operation,
};

use super::RoundTrip;
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    http::Request,
    python,
    s3::{PLAIN_BUCKET, Server},
    sidecar::{Sidecar, presignd},
};

/// Gets temporary credentials for the root key from STS, and prints key, secret and token.
const SESSION: &str = "
import sys, boto3
endpoint, key, secret = sys.stdin.read().split()
sts = boto3.client('sts', region_name='us-east-1', endpoint_url=endpoint,
                   aws_access_key_id=key, aws_secret_access_key=secret)
session = sts.get_session_token()['Credentials']
print(session['AccessKeyId'], session['SecretAccessKey'], session['SessionToken'])
";

/// The error of ministack, which checks the token before the signature.
const REFUSED: &str = "400 InvalidToken";

#[tokio::test]
async fn an_sts_session_signs_only_with_its_token() {
    let server = Server::ministack();
    let [key, secret, token] = session(server);
    let caller = with_credentials(server, &key, &secret, Some(&token)).await;
    caller.put(PLAIN_BUCKET, "session/a b", "from a session").await;
    assert_eq!(caller.get(PLAIN_BUCKET, "session/a b").await.text(), "from a session");

    let request = Request::of(&caller.presign(PLAIN_BUCKET, "session/a b", get()).await);
    let parameter = format!("X-Amz-Security-Token={token}");
    assert!(request.target.contains(&parameter), "the token is not in the URL");
    for (what, replacement) in [("removed", String::new()), ("changed", format!("{parameter}0"))] {
        let mut changed = request.clone();
        changed.target = changed.target.replace(&parameter, &replacement).replace("&&", "&");
        let verdict = changed.send(server.port).await.verdict();
        assert_eq!(verdict, REFUSED, "a token {what} in the URL");
    }
    for (what, other) in [("none", None), ("another", Some(format!("{token}0")))] {
        let caller = with_credentials(server, &key, &secret, other.as_deref()).await;
        for operation in [get(), Operation::PutObject(PutObject::default())] {
            let verdict = caller.send(PLAIN_BUCKET, "session/a b", operation, "").await.verdict();
            assert_eq!(verdict, REFUSED, "signed with {what} as the token");
        }
    }
}

#[tokio::test]
async fn a_form_of_an_sts_session_needs_its_token() {
    let server = Server::ministack();
    let [key, secret, token] = session(server);
    let caller = with_credentials(server, &key, &secret, Some(&token)).await;
    let request = PresignPostRequest { key: "session/form".to_owned(), ..Default::default() };
    let PresignPostResponse { url, mut fields, .. } = caller.form(request).await;
    assert_eq!(fields["x-amz-security-token"], token);
    assert_eq!(caller.upload(&url, &fields, b"from a session").await.verdict(), "204");
    assert_eq!(caller.get(PLAIN_BUCKET, "session/form").await.text(), "from a session");
    fields.insert("x-amz-security-token".to_owned(), format!("{token}0"));
    assert_eq!(caller.upload(&url, &fields, b"invalid").await.verdict(), REFUSED);
    fields.remove("x-amz-security-token");
    assert_eq!(caller.upload(&url, &fields, b"bad").await.verdict(), REFUSED);
}

fn get() -> Operation {
    Operation::GetObject(GetObject::default())
}

fn session(server: &Server) -> [String; 3] {
    let mut command = std::process::Command::new(python::interpreter());
    command.args(["-c", SESSION]);
    let printed = python::run(command, &format!("{} {ACCESS_KEY} {SECRET_KEY}", server.endpoint()));
    let words: Vec<_> = printed.split_whitespace().map(str::to_owned).collect();
    words.try_into().expect("three words")
}

/// Starts presignd with these credentials in its environment.
async fn with_credentials(
    server: &'static Server,
    key: &str,
    secret: &str,
    token: Option<&str>,
) -> RoundTrip {
    let mut command = presignd();
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_REGION", "us-east-1");
    if let Some(token) = token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_until_serving().await;
    RoundTrip::with_sidecar(server, sidecar).await
}
