//! Metrics, and the only module that uses the metrics crates. Each server has its own recorder instead of the global one,
//! so that two servers or tests in one process do not count together.

mod call_counts;
pub mod definitions;
mod histogram;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub use self::call_counts::CallCounts;
use self::{
    definitions::{MetricDefinition, MetricKind},
    histogram::HistogramFamily,
};
use crate::presign::{
    expiry::{ClampReason, Grant},
    operation::{self, Operation},
    post,
    sign::Algorithm,
    target::TargetKind,
};

/// The metrics of one server. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    sign_duration: HistogramFamily,
    rpc_duration: HistogramFamily,
    clamped_seconds: HistogramFamily,
    granted_seconds: HistogramFamily,
    batch_size: HistogramFamily,
    connections: Gauge,
    in_flight: Gauge,
}

/// The RPCs of the service.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named as in the contract")]
pub enum RpcMethod {
    Presign,
    BatchPresign,
    StreamPresign,
    PresignPost,
    Explain,
}

/// The name of each [`RpcMethod`], in the order of the discriminants.
const METHODS: [&str; 5] = ["Presign", "BatchPresign", "StreamPresign", "PresignPost", "Explain"];

/// The number of status codes in gRPC.
///
/// Source: [Status codes](https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
const CODES: usize = 17;

impl RpcMethod {
    fn as_str(self) -> &'static str {
        METHODS[self as usize]
    }
}

/// Why a connection or a call was rejected.
#[derive(Clone, Copy, Debug)]
pub enum Rejection {
    /// `limits.connections` is reached.
    ConnectionLimit,
    /// The peer sent no HTTP/2 preface within `limits.handshake_time`.
    HandshakeTimeout,
    /// `limits.requests` is reached.
    Overload,
    /// A request message exceeds `limits.message_bytes`.
    MessageTooLarge,
}

