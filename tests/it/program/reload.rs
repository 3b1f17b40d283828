//! SIGHUP: the configuration is replaced as a whole or not at all, and the log shows the outcome.

use std::{fs, os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use presignd::pb::presign_service_client::PresignServiceClient;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest,
    health_check_response::ServingStatus::{NotServing, Serving},
    health_client::HealthClient,
};

use crate::support::{
    aws::{FakeAws, Fault, Keys, RequestKind},
    callers::{Caller, long_request, wait_until_signing},
    grpc::{GrpcError, batch, get, presigned, refused, results, url_of},
    provider::{CredentialProcess, from_now},
    scrape::Scrape,
    sidecar::{PATIENCE, Sidecar, presignd},
};

const RELOADED: &str = "SIGHUP: the configuration was reloaded";
const NOT_RELOADED: &str = "SIGHUP: the configuration was not reloaded, and nothing was changed: ";

/// A server with a configuration file and profiles that the test writes.
struct ConfiguredServer {
    sidecar: Sidecar,
    folder: TempDir,
}

impl ConfiguredServer {
    /// Starts a server with this configuration file, and with profiles that have keys of the same name.
    async fn start(text: &str, profiles: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let sections: String = profiles.iter().map(|name| Keys::permanent(name).section(name)).collect();
        fs::write(file("credentials"), sections).unwrap();
        fs::write(file("presignd.toml"), text).unwrap();
        let mut command = presignd();
        command
            .env("AWS_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", file("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", file("credentials"))
            .env("PRESIGND_CONFIG", file("presignd.toml"));
        let sidecar = Sidecar::spawn(command, &[]);
        sidecar.wait_until_serving().await;
        Self { sidecar, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("presignd.toml")
    }

    /// Writes the file, sends SIGHUP, and waits for a new log line that contains `line`.
    async fn reload(&self, text: &str, line: &str) {
        fs::write(self.file(), text).unwrap();
        self.send_sighup(line).await;
    }

    async fn send_sighup(&self, line: &str) {
        let before = self.sidecar.log().matches(line).count();
        self.sidecar.send_signal(Signal::HUP);
        self.sidecar.wait_for_more_in_log(line, before).await;
    }

    async fn client(&self) -> PresignServiceClient<Channel> {
        self.sidecar.client().await
    }

    async fn granted(&self) -> i64 {
        presigned(self.client().await.presign(long_request()).await).granted.unwrap().seconds
    }
}

#[tokio::test]
async fn reload_applies_signers_and_expiry_together() {
    let server = ConfiguredServer::start("[expiry]\nmax = \"2h\"\n", &["default", "partner"]).await;
    assert_eq!(server.granted().await, 7_200);
    let mut to_partner = get("key");
    to_partner.signer = "partner".to_owned();
    let unknown = refused(server.client().await.presign(to_partner.clone()).await);
    assert_eq!(unknown.code(), Code::NotFound);

    server.reload("[expiry]\nmax = \"1h\"\n[signers.partner]\nprofile = \"partner\"\n", RELOADED).await;
    server.sidecar.wait_for_log("SIGHUP: the configuration was reloaded; signers: default, partner").await;
    assert_eq!(server.granted().await, 3_600);
    server.sidecar.wait_for_health("signer.partner", Serving).await;
    assert!(
        Keys::permanent("partner")
            .are_in(&presigned(server.client().await.presign(to_partner.clone()).await))
    );

    // A removed signer is unknown, and its health watch receives NOT_SERVING.
    let request = HealthCheckRequest { service: "signer.partner".to_owned() };
    let mut watch =
        HealthClient::new(server.sidecar.connect().await).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving);
    server.reload("", RELOADED).await;
    assert_eq!(refused(server.client().await.presign(to_partner).await).code(), Code::NotFound);
    let update = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap();
    assert_eq!(update.unwrap().unwrap().status(), NotServing);
    assert_eq!(server.granted().await, 7 * 24 * 3_600);
    let expiry = "presignd_credentials_expiry_timestamp_seconds";
    let gauges = Scrape::of(&server.sidecar).await.all(expiry, &["signer"]);
    assert!(gauges[&vec!["partner".to_owned()]].is_nan(), "NaN triggers no alert");
    let reloads =
        Scrape::of(&server.sidecar).await.get("presignd_config_reloads_total", &[("outcome", "ok")]);
    assert_eq!(reloads.to_string(), "2");
}

/// Invalid files, and a part of the message for each.
const INVALID_FILES: [(&str, &str); 6] = [
    ("[expiry", "is not valid TOML"),
    ("[expiry]\nmaximum = \"1h\"\n", "2: unknown setting expiry.maximum; did you mean expiry.max?"),
    ("[expiry]\nmax = \"8d\"\n", "expiry.max is \"8d\""),
    (
        "[expiry]\nmax = \"1h\"\n[limits]\nrequests = 7\n",
        "limits.requests cannot change while the server runs",
    ),
    (
        "[expiry]\nmax = \"1h\"\n[signers.partner]\nprofile = \"missing\"\n",
        "signer partner has no credentials: ",
    ),
    (
        "[expiry]\nmax = \"1h\"\n[signers.partner]\nexternal_id = \"id\"\n",
        "signers.partner: external_id, session_name and session_duration apply only to an assumed role",
    ),
];

#[tokio::test]
async fn invalid_file_changes_nothing_under_load() {
    let server = ConfiguredServer::start("[expiry]\nmax = \"2h\"\n", &["default"]).await;
    let done = CancellationToken::new();
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (mut client, done) = (server.client().await, done.clone());
        callers.push(tokio::spawn(async move {
            let mut calls = 0;
            while !done.is_cancelled() {
                let mut urls = vec![presigned(client.presign(long_request()).await)];
                let answers = results(client.batch_presign(batch(vec![long_request(); 50])).await);
                urls.extend(answers.iter().map(|result| url_of(result).clone()));
                assert!(urls.iter().all(|url| url.granted.unwrap().seconds == 7_200));
                calls += 1;
            }
            calls
        }));
    }
    for (text, message) in INVALID_FILES {
        server.reload(text, NOT_RELOADED).await;
        server.sidecar.wait_for_log(message).await;
    }
    fs::remove_file(server.file()).unwrap();
    server.send_sighup(NOT_RELOADED).await;
    server.sidecar.wait_for_log("cannot read the configuration file").await;
    done.cancel();
    for calls in join_all(callers).await {
        assert!(calls.expect("no call failed") > 0);
    }
    assert!(!server.sidecar.log().contains(RELOADED));
    let scrape = Scrape::of(&server.sidecar).await;
    let errors = scrape.get("presignd_config_reloads_total", &[("outcome", "error")]);
    assert_eq!(errors.to_string(), (INVALID_FILES.len() + 1).to_string());
    let ends = scrape.all("presignd_credentials_expiry_timestamp_seconds", &["signer"]);
    assert_eq!(
        ends[&vec!["default".to_owned()]].to_string(),
        "inf",
        "the rejected configuration changes no gauge"
    );
}

