//! AWS's providers of credentials inside the built binary, against endpoints faked on loopback.

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
    aws::{Aws, Fault, Keys},
    callers::{long, rotated, url},
    grpc::{Told, batch, error_of, refused, results, says_when_to_retry},
    scrape::Scrape,
    sidecar::{Sidecar, presignd},
};

/// What is logged when credentials could not be loaded.
const FAILED: &str = "failed to load credentials, retrying in";

/// presignd with one provider, at its most talkative, and with no files but those that the test adds.
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

/// presignd on an EC2 instance.
fn on_ec2(aws: &Aws) -> Command {
    let mut command = with_provider("imds");
    command.env("AWS_EC2_METADATA_DISABLED", "false").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url());
    command
}

/// presignd in a container of ECS or EKS.
fn in_container(aws: &Aws) -> Command {
    let mut command = with_provider("container");
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v2/credentials", aws.url()));
    command
}

/// presignd that assumes roles, with these keys in its environment.
fn assuming(roles: &str, keys: &Keys, sts: &Aws) -> Command {
    let mut command = with_provider("environment");
    command
        .env("AWS_ACCESS_KEY_ID", &keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .env("PRESIGND_SIGNERS_DEFAULT_ASSUME_ROLE", roles);
    command
}

/// presignd that assumes a role by a web identity token.
fn with_web_identity(role: &str, token: &Path, sts: &Aws) -> Command {
    let mut command = with_provider("web_identity");
    command
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .env("PRESIGND_SIGNERS_DEFAULT_WEB_IDENTITY", token)
        .env("PRESIGND_SIGNERS_DEFAULT_ASSUME_ROLE", role);
    command
}

/// Starts, and waits until it serves.
async fn serving(command: Command) -> Sidecar {
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.serving().await;
    sidecar
}

/// Asserts what every caller is told while there are no credentials: that it passes, and when to come back.
async fn refuses(sidecar: &Sidecar, reason: &str) {
    sidecar.health("signer.default", NotServing).await;
    sidecar.health("", NotServing).await;
    let mut client = sidecar.client().await;
    let tells = |status: &Status| {
        let told = Told::of(status);
        assert_eq!((told.code, told.reason.as_str()), (Code::Unavailable, reason), "{status}");
        assert!(says_when_to_retry(status), "{status}");
        assert!(!has_canary(&format!("{status:?}")), "{status:?}");
    };
    tells(&refused(client.presign(long()).await));
    tells(&error_of(&results(client.batch_presign(batch(vec![long()])).await)[0]));
}

/// Asserts that it serves, with URLs of these keys.
async fn serves(sidecar: &Sidecar, keys: &Keys) {
    sidecar.health("signer.default", Serving).await;
    sidecar.serving().await;
    keys.signed(&url(sidecar).await);
}

/// Waits until there were so many attempts with this outcome.
async fn counted(sidecar: &Sidecar, outcome: &str, least: f64) {
    let labels = [("signer", "default"), ("outcome", outcome)];
    Scrape::reaches(sidecar, "presignd_credentials_refresh_total", &labels, least).await;
}

/// Puts another content in the place of a file, at once.
fn replace(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

fn has_canary(text: &str) -> bool {
    text.to_lowercase().contains("canary")
}

/// Asserts that no key, no token and no answer of an endpoint is in the log, the metrics or the status page.
async fn kept_secrets(sidecar: &Sidecar) {
    let pages = [sidecar.page("/metrics").await.1, sidecar.page("/").await.1];
    for text in pages.into_iter().chain([sidecar.log()]) {
        assert!(!has_canary(&text), "{text}");
    }
}

/// What hands out credentials.
trait Endpoint {
    /// Hands out these from now on.
    fn gives(&self, keys: &Keys);
    /// Hands out nothing any more.
    fn goes_away(&self);
}

impl Endpoint for Aws {
    fn gives(&self, keys: &Keys) {
        self.give(keys);
    }

    fn goes_away(&self) {
        self.fault(Fault::Refused);
    }
}

/// What holds for every provider, in one process from beginning to end: its first credentials sign, newer ones take
/// their place before they end, URLs say how long they last, without newer ones nothing is signed, and then again.
async fn lives_through_everything(endpoint: &impl Endpoint, command: Command) {
    let (first, second, third) =
        (Keys::lasting("first", 6), Keys::lasting("second", 9), Keys::lasting("third", 3_600));
    endpoint.gives(&first);
    let sidecar = serving(command).await;
    serves(&sidecar, &first).await;

    endpoint.gives(&second);
    rotated(&sidecar, &first, &second).await;
    endpoint.goes_away();
    refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
    sidecar.logged(FAILED).await;

    endpoint.gives(&third);
    serves(&sidecar, &third).await;
    kept_secrets(&sidecar).await;
}
