//! Requests that outlive the credentials: newer ones are had for them where that helps, and else they are cut.

use std::time::Duration;

use futures_util::future::join_all;
use presignd::{
    clock::Stopwatch,
    pb::{PresignPostRequest, PresignRequest, PresignedRequest, StreamPresignRequest},
};
use tonic::{Code, Request};

use super::{Aws, Fault, Keys, in_container, serving};
use crate::support::{
    aws::Kind,
    callers::long,
    clock::{OwnClock, Sets},
    grpc::{BUCKET, Told, batch, error_of, get, metadata, presigned, refused, results, seconds, url_of},
    provider::from_now,
    scrape::Scrape,
    sidecar::Sidecar,
};

/// Credentials that last an hour, a server that has them for longer than a minute, and newer ones that wait.
struct Aged {
    aws: Aws,
    newer: Keys,
    sidecar: Sidecar,
    clock: OwnClock,
}

impl Aged {
    /// `minutes` after its credentials were loaded.
    async fn by(minutes: i64, variables: &[(&str, &str)]) -> Self {
        let (old, newer) = (Keys::lasting("old", 3_600), Keys::lasting("newer", 2 * 3_600));
        let aws = Aws::giving(&old);
        let mut command = in_container(&aws);
        command.envs(variables.iter().copied());
        let clock = OwnClock::of(&mut command, Sets::AllTime);
        let sidecar = serving(command).await;
        clock.set_for(&sidecar, minutes * 60 + 2).await;
        aws.give(&newer);
        Self { aws, newer, sidecar, clock }
    }

    fn loads(&self) -> usize {
        self.aws.count(Kind::Container)
    }
}

/// Why a URL works for less time than was asked for.
fn reason(url: &PresignedRequest) -> &'static str {
    url.clamp_reason().as_str_name().strip_prefix("CLAMP_REASON_").expect("it is named as every value is")
}

/// A request for so many seconds.
fn asking_for(wanted: i64) -> PresignRequest {
    PresignRequest { expires_in: Some(seconds(wanted)), ..get("key") }
}

