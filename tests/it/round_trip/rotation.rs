//! Under load, while credentials that last for seconds give way to the next again and again: no call fails, and every
//! URL works until the second that `expires_at` says.

mod sample;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use presignd::pb::{PresignRequest, PresignedRequest};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use self::sample::{Sample, expires_at};
use super::Caller;
use crate::support::{
    grpc::{batch, get, parameter, presigned, results, seconds, url_of},
    http::Request,
    issuer::{Authority, Issuer, LIFETIME},
    s3::{PLAIN_BUCKET, Server},
    scrape::Scrape,
    sidecar::Sidecar,
};

/// How often credentials give way to the next. They do when three quarters of their time, 4 to 5 s, are over.
const ROTATIONS: usize = 8;
/// The longest that the load may take: some 25 s are usual.
const LOAD: Duration = Duration::from_secs(35);
/// A call of each caller in this time.
const PACE: Duration = Duration::from_millis(150);
/// Requests in a batch.
const BATCH: usize = 50;

#[tokio::test]
async fn urls_work_until_they_say_while_sessions_of_sts_rotate_under_load() {
    // Which of the two ministack says depends on whether the session outlasted its last whole second.
    let refusals = &["403 AccessDenied", "400 ExpiredToken"];
    let server = Server::ministack();
    Load::start(server, Authority::Sessions(server), refusals).await.rotates().await;
}

#[tokio::test]
async fn urls_work_until_they_say_while_access_keys_rotate_under_load() {
    Load::start(Server::seaweedfs(), Authority::Keys, &["403 AccessDenied"]).await.rotates().await;
}

/// What all callers share.
struct Load {
    caller: Caller,
    issuer: Issuer,
    /// What the server says to a URL whose time is over.
    refusals: &'static [&'static str],
}

/// What a caller does, again and again.
#[derive(Clone, Copy)]
enum Calls {
    Unary,
    Batches,
}

