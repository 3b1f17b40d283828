//! Temporary credentials: the session token is part of what is signed.

use presignd::pb::{
    GetObject, PresignPostRequest, PresignPostResponse, PutObject, presign_request::Operation,
};

use super::Caller;
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    http::Request,
    python,
    s3::{PLAIN_BUCKET, Server},
    sidecar::{Sidecar, presignd},
};

/// Asks STS for temporary credentials of the root key: a line each for key, secret and token.
const SESSION: &str = "
import sys, boto3
endpoint, key, secret = sys.stdin.read().split()
sts = boto3.client('sts', region_name='us-east-1', endpoint_url=endpoint,
                   aws_access_key_id=key, aws_secret_access_key=secret)
session = sts.get_session_token()['Credentials']
print(session['AccessKeyId'], session['SecretAccessKey'], session['SessionToken'])
";

/// ministack looks at the token before it looks at the signature.
const REFUSED: &str = "400 InvalidToken";

#[tokio::test]
async fn a_session_of_sts_signs_with_its_token_and_not_without_or_with_another() {
    let server = Server::ministack();
    let [key, secret, token] = session(server);
    let caller = with_credentials(server, &key, &secret, Some(&token)).await;
    caller.put(PLAIN_BUCKET, "session/a b", "from a session").await;
    assert_eq!(caller.get(PLAIN_BUCKET, "session/a b").await.text(), "from a session");

    let request = Request::of(&caller.presign(PLAIN_BUCKET, "session/a b", get()).await);
    let parameter = format!("X-Amz-Security-Token={token}");
    assert!(request.target.contains(&parameter), "the token is not in the URL");
    for (what, instead) in [("left out", String::new()), ("changed", format!("{parameter}0"))] {
        let mut changed = request.clone();
        changed.target = changed.target.replace(&parameter, &instead).replace("&&", "&");
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
async fn a_form_of_a_session_needs_its_token() {
    let server = Server::ministack();
    let [key, secret, token] = session(server);
    let caller = with_credentials(server, &key, &secret, Some(&token)).await;
    let request = PresignPostRequest { key: "session/form".to_owned(), ..Default::default() };
    let PresignPostResponse { url, mut fields, .. } = caller.form(request).await;
    assert_eq!(fields["x-amz-security-token"], token);
    assert_eq!(caller.upload(&url, &fields, b"from a session").await.verdict(), "204");
    assert_eq!(caller.get(PLAIN_BUCKET, "session/form").await.text(), "from a session");
    fields.insert("x-amz-security-token".to_owned(), format!("{token}0"));
    assert_eq!(caller.upload(&url, &fields, b"bad").await.verdict(), REFUSED);
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

/// A presignd that finds these credentials in its environment.
async fn with_credentials(server: &'static Server, key: &str, secret: &str, token: Option<&str>) -> Caller {
    let mut command = presignd();
    command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_REGION", "us-east-1");
    if let Some(token) = token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.serving().await;
    Caller::using(server, sidecar).await
}
