//! The metrics after known calls: every count, and no bucket or key in any label.

use std::collections::BTreeMap;

use presignd::pb;

use crate::support::{
    OUTPOSTS_ARN,
    grpc::{batch, get, put, refused, results, seconds, url_of},
    scrape::Scrape,
    sidecar::Sidecar,
};

const BUCKET: &str = "canary-bucket";
const KEY: &str = "canary-key";
const DAY: f64 = 86_400.0;

/// `presignd_urls_total` after [`make_calls`].
fn expected_urls() -> BTreeMap<Vec<String>, f64> {
    let rows = [
        (["GetObject", "bucket", "default", "ok"], 6.0),
        (["PutObject", "outposts", "default", "ok"], 3.0),
        (["GetObject", "bucket", "default", "invalid_argument"], 2.0),
        (["GetObject", "bucket", "unknown", "not_found"], 1.0),
        (["GetObject", "unknown", "default", "invalid_argument"], 1.0),
        (["unknown", "bucket", "default", "invalid_argument"], 1.0),
        (["GetObject", "bucket", "default", "failed_precondition"], 1.0),
        (["PostObject", "bucket", "default", "ok"], 1.0),
        (["PostObject", "bucket", "default", "invalid_argument"], 1.0),
        (["PostObject", "bucket", "unknown", "not_found"], 1.0),
        // The bucket is validated before the signer is resolved.
        (["PostObject", "unknown", "unknown", "invalid_argument"], 1.0),
    ];
    rows.map(|(labels, count)| (labels.map(str::to_owned).into(), count)).into()
}

fn read() -> pb::PresignRequest {
    pb::PresignRequest { bucket: BUCKET.to_owned(), ..get(KEY) }
}

/// Requests eight days, so one day is clamped.
fn write() -> pb::PresignRequest {
    pb::PresignRequest { bucket: OUTPOSTS_ARN.to_owned(), expires_in: Some(seconds(8 * 86_400)), ..put(KEY) }
}

/// A form that requests eight days, so one day is clamped.
fn form() -> pb::PresignPostRequest {
    pb::PresignPostRequest {
        bucket: BUCKET.to_owned(),
        key: KEY.to_owned(),
        expires_in: Some(seconds(8 * 86_400)),
        fields: [("x-amz-meta-canary".to_owned(), "canary".to_owned())].into(),
        ..Default::default()
    }
}

/// 7 Presign (2 of them OK), 2 BatchPresign (1 OK, of 3), 1 StreamPresign (of 2 and 2), 4 PresignPost (1 OK).
async fn make_calls(sidecar: &Sidecar) {
    let mut client = sidecar.client().await;
    let keyless = || pb::PresignRequest { key: String::new(), ..read() };
    for good in [read(), write()] {
        client.presign(good).await.map(drop).unwrap();
    }
    for bad in [
        keyless(),
        pb::PresignRequest { signer: "canary-signer".to_owned(), ..read() },
        pb::PresignRequest { bucket: "canary/bucket".to_owned(), ..read() },
        pb::PresignRequest { operation: None, ..read() },
        pb::PresignRequest { min_expires_in: Some(seconds(1_000)), ..read() },
    ] {
        refused(client.presign(bad).await);
    }
    assert_eq!(results(client.batch_presign(batch(vec![read(), keyless(), write()])).await).len(), 3);
    refused(client.batch_presign(batch(Vec::new())).await);
    let messages = [vec![read(), read()], vec![read(), read()]]
        .map(|requests| pb::StreamPresignRequest { batch: Some(batch(requests)) });
    let mut answers = client.stream_presign(tokio_stream::iter(messages)).await.unwrap().into_inner();
    while answers.message().await.map(|message| message.is_some()).unwrap() {}
    client.presign_post(form()).await.map(drop).unwrap();
    refused(client.presign_post(pb::PresignPostRequest { key: String::new(), ..form() }).await);
    let unknown_signer = pb::PresignPostRequest { signer: "canary-signer".to_owned(), ..form() };
    refused(client.presign_post(unknown_signer.clone()).await);
    let no_bucket = pb::PresignPostRequest { bucket: "canary/bucket".to_owned(), ..unknown_signer };
    refused(client.presign_post(no_bucket).await);
    client.presign(write()).await.map(drop).unwrap();
}

#[tokio::test]
async fn urls_are_counted_by_request_and_outcome() {
    let sidecar = Sidecar::start(&[]).await;
    make_calls(&sidecar).await;
    let scrape = Scrape::of(&sidecar).await;
    let urls = scrape.all("presignd_urls_total", &["operation", "target", "signer", "outcome"]);
    assert_eq!(urls, expected_urls());
}

