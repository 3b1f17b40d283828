//! The credential providers of the AWS SDK in the built binary, against fake AWS endpoints on loopback.

mod clock;
mod container;
mod early;
mod endpoints;
mod environment;
mod express;
mod faults;
mod files;
mod imds;
mod process;
mod sts;

use std::{fs, path::Path, process::Command};

use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use crate::support::{
    aws::{FakeAws, Fault, Keys},
    callers::{long_request, url, wait_for_rotation},
    grpc::{GrpcError, batch, error_of, refused, results, says_when_to_retry},
    scrape::Scrape,
    sidecar::{Sidecar, presignd},
};

/// The beginning of the log line for a failed attempt.
const FAILED: &str = "failed to load credentials, retrying in";

/// presignd with this provider, at the log level `trace`, without shared AWS files.
fn with_provider(name: &str) -> Command {
    let mut command = presignd();
    command.envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("PRESIGND_SIGNERS_DEFAULT_PROVIDER", name),
        ("RUST_LOG", "trace"),
    ]);
    command
}

/// presignd with the provider for EC2.
fn on_ec2(aws: &FakeAws) -> Command {
    let mut command = with_provider("imds");
    command.env("AWS_EC2_METADATA_DISABLED", "false").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url());
    command
}

/// presignd with the provider for ECS and EKS.
fn in_container(aws: &FakeAws) -> Command {
    let mut command = with_provider("container");
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v2/credentials", aws.url()));
    command
}

/// presignd with these keys in its environment, which assumes these roles.
fn assuming(roles: &str, keys: &Keys, sts: &FakeAws) -> Command {
    let mut command = with_provider("environment");
    command
        .env("AWS_ACCESS_KEY_ID", &keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .env("PRESIGND_SIGNERS_DEFAULT_ASSUME_ROLE", roles);
    command
}

/// presignd with a web identity token for this role.
fn with_web_identity(role: &str, token: &Path, sts: &FakeAws) -> Command {
    let mut command = with_provider("web_identity");
    command
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .env("PRESIGND_SIGNERS_DEFAULT_WEB_IDENTITY", token)
        .env("PRESIGND_SIGNERS_DEFAULT_ASSUME_ROLE", role);
    command
}

/// Starts presignd, and waits until it is SERVING.
async fn start_serving(command: Command) -> Sidecar {
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_until_serving().await;
    sidecar
}

/// Asserts that presignd is NOT_SERVING, and that every call is UNAVAILABLE with this reason and `RetryInfo`.
async fn assert_unavailable(sidecar: &Sidecar, reason: &str) {
    sidecar.wait_for_health("signer.default", NotServing).await;
    sidecar.wait_for_health("", NotServing).await;
    let mut client = sidecar.client().await;
    let assert_unavailable = |status: &Status| {
        let error = GrpcError::of(status);
        assert_eq!((error.code, error.reason.as_str()), (Code::Unavailable, reason), "{status}");
        assert!(says_when_to_retry(status), "{status}");
        assert!(!has_canary(&format!("{status:?}")), "{status:?}");
    };
    assert_unavailable(&refused(client.presign(long_request()).await));
    assert_unavailable(&error_of(&results(client.batch_presign(batch(vec![long_request()])).await)[0]));
}

/// Asserts that presignd is SERVING, and signs URLs with these keys.
async fn assert_serves(sidecar: &Sidecar, keys: &Keys) {
    sidecar.wait_for_health("signer.default", Serving).await;
    sidecar.wait_until_serving().await;
    keys.assert_signed(&url(sidecar).await);
}

/// Waits until at least this many attempts had this outcome.
async fn wait_for_attempts(sidecar: &Sidecar, outcome: &str, least: f64) {
    let labels = [("signer", "default"), ("outcome", outcome)];
    Scrape::wait_for_at_least(sidecar, "presignd_credentials_refresh_total", &labels, least).await;
}

/// Replaces a file atomically.
fn replace_file(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

fn has_canary(text: &str) -> bool {
    text.to_lowercase().contains("canary")
}

/// Asserts that the log, the metrics and the status page have no key, no token and no response of an endpoint.
async fn assert_no_secrets(sidecar: &Sidecar) {
    let pages = [sidecar.get_page("/metrics").await.1, sidecar.get_page("/").await.1];
    for text in pages.into_iter().chain([sidecar.log()]) {
        assert!(!has_canary(&text), "{text}");
    }
}

/// A source of credentials that a test controls.
trait CredentialSource {
    /// Returns these credentials from now on.
    fn set_keys(&self, keys: &Keys);
    /// Fails from now on.
    fn fail(&self);
}

impl CredentialSource for FakeAws {
    fn set_keys(&self, keys: &Keys) {
        self.set_keys(keys);
    }

    fn fail(&self) {
        self.set_fault(Fault::Unreachable);
    }
}

/// Checks one provider in one process: the first credentials sign, newer ones replace them before they expire, nothing
/// is signed after those have expired, and new ones recover the signer.
async fn check_lifecycle(source: &impl CredentialSource, command: Command) {
    let (first, second, third) =
        (Keys::expiring_in("first", 6), Keys::expiring_in("second", 9), Keys::expiring_in("third", 3_600));
    source.set_keys(&first);
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &first).await;

    source.set_keys(&second);
    wait_for_rotation(&sidecar, &first, &second).await;
    source.fail();
    assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;
    sidecar.wait_for_log(FAILED).await;

    source.set_keys(&third);
    assert_serves(&sidecar, &third).await;
    assert_no_secrets(&sidecar).await;
}