#[tokio::test]
async fn a_request_that_outlives_the_credentials_gets_newer_ones_and_all_of_its_time() {
    let aged = Aged::by(1, &[]).await;
    let url = presigned(aged.sidecar.client().await.presign(asking_for(3_580)).await);
    assert!(aged.newer.are_in(&url));
    assert_eq!((reason(&url), url.granted.unwrap().seconds), ("NONE", 3_580));
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn a_batch_and_a_stream_with_one_request_that_outlives_the_credentials_get_newer_ones() {
    let with_one = || batch(vec![get("a"), asking_for(3_580), get("b")]);
    let aged = Aged::by(1, &[]).await;
    for result in results(aged.sidecar.client().await.batch_presign(with_one()).await) {
        assert!(aged.newer.are_in(url_of(&result)));
    }
    let aged = Aged::by(1, &[]).await;
    let mut message = with_one();
    // What the defaults ask for counts as well.
    message.requests = vec![get("a"), get("b")];
    message.defaults = Some(PresignRequest { expires_in: Some(seconds(3_580)), ..Default::default() });
    let stream = tokio_stream::once(StreamPresignRequest { batch: Some(message) });
    let mut answers = aged.sidecar.client().await.stream_presign(stream).await.unwrap().into_inner();
    for result in answers.message().await.unwrap().unwrap().batch.unwrap().results {
        assert!(aged.newer.are_in(url_of(&result)));
    }
}

#[tokio::test]
async fn what_the_server_grants_to_those_who_do_not_say_counts_as_asked_for() {
    let aged = Aged::by(1, &[("PRESIGND_EXPIRY_DEFAULT", "3580s")]).await;
    let url = presigned(aged.sidecar.client().await.presign(get("key")).await);
    assert!(aged.newer.are_in(&url));
    assert_eq!((reason(&url), url.granted.unwrap().seconds), ("NONE", 3_580));
}

#[tokio::test]
async fn a_request_that_the_credentials_outlive_or_that_no_newer_ones_would_help_has_nothing_loaded() {
    let aged = Aged::by(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    assert_eq!(reason(&presigned(client.presign(get("key")).await)), "NONE");
    // Newer ones would last a minute more of seven days.
    let url = presigned(client.presign(long()).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 1);

    let aged = Aged::by(7, &[]).await;
    let url = presigned(aged.sidecar.client().await.presign(long()).await);
    aged.newer.signed(&url);
    assert_eq!(aged.loads(), 2, "seven minutes of an hour are worth it");
}

#[tokio::test]
async fn invalid_requests_renew_nothing_early() {
    let aged = Aged::by(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    let invalid = || PresignRequest { key: String::new(), ..asking_for(3_580) };
    assert_eq!(Told::of(&refused(client.presign(invalid()).await)).reason, "KEY_INVALID");
    for result in results(client.batch_presign(batch(vec![invalid(), invalid()])).await) {
        assert_eq!(Told::of(&error_of(&result)).reason, "KEY_INVALID");
    }
    let form = PresignPostRequest {
        bucket: BUCKET.to_owned(),
        expires_in: Some(seconds(3_580)),
        ..Default::default()
    };
    assert_eq!(Told::of(&refused(client.presign_post(form.clone()).await)).reason, "KEY_INVALID");
    assert_eq!(aged.loads(), 1);
    // The same form with a key renews the credentials.
    let form = PresignPostRequest { key: "key".to_owned(), ..form };
    assert_eq!(client.presign_post(form).await.unwrap().into_inner().granted, Some(seconds(3_580)));
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn credentials_are_loaded_early_once_in_a_minute_at_most_and_once_for_everybody() {
    let aged = Aged::by(1, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(aged.sidecar.client().await);
    }
    let calls = clients.iter_mut().map(|client| client.presign(asking_for(3_580)));
    for answer in join_all(calls).await {
        assert!(aged.newer.are_in(&presigned(answer)), "everybody waited for the one load");
    }
    assert_eq!(aged.loads(), 2);
    // Not again in the same minute, although these do not last so long either.
    let url = presigned(clients[0].presign(asking_for(2 * 3_600 + 60)).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_holds_a_request_for_the_setting_at_most_and_within_its_deadline() {
    for (setting, deadline, least, most) in [("500ms", None, 500, 1_900), ("10s", Some(2_000), 1_000, 1_900)]
    {
        let aged = Aged::by(1, &[("PRESIGND_EXPIRY_REFRESH_WAIT", setting)]).await;
        aged.aws.fault(Fault::Held);
        let mut request = Request::new(asking_for(3_580));
        if let Some(deadline) = deadline {
            request.set_timeout(Duration::from_millis(deadline));
        }
        let mut client = aged.sidecar.client().await;
        let watch = Stopwatch::start();
        let url = presigned(client.presign(request).await);
        let took = watch.elapsed();
        assert_eq!(reason(&url), "CREDENTIAL_EXPIRY", "cut, and not refused");
        let between = Duration::from_millis(least)..Duration::from_millis(most);
        assert!(between.contains(&took), "{setting}, {deadline:?}: {took:?}");
        // Who needs nothing does not wait, nor who comes when it has been waited for long enough.
        let watch = Stopwatch::start();
        presigned(client.presign(get("key")).await);
        if deadline.is_none() {
            presigned(client.presign(asking_for(3_580)).await);
        }
        assert!(watch.elapsed() < Duration::from_millis(400), "{:?}", watch.elapsed());
    }
}

#[tokio::test]
async fn a_provider_that_fails_has_the_request_cut_and_not_refused() {
    let aged = Aged::by(1, &[]).await;
    aged.aws.fault(Fault::Status(403));
    let url = presigned(aged.sidecar.client().await.presign(asking_for(3_580)).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 2);
}

#[tokio::test]
async fn without_time_to_wait_nothing_is_loaded_early() {
    let aged = Aged::by(1, &[("PRESIGND_EXPIRY_REFRESH_WAIT", "0s")]).await;
    let url = presigned(aged.sidecar.client().await.presign(asking_for(3_580)).await);
    assert_eq!(reason(&url), "CREDENTIAL_EXPIRY");
    assert_eq!(aged.loads(), 1);
}

#[tokio::test]
async fn a_least_time_is_met_with_newer_credentials_or_refused_with_what_could_be_granted() {
    let all_or_nothing =
        |wanted: i64| PresignRequest { min_expires_in: Some(seconds(wanted)), ..asking_for(wanted) };
    let aged = Aged::by(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    let url = presigned(client.presign(all_or_nothing(3_580)).await);
    assert_eq!(url.granted.unwrap().seconds, 3_580);

    let status = refused(client.presign(all_or_nothing(3 * 3_600)).await);
    let told = Told::of(&status);
    assert_eq!((told.code, told.reason.as_str()), (Code::FailedPrecondition, "EXPIRY_TOO_SHORT"));
    let details = metadata(&status);
    assert_eq!(details["clamp_reason"], "CREDENTIAL_EXPIRY");
    let grantable: u64 = details["grantable_seconds"].parse().unwrap();
    assert!((7_000..7_200).contains(&grantable), "{grantable}");
    // What is said to be grantable is granted.
    let url = presigned(client.presign(all_or_nothing(i64::try_from(grantable).unwrap() - 5)).await);
    assert_eq!(reason(&url), "NONE");
}

/// Newer credentials in the middle of a window would give another URL, which ends when the first one does.
#[tokio::test]
async fn a_url_of_a_window_is_the_same_until_its_credentials_cannot_do_what_was_asked_at_its_beginning() {
    let aged = Aged::by(1, &[]).await;
    let mut client = aged.sidecar.client().await;
    // A window that began long before: what is asked for is over before the credentials end.
    let in_a_window = PresignRequest { reuse_window: Some(seconds(100_000_000)), ..asking_for(200_000_000) };
    let status = refused(client.presign(in_a_window).await);
    assert_eq!(Told::of(&status).reason, "REUSE_WINDOW_TOO_LONG");
    assert_eq!(aged.loads(), 1);
    let now = prost_types::Timestamp::from(from_now(Duration::ZERO)).seconds + 62;
    // One that began about half an hour ago, and one that begins now.
    for (window, loads) in [(window_that_began(now, 1_800), 1), (window_that_began(now, 0), 2)] {
        let request = PresignRequest { reuse_window: Some(seconds(window)), ..asking_for(3_580) };
        let _signed_or_not = client.presign(request).await;
        assert_eq!(aged.loads(), loads, "a window of {window} s");
    }
}

/// A window of half an hour to an hour that began so many seconds before a time, give or take a few.
fn window_that_began(now: i64, before: i64) -> i64 {
    let fits = |window: &i64| (now % window - before).abs() < 5;
    (1_805..3_500).find(fits).expect("there is such a window")
}

#[tokio::test]
async fn only_so_many_wait_at_once_that_there_are_places_for_the_others() {
    let aged =
        Aged::by(1, &[("PRESIGND_LIMITS_REQUESTS", "8"), ("PRESIGND_EXPIRY_REFRESH_WAIT", "10s")]).await;
    aged.aws.fault(Fault::Held);
    let mut client = aged.sidecar.client().await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { presigned(client.presign(asking_for(3_580)).await) })
        })
        .collect();
    aged.aws.asked(Kind::Container, 2).await;
    // Two of eight places wait; whoever comes now is answered at once.
    while Scrape::of(&aged.sidecar).await.get("presignd_inflight_requests", &[]) < 2.0 {}
    for _ in 0..20 {
        assert_eq!(reason(&presigned(client.presign(asking_for(3_580)).await)), "CREDENTIAL_EXPIRY");
    }
    aged.aws.give(&aged.newer);
    for url in join_all(waiting).await {
        assert!(aged.newer.are_in(&url.unwrap()));
    }
}

#[tokio::test]
async fn after_a_reload_of_the_rules_alone_the_credentials_stay_and_are_still_renewed_early() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("presignd.toml");
    std::fs::write(&file, "[expiry]\nmax = \"50m\"\n").unwrap();
    let config = file.to_str().unwrap();
    let aged = Aged::by(1, &[("PRESIGND_CONFIG", config)]).await;
    aged.aws.fault(Fault::Held);
    std::fs::write(&file, "[expiry]\nmax = \"3580s\"\n").unwrap();
    aged.sidecar.signal(rustix::process::Signal::HUP);
    aged.sidecar.logged("SIGHUP: the configuration was reloaded").await;
    let mut client = aged.sidecar.client().await;
    let url = presigned(client.presign(asking_for(3_400)).await);
    assert_eq!(url.granted.unwrap().seconds, 3_400, "with the credentials that were there");
    aged.aws.asked(Kind::Container, 2).await;
    aged.aws.give(&Keys::lasting("reloaded", 3_680));
    let labels = [("signer", "default"), ("outcome", "ok")];
    Scrape::reaches(&aged.sidecar, "presignd_credentials_refresh_total", &labels, 2.0).await;
    aged.clock.set_for(&aged.sidecar, 2 * 62).await;
    aged.aws.give(&aged.newer);
    assert!(aged.newer.are_in(&presigned(client.presign(asking_for(3_580)).await)));
}
