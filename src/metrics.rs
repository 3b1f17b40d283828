//! The only home of the metrics crates. The recorder is ours and not global, so that two servers in one process (or
//! two tests) do not count into each other.

pub mod definitions;
mod histogram;
mod tally;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub use self::tally::Tally;
use self::{
    definitions::{Definition, Kind},
    histogram::Family,
};
use crate::presign::{
    expiry::{ClampReason, Grant},
    operation::{self, Operation},
    post,
    sign::Algorithm,
    target::TargetKind,
};

/// Where everything is counted.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    sign_duration: Family,
    rpc_duration: Family,
    clamped_seconds: Family,
    granted_seconds: Family,
    batch_size: Family,
    connections: Gauge,
    in_flight: Gauge,
}

/// The calls of the service.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named as in the contract")]
pub enum Method {
    Presign,
    BatchPresign,
    StreamPresign,
    PresignPost,
    Explain,
}

/// Every [`Method`], in the order of their discriminants.
const METHODS: [&str; 5] = ["Presign", "BatchPresign", "StreamPresign", "PresignPost", "Explain"];

/// How many status codes gRPC has.
///
/// Source: [Status codes](https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
const CODES: usize = 17;

impl Method {
    fn as_str(self) -> &'static str {
        METHODS[self as usize]
    }
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

