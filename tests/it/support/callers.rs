//! Callers that go on asking while something happens to the credentials.

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

/// The time between two calls: they look at the server and are no load on it.
const PACE: Duration = Duration::from_millis(20);

/// A request for seven days: the end of the credentials is what bounds it.
pub fn long() -> PresignRequest {
    PresignRequest { expires_in: Some(seconds(7 * 24 * 3_600)), ..get("key") }
}

/// A URL for as long as the credentials last.
pub async fn url(sidecar: &Sidecar) -> PresignedRequest {
    presigned(sidecar.client().await.presign(long()).await)
}

/// Asks until the new keys sign. Until then the old ones do: nobody is refused.
pub async fn rotated(sidecar: &Sidecar, old: &Keys, new: &Keys) {
    let mut client = sidecar.client().await;
    let asking = async {
        let mut pace = interval(PACE);
        loop {
            pace.tick().await;
            let url = presigned(client.presign(long()).await);
            if new.are_in(&url) {
                return new.assert_signed(&url);
            }
            old.assert_signed(&url);
        }
    };
    let waited = timeout(PATIENCE, asking).await;
    waited.unwrap_or_else(|_| panic!("{} did not sign in time; log: {}", new.id, sidecar.log()));
}

/// Asks until these keys sign, whatever the answers before are.
pub async fn signs(sidecar: &Sidecar, keys: &Keys) {
    let mut client = sidecar.client().await;
    let asking = async {
        let mut pace = interval(PACE);
        loop {
            pace.tick().await;
            let url = client.presign(long()).await.ok().and_then(|answer| answer.into_inner().presigned);
            if let Some(url) = url.filter(|url| keys.are_in(url)) {
                return keys.assert_signed(&url);
            }
        }
    };
    let waited = timeout(PATIENCE, asking).await;
    waited.unwrap_or_else(|_| panic!("{} did not sign in time; log: {}", keys.id, sidecar.log()));
}

/// A caller who asks all the time.
pub struct Caller {
    enough: CancellationToken,
    asking: JoinHandle<Vec<Result<PresignedRequest, Status>>>,
}

impl Caller {
    /// Begins to ask.
    pub async fn of(sidecar: &Sidecar) -> Self {
        let mut client = sidecar.client().await;
        let enough = CancellationToken::new();
        let until = enough.clone();
        let asking = tokio::spawn(async move {
            let mut pace = interval(PACE);
            let mut answers = Vec::new();
            while !until.is_cancelled() {
                pace.tick().await;
                let answer = timeout(PATIENCE, client.presign(long())).await.expect("calls end in time");
                answers.push(answer.map(|answer| answer.into_inner().presigned.expect("there is a URL")));
            }
            answers
        });
        Self { enough, asking }
    }

    /// Asserts that no call was refused, and that each URL is wholly of one of these.
    pub async fn noticed_nothing(self, keys: &[&Keys]) {
        self.enough.cancel();
        let answers = self.asking.await.expect("the caller ends");
        assert!(answers.len() > 1, "it did ask");
        for answer in answers {
            let url = answer.unwrap_or_else(|status| panic!("refused: {status}"));
            let of = keys.iter().find(|keys| keys.are_in(&url));
            of.expect("a known key signed").assert_signed(&url);
        }
    }
}
