//! presignd under load while its short-lived credentials rotate: no call fails, and every URL works until its
//! `expires_at`.

mod sample;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use presignd::pb::{PresignRequest, PresignedRequest};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use self::sample::{UrlSample, expires_at};
use super::RoundTrip;
use crate::support::{
    grpc::{batch, get, parameter, presigned, results, seconds, url_of},
    http::Request,
    issuer::{Authority, Issuer, LIFETIME},
    s3::{PLAIN_BUCKET, Server},
    scrape::Scrape,
    sidecar::Sidecar,
};

/// The number of rotations. Each happens after three quarters of the lifetime, which is 4 to 5 s.
const ROTATIONS: usize = 8;
/// The timeout of the load. It usually takes about 25 s.
const LOAD_TIMEOUT: Duration = Duration::from_secs(35);
/// The interval between the calls of one caller.
const CALL_INTERVAL: Duration = Duration::from_millis(150);
/// Requests in one batch.
const BATCH: usize = 50;

#[tokio::test]
async fn urls_work_until_expires_at_while_sts_sessions_rotate() {
    // Which of the two ministack answers depends on the fraction of the second at which the session ends.
    let refusals = &["403 AccessDenied", "400 ExpiredToken"];
    let server = Server::ministack();
    RotationLoad::start(server, Authority::Sessions(server), refusals).await.run_until_rotated().await;
}

#[tokio::test]
async fn urls_work_until_expires_at_while_access_keys_rotate() {
    RotationLoad::start(Server::seaweedfs(), Authority::Keys, &["403 AccessDenied"])
        .await
        .run_until_rotated()
        .await;
}

/// The load, with everything that its callers share.
struct RotationLoad {
    caller: RoundTrip,
    issuer: Issuer,
    /// The errors of the server for an expired URL.
    refusals: &'static [&'static str],
}

/// The kind of calls that one caller repeats.
#[derive(Clone, Copy)]
enum CallKind {
    Unary,
    Batches,
}

