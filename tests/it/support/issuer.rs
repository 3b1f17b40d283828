//! Credentials that expire within seconds: a `credential_process` that gets new credentials from the test each time.

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

/// The lifetime of the credentials, up to a second less: their expiry is rounded down to a whole second.
pub const LIFETIME: Duration = Duration::from_secs(5);

/// The source of the credentials.
#[derive(Clone, Copy)]
pub enum Authority {
    /// Sessions of the STS of ministack. Its S3 rejects them after they have expired.
    Sessions(&'static Server),
    /// The additional keys of `SeaweedFS`. They do not expire there, but presignd gets an expiry for them.
    Keys,
}

/// One set of issued credentials.
#[derive(Clone)]
pub struct IssuedCredentials {
    secret: String,
    /// The session token.
    pub token: Option<String>,
    /// When they expire, in whole seconds.
    pub end: SystemTime,
}

/// The issued credentials, by access key ID.
type IssuedLog = Arc<Mutex<BTreeMap<String, IssuedCredentials>>>;

/// Issues credentials until this is dropped.
pub struct Issuer {
    folder: TempDir,
    log: IssuedLog,
    _answering: JoinSet<()>,
}

impl Issuer {
    /// Starts the issuer.
    pub async fn start(authority: Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let folder = tempfile::tempdir().expect("a folder can be made");
        // bash can open TCP connections itself, and starts fast.
        let script = folder.path().join("script");
        fs::write(&script, format!("exec /bin/cat < /dev/tcp/127.0.0.1/{port}\n"))
            .expect("the script can be written");
        let process = format!("[default]\ncredential_process = /bin/bash {}\n", script.display());
        fs::write(folder.path().join("config"), process).expect("the profile can be written");
        let log = IssuedLog::default();
        let mut answering = JoinSet::new();
        answering.spawn(answer_all(listener, authority, Arc::clone(&log)));
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
    /// If none were issued.
    pub fn issued(&self, key: &str) -> IssuedCredentials {
        let log = self.log.lock().expect("nothing failed while it was written");
        log.get(key).cloned().unwrap_or_else(|| panic!("{key} was never issued"))
    }

    /// How many sets of credentials were issued so far.
    pub fn count(&self) -> usize {
        self.log.lock().expect("nothing failed while it was written").len()
    }
}

async fn answer_all(listener: TcpListener, authority: Authority, log: IssuedLog) {
    for number in 0.. {
        let (stream, _) = listener.accept().await.expect("connections are accepted");
        let (key, issued) = match authority {
            Authority::Sessions(server) => session(server).await,
            Authority::Keys => {
                let (key, secret) = further_key(number);
                (key, IssuedCredentials { secret, token: None, end: from_now(LIFETIME) })
            }
        };
        let printed = printed(&key, &issued);
        // Recorded before presignd receives it.
        log.lock().expect("nothing failed while it was written").insert(key, issued);
        send(stream, &printed).await;
    }
}

async fn send(mut stream: TcpStream, printed: &str) {
    // The process may have been killed: presignd is stopped at the end of a test.
    let _sent = stream.write_all(printed.as_bytes()).await;
    let _closed = stream.shutdown().await;
}

/// The output of a `credential_process`.
///
/// Source: [Sourcing credentials with an external process](https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
fn printed(key: &str, issued: &IssuedCredentials) -> String {
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

/// Calls `GetSessionToken` with the root key. The STS of AWS has a minimum lifetime of 15 minutes, that of ministack
/// has none.
async fn session(server: &Server) -> (String, IssuedCredentials) {
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
    assert!(answer.status.is_success(), "GetSessionToken failed: {}", answer.text());
    let end: Timestamp = answer.element("Expiration").parse().expect("a time");
    let issued = IssuedCredentials {
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
        .expect("all parameters are set")
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
