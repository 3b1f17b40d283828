//! A URL that is used before and after its expiry.

use std::time::{Duration, SystemTime};

use presignd::{clock::Clock, pb::PresignedRequest};
use tokio::time::sleep;

use crate::support::{http::Request, s3::Server};

/// The last uses of a URL: this long before its expiry, and this long after.
const BEFORE_AND_AFTER: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(20)];

/// A URL to use, and what to expect of the server.
pub struct UrlSample {
    pub request: Request,
    pub body: String,
    pub expires_at: SystemTime,
    pub server: &'static Server,
    pub refusals: &'static [&'static str],
}

impl UrlSample {
    /// Uses the URL at once, shortly before its expiry, and after it. Returns for the first two whether they were
    /// certainly in time.
    pub async fn check(self) -> [bool; 2] {
        let [before, after] = BEFORE_AND_AFTER;
        let at_once = self.use_url().await;
        // This test is about points in time, so it waits for them.
        until(self.expires_at - before).await;
        let shortly_before = self.use_url().await;
        until(self.expires_at + after).await;
        let verdict = self.request.send(self.server.port).await.verdict();
        assert!(self.refusals.contains(&&*verdict), "{} after the expiry: {verdict}", self.server.name);
        [at_once, shortly_before]
    }

    /// Uses the URL. Returns whether the response arrived before the expiry: then the URL must have worked.
    async fn use_url(&self) -> bool {
        let answer = self.request.send(self.server.port).await;
        let in_time = Clock::system().now() < self.expires_at;
        if in_time {
            let actual = (answer.verdict(), answer.text());
            assert_eq!(
                actual,
                ("200".to_owned(), self.body.clone()),
                "{} before the expiry",
                self.server.name
            );
        }
        in_time
    }
}

/// The `expires_at` of a URL.
pub fn expires_at(url: &PresignedRequest) -> SystemTime {
    url.expires_at.expect("expires_at is set").try_into().expect("it is after 1970")
}

async fn until(time: SystemTime) {
    sleep(time.duration_since(Clock::system().now()).unwrap_or_default()).await;
}
