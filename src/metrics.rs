//! The only home of the metrics crates. The recorder is ours and not global, so that two servers in one process (or
//! two tests) do not count into each other.

pub mod definitions;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use self::definitions::{Definition, Kind};
use crate::presign::{
    expiry::ClampReason, operation::OPERATIONS, presigned::PresignedRequest, sign, target::TargetKind,
};

/// Where everything is counted.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    sign_duration: Histogram,
    clamped_seconds: Histogram,
    granted_seconds: Histogram,
    batch_size: Histogram,
    connections: Gauge,
    in_flight: Gauge,
}

/// Why a connection or a call was turned away.
#[derive(Clone, Copy, Debug)]
pub enum Rejection {
    /// `limits.connections` are open.
    ConnectionLimit,
    /// The peer did not speak HTTP/2 in time.
    HandshakeTimeout,
    /// `limits.requests` are being answered.
    Overload,
    /// A request message is over `limits.message_bytes`.
    MessageTooLarge,
}

impl Metrics {
    /// A recorder of its own.
    ///
    /// # Errors
    /// When a histogram is declared without buckets.
    pub fn new() -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for definition in definitions::ALL {
            if let Kind::Histogram(buckets) = definition.kind {
                let matcher = Matcher::Full(definition.name.to_owned());
                builder = builder.set_buckets_for_metric(matcher, buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        describe(&recorder);
        let process = metrics_process::Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        let inner = Inner {
            handle: recorder.handle(),
            process,
            sign_duration: histogram(&recorder, &definitions::SIGN_DURATION, &[sign::ALGORITHM]),
            clamped_seconds: histogram(&recorder, &definitions::EXPIRY_CLAMPED_SECONDS, &[]),
            granted_seconds: histogram(&recorder, &definitions::GRANTED_EXPIRY, &[]),
            batch_size: histogram(&recorder, &definitions::BATCH_SIZE, &[]),
            connections: gauge(&recorder, &definitions::CONNECTIONS, &[]),
            in_flight: gauge(&recorder, &definitions::INFLIGHT_REQUESTS, &[]),
            recorder,
        };
        gauge(&inner.recorder, &definitions::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        inner.connections.set(0.0);
        inner.in_flight.set(0.0);
        Ok(Self(Arc::new(inner)))
    }

    /// The scrape, in Prometheus' text format.
    pub fn render(&self) -> String {
        metrics::with_local_recorder(&self.0.recorder, || self.0.process.collect());
        self.0.handle.render()
    }

    /// Moves recorded values into their buckets; to be called every few seconds, scraped or not.
    pub fn upkeep(&self) {
        self.0.handle.run_upkeep();
    }

    /// The counters of one signer.
    pub fn signer(&self, name: &str) -> SignerMetrics {
        SignerMetrics {
            metrics: self.clone(),
            name: name.to_owned(),
            urls: std::iter::repeat_with(OnceLock::new)
                .take(OPERATIONS.len() * TargetKind::ALL.len())
                .collect(),
        }
    }

    /// Counts a URL that was refused. What could not be told is `unknown`.
    pub fn url_refused(
        &self,
        operation: &'static str,
        target: &'static str,
        signer: &str,
        outcome: &'static str,
    ) {
        counter(&self.0.recorder, &definitions::URLS, &[operation, target, signer, outcome]).increment(1);
    }

    /// Records the time that signing took, for `urls` of the same chunk.
    pub fn signed(&self, took: Duration, urls: usize) {
        let urls = u32::try_from(urls).unwrap_or(u32::MAX);
        if urls > 0 {
            self.0.sign_duration.record_many((took / urls).as_secs_f64(), urls as usize);
        }
    }

    /// Records the size of a batch.
    pub fn batch(&self, items: usize) {
        self.0.batch_size.record(f64::from(u32::try_from(items).unwrap_or(u32::MAX)));
    }

    /// Records a finished call.
    pub fn rpc(&self, method: &'static str, code: &'static str, took: Duration) {
        histogram(&self.0.recorder, &definitions::RPC_DURATION, &[method, code]).record(took.as_secs_f64());
    }

    /// Counts something turned away.
    pub fn rejected(&self, why: Rejection) {
        let reason = match why {
            Rejection::ConnectionLimit => "connection_limit",
            Rejection::HandshakeTimeout => "handshake_timeout",
            Rejection::Overload => "overload",
            Rejection::MessageTooLarge => "message_too_large",
        };
        counter(&self.0.recorder, &definitions::REJECTED, &[reason]).increment(1);
    }

    /// An open connection, for as long as the guard lives.
    pub fn connection(&self) -> Counted {
        Counted::new(self.0.connections.clone())
    }

    /// A call being answered, for as long as the guard lives.
    pub fn in_flight(&self) -> Counted {
        Counted::new(self.0.in_flight.clone())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// One of something that is open or running.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The counters of one signer.
pub struct SignerMetrics {
    metrics: Metrics,
    name: String,
    /// Signed URLs by operation and kind of target: looked up once each.
    urls: Vec<OnceLock<Counter>>,
}

impl SignerMetrics {
    /// Counts a signed URL, what was granted, and what was taken off.
    pub fn signed(&self, operation: usize, target: TargetKind, presigned: &PresignedRequest<'_>) {
        if let Some(urls) = self.urls.get(operation * TargetKind::ALL.len() + target as usize) {
            urls.get_or_init(|| {
                let operation = OPERATIONS.get(operation).map_or("unknown", |known| known.name);
                let labels = [operation, target.as_str(), &self.name, "ok"];
                counter(&self.metrics.0.recorder, &definitions::URLS, &labels)
            })
            .increment(1);
        }
        let inner = &self.metrics.0;
        inner.granted_seconds.record(presigned.grant.granted.as_duration().as_secs_f64());
        if presigned.grant.reason != ClampReason::None {
            let labels = [presigned.grant.reason.as_str(), &self.name];
            counter(&inner.recorder, &definitions::EXPIRY_CLAMPED, &labels).increment(1);
            inner.clamped_seconds.record(presigned.taken_off().as_secs_f64());
        }
    }

    /// Counts an attempt to load credentials.
    pub fn refreshed(&self, outcome: &'static str) {
        counter(&self.metrics.0.recorder, &definitions::CREDENTIALS_REFRESH, &[&self.name, outcome])
            .increment(1);
    }

    /// Tells when the credentials were loaded (nothing before the first time) and when they end.
    pub fn credentials(&self, loaded_at: Option<SystemTime>, expiry: CredentialsExpiry) {
        let recorder = &self.metrics.0.recorder;
        let unix =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        gauge(recorder, &definitions::CREDENTIALS_LAST_REFRESH, &[&self.name])
            .set(loaded_at.map_or(0.0, unix));
        gauge(recorder, &definitions::CREDENTIALS_EXPIRY, &[&self.name]).set(match expiry {
            CredentialsExpiry::Missing => 0.0,
            CredentialsExpiry::Never => f64::INFINITY,
            CredentialsExpiry::At(end) => unix(end),
        });
    }
}

impl fmt::Debug for SignerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerMetrics").field("name", &self.name).finish_non_exhaustive()
    }
}

/// When a signer's credentials end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsExpiry {
    /// There are none yet.
    Missing,
    /// They do not end.
    Never,
    /// They end then.
    At(SystemTime),
}

fn describe(recorder: &PrometheusRecorder) {
    for Definition { name, kind, help, .. } in definitions::ALL {
        match kind {
            Kind::Counter => recorder.describe_counter((*name).into(), None, (*help).into()),
            Kind::Gauge => recorder.describe_gauge((*name).into(), None, (*help).into()),
            Kind::Histogram(_) => recorder.describe_histogram((*name).into(), None, (*help).into()),
        }
    }
}

fn key(definition: &Definition, values: &[&str]) -> Key {
    debug_assert_eq!(definition.labels.len(), values.len(), "{} has these labels", definition.name);
    let labels =
        definition.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(definition.name, labels.collect::<Vec<_>>())
}

const METADATA: Metadata<'static> = Metadata::new("presignd", Level::INFO, None);

fn counter(recorder: &PrometheusRecorder, definition: &Definition, values: &[&str]) -> Counter {
    recorder.register_counter(&key(definition, values), &METADATA)
}

fn gauge(recorder: &PrometheusRecorder, definition: &Definition, values: &[&str]) -> Gauge {
    recorder.register_gauge(&key(definition, values), &METADATA)
}

fn histogram(recorder: &PrometheusRecorder, definition: &Definition, values: &[&str]) -> Histogram {
    recorder.register_histogram(&key(definition, values), &METADATA)
}
