//! Fake AWS endpoints for credentials, on loopback: IMDS, the container endpoint of ECS and EKS, STS, and S3 Express
//! sessions.
//!
//! Nothing in presignd is replaced: the tests run the built binary with the providers of the SDK, and set the addresses
//! of the endpoints. All secrets contain `canary`, and so do the error responses of the endpoints.

mod documents;
mod keys;
mod serve;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{oneshot, watch};

pub use self::keys::Keys;
use super::sidecar::PATIENCE;

/// The role of the instance, from IMDS.
pub const INSTANCE_ROLE: &str = "demo-instance";
/// The region of the instance, from IMDS.
pub const INSTANCE_REGION: &str = "eu-central-1";

/// The kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// IMDS: a session token, which version 2 requires.
    Session,
    /// IMDS: the name of the instance's role.
    RoleName,
    /// IMDS: the instance's region.
    Region,
    /// IMDS: credentials.
    Imds,
    /// The container endpoint: credentials.
    Container,
    /// STS: credentials for a role, with a signed request.
    AssumeRole,
    /// STS: credentials for a role, with a web identity token.
    WebIdentity,
    /// S3: a session for a directory bucket.
    CreateSession,
    /// Any request during [`Fault::Unreachable`].
    Unreachable,
    /// A request that AWS does not have.
    Unknown,
}

impl RequestKind {
    /// Whether the response has credentials.
    fn is_for_credentials(self) -> bool {
        matches!(
            self,
            Self::Imds | Self::Container | Self::AssumeRole | Self::WebIdentity | Self::CreateSession
        )
    }
}

/// A fault of the endpoints. All but the first two affect only responses with credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Connections are closed without a response.
    Unreachable,
    /// Every response has this status.
    Status(u16),
    /// The document is truncated after the secrets.
    Truncated,
    /// The expiration in the document is not a date.
    InvalidExpiration,
    /// Status 200 with an empty body.
    Empty,
    /// The response is delayed.
    Slow(Duration),
    /// The response is sent only when the fault is removed.
    Hanging,
}

/// A request that an endpoint received.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The kind of the request.
    pub kind: RequestKind,
    /// The decoded form, for STS.
    pub form: BTreeMap<String, String>,
    /// The header `authorization`, or empty.
    pub authorization: String,
    /// The IMDS session token, or empty.
    session: String,
}

impl RecordedRequest {
    /// A parameter of the form, or empty.
    pub fn parameter(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The ID of the access key that signed the request, or empty.
    pub fn signed_by(&self) -> &str {
        let credential = self.authorization.split("Credential=").nth(1).unwrap_or_default();
        credential.split('/').next().unwrap_or_default()
    }
}

/// The configured behaviour of the endpoints.
#[derive(Clone, Default)]
struct Script {
    keys: Option<Keys>,
    /// STS: the credentials for a role instead of `keys`.
    roles: BTreeMap<String, Keys>,
    fault: Option<Fault>,
    /// The container endpoint: the token that it requires.
    authorization: Option<String>,
    /// IMDS: how often its session tokens were invalidated.
    sessions: u32,
}

impl Script {
    fn session(&self) -> String {
        format!("canary-session-{}==", self.sessions)
    }
}

#[derive(Default)]
struct Shared {
    script: watch::Sender<Script>,
    asked: watch::Sender<Vec<RecordedRequest>>,
}

/// The running endpoints, until this is dropped. They have their own thread, so a test can block without blocking them.
pub struct FakeAws {
    address: SocketAddr,
    shared: Arc<Shared>,
    _until_dropped: oneshot::Sender<()>,
}

impl FakeAws {
    /// Starts endpoints that return these credentials.
    pub fn with_keys(keys: &Keys) -> Self {
        let aws = Self::start();
        aws.set_keys(keys);
        aws
    }

    /// Starts endpoints with a fault.
    pub fn with_fault(fault: Fault) -> Self {
        let aws = Self::start();
        aws.set_fault(fault);
        aws
    }

    /// Starts endpoints without credentials: STS and `CreateSession` answer `AccessDenied`.
    pub fn without_keys() -> Self {
        Self::start()
    }

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be asynchronous");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (until_dropped, dropped) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(async {
                tokio::select! {
                    () = serve::serve(listener, served) => {}
                    _ = dropped => {}
                }
            });
        });
        Self { address, shared, _until_dropped: until_dropped }
    }

    /// The address of all endpoints.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port of all endpoints.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns these credentials from now on, and removes the fault.
    pub fn set_keys(&self, keys: &Keys) {
        self.shared.script.send_modify(|script| {
            script.keys = Some(keys.clone());
            script.fault = None;
        });
    }

    /// Returns these credentials for a role from now on.
    pub fn set_role_keys(&self, role: &str, keys: &Keys) {
        self.shared.script.send_modify(|script| {
            script.roles.insert(role.to_owned(), keys.clone());
        });
    }

    /// Sets a fault.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.script.send_modify(|script| script.fault = Some(fault));
    }

    /// Makes the container endpoint require this token.
    pub fn require_authorization(&self, token: &str) {
        self.shared.script.send_modify(|script| script.authorization = Some(token.to_owned()));
    }

    /// Invalidates all session tokens of IMDS.
    pub fn invalidate_sessions(&self) {
        self.shared.script.send_modify(|script| script.sessions += 1);
    }

    /// Waits until this many requests of a kind were received, and returns the last of them.
    pub async fn wait_for_request(&self, kind: RequestKind, times: usize) -> RecordedRequest {
        let mut asked = self.shared.asked.subscribe();
        let of_kind =
            |all: &Vec<RecordedRequest>| all.iter().filter(|one| one.kind == kind).nth(times - 1).cloned();
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(|all| of_kind(all).is_some())).await;
        let all =
            waited.unwrap_or_else(|_| panic!("fewer than {times} requests of the kind {kind:?}")).unwrap();
        of_kind(&all).expect("wait_for found it")
    }

    /// The number of requests of a kind so far.
    pub fn request_count(&self, kind: RequestKind) -> usize {
        self.shared.asked.borrow().iter().filter(|one| one.kind == kind).count()
    }
}
