//! AWS's endpoints for credentials, faked on loopback: IMDS, the container endpoint of ECS and EKS, STS, and sessions of
//! S3 Express.
//!
//! Nothing inside presignd is replaced: it is the built binary with AWS's own providers, told where the endpoints are.
//! Whatever is secret here has `canary` in it, and so has what an endpoint says when it fails.

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

/// The role that IMDS says the instance has.
pub const INSTANCE_ROLE: &str = "demo-instance";
/// The region that IMDS says the instance is in.
pub const INSTANCE_REGION: &str = "eu-central-1";

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// IMDS: a session token, without which version 2 answers nothing.
    Session,
    /// IMDS: the name of the instance's role.
    RoleName,
    /// IMDS: the instance's region.
    Region,
    /// IMDS: credentials.
    Imds,
    /// The container endpoint: credentials.
    Container,
    /// STS: credentials for a role, by a signed request.
    AssumeRole,
    /// STS: credentials for a role, by a web identity token.
    WebIdentity,
    /// S3: a session for a directory bucket.
    CreateSession,
    /// Anything, while nothing is answered.
    Refused,
    /// What AWS does not have.
    Unknown,
}

impl Kind {
    /// Whether credentials are the answer.
    fn is_for_credentials(self) -> bool {
        matches!(
            self,
            Self::Imds | Self::Container | Self::AssumeRole | Self::WebIdentity | Self::CreateSession
        )
    }
}

/// What goes wrong. All but the first two concern the answers that hold credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Connections are closed without an answer.
    Refused,
    /// Every answer has this status.
    Status(u16),
    /// The document breaks off, after the secrets.
    Cut,
    /// Where the end of the credentials should be, there is something else.
    NoDate,
    /// 200, and nothing.
    Empty,
    /// The answer comes so much later.
    Slow(Duration),
    /// The answer comes when the fault is over.
    Held,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What it asked for.
    pub kind: Kind,
    /// The form that it sent to STS, decoded.
    pub form: BTreeMap<String, String>,
    /// Its `authorization`; empty when there is none.
    pub authorization: String,
    /// Its IMDS session token; empty when there is none.
    session: String,
}

impl Asked {
    /// A parameter of the form; empty when there is none.
    pub fn parameter(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The access key that signed it; empty when none did.
    pub fn signed_by(&self) -> &str {
        let credential = self.authorization.split("Credential=").nth(1).unwrap_or_default();
        credential.split('/').next().unwrap_or_default()
    }
}

/// How the endpoints answer.
#[derive(Clone, Default)]
struct Script {
    keys: Option<Keys>,
    /// STS: what a role gets instead of `keys`.
    roles: BTreeMap<String, Keys>,
    fault: Option<Fault>,
    /// The container endpoint: the token that it wants.
    authorization: Option<String>,
    /// IMDS: how often its session tokens were made worthless.
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
    asked: watch::Sender<Vec<Asked>>,
}

/// The endpoints, for as long as it lives. They stand on a thread of their own: the test may wait without them waiting.
pub struct Aws {
    address: SocketAddr,
    shared: Arc<Shared>,
    _until_dropped: oneshot::Sender<()>,
}

impl Aws {
    /// Endpoints that hand out these credentials.
    pub fn giving(keys: &Keys) -> Self {
        let aws = Self::start();
        aws.give(keys);
        aws
    }

    /// Endpoints with a fault from the start.
    pub fn failing(fault: Fault) -> Self {
        let aws = Self::start();
        aws.fault(fault);
        aws
    }

    /// STS that lets nobody assume a role.
    pub fn denying() -> Self {
        Self::start()
    }

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be asynchronous");
        let address = listener.local_addr().expect("it has an address");
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

    /// Hands out these from now on, and nothing is wrong any more.
    pub fn give(&self, keys: &Keys) {
        self.shared.script.send_modify(|script| {
            script.keys = Some(keys.clone());
            script.fault = None;
        });
    }

    /// Hands out these for a role.
    pub fn give_to(&self, role: &str, keys: &Keys) {
        self.shared.script.send_modify(|script| {
            script.roles.insert(role.to_owned(), keys.clone());
        });
    }

    /// Something is wrong from now on.
    pub fn fault(&self, fault: Fault) {
        self.shared.script.send_modify(|script| script.fault = Some(fault));
    }

    /// The container endpoint answers only those who send this.
    pub fn want_authorization(&self, token: &str) {
        self.shared.script.send_modify(|script| script.authorization = Some(token.to_owned()));
    }

    /// IMDS knows none of the session tokens any more that it gave out.
    pub fn forget_sessions(&self) {
        self.shared.script.send_modify(|script| script.sessions += 1);
    }

    /// Waits until this was asked for so many times, and gives that request.
    pub async fn asked(&self, kind: Kind, times: usize) -> Asked {
        let mut asked = self.shared.asked.subscribe();
        let of_kind = |all: &Vec<Asked>| all.iter().filter(|one| one.kind == kind).nth(times - 1).cloned();
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(|all| of_kind(all).is_some())).await;
        let all = waited.unwrap_or_else(|_| panic!("{kind:?} was not asked for {times} times")).unwrap();
        of_kind(&all).expect("it was waited for")
    }

    /// How often this was asked for until now.
    pub fn count(&self, kind: Kind) -> usize {
        self.shared.asked.borrow().iter().filter(|one| one.kind == kind).count()
    }
}
