//! A URL that is used while it should work, and after.

use std::time::{Duration, SystemTime};

use presignd::{clock::Clock, pb::PresignedRequest};
use tokio::time::sleep;

use crate::support::{http::Request, s3::Server};

/// How long before its end a URL is used once more, and how long after.
const AROUND: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(20)];

/// A URL on its way to the server.
pub struct Sample {
    pub request: Request,
    pub body: String,
    pub expires_at: SystemTime,
    pub server: &'static Server,
    pub refusals: &'static [&'static str],
}

impl Sample {
    /// Uses it at once, shortly before its end, and after it. Tells of the first two whether they were surely in time.
    pub async fn used(self) -> [bool; 2] {
        let [before, after] = AROUND;
        let at_once = self.works().await;
        // Points in time are what this is about, so they are waited for.
        until(self.expires_at - before).await;
        let shortly_before = self.works().await;
        until(self.expires_at + after).await;
        let verdict = self.request.send(self.server.port).await.verdict();
        assert!(self.refusals.contains(&&*verdict), "{} after the end: {verdict}", self.server.name);
        [at_once, shortly_before]
    }

    /// Uses it, and tells whether that was over before its end; then it must have worked.
    async fn works(&self) -> bool {
        let answer = self.request.send(self.server.port).await;
        let in_time = Clock::system().now() < self.expires_at;
        if in_time {
            let told = (answer.verdict(), answer.text());
            assert_eq!(told, ("200".to_owned(), self.body.clone()), "{} before the end", self.server.name);
        }
        in_time
    }
}

/// When a URL says that it ends.
pub fn expires_at(url: &PresignedRequest) -> SystemTime {
    url.expires_at.expect("expires_at is set").try_into().expect("it is after 1970")
}

async fn until(time: SystemTime) {
    sleep(time.duration_since(Clock::system().now()).unwrap_or_default()).await;
}
