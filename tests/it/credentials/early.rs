//! Requests that outlive the credentials: an early refresh gets newer ones if that helps, else the URL works for less
//! time.

use std::time::Duration;

use futures_util::future::join_all;
use presignd::{
    clock::Stopwatch,
    pb::{PresignPostRequest, PresignRequest, PresignedRequest, StreamPresignRequest},
};
use tonic::{Code, Request};

use super::{FakeAws, Fault, Keys, in_container, start_serving};
use crate::support::{
    aws::RequestKind,
    callers::long_request,
    clock::{FakeClock, FakedClocks},
    grpc::{BUCKET, GrpcError, batch, error_of, get, metadata, presigned, refused, results, seconds, url_of},
    provider::from_now,
    scrape::Scrape,
    sidecar::Sidecar,
};

/// A presignd whose credentials have a lifetime of an hour and are some minutes old, and newer ones at the endpoint.
struct Aged {
    aws: FakeAws,
    newer: Keys,
    sidecar: Sidecar,
    clock: FakeClock,
}

impl Aged {
    /// Starts presignd, and advances its clock by `minutes` after the first load.
    async fn start(minutes: i64, variables: &[(&str, &str)]) -> Self {
        let (old, newer) = (Keys::expiring_in("old", 3_600), Keys::expiring_in("newer", 2 * 3_600));
        let aws = FakeAws::with_keys(&old);
        let mut command = in_container(&aws);
        command.envs(variables.iter().copied());
        let clock = FakeClock::attach(&mut command, FakedClocks::All);
        let sidecar = start_serving(command).await;
        clock.set_and_wait(&sidecar, minutes * 60 + 2).await;
        aws.set_keys(&newer);
        Self { aws, newer, sidecar, clock }
    }

    fn loads(&self) -> usize {
        self.aws.request_count(RequestKind::Container)
    }
}

/// The clamp reason of a URL.
fn reason(url: &PresignedRequest) -> &'static str {
    url.clamp_reason().as_str_name().strip_prefix("CLAMP_REASON_").expect("the value has the usual prefix")
}

/// A request with this `expires_in`, in seconds.
fn get_for(wanted: i64) -> PresignRequest {
    PresignRequest { expires_in: Some(seconds(wanted)), ..get("key") }
}

