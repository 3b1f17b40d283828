//! An admitted call: its caller, deadline and request ID. It is counted and timed from its admission to its end.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::OwnedSemaphorePermit;
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};

use crate::{
    clock::Stopwatch,
    metrics::{GaugeGuard, Rejection, RpcMethod},
    service::{
        ServiceState,
        failure::{Failure, code_label},
    },
};

/// A call in progress. It has one of the `limits.requests` permits.
pub(in crate::service) struct Call {
    pub(in crate::service) state: Arc<ServiceState>,
    pub(in crate::service) context: CallContext,
    method: RpcMethod,
    accepts_gzip: bool,
    _permit: OwnedSemaphorePermit,
    _in_flight: GaugeGuard,
}

/// The caller, the deadline and the ID of a call.
pub(in crate::service) struct CallContext {
    pub(in crate::service) caller: Caller,
    pub(in crate::service) deadline: Deadline,
    pub(in crate::service) request_id: RequestId,
}

/// The client that makes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::service) enum Caller {
    /// Any client that can connect to the server: it runs with `open = true`.
    Open,
}

impl Call {
    /// Admits a call, or rejects it when `limits.requests` is reached.
    pub(in crate::service) fn admit<T>(
        state: &Arc<ServiceState>,
        method: RpcMethod,
        request: &Request<T>,
    ) -> Result<Self, Status> {
        let deadline = Deadline::from_metadata(request.metadata());
        let in_flight = state.metrics.track_call();
        let request_id = RequestId::from_metadata(request.metadata());
        let Ok(permit) = Arc::clone(&state.call_permits).try_acquire_owned() else {
            state.metrics.count_rejection(Rejection::Overload);
            let failure = Failure::Overloaded;
            state.metrics.record_rpc(method, code_label(failure.code()), deadline.started.elapsed());
            return Err(request_id.add_to_status(failure.to_status()));
        };
        Ok(Self {
            state: Arc::clone(state),
            context: CallContext { caller: Caller::Open, deadline, request_id },
            method,
            accepts_gzip: is_compressed(request),
            _permit: permit,
            _in_flight: in_flight,
        })
    }

    /// Runs the work of the call, until its deadline at most, and records its status and duration.
    pub(in crate::service) async fn run<R>(
        &self,
        work: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Status> {
        self.run_to_status(async { work.await.map_err(|failure| failure.to_status()) }).await
    }

    /// As [`Self::run`], for work that can also fail with a status of tonic.
    pub(in crate::service) async fn run_to_status<R>(
        &self,
        work: impl Future<Output = Result<R, Status>>,
    ) -> Result<R, Status> {
        let deadline = self.context.deadline;
        let result = match deadline.remaining() {
            Some(remaining) => tokio::time::timeout(remaining, work)
                .await
                .unwrap_or_else(|_| Err(Failure::DeadlineExceeded.to_status())),
            None => work.await,
        };
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.state.metrics.record_rpc(self.method, code_label(code), deadline.started.elapsed());
        result.map_err(|status| self.context.request_id.add_to_status(status))
    }

    /// The response with this body and the ID of the call. It is compressed only if the request is.
    pub(in crate::service) fn respond<R>(&self, body: R) -> Response<R> {
        let mut response = Response::new(body);
        self.context.request_id.add_to(response.metadata_mut());
        if !self.accepts_gzip {
            response.disable_compression();
        }
        response
    }
}

/// Whether the request uses gzip. `grpc-accept-encoding` does not show whether the caller wants a compressed response:
/// gRPC clients send it by default, and over loopback compression only costs time.
fn is_compressed<T>(request: &Request<T>) -> bool {
    request.metadata().get("grpc-encoding").is_some_and(|encoding| encoding == "gzip")
}

/// The time until which the caller waits for the response.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Deadline {
    started: Stopwatch,
    limit: Option<Duration>,
}

impl Deadline {
    fn from_metadata(metadata: &MetadataMap) -> Self {
        Self { started: Stopwatch::start(), limit: parse_grpc_timeout(metadata) }
    }

