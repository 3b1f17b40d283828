//! Runs the built binary, as a user does.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use presignd::pb::presign_service_client::PresignServiceClient;
use tempfile::TempDir;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{ACCESS_KEY, SECRET_KEY};

/// The time limit of every wait; then the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The binary with a clean environment.
pub fn presignd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_presignd"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// A running server with a free TCP port, a free admin port, and a Unix socket in a temporary directory.
pub struct Sidecar {
    child: Child,
    /// Address of gRPC over TCP.
    pub tcp: String,
    /// Path of the Unix socket for gRPC.
    pub unix: PathBuf,
    /// Address of the admin listener.
    pub admin: String,
    log: Log,
    /// The directory of the socket.
    pub folder: TempDir,
}

impl Sidecar {
    /// Starts with the static credentials of the AWS examples and additional arguments; waits until it serves.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut command = presignd();
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", "us-east-1");
        let sidecar = Self::spawn(command, arguments);
        sidecar.wait_until_serving().await;
        sidecar
    }

    /// Starts with the environment of `command`, and waits only until it listens.
    pub fn spawn(mut command: Command, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let unix = folder.path().join("presignd.sock");
        command
            .args(["serve", "--open", "--listen-tcp", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .arg("--listen-unix")
            .arg(&unix)
            .args(arguments);
        Self::launch(command, folder, unix)
    }

    /// Starts exactly this command, and waits until it listens. `unix` is the path of its socket, if it has one.
    pub fn launch(mut command: Command, folder: TempDir, unix: PathBuf) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("presignd starts");
        let stderr = child.stderr.take().expect("its log is a pipe");
        let (log, listening) = follow(stderr);
        let line = listening
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("presignd did not listen; its log: {}", *log.borrow()));
        let field = |name: &str| {
            let rest = line.split(name).nth(1).unwrap_or_default();
            rest.split([' ', '"']).next().unwrap_or_default().to_owned()
        };
        Self { child, tcp: field("tcp="), admin: field("admin="), unix, log, folder }
    }

    /// Waits until gRPC health returns SERVING.
    pub async fn wait_until_serving(&self) {
        self.wait_for_health("", ServingStatus::Serving).await;
    }

    /// Waits until gRPC health returns this status for a service.
    pub async fn wait_for_health(&self, service: &str, wanted: ServingStatus) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let watching = async {
            let mut watch =
                HealthClient::new(self.connect().await).watch(request).await.unwrap().into_inner();
            while let Some(answer) = watch.message().await.unwrap() {
                if answer.status() == wanted {
                    return;
                }
            }
            panic!("the watch of {service:?} ended before {wanted:?}");
        };
        tokio::time::timeout(PATIENCE, watching)
            .await
            .unwrap_or_else(|_| panic!("{service:?} was not {wanted:?} in time; log: {}", self.log()));
    }

    /// Connects over TCP.
    pub async fn connect(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.tcp)).expect("an address");
        endpoint.connect().await.expect("presignd answers over TCP")
    }

    /// A client over TCP.
    pub async fn client(&self) -> PresignServiceClient<Channel> {
        PresignServiceClient::new(self.connect().await)
    }

    /// Gets a page of the admin listener; returns status and text.
    pub async fn get_page(&self, path: &str) -> (u16, String) {
        use http_body_util::{BodyExt, Empty};
        use hyper_util::rt::TokioIo;
        let stream = tokio::net::TcpStream::connect(&self.admin).await.expect("the admin listener answers");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(path).header("host", &self.admin);
        let answer = sender.send_request(request.body(Empty::<&[u8]>::new()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("pages are text"))
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until the log contains this text.
    pub async fn wait_for_log(&self, text: &str) {
        let mut log = self.log.subscribe();
        let logged = tokio::time::timeout(PATIENCE, log.wait_for(|log| log.contains(text))).await.is_ok();
        assert!(logged, "{text:?} was not logged in time; log: {}", self.log());
    }

    /// Waits until the log contains this text more than `times` times.
    pub async fn wait_for_more_in_log(&self, text: &str, times: usize) {
        let mut log = self.log.subscribe();
        let more = log.wait_for(|log| log.matches(text).count() > times);
        let logged = tokio::time::timeout(PATIENCE, more).await.is_ok();
        assert!(logged, "{text:?} was not logged again in time; log: {}", self.log());
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn send_signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Waits until the process has exited.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        let waiting = async {
            loop {
                // std has no asynchronous wait for a process.
                if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("presignd exits in time")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

type Log = Arc<watch::Sender<String>>;

/// Collects the log, and sends the line with the addresses of the listeners.
fn follow(stderr: std::process::ChildStderr) -> (Log, std::sync::mpsc::Receiver<String>) {
    let log = Log::default();
    let (sender, listening) = std::sync::mpsc::channel();
    let lines = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("listening ") {
                let _no_receiver = sender.send(line.clone());
            }
            lines.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    });
    (log, listening)
}