#[tokio::test]
async fn a_request_that_outlives_the_credentials_gets_newer_ones() {
    let aged = Aged::start(1, &[]).await;
    let url = presigned(aged.sidecar.client().await.presign(get_for(3_580)).await);
    assert!(aged.newer.are_in(&url));
    assert_eq!((reason(&url), url.granted.unwrap().seconds), ("NONE", 3_580));
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn batches_and_streams_get_newer_credentials() {
    let with_one = || batch(vec![get("a"), get_for(3_580), get("b")]);
    let aged = Aged::start(1, &[]).await;
    for result in results(aged.sidecar.client().await.batch_presign(with_one()).await) {
        assert!(aged.newer.are_in(url_of(&result)));
    }
    let aged = Aged::start(1, &[]).await;
    let mut message = with_one();
    // The defaults of a batch count too.
    message.requests = vec![get("a"), get("b")];
    message.defaults = Some(PresignRequest { expires_in: Some(seconds(3_580)), ..Default::default() });
    let stream = tokio_stream::once(StreamPresignRequest { batch: Some(message) });
    let mut answers = aged.sidecar.client().await.stream_presign(stream).await.unwrap().into_inner();
    for result in answers.message().await.unwrap().unwrap().batch.unwrap().results {
        assert!(aged.newer.are_in(url_of(&result)));
    }
}

#[tokio::test]
async fn the_default_expiry_counts_as_requested() {
    let aged = Aged::start(1, &[("PRESIGND_EXPIRY_DEFAULT", "3580s")]).await;
    let url = presigned(aged.sidecar.client().await.presign(get("key")).await);
    assert!(aged.newer.are_in(&url));
    assert_eq!((reason(&url), url.granted.unwrap().seconds), ("NONE", 3_580));
}

#[tokio::test]
async fn no_early_refresh_for_a_request_it_cannot_help() {
    let aged = Aged::start(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    assert_eq!(reason(&presigned(client.presign(get("key")).await)), "NONE");
    // Newer credentials would last only a minute longer, of the seven days requested.
    let url = presigned(client.presign(long_request()).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 1);

    let aged = Aged::start(7, &[]).await;
    let url = presigned(aged.sidecar.client().await.presign(long_request()).await);
    aged.newer.assert_signed(&url);
    assert_eq!(aged.loads(), 2, "seven minutes of an hour are enough");
}

#[tokio::test]
async fn invalid_requests_renew_nothing_early() {
    let aged = Aged::start(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    let invalid = || PresignRequest { key: String::new(), ..get_for(3_580) };
    assert_eq!(GrpcError::of(&refused(client.presign(invalid()).await)).reason, "KEY_INVALID");
    for result in results(client.batch_presign(batch(vec![invalid(), invalid()])).await) {
        assert_eq!(GrpcError::of(&error_of(&result)).reason, "KEY_INVALID");
    }
    let form = PresignPostRequest {
        bucket: BUCKET.to_owned(),
        expires_in: Some(seconds(3_580)),
        ..Default::default()
    };
    assert_eq!(GrpcError::of(&refused(client.presign_post(form.clone()).await)).reason, "KEY_INVALID");
    assert_eq!(aged.loads(), 1);
    // The same form with a key renews the credentials.
    let form = PresignPostRequest { key: "key".to_owned(), ..form };
    assert_eq!(client.presign_post(form).await.unwrap().into_inner().granted, Some(seconds(3_580)));
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn callers_share_one_early_refresh_per_minute() {
    let aged = Aged::start(1, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(aged.sidecar.client().await);
    }
    let calls = clients.iter_mut().map(|client| client.presign(get_for(3_580)));
    for answer in join_all(calls).await {
        assert!(aged.newer.are_in(&presigned(answer)), "all calls waited for one load");
    }
    assert_eq!(aged.loads(), 2);
    // No second load within the same minute, although the newer credentials do not last long enough either.
    let url = presigned(clients[0].presign(get_for(2 * 3_600 + 60)).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn a_hanging_provider_delays_a_request_within_limits() {
    for (setting, deadline, least, most) in [("500ms", None, 500, 1_900), ("10s", Some(2_000), 1_000, 1_900)]
    {
        let aged = Aged::start(1, &[("PRESIGND_EXPIRY_REFRESH_WAIT", setting)]).await;
        aged.aws.set_fault(Fault::Hanging);
        let mut request = Request::new(get_for(3_580));
        if let Some(deadline) = deadline {
            request.set_timeout(Duration::from_millis(deadline));
        }
        let mut client = aged.sidecar.client().await;
        let watch = Stopwatch::start();
        let url = presigned(client.presign(request).await);
        let took = watch.elapsed();
        assert_eq!(reason(&url), "CREDENTIAL_EXPIRY", "shortened, not rejected");
        let between = Duration::from_millis(least)..Duration::from_millis(most);
        assert!(between.contains(&took), "{setting}, {deadline:?}: {took:?}");
        // A request that needs no refresh does not wait, nor one after the attempt has taken refresh_wait.
        let watch = Stopwatch::start();
        presigned(client.presign(get("key")).await);
        if deadline.is_none() {
            presigned(client.presign(get_for(3_580)).await);
        }
        assert!(watch.elapsed() < Duration::from_millis(400), "{:?}", watch.elapsed());
    }
}

#[tokio::test]
async fn a_failed_early_refresh_shortens_the_url() {
    let aged = Aged::start(1, &[]).await;
    aged.aws.set_fault(Fault::Status(403));
    let url = presigned(aged.sidecar.client().await.presign(get_for(3_580)).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn a_zero_refresh_wait_disables_early_refreshes() {
    let aged = Aged::start(1, &[("PRESIGND_EXPIRY_REFRESH_WAIT", "0s")]).await;
    let url = presigned(aged.sidecar.client().await.presign(get_for(3_580)).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 1);
}

#[tokio::test]
async fn min_expires_in_is_met_with_newer_credentials_or_rejected() {
    let all_or_nothing =
        |wanted: i64| PresignRequest { min_expires_in: Some(seconds(wanted)), ..get_for(wanted) };
    let aged = Aged::start(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    let url = presigned(client.presign(all_or_nothing(3_580)).await);
    assert_eq!(url.granted.unwrap().seconds, 3_580);

    let status = refused(client.presign(all_or_nothing(3 * 3_600)).await);
    let error = GrpcError::of(&status);
    assert_eq!((error.code, error.reason.as_str()), (Code::FailedPrecondition, "EXPIRY_TOO_SHORT"));
    let details = metadata(&status);
    assert_eq!(details["clamp_reason"], "CREDENTIAL_EXPIRY");
    let grantable: u64 = details["grantable_seconds"].parse().unwrap();
    assert!((7_000..7_200).contains(&grantable), "{grantable}");
    // The grantable lifetime is granted.
    let url = presigned(client.presign(all_or_nothing(i64::try_from(grantable).unwrap() - 5)).await);
    assert_eq!(reason(&url), "NONE");
}

/// Newer credentials in the middle of a window would give another URL with the same expiry.
#[tokio::test]
async fn a_window_needs_newer_credentials_only_from_its_beginning() {
    let aged = Aged::start(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    // A window that began long before: its URL expires before the credentials.
    let in_a_window = PresignRequest { reuse_window: Some(seconds(100_000_000)), ..get_for(200_000_000) };
    let status = refused(client.presign(in_a_window).await);
    assert_eq!(GrpcError::of(&status).reason, "REUSE_WINDOW_TOO_LONG");
    assert_eq!(aged.loads(), 1);
    let now = prost_types::Timestamp::from(from_now(Duration::ZERO)).seconds + 62;
    // A window that began about half an hour ago, and one that begins now.
    for (window, loads) in [(window_that_began(now, 1_800), 1), (window_that_began(now, 0), 2)] {
        let request = PresignRequest { reuse_window: Some(seconds(window)), ..get_for(3_580) };
        let _signed_or_not = client.presign(request).await;
        assert_eq!(aged.loads(), loads, "a window of {window} s");
    }
}

/// The length of a window, half an hour to an hour, that began about `before` seconds before `now`.
fn window_that_began(now: i64, before: i64) -> i64 {
    let fits = |window: &i64| (now % window - before).abs() < 5;
    (1_805..3_500).find(fits).expect("there is such a window")
}

#[tokio::test]
async fn waiting_requests_leave_permits_for_others() {
    let aged =
        Aged::start(1, &[("PRESIGND_LIMITS_REQUESTS", "8"), ("PRESIGND_EXPIRY_REFRESH_WAIT", "10s")]).await;
    aged.aws.set_fault(Fault::Hanging);
    let mut client = aged.sidecar.client().await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { presigned(client.presign(get_for(3_580)).await) })
        })
        .collect();
    aged.aws.wait_for_request(RequestKind::Container, 2).await;
    // Two of eight permits wait for the refresh; further calls are answered at once.
    while Scrape::of(&aged.sidecar).await.get("presignd_inflight_requests", &[]) < 2.0 {}
    for _ in 0..20 {
        assert_eq!(reason(&presigned(client.presign(get_for(3_580)).await)), "CREDENTIAL_EXPIRY");
    }
    aged.aws.set_keys(&aged.newer);
    for url in join_all(waiting).await {
        assert!(aged.newer.are_in(&url.unwrap()));
    }
}

#[tokio::test]
async fn early_refreshes_continue_after_a_reload_of_rules() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    std::fs::write(&file, "[expiry]\nmax = \"50m\"\n").unwrap();
    let config = file.to_str().unwrap();
    let aged = Aged::start(1, &[("PRESIGND_CONFIG", config)]).await;
    aged.aws.set_fault(Fault::Hanging);
    std::fs::write(&file, "[expiry]\nmax = \"3580s\"\n").unwrap();
    aged.sidecar.send_signal(rustix::process::Signal::HUP);
    aged.sidecar.wait_for_log("SIGHUP: the configuration was reloaded").await;
    let mut client = aged.sidecar.client().await;
    let url = presigned(client.presign(get_for(3_400)).await);
    assert_eq!(url.granted.unwrap().seconds, 3_400, "with the current credentials");
    aged.aws.wait_for_request(RequestKind::Container, 2).await;
    aged.aws.set_keys(&Keys::expiring_in("reloaded", 3_680));
    let labels = [("signer", "default"), ("outcome", "ok")];
    Scrape::wait_for_at_least(&aged.sidecar, "presignd_credentials_refresh_total", &labels, 2.0).await;
    aged.clock.set_and_wait(&aged.sidecar, 2 * 62).await;
    aged.aws.set_keys(&aged.newer);
    assert!(aged.newer.are_in(&presigned(client.presign(get_for(3_580)).await)));
}