impl Default for Metrics {
    /// Metrics with their own recorder.
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        describe_metrics(&recorder);
        let process = metrics_process::Collector::default();
        metrics::with_local_recorder(&recorder, || process.describe());
        let inner = Inner {
            handle: recorder.handle(),
            process,
            sign_duration: HistogramFamily::new(&definitions::SIGN_DURATION, Algorithm::ALL.len()),
            rpc_duration: HistogramFamily::new(&definitions::RPC_DURATION, METHODS.len() * CODES),
            clamped_seconds: HistogramFamily::new(&definitions::EXPIRY_CLAMPED_SECONDS, 1),
            granted_seconds: HistogramFamily::new(&definitions::GRANTED_EXPIRY, 1),
            batch_size: HistogramFamily::new(&definitions::BATCH_SIZE, 1),
            connections: register_gauge(&recorder, &definitions::CONNECTIONS, &[]),
            in_flight: register_gauge(&recorder, &definitions::INFLIGHT_REQUESTS, &[]),
            recorder,
        };
        register_gauge(&inner.recorder, &definitions::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        inner.connections.set(0.0);
        inner.in_flight.set(0.0);
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// Renders all metrics in Prometheus' text format.
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

    /// The metrics of the signer with this name.
    pub fn signer(&self, name: &str) -> SignerMetrics {
        SignerMetrics {
            metrics: self.clone(),
            name: name.to_owned(),
            urls: std::iter::repeat_with(OnceLock::new)
                .take(OPERATION_LABELS * TargetKind::ALL.len())
                .collect(),
        }
    }

    /// Counts a URL or form that was not signed. A label that could not be determined is `unknown`.
    pub fn count_rejected_url(
        &self,
        operation: &'static str,
        target: &'static str,
        signer: &str,
        outcome: &'static str,
    ) {
        register_counter(&self.0.recorder, &definitions::URLS, &[operation, target, signer, outcome])
            .increment(1);
    }

    /// Records the time that one signature took, for this many URLs.
    fn record_sign_duration(&self, algorithm: Algorithm, duration: Duration, urls: u64) {
        self.0.sign_duration.record(algorithm as usize, &[algorithm.as_str()], duration.as_secs_f64(), urls);
    }

    /// Records the size of a batch.
    pub fn record_batch_size(&self, items: usize) {
        self.0.batch_size.record(0, &[], f64::from(u32::try_from(items).unwrap_or(u32::MAX)), 1);
    }

    /// Records a finished call. `code` is the number and the name of its gRPC status.
    pub fn record_rpc(&self, method: RpcMethod, code: (usize, &'static str), duration: Duration) {
        let index = method as usize * CODES + code.0;
        self.0.rpc_duration.record(index, &[method.as_str(), code.1], duration.as_secs_f64(), 1);
    }

    /// Counts a rejected connection or call.
    pub fn count_rejection(&self, rejection: Rejection) {
        let reason = match rejection {
            Rejection::ConnectionLimit => "connection_limit",
            Rejection::HandshakeTimeout => "handshake_timeout",
            Rejection::Overload => "overload",
            Rejection::MessageTooLarge => "message_too_large",
        };
        register_counter(&self.0.recorder, &definitions::REJECTED, &[reason]).increment(1);
    }

    /// Counts a reload of the configuration: `ok` or `error`.
    pub fn count_reload(&self, outcome: &'static str) {
        register_counter(&self.0.recorder, &definitions::CONFIG_RELOADS, &[outcome]).increment(1);
    }

    /// Counts an open connection until the guard is dropped.
    pub fn track_connection(&self) -> GaugeGuard {
        GaugeGuard::new(self.0.connections.clone())
    }

    /// Counts a call in progress until the guard is dropped.
    pub fn track_call(&self) -> GaugeGuard {
        GaugeGuard::new(self.0.in_flight.clone())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Adds 1 to a gauge, and subtracts it again when it is dropped.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The `operation` label of an operation or a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OperationLabel {
    /// The value of the label.
    pub name: &'static str,
    /// Unique, and less than [`OPERATION_LABELS`].
    index: usize,
}

/// The number of operation labels: one for each operation, and one for forms.
const OPERATION_LABELS: usize = operation::OPERATION_COUNT + 1;

impl OperationLabel {
    /// The label of forms.
    pub const FORM: Self = Self { name: post::OPERATION_NAME, index: operation::OPERATION_COUNT };

    /// The label of an operation.
    pub fn of(operation: &Operation<'_>) -> Self {
        Self { name: operation.name, index: operation.index }
    }
}

/// The metrics of one signer. Its name is the `signer` label.
#[derive(Clone)]
pub struct SignerMetrics {
    metrics: Metrics,
    name: String,
    /// The counters of signed URLs by operation and kind of target, each registered at its first use.
    urls: Vec<OnceLock<Counter>>,
}

impl SignerMetrics {
    /// Counts signed URLs with the same labels and lifetimes. Each was shortened by `clamped_by`.
    fn count_signed(
        &self,
        operation: OperationLabel,
        target: TargetKind,
        grant: Grant,
        clamped_by: Duration,
        urls: u64,
    ) {
        let inner = &self.metrics.0;
        if let Some(counter_slot) = self.urls.get(operation.index * TargetKind::ALL.len() + target as usize) {
            let register = || {
                let labels = [operation.name, target.as_str(), &self.name, "ok"];
                register_counter(&inner.recorder, &definitions::URLS, &labels)
            };
            counter_slot.get_or_init(register).increment(urls);
        }
        self.record_grants(grant, clamped_by, urls);
    }

    fn record_grants(&self, grant: Grant, clamped_by: Duration, urls: u64) {
        let inner = &self.metrics.0;
        inner.granted_seconds.record(0, &[], grant.granted.as_duration().as_secs_f64(), urls);
        if grant.reason != ClampReason::None {
            let labels = [grant.reason.as_str(), &self.name];
            register_counter(&inner.recorder, &definitions::EXPIRY_CLAMPED, &labels).increment(urls);
            inner.clamped_seconds.record(0, &[], clamped_by.as_secs_f64(), urls);
        }
    }

    /// Counts an attempt to load credentials.
    pub fn count_refresh(&self, outcome: &'static str) {
        register_counter(&self.metrics.0.recorder, &definitions::CREDENTIALS_REFRESH, &[&self.name, outcome])
            .increment(1);
    }

    /// Counts a `CreateSession` call to S3.
    pub fn count_session(&self, outcome: &'static str) {
        register_counter(&self.metrics.0.recorder, &definitions::EXPRESS_SESSIONS, &[&self.name, outcome])
            .increment(1);
    }

    /// Sets when the provider last returned credentials.
    pub fn set_last_refresh(&self, at: SystemTime) {
        self.set_gauge(&definitions::CREDENTIALS_LAST_REFRESH, to_unix_seconds(at));
    }

    /// Sets when the credentials expire; `None` if they do not.
    pub fn set_expiry(&self, expires_at: Option<SystemTime>) {
        self.set_gauge(&definitions::CREDENTIALS_EXPIRY, expires_at.map_or(f64::INFINITY, to_unix_seconds));
    }

    /// Sets the gauges of a signer that has never had credentials.
    pub fn set_no_credentials(&self) {
        self.set_gauge(&definitions::CREDENTIALS_LAST_REFRESH, 0.0);
        self.set_gauge(&definitions::CREDENTIALS_EXPIRY, 0.0);
    }

    /// Sets the gauges of a signer that a reload has removed to NaN, with which no comparison of an alert is true.
    pub fn set_removed(&self) {
        self.set_gauge(&definitions::CREDENTIALS_LAST_REFRESH, f64::NAN);
        self.set_gauge(&definitions::CREDENTIALS_EXPIRY, f64::NAN);
    }

    fn set_gauge(&self, definition: &MetricDefinition, value: f64) {
        register_gauge(&self.metrics.0.recorder, definition, &[&self.name]).set(value);
    }
}

fn to_unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl fmt::Debug for SignerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerMetrics").field("name", &self.name).finish_non_exhaustive()
    }
}

fn describe_metrics(recorder: &PrometheusRecorder) {
    for MetricDefinition { name, kind, help, .. } in definitions::ALL {
        match kind {
            MetricKind::Counter => recorder.describe_counter((*name).into(), None, (*help).into()),
            MetricKind::Gauge => recorder.describe_gauge((*name).into(), None, (*help).into()),
            // Rendered by `histogram`.
            MetricKind::Histogram(_) => {}
        }
    }
}

fn metric_key(definition: &MetricDefinition, values: &[&str]) -> Key {
    debug_assert_eq!(
        definition.labels.len(),
        values.len(),
        "one value for each label of {}",
        definition.name
    );
    let labels =
        definition.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(definition.name, labels.collect::<Vec<_>>())
}

const METADATA: Metadata<'static> = Metadata::new("presignd", Level::INFO, None);

fn register_counter(
    recorder: &PrometheusRecorder,
    definition: &MetricDefinition,
    values: &[&str],
) -> Counter {
    recorder.register_counter(&metric_key(definition, values), &METADATA)
}

fn register_gauge(recorder: &PrometheusRecorder, definition: &MetricDefinition, values: &[&str]) -> Gauge {
    recorder.register_gauge(&metric_key(definition, values), &METADATA)
}
