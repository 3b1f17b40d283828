//! Callers that send requests continuously while the credentials change.

use std::time::Duration;

use presignd::pb::{PresignRequest, PresignedRequest};
use tokio::{
    task::JoinHandle,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    aws::Keys,
    grpc::{get, presigned, seconds},
    sidecar::{PATIENCE, Sidecar},
};

/// The time between two calls: long enough not to load the server.
const INTERVAL: Duration = Duration::from_millis(20);

/// A request for seven days, whose lifetime is limited by the expiry of the credentials.
pub fn long_request() -> PresignRequest {
    PresignRequest { expires_in: Some(seconds(7 * 24 * 3_600)), ..get("key") }
}

/// Presigns a URL that expires with the credentials.
pub async fn url(sidecar: &Sidecar) -> PresignedRequest {
    presigned(sidecar.client().await.presign(long_request()).await)
}

/// Waits until the new keys sign, and asserts that until then the old ones do and no call fails.
pub async fn wait_for_rotation(sidecar: &Sidecar, old: &Keys, new: &Keys) {
    let mut client = sidecar.client().await;
    let asking = async {
        let mut ticks = interval(INTERVAL);
        loop {
            ticks.tick().await;
            let url = presigned(client.presign(long_request()).await);
            if new.are_in(&url) {
                return new.assert_signed(&url);
            }
            old.assert_signed(&url);
        }
    };
    let waited = timeout(PATIENCE, asking).await;
    waited.unwrap_or_else(|_| panic!("{} did not sign in time; log: {}", new.id, sidecar.log()));
}

/// Waits until these keys sign; earlier calls may fail.
pub async fn wait_until_signing(sidecar: &Sidecar, keys: &Keys) {
    let mut client = sidecar.client().await;
    let asking = async {
        let mut ticks = interval(INTERVAL);
        loop {
            ticks.tick().await;
            let url =
                client.presign(long_request()).await.ok().and_then(|answer| answer.into_inner().presigned);
            if let Some(url) = url.filter(|url| keys.are_in(url)) {
                return keys.assert_signed(&url);
            }
        }
    };
    let waited = timeout(PATIENCE, asking).await;
    waited.unwrap_or_else(|_| panic!("{} did not sign in time; log: {}", keys.id, sidecar.log()));
}

/// A caller that sends requests continuously in the background.
pub struct Caller {
    stop: CancellationToken,
    asking: JoinHandle<Vec<Result<PresignedRequest, Status>>>,
}

impl Caller {
    /// Starts to send requests.
    pub async fn of(sidecar: &Sidecar) -> Self {
        let mut client = sidecar.client().await;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let asking = tokio::spawn(async move {
            let mut ticks = interval(INTERVAL);
            let mut answers = Vec::new();
            while !stopped.is_cancelled() {
                ticks.tick().await;
                let answer =
                    timeout(PATIENCE, client.presign(long_request())).await.expect("calls end in time");
                answers.push(answer.map(|answer| answer.into_inner().presigned.expect("there is a URL")));
            }
            answers
        });
        Self { stop, asking }
    }

    /// Stops, and asserts that no call failed, and that each URL was signed with one of these keys.
    pub async fn assert_undisturbed(self, keys: &[&Keys]) {
        self.stop.cancel();
        let answers = self.asking.await.expect("the caller ends");
        assert!(answers.len() > 1, "the caller sent requests");
        for answer in answers {
            let url = answer.unwrap_or_else(|status| panic!("refused: {status}"));
            let of = keys.iter().find(|keys| keys.are_in(&url));
            of.expect("a known key signed").assert_signed(&url);
        }
    }
}
