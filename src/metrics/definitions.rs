//! The name, labels, help text and buckets of every metric. A test compares them with the table in `docs/operations.md`.

use super::definitions::MetricKind::{Counter, Gauge, Histogram};

/// One metric.
#[derive(Debug)]
pub struct MetricDefinition {
    /// The name, with the unit.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// The names of its labels. No label has a bucket, a key or a user as its value.
    pub labels: &'static [&'static str],
    /// The help text in the scrape.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug)]
pub enum MetricKind {
    /// Only increases.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Counts values in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// Starts at 500 ns, because signing takes a few microseconds.
const SIGNING_SECONDS: &[f64] =
    &[0.5e-6, 1e-6, 2e-6, 3e-6, 5e-6, 7.5e-6, 10e-6, 15e-6, 25e-6, 50e-6, 100e-6, 250e-6, 1e-3, 10e-3];
const RPC_SECONDS: &[f64] = &[
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 1.0, 5.0,
];
/// From one second to seven days, at the lifetimes that callers usually request.
const EXPIRY_SECONDS: &[f64] = &[
    1.0, 10.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0, 259_200.0,
    604_800.0,
];
const BATCH_ITEMS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];

/// Declares a static for each metric, and [`ALL`] with all of them.
macro_rules! definitions {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`, described by its help text.")]
            pub static $constant: MetricDefinition =
                MetricDefinition { name: $name, kind: $kind, labels: &[$($label),*], help: $help };
        )+

        /// Every metric of presignd. The `process_*` metrics are declared by their own crate.
        pub static ALL: &[&MetricDefinition] = &[$(&$constant),+];
    };
}

definitions! {
    SIGN_DURATION = "presignd_sign_duration_seconds", Histogram(SIGNING_SECONDS), ["algorithm"],
        "Time to sign one URL, without decoding and encoding. In a batch one signature in eight is measured and counted eight times.";
    RPC_DURATION = "presignd_rpc_duration_seconds", Histogram(RPC_SECONDS), ["method", "code"],
        "Time from a received request to its response; for StreamPresign, the duration of the stream.";
    URLS = "presignd_urls_total", Counter, ["operation", "target", "signer", "outcome"],
        "Requested URLs and forms, by outcome: ok, or the gRPC code of the error in lower case.";
    EXPIRY_CLAMPED = "presignd_expiry_clamped_total", Counter, ["reason", "signer"],
        "URLs and forms that were granted a shorter lifetime than requested, by the limit that applied.";
    EXPIRY_CLAMPED_SECONDS = "presignd_expiry_clamped_seconds", Histogram(EXPIRY_SECONDS), [],
        "Requested minus granted lifetime of clamped URLs and forms.";
    GRANTED_EXPIRY = "presignd_granted_expiry_seconds", Histogram(EXPIRY_SECONDS), [],
        "Granted lifetime of URLs and forms.";
    BATCH_SIZE = "presignd_batch_size", Histogram(BATCH_ITEMS), [],
        "Requests in one BatchPresign call, or in one message of StreamPresign.";
    CREDENTIALS_EXPIRY = "presignd_credentials_expiry_timestamp_seconds", Gauge, ["signer"],
        "When the signer's credentials expire, in Unix time; +Inf if they do not expire, 0 before the first ones are loaded, NaN once a reload has removed the signer.";
    CREDENTIALS_LAST_REFRESH = "presignd_credentials_last_refresh_timestamp_seconds", Gauge, ["signer"],
        "When the provider last returned credentials for the signer, in Unix time; 0 before the first time, NaN once a reload has removed the signer.";
    CREDENTIALS_REFRESH = "presignd_credentials_refresh_total", Counter, ["signer", "outcome"],
        "Attempts to load credentials: ok, unchanged (the same as before), expired (already expired when returned) or error.";
    EXPRESS_SESSIONS = "presignd_express_sessions_total", Counter, ["signer", "outcome"],
        "CreateSession calls to S3 for directory buckets: ok or error.";
    CONFIG_RELOADS = "presignd_config_reloads_total", Counter, ["outcome"],
        "Configuration reloads on SIGHUP: ok (applied as a whole) or error (nothing was changed).";
    REJECTED = "presignd_rejected_total", Counter, ["reason"],
        "Connections and calls rejected before any work: connection_limit, handshake_timeout, overload or message_too_large.";
    CONNECTIONS = "presignd_connections", Gauge, [],
        "Open gRPC connections.";
    INFLIGHT_REQUESTS = "presignd_inflight_requests", Gauge, [],
        "Calls in progress, open streams included.";
    BUILD_INFO = "presignd_build_info", Gauge, ["version"],
        "Always 1; the label has the version of the running server.";
}