    /// The remaining time; `None` if the caller has set no deadline.
    pub(in crate::service) fn remaining(self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.started.elapsed()))
    }
}

/// Parses `grpc-timeout`: at most eight digits and a unit.
///
/// Source: [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
fn parse_grpc_timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// The metadata key of the request ID, in requests and in responses.
pub const REQUEST_ID: &str = "x-request-id";

/// The status for a request message of more than `limit` bytes, which tonic rejects before the call is admitted. `sent` is
/// the request ID that the caller sent.
pub fn message_too_large(limit: usize, sent: Option<&[u8]>) -> Status {
    let sent = sent.and_then(|id| MetadataValue::try_from(id).ok());
    let status = Failure::MessageTooLarge { limit }.to_status();
    RequestId::accept_or_generate(sent.as_ref()).add_to_status(status)
}

/// The longest ID that is accepted from a caller. A longer one is replaced.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The ID of a call: the `x-request-id` that the caller sent, or a generated one that is unique across processes.
#[derive(Clone, Debug)]
pub(in crate::service) enum RequestId {
    /// Sent by the caller.
    FromCaller(MetadataValue<Ascii>),
    /// Generated; the number of the call in this process.
    Generated(u64),
}

/// The first half of generated IDs: a random number for this process.
static PROCESS_ID_PREFIX: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

impl RequestId {
    fn from_metadata(metadata: &MetadataMap) -> Self {
        Self::accept_or_generate(metadata.get(REQUEST_ID))
    }

    /// The ID that the caller sent, if it is usable; otherwise a generated one.
    fn accept_or_generate(sent: Option<&MetadataValue<Ascii>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let is_usable = |id: &&MetadataValue<Ascii>| {
            let bytes = id.as_encoded_bytes();
            (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        match sent.filter(is_usable) {
            Some(id) => Self::FromCaller(id.clone()),
            None => Self::Generated(NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn add_to(&self, metadata: &mut MetadataMap) {
        let value = match self {
            Self::FromCaller(id) => Some(id.clone()),
            Self::Generated(_) => self.to_string().parse().ok(),
        };
        if let Some(value) = value {
            metadata.insert(REQUEST_ID, value);
        }
    }

    fn add_to_status(&self, mut status: Status) -> Status {
        self.add_to(status.metadata_mut());
        status
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromCaller(id) => f.write_str(id.to_str().unwrap_or_default()),
            Self::Generated(number) => write!(f, "{:016x}{number:016x}", *PROCESS_ID_PREFIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata_with(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    #[test]
    fn grpc_timeout_is_parsed_in_each_unit() {
        for (text, expected) in [
            ("2H", Some(Duration::from_hours(2))),
            ("3M", Some(Duration::from_mins(3))),
            ("5S", Some(Duration::from_secs(5))),
            ("7m", Some(Duration::from_millis(7))),
            ("11u", Some(Duration::from_micros(11))),
            ("13n", Some(Duration::from_nanos(13))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("123456789S", None),
            ("5", None),
            ("S", None),
            ("5x", None),
        ] {
            assert_eq!(parse_grpc_timeout(&metadata_with("grpc-timeout", text)), expected, "{text}");
        }
    }

    #[test]
    fn a_usable_request_id_of_the_caller_is_kept() {
        let long = "x".repeat(MAX_REQUEST_ID_BYTES + 1);
        for (sent, is_kept) in
            [("abc-1", true), (&long[1..], true), (&long, false), ("a b", false), ("", false)]
        {
            let id = RequestId::from_metadata(&metadata_with(REQUEST_ID, sent)).to_string();
            assert_eq!(id == sent, is_kept, "{sent:?}: {id:?}");
        }
    }

    #[test]
    fn generated_request_ids_differ() {
        let [first, second] = [(); 2].map(|()| RequestId::from_metadata(&MetadataMap::new()));
        assert_ne!(first.to_string(), second.to_string());
        let mut metadata = MetadataMap::new();
        first.add_to(&mut metadata);
        assert_eq!(metadata.get(REQUEST_ID).unwrap().to_str().unwrap(), first.to_string());
    }
}
