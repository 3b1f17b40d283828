//! Every metric's name, labels, help and buckets, declared once. A test holds the README's table against this one.

use super::definitions::Kind::{Counter, Gauge, Histogram};

/// What a metric measures.
#[derive(Debug)]
pub struct Definition {
    /// The name, unit included.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// Its labels. None ever holds a bucket, a key or a user.
    pub labels: &'static [&'static str],
    /// One sentence for whoever reads the scrape.
    pub help: &'static str,
}

/// How a metric is counted.
#[derive(Debug)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram(&'static [f64]),
}

/// From 500 ns: signing takes a few microseconds.
const SIGNING_SECONDS: &[f64] =
    &[0.5e-6, 1e-6, 2e-6, 3e-6, 5e-6, 7.5e-6, 10e-6, 15e-6, 25e-6, 50e-6, 100e-6, 250e-6, 1e-3, 10e-3];
const RPC_SECONDS: &[f64] = &[
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 1.0, 5.0,
];
/// From a second to seven days, at the lengths that people ask for.
const EXPIRY_SECONDS: &[f64] = &[
    1.0, 10.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0, 259_200.0,
    604_800.0,
];
const BATCH_ITEMS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];

/// Declares each definition as a constant and all of them as one table.
macro_rules! definitions {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $constant: Definition =
                Definition { name: $name, kind: $kind, labels: &[$($label),*], help: $help };
        )+

        /// Every metric of presignd, beside the `process_*` family.
        pub static ALL: &[&Definition] = &[$(&$constant),+];
    };
}

definitions! {
    SIGN_DURATION = "presignd_sign_duration_seconds", Histogram(SIGNING_SECONDS), ["algorithm"],
        "Time to sign one URL: the signing stage alone. In a batch every eighth is timed, and stands for the eight.";
    RPC_DURATION = "presignd_rpc_duration_seconds", Histogram(RPC_SECONDS), ["method", "code"],
        "Time from a decoded request to its response; for StreamPresign, the life of the stream.";
    URLS = "presignd_urls_total", Counter, ["operation", "target", "signer", "outcome"],
        "URLs asked for, by what came of them.";
    EXPIRY_CLAMPED = "presignd_expiry_clamped_total", Counter, ["reason", "signer"],
        "URLs that work for less time than was asked for, by the bound that was met.";
    EXPIRY_CLAMPED_SECONDS = "presignd_expiry_clamped_seconds", Histogram(EXPIRY_SECONDS), [],
        "Time taken off by clamping.";
    GRANTED_EXPIRY = "presignd_granted_expiry_seconds", Histogram(EXPIRY_SECONDS), [],
        "Expiry granted.";
    BATCH_SIZE = "presignd_batch_size", Histogram(BATCH_ITEMS), [],
        "Requests in one batch, of BatchPresign and of each message of StreamPresign.";
    CREDENTIALS_EXPIRY = "presignd_credentials_expiry_timestamp_seconds", Gauge, ["signer"],
        "When the signer's credentials end, in Unix time; +Inf for those that do not, 0 before the first, NaN once a reload removed the signer.";
    CREDENTIALS_LAST_REFRESH = "presignd_credentials_last_refresh_timestamp_seconds", Gauge, ["signer"],
        "When the provider last handed out the signer's credentials, in Unix time; 0 before the first time.";
    CREDENTIALS_REFRESH = "presignd_credentials_refresh_total", Counter, ["signer", "outcome"],
        "Attempts to load credentials: ok, unchanged (the same as before), expired (they had ended) or error.";
    EXPRESS_SESSIONS = "presignd_express_sessions_total", Counter, ["signer", "outcome"],
        "Sessions for directory buckets that S3 was asked for: ok or error.";
    CONFIG_RELOADS = "presignd_config_reloads_total", Counter, ["outcome"],
        "Reloads of the configuration on SIGHUP: ok (all of it) or error (nothing was changed).";
    REJECTED = "presignd_rejected_total", Counter, ["reason"],
        "Connections and calls turned away before any work.";
    CONNECTIONS = "presignd_connections", Gauge, [],
        "Open gRPC connections.";
    INFLIGHT_REQUESTS = "presignd_inflight_requests", Gauge, [],
        "Calls being answered, open streams included.";
    BUILD_INFO = "presignd_build_info", Gauge, ["version"],
        "Always 1; the label tells what runs.";
}