#[tokio::test]
async fn failed_reload_changes_no_gauge() {
    let server = ConfiguredServer::start("[signers.default]\nprofile = \"old\"\n", &["old"]).await;
    let provider = CredentialProcess::new();
    provider.set_expiry(from_now(Duration::from_secs(3_600)));
    let process = fs::read_to_string(provider.config()).unwrap().replace("[default]", "[profile ending]");
    fs::write(server.folder.path().join("config"), process).unwrap();
    let changed = "[signers.default]\nprofile = \"ending\"\n[signers.partner]\nprofile = \"missing\"\n";
    server.reload(changed, NOT_RELOADED).await;
    let scrape = Scrape::of(&server.sidecar).await;
    let loads = [("signer", "default"), ("outcome", "ok")];
    assert_eq!(
        scrape.get("presignd_credentials_refresh_total", &loads).to_string(),
        "2",
        "the new source was loaded"
    );
    let ends = scrape.all("presignd_credentials_expiry_timestamp_seconds", &["signer"]);
    assert_eq!(ends[&vec!["default".to_owned()]].to_string(), "inf");
}

#[tokio::test]
async fn new_source_replaces_the_old_once_it_has_credentials() {
    let server = ConfiguredServer::start("[signers.default]\nprofile = \"old\"\n", &["old", "new"]).await;
    let (old, new) = (Keys::permanent("old"), Keys::permanent("new"));
    let caller = Caller::of(&server.sidecar).await;
    server.reload("[signers.default]\nprofile = \"missing\"\n", NOT_RELOADED).await;
    server.sidecar.wait_for_log("signer default has no credentials: ").await;
    assert!(old.are_in(&presigned(server.client().await.presign(long_request()).await)));
    server.reload("[signers.default]\nprofile = \"new\"\n", RELOADED).await;
    wait_until_signing(&server.sidecar, &new).await;
    caller.assert_undisturbed(&[&old, &new]).await;
    assert!(!server.sidecar.log().contains("ready=false"), "{}", server.sidecar.log());
}