impl Load {
    async fn start(server: &'static Server, authority: Authority, refusals: &'static [&'static str]) -> Self {
        let issuer = Issuer::start(authority).await;
        let sidecar = Sidecar::spawn(issuer.command(), &[]);
        sidecar.serving().await;
        Self { caller: Caller::using(server, sidecar).await, issuer, refusals }
    }

    async fn rotates(&self) {
        for number in 0..BATCH {
            self.caller.put(PLAIN_BUCKET, &key(number), body(&key(number))).await;
        }
        let callers = [Calls::Unary, Calls::Batches, Calls::Unary, Calls::Batches];
        let all = join_all(callers.map(|calls| self.call(calls)));
        let all = timeout(LOAD, all).await.unwrap_or_else(|_| {
            panic!("only {} sets of credentials: {}", self.issuer.count(), self.caller.sidecar.log())
        });

        let keys: BTreeSet<&String> = all.iter().flat_map(|seen| &seen.keys).collect();
        assert!(keys.len() > ROTATIONS, "{keys:?}");
        self.had_no_failure(keys.len()).await;
        for seen in all {
            let [all, at_once, shortly_before] = seen.used().await;
            assert!(at_once > all / 2, "{at_once} of {all} URLs were used in time: the machine is too slow");
            assert!(
                shortly_before > all / 2,
                "{shortly_before} of {all} URLs were used shortly before their end"
            );
        }
    }

    /// Calls until credentials changed often enough.
    async fn call(&self, calls: Calls) -> Seen {
        let mut client = self.caller.client.clone();
        let mut seen = Seen::default();
        let mut pace = pace();
        let mut count = 0;
        while seen.keys.len() <= ROTATIONS {
            pace.tick().await;
            count += 1;
            match calls {
                Calls::Unary => {
                    let request = ten_minutes(count % BATCH);
                    let url = presigned(client.presign(request.clone()).await);
                    seen.key(&self.truth(&url));
                    seen.sample(self, &request.key, &url);
                }
                Calls::Batches => {
                    let requests: Vec<_> = (0..BATCH).map(ten_minutes).collect();
                    let results = results(client.batch_presign(batch(requests.clone())).await);
                    let urls: Vec<_> = results.iter().map(url_of).collect();
                    let keys: BTreeSet<_> = urls.iter().map(|url| self.truth(url)).collect();
                    assert_eq!((urls.len(), keys.len()), (BATCH, 1), "a batch has one set of credentials");
                    seen.key(keys.first().expect("it has one"));
                    // Another place in the batch each time.
                    let chosen = count * 7 % BATCH;
                    seen.sample(self, &requests[chosen].key, urls[chosen]);
                }
            }
        }
        seen
    }

    /// Holds a URL against the credentials that it names: the ID of their key.
    fn truth(&self, url: &PresignedRequest) -> String {
        let date = parameter(&url.url, "X-Amz-Date");
        let scope: Vec<_> = parameter(&url.url, "X-Amz-Credential").split("%2F").collect();
        let [key, day, "us-east-1", "s3", "aws4_request"] = scope[..] else { panic!("{scope:?}") };
        assert_eq!(Some(day), date.split('T').next());
        let issued = self.issuer.issued(key);
        match &issued.token {
            Some(token) => assert_eq!(parameter(&url.url, "X-Amz-Security-Token"), token),
            None => assert!(!url.url.contains("X-Amz-Security-Token"), "a token of others"),
        }
        assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_CREDENTIAL_EXPIRY");
        assert_eq!(expires_at(url), issued.end, "expires_at is the end of the credentials");
        let granted = url.granted.expect("granted is set").seconds;
        assert_eq!(parameter(&url.url, "X-Amz-Expires"), granted.to_string());
        assert_eq!(
            url.signed_at.expect("signed_at is set").seconds + granted,
            url.expires_at.unwrap().seconds
        );
        assert!(granted >= 1 && granted.unsigned_abs() <= LIFETIME.as_secs(), "{granted} s granted");
        key.to_owned()
    }

    /// Every load of credentials was in time and brought newer ones.
    async fn had_no_failure(&self, keys: usize) {
        let scrape = Scrape::of(&self.caller.sidecar).await;
        let outcomes = scrape.all("presignd_credentials_refresh_total", &["outcome"]);
        let loads: f64 = outcomes.values().sum();
        let good = scrape.get("presignd_credentials_refresh_total", &[("outcome", "ok")]);
        assert!(
            good.total_cmp(&loads).is_eq() && good >= f64::from(u32::try_from(keys).unwrap()),
            "{outcomes:?}"
        );
        let log = self.caller.sidecar.log();
        assert!(!log.contains("ready=false") && !log.contains("failed to load"), "{log}");
    }
}

/// What one caller was given.
#[derive(Default)]
struct Seen {
    /// The access keys, in the order in which they came.
    keys: Vec<String>,
    samples: JoinSet<[bool; 2]>,
}

impl Seen {
    fn key(&mut self, key: &String) {
        if self.keys.last() != Some(key) {
            assert!(!self.keys.contains(key), "{key} came back after {:?}", self.keys);
            self.keys.push(key.clone());
        }
    }

    /// Uses a URL at once, and around its end.
    fn sample(&mut self, load: &Load, key: &str, url: &PresignedRequest) {
        let sample = Sample {
            request: Request::of(url),
            body: body(key),
            expires_at: expires_at(url),
            server: load.caller.server,
            refusals: load.refusals,
        };
        self.samples.spawn(sample.used());
    }

    /// How many URLs were used, and of those how many surely in time: at once, and shortly before their end.
    async fn used(self) -> [usize; 3] {
        let all = self.samples.join_all().await;
        let [at_once, shortly_before] = [0, 1].map(|at| all.iter().filter(|used| used[at]).count());
        [all.len(), at_once, shortly_before]
    }
}

fn key(number: usize) -> String {
    format!("rotation/{number} of these")
}

fn body(key: &str) -> String {
    format!("the body of {key}")
}

fn ten_minutes(number: usize) -> PresignRequest {
    PresignRequest { expires_in: Some(seconds(600)), ..get(&key(number)) }
}

/// Spares the machine: the load is to last, not to be the heaviest.
fn pace() -> Interval {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