impl RotationLoad {
    async fn start(server: &'static Server, authority: Authority, refusals: &'static [&'static str]) -> Self {
        let issuer = Issuer::start(authority).await;
        let sidecar = Sidecar::spawn(issuer.command(), &[]);
        sidecar.wait_until_serving().await;
        Self { caller: RoundTrip::with_sidecar(server, sidecar).await, issuer, refusals }
    }

    async fn run_until_rotated(&self) {
        for number in 0..BATCH {
            self.caller.put(PLAIN_BUCKET, &key(number), body(&key(number))).await;
        }
        let callers = [CallKind::Unary, CallKind::Batches, CallKind::Unary, CallKind::Batches];
        let all = join_all(callers.map(|calls| self.call(calls)));
        let all = timeout(LOAD_TIMEOUT, all).await.unwrap_or_else(|_| {
            panic!("only {} sets of credentials: {}", self.issuer.count(), self.caller.sidecar.log())
        });

        let keys: BTreeSet<&String> = all.iter().flat_map(|observed| &observed.keys).collect();
        assert!(keys.len() > ROTATIONS, "{keys:?}");
        self.assert_no_failure(keys.len()).await;
        for observed in all {
            let [all, at_once, shortly_before] = observed.use_samples().await;
            assert!(at_once > all / 2, "{at_once} of {all} URLs were used in time: the machine is too slow");
            assert!(
                shortly_before > all / 2,
                "{shortly_before} of {all} URLs were used shortly before their expiry"
            );
        }
    }

    /// Calls presignd until the credentials have rotated often enough.
    async fn call(&self, calls: CallKind) -> ObservedUrls {
        let mut client = self.caller.client.clone();
        let mut observed = ObservedUrls::default();
        let mut ticks = call_ticks();
        let mut count = 0;
        while observed.keys.len() <= ROTATIONS {
            ticks.tick().await;
            count += 1;
            match calls {
                CallKind::Unary => {
                    let request = ten_minutes(count % BATCH);
                    let url = presigned(client.presign(request.clone()).await);
                    observed.add_key(&self.check_url(&url));
                    observed.add_sample(self, &request.key, &url);
                }
                CallKind::Batches => {
                    let requests: Vec<_> = (0..BATCH).map(ten_minutes).collect();
                    let results = results(client.batch_presign(batch(requests.clone())).await);
                    let urls: Vec<_> = results.iter().map(url_of).collect();
                    let keys: BTreeSet<_> = urls.iter().map(|url| self.check_url(url)).collect();
                    assert_eq!((urls.len(), keys.len()), (BATCH, 1), "one set of credentials signs a batch");
                    observed.add_key(keys.first().expect("a batch has one key"));
                    // Another index in each batch.
                    let chosen = count * 7 % BATCH;
                    observed.add_sample(self, &requests[chosen].key, urls[chosen]);
                }
            }
        }
        observed
    }

    /// Compares a URL with the credentials that it names; returns their access key ID.
    fn check_url(&self, url: &PresignedRequest) -> String {
        let date = parameter(&url.url, "X-Amz-Date");
        let scope: Vec<_> = parameter(&url.url, "X-Amz-Credential").split("%2F").collect();
        let [key, day, "us-east-1", "s3", "aws4_request"] = scope[..] else { panic!("{scope:?}") };
        assert_eq!(Some(day), date.split('T').next());
        let issued = self.issuer.issued(key);
        match &issued.token {
            Some(token) => assert_eq!(parameter(&url.url, "X-Amz-Security-Token"), token),
            None => assert!(!url.url.contains("X-Amz-Security-Token"), "the token of other credentials"),
        }
        assert_eq!(url.clamp_reason().as_str_name(), "CLAMP_REASON_CREDENTIAL_EXPIRY");
        assert_eq!(expires_at(url), issued.end, "expires_at is the expiry of the credentials");
        let granted = url.granted.expect("granted is set").seconds;
        assert_eq!(parameter(&url.url, "X-Amz-Expires"), granted.to_string());
        assert_eq!(
            url.signed_at.expect("signed_at is set").seconds + granted,
            url.expires_at.unwrap().seconds
        );
        assert!(granted >= 1 && granted.unsigned_abs() <= LIFETIME.as_secs(), "{granted} s granted");
        key.to_owned()
    }

    /// Asserts that every load was in time and returned newer credentials.
    async fn assert_no_failure(&self, keys: usize) {
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

/// The URLs that one caller received.
#[derive(Default)]
struct ObservedUrls {
    /// Their access key IDs, in order of first use.
    keys: Vec<String>,
    samples: JoinSet<[bool; 2]>,
}

impl ObservedUrls {
    fn add_key(&mut self, key: &String) {
        if self.keys.last() != Some(key) {
            assert!(!self.keys.contains(key), "{key} was used again after {:?}", self.keys);
            self.keys.push(key.clone());
        }
    }

    /// Uses a URL at once, and shortly before and after its expiry.
    fn add_sample(&mut self, load: &RotationLoad, key: &str, url: &PresignedRequest) {
        let sample = UrlSample {
            request: Request::of(url),
            body: body(key),
            expires_at: expires_at(url),
            server: load.caller.server,
            refusals: load.refusals,
        };
        self.samples.spawn(sample.check());
    }

    /// The number of URLs, and how many of them were certainly used in time: at once, and shortly before their expiry.
    async fn use_samples(self) -> [usize; 3] {
        let all = self.samples.join_all().await;
        let [at_once, shortly_before] = [0, 1].map(|at| all.iter().filter(|in_time| in_time[at]).count());
        [all.len(), at_once, shortly_before]
    }
}

fn key(number: usize) -> String {
    format!("rotation/object {number}")
}

fn body(key: &str) -> String {
    format!("the body of {key}")
}

fn ten_minutes(number: usize) -> PresignRequest {
    PresignRequest { expires_in: Some(seconds(600)), ..get(&key(number)) }
}

/// The interval limits the load: the test needs a constant load, not a maximum one.
fn call_ticks() -> Interval {
    let mut ticks = interval(CALL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