#[tokio::test]
async fn sighup_reloads_credentials_before_they_are_due() {
    let provider = CredentialProcess::new();
    provider.set_expiry(from_now(Duration::from_secs(7_200)));
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    sidecar.wait_until_serving().await;
    let later = from_now(Duration::from_secs(14_400));
    provider.set_expiry(later);
    sidecar.send_signal(Signal::HUP);
    let reading = async {
        let end = prost_types::Timestamp::from(later);
        while presigned(sidecar.client().await.presign(long_request()).await).expires_at != Some(end) {}
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the new credentials are used in time");
}

#[tokio::test]
async fn server_stops_while_a_reload_waits_for_credentials() {
    let aws = FakeAws::with_keys(&Keys::expiring_in("only", 3_600));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    fs::write(&file, "").unwrap();
    let mut command = presignd();
    command
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v2/credentials", aws.url()))
        .env("PRESIGND_CONFIG", &file);
    let mut sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_until_serving().await;
    aws.set_fault(Fault::Hanging);
    fs::write(&file, "[signers.partner]\nprovider = \"container\"\n").unwrap();
    sidecar.send_signal(Signal::HUP);
    aws.wait_for_request(RequestKind::Container, 2).await;
    sidecar.send_signal(Signal::TERM);
    assert!(sidecar.wait_for_exit().await.success());
}

#[tokio::test]
async fn systemd_is_notified_of_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let next_message = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).expect("systemd is notified in time");
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let provider = CredentialProcess::new();
    provider.set_expiry(from_now(Duration::from_secs(3_600)));
    let mut command = provider.command();
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let mut sidecar = Sidecar::spawn(command, &[]);
    assert_eq!(next_message().trim_end(), "READY=1");
    sidecar.send_signal(Signal::HUP);
    let reloading = next_message();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next_message().trim_end(), "READY=1");
    sidecar.send_signal(Signal::TERM);
    assert_eq!(next_message().trim_end(), "STOPPING=1");
    assert!(sidecar.wait_for_exit().await.success());
}

#[tokio::test]
async fn unknown_signer_error_names_the_current_signers() {
    let server = ConfiguredServer::start("", &["default", "partner"]).await;
    server.reload("[signers.partner]\nprofile = \"partner\"\n", RELOADED).await;
    let mut request = get("key");
    request.signer = "other".to_owned();
    let told = GrpcError::of(&refused(server.client().await.presign(request).await));
    assert_eq!(
        told.message,
        "signer \"other\" is not configured on this server: use one of: default, partner"
    );
}
