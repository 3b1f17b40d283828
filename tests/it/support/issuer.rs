//! Credentials that end within seconds: a `credential_process` that asks the test, which hands out others each time.

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use presignd::clock::Clock;
use prost_types::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    ACCESS_KEY, SECRET_KEY,
    http::Request,
    provider::from_now,
    s3::{Server, further_key},
    sidecar::presignd,
};

/// How long credentials last: up to a second less, because their end is told in whole seconds.
pub const LIFETIME: Duration = Duration::from_secs(5);

/// Whose credentials are handed out.
#[derive(Clone, Copy)]
pub enum Authority {
    /// Sessions of ministack's STS: its S3 refuses them once they have ended.
    Sessions(&'static Server),
    /// The further keys of `SeaweedFS`, which do not end: presignd alone is told that they do.
    Keys,
}

/// One set of credentials that was handed out.
#[derive(Clone)]
pub struct Issued {
    secret: String,
    /// The session token.
    pub token: Option<String>,
    /// When they end: in whole seconds.
    pub end: SystemTime,
}

/// What was handed out, by access key ID.
type Log = Arc<Mutex<BTreeMap<String, Issued>>>;

/// Hands out credentials, for as long as it lives.
pub struct Issuer {
    folder: TempDir,
    log: Log,
    _answering: JoinSet<()>,
}

impl Issuer {
    /// Starts it.
    pub async fn start(authority: Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let folder = tempfile::tempdir().expect("a folder can be made");
        // bash opens TCP connections by itself, and starts at once.
        let ask = folder.path().join("ask");
        fs::write(&ask, format!("exec /bin/cat < /dev/tcp/127.0.0.1/{port}\n")).expect("it can be written");
        let process = format!("[default]\ncredential_process = /bin/bash {}\n", ask.display());
        fs::write(folder.path().join("config"), process).expect("the profile can be written");
        let log = Log::default();
        let mut answering = JoinSet::new();
        answering.spawn(answer(listener, authority, Arc::clone(&log)));
        Self { folder, log, _answering: answering }
    }

    /// presignd with this issuer as its only source of credentials.
    pub fn command(&self) -> Command {
        let mut command = presignd();
        command
            .env("AWS_CONFIG_FILE", self.folder.path().join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_REGION", "us-east-1");
        command
    }

    /// The credentials with this access key ID.
    ///
    /// # Panics
    /// When none were handed out.
    pub fn issued(&self, key: &str) -> Issued {
        let log = self.log.lock().expect("nothing failed while it was written");
        log.get(key).cloned().unwrap_or_else(|| panic!("{key} was never handed out"))
    }

    /// How many were handed out so far.
    pub fn count(&self) -> usize {
        self.log.lock().expect("nothing failed while it was written").len()
    }
}

async fn answer(listener: TcpListener, authority: Authority, log: Log) {
    for number in 0.. {
        let (stream, _) = listener.accept().await.expect("connections are accepted");
        let (key, issued) = match authority {
            Authority::Sessions(server) => session(server).await,
            Authority::Keys => {
                let (key, secret) = further_key(number);
                (key, Issued { secret, token: None, end: from_now(LIFETIME) })
            }
        };
        let printed = printed(&key, &issued);
        // Known before presignd has it.
        log.lock().expect("nothing failed while it was written").insert(key, issued);
        tell(stream, &printed).await;
    }
}

async fn tell(mut stream: TcpStream, printed: &str) {
    // Whoever asked may be gone: presignd is stopped at the end of a test.
    let _told = stream.write_all(printed.as_bytes()).await;
    let _closed = stream.shutdown().await;
}

/// What a `credential_process` prints.
///
/// Source: [Sourcing credentials with an external process](https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
fn printed(key: &str, issued: &Issued) -> String {
    let mut printed = json!({
        "Version": 1,
        "AccessKeyId": key,
        "SecretAccessKey": issued.secret,
        "Expiration": Timestamp::from(issued.end).to_string(),
    });
    if let Some(token) = &issued.token {
        printed["SessionToken"] = token.as_str().into();
    }
    printed.to_string()
}

/// `GetSessionToken` with the root key: AWS's own STS gives no session for less than 15 minutes, ministack's does.
async fn session(server: &Server) -> (String, Issued) {
    let seconds = LIFETIME.as_secs();
    let body = format!("Action=GetSessionToken&Version=2011-06-15&DurationSeconds={seconds}");
    let mut request = Request {
        method: "POST".to_owned(),
        host: format!("127.0.0.1:{}", server.port),
        target: "/".to_owned(),
        headers: [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())].into(),
        body: body.into_bytes(),
    };
    sign_for_sts(&mut request);
    let answer = request.send(server.port).await;
    assert!(answer.status.is_success(), "no session: {}", answer.text());
    let end: Timestamp = answer.element("Expiration").parse().expect("a time");
    let issued = Issued {
        secret: answer.element("SecretAccessKey"),
        token: Some(answer.element("SessionToken")),
        end: end.try_into().expect("a time after 1970"),
    };
    (answer.element("AccessKeyId"), issued)
}

fn sign_for_sts(request: &mut Request) {
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("sts")
        .time(Clock::system().now())
        .settings(SigningSettings::default())
        .build()
        .expect("all is there")
        .into();
    let uri = format!("http://{}{}", request.host, request.target);
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(&request.body);
    let signable = SignableRequest::new(&request.method, uri, headers, body).expect("it can be signed");
    let (instructions, _signature) = sign(signable, &params).expect("it is signed").into_parts();
    let (signed, _query) = instructions.into_parts();
    for header in signed {
        request.headers.insert(header.name().to_owned(), header.value().to_owned());
    }
}