impl Default for Metrics {
    /// A recorder of its own.
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        describe(&recorder);
        let process = metrics_process::Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        let inner = Inner {
            handle: recorder.handle(),
            process,
            sign_duration: Family::new(&definitions::SIGN_DURATION, Algorithm::ALL.len()),
            rpc_duration: Family::new(&definitions::RPC_DURATION, METHODS.len() * CODES),
            clamped_seconds: Family::new(&definitions::EXPIRY_CLAMPED_SECONDS, 1),
            granted_seconds: Family::new(&definitions::GRANTED_EXPIRY, 1),
            batch_size: Family::new(&definitions::BATCH_SIZE, 1),
            connections: gauge(&recorder, &definitions::CONNECTIONS, &[]),
            in_flight: gauge(&recorder, &definitions::INFLIGHT_REQUESTS, &[]),
            recorder,
        };
        gauge(&inner.recorder, &definitions::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        inner.connections.set(0.0);
        inner.in_flight.set(0.0);
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// The scrape, in Prometheus' text format.
    pub fn render(&self) -> String {
        let inner = &self.0;
        metrics::with_local_recorder(&inner.recorder, || inner.process.collect());
        let mut text = inner.handle.render();
        for family in [
            &inner.sign_duration,
            &inner.rpc_duration,
            &inner.clamped_seconds,
            &inner.granted_seconds,
            &inner.batch_size,
        ] {
            family.render(&mut text);
        }
        text
    }

    /// The counters of one signer.
    pub fn signer(&self, name: &str) -> SignerMetrics {
        SignerMetrics {
            metrics: self.clone(),
            name: name.to_owned(),
            urls: std::iter::repeat_with(OnceLock::new)
                .take(OPERATION_LABELS * TargetKind::ALL.len())
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

    /// Records the time that signing a URL took, which stands for so many.
    fn sign_duration(&self, algorithm: Algorithm, took: Duration, urls: u64) {
        self.0.sign_duration.record(algorithm as usize, &[algorithm.as_str()], took.as_secs_f64(), urls);
    }

    /// Records the size of a batch.
    pub fn batch(&self, items: usize) {
        self.0.batch_size.record(0, &[], f64::from(u32::try_from(items).unwrap_or(u32::MAX)), 1);
    }

    /// Records a finished call.
    pub fn rpc(&self, method: Method, code: (usize, &'static str), took: Duration) {
        let member = method as usize * CODES + code.0;
        self.0.rpc_duration.record(member, &[method.as_str(), code.1], took.as_secs_f64(), 1);
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

    /// Counts a reload of the configuration.
    pub fn reloaded(&self, outcome: &'static str) {
        counter(&self.0.recorder, &definitions::CONFIG_RELOADS, &[outcome]).increment(1);
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

/// An operation as the metrics count it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OperationLabel {
    /// The value of the label.
    pub name: &'static str,
    /// A number below [`OPERATION_LABELS`] that no other operation has.
    index: usize,
}

/// How many operations the metrics count, forms included.
const OPERATION_LABELS: usize = operation::OPERATION_COUNT + 1;

impl OperationLabel {
    /// A form, which is no operation of a URL.
    pub const FORM: Self = Self { name: post::OPERATION_NAME, index: operation::OPERATION_COUNT };

    /// The label of an operation.
    pub fn of(operation: &Operation<'_>) -> Self {
        Self { name: operation.name, index: operation.index }
    }
}

/// The counters of one signer.
#[derive(Clone)]
pub struct SignerMetrics {
    metrics: Metrics,
    name: String,
    /// Signed URLs by operation and kind of target: looked up once each.
    urls: Vec<OnceLock<Counter>>,
}

impl SignerMetrics {
    /// Counts signed URLs that are alike, what was granted to each, and what was taken off.
    fn signed(
        &self,
        operation: OperationLabel,
        target: TargetKind,
        grant: Grant,
        taken_off: Duration,
        urls: u64,
    ) {
        let inner = &self.metrics.0;
        if let Some(urls_of) = self.urls.get(operation.index * TargetKind::ALL.len() + target as usize) {
            let new = || {
                let labels = [operation.name, target.as_str(), &self.name, "ok"];
                counter(&inner.recorder, &definitions::URLS, &labels)
            };
            urls_of.get_or_init(new).increment(urls);
        }
        self.granted(grant, taken_off, urls);
    }

    fn granted(&self, grant: Grant, taken_off: Duration, urls: u64) {
        let inner = &self.metrics.0;
        inner.granted_seconds.record(0, &[], grant.granted.as_duration().as_secs_f64(), urls);
        if grant.reason != ClampReason::None {
            let labels = [grant.reason.as_str(), &self.name];
            counter(&inner.recorder, &definitions::EXPIRY_CLAMPED, &labels).increment(urls);
            inner.clamped_seconds.record(0, &[], taken_off.as_secs_f64(), urls);
        }
    }

    /// Counts an attempt to load credentials.
    pub fn refreshed(&self, outcome: &'static str) {
        counter(&self.metrics.0.recorder, &definitions::CREDENTIALS_REFRESH, &[&self.name, outcome])
            .increment(1);
    }

    /// Counts an attempt to have a session of S3 Express.
    pub fn session(&self, outcome: &'static str) {
        counter(&self.metrics.0.recorder, &definitions::EXPRESS_SESSIONS, &[&self.name, outcome])
            .increment(1);
    }

    /// Tells when the provider last handed credentials out.
    pub fn loaded(&self, at: SystemTime) {
        self.set(&definitions::CREDENTIALS_LAST_REFRESH, unix(at));
    }

    /// Tells when the credentials end, if they do.
    pub fn expiry(&self, end: Option<SystemTime>) {
        self.set(&definitions::CREDENTIALS_EXPIRY, end.map_or(f64::INFINITY, unix));
    }

    /// Tells that there have been no credentials yet.
    pub fn no_credentials(&self) {
        self.set(&definitions::CREDENTIALS_LAST_REFRESH, 0.0);
        self.set(&definitions::CREDENTIALS_EXPIRY, 0.0);
    }

    /// Tells that there is no such signer any more: no alert compares with what is not a number.
    pub fn gone(&self) {
        self.set(&definitions::CREDENTIALS_LAST_REFRESH, f64::NAN);
        self.set(&definitions::CREDENTIALS_EXPIRY, f64::NAN);
    }

    fn set(&self, definition: &Definition, value: f64) {
        gauge(&self.metrics.0.recorder, definition, &[&self.name]).set(value);
    }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl fmt::Debug for SignerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerMetrics").field("name", &self.name).finish_non_exhaustive()
    }
}

fn describe(recorder: &PrometheusRecorder) {
    for Definition { name, kind, help, .. } in definitions::ALL {
        match kind {
            Kind::Counter => recorder.describe_counter((*name).into(), None, (*help).into()),
            Kind::Gauge => recorder.describe_gauge((*name).into(), None, (*help).into()),
            // Ours: see `histogram`.
            Kind::Histogram(_) => {}
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