#[tokio::test]
async fn granted_and_clamped_lifetimes_are_counted() {
    let sidecar = Sidecar::start(&[]).await;
    make_calls(&sidecar).await;
    let scrape = Scrape::of(&sidecar).await;
    let clamped = scrape.all("presignd_expiry_clamped_total", &["reason", "signer"]);
    assert_eq!(clamped, [(["service_maximum", "default"].map(str::to_owned).into(), 4.0)].into());
    for (name, value) in [
        ("presignd_expiry_clamped_seconds_count", 4.0),
        ("presignd_expiry_clamped_seconds_sum", 4.0 * DAY),
        ("presignd_granted_expiry_seconds_count", 10.0),
        ("presignd_granted_expiry_seconds_sum", 6.0 * 900.0 + 4.0 * 7.0 * DAY),
        ("presignd_batch_size_count", 3.0),
        ("presignd_batch_size_sum", 7.0),
    ] {
        assert_eq!(scrape.all(name, &[]), [(Vec::new(), value)].into(), "{name}");
    }
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let sidecar = Sidecar::start(&[]).await;
    make_calls(&sidecar).await;
    let rpcs = Scrape::of(&sidecar).await.all("presignd_rpc_duration_seconds_count", &["method", "code"]);
    let expected = [
        (["Presign", "ok"], 3.0),
        (["Presign", "invalid_argument"], 3.0),
        (["Presign", "not_found"], 1.0),
        (["Presign", "failed_precondition"], 1.0),
        (["BatchPresign", "ok"], 1.0),
        (["BatchPresign", "invalid_argument"], 1.0),
        (["StreamPresign", "ok"], 1.0),
        (["PresignPost", "ok"], 1.0),
        (["PresignPost", "invalid_argument"], 2.0),
        (["PresignPost", "not_found"], 1.0),
    ];
    assert_eq!(rpcs, expected.map(|(labels, count)| (labels.map(str::to_owned).into(), count)).into());
}

#[tokio::test]
async fn sign_duration_counts_each_url_once() {
    let sidecar = Sidecar::start(&[]).await;
    make_calls(&sidecar).await;
    let signed = Scrape::of(&sidecar).await.all("presignd_sign_duration_seconds_count", &["algorithm"]);
    assert_eq!(signed, [(vec!["AWS4-HMAC-SHA256".to_owned()], 10.0)].into());
}

#[tokio::test]
async fn sign_duration_is_recorded_by_algorithm() {
    let sidecar = Sidecar::start(&[]).await;
    let multi_region = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap".to_owned();
    let requests = (0..20).map(|number| match number % 2 {
        0 => read(),
        _ => pb::PresignRequest { bucket: multi_region.clone(), ..read() },
    });
    let answer = sidecar.client().await.batch_presign(batch(requests.collect())).await;
    for result in &results(answer) {
        assert!(!url_of(result).url.is_empty());
    }
    let signed = Scrape::of(&sidecar).await.all("presignd_sign_duration_seconds_count", &["algorithm"]);
    let both = [("AWS4-ECDSA-P256-SHA256", 10.0), ("AWS4-HMAC-SHA256", 10.0)];
    assert_eq!(signed, both.map(|(name, count)| (vec![name.to_owned()], count)).into());
}

#[tokio::test]
async fn gauges_show_credentials_connections_and_version() {
    let before = presignd::clock::Clock::system().now();
    let sidecar = Sidecar::start(&[]).await;
    make_calls(&sidecar).await;
    let open_channel = sidecar.connect().await;
    let scrape = Scrape::of(&sidecar).await;
    let of_default = |name| scrape.get(name, &[("signer", "default")]);
    let never = of_default("presignd_credentials_expiry_timestamp_seconds");
    assert!(never.is_infinite() && never > 0.0, "{never}");
    let loaded = of_default("presignd_credentials_last_refresh_timestamp_seconds");
    let before = before.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((before..before + 60.0).contains(&loaded), "{loaded} is now");
    let refreshed = scrape.all("presignd_credentials_refresh_total", &["signer", "outcome"]);
    assert_eq!(refreshed, [(["default", "ok"].map(str::to_owned).into(), 1.0)].into());
    assert!(scrape.get("presignd_connections", &[]) >= 1.0);
    assert_eq!(scrape.all("presignd_inflight_requests", &[]), [(Vec::new(), 0.0)].into());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    assert_eq!(scrape.all("presignd_build_info", &["version"]), [(vec![version], 1.0)].into());
    assert!(scrape.get("process_resident_memory_bytes", &[]) > 0.0);
    drop(open_channel);
}

#[tokio::test]
async fn no_label_has_a_bucket_key_or_unknown_signer() {
    let sidecar = Sidecar::start(&[]).await;
    make_calls(&sidecar).await;
    let (_, page) = sidecar.get_page("/metrics").await;
    assert!(page.contains("presignd_urls_total"));
    let canary = page.lines().find(|line| line.contains("canary") || line.contains("demo"));
    assert_eq!(canary, None);
}
