//! One admitted call: who makes it, until when, under which ID; counted and timed from admission to its end.

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

/// A call within the limit of `limits.requests`, from its headers to its end.
pub(in crate::service) struct Call {
    pub(in crate::service) state: Arc<ServiceState>,
    pub(in crate::service) context: CallContext,
    method: RpcMethod,
    accepts_gzip: bool,
    _permit: OwnedSemaphorePermit,
    _in_flight: GaugeGuard,
}

/// What every step of a call may ask about it.
pub(in crate::service) struct CallContext {
    pub(in crate::service) caller: Caller,
    pub(in crate::service) deadline: Deadline,
    pub(in crate::service) request_id: RequestId,
}

/// Who makes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::service) enum Caller {
    /// Any peer that reaches a socket: the server runs with `open = true`.
    Open,
}

impl Call {
    /// Admits a call, or counts why not.
    pub(in crate::service) fn admit<T>(
        state: &Arc<ServiceState>,
        method: RpcMethod,
        request: &Request<T>,
    ) -> Result<Self, Status> {
        let deadline = Deadline::of(request.metadata());
        let in_flight = state.metrics.track_call();
        let request_id = RequestId::of(request.metadata());
        let Ok(permit) = Arc::clone(&state.requests).try_acquire_owned() else {
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

    /// Does the work of the call, until its deadline, and records how it ended.
    pub(in crate::service) async fn run<R>(
        &self,
        work: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Status> {
        self.run_to_status(async { work.await.map_err(|failure| failure.to_status()) }).await
    }

    /// As [`Self::run`], for work that also fails with what tonic reports.
    pub(in crate::service) async fn run_to_status<R>(
        &self,
        work: impl Future<Output = Result<R, Status>>,
    ) -> Result<R, Status> {
        let deadline = self.context.deadline;
        let ended = match deadline.remaining() {
            Some(remaining) => tokio::time::timeout(remaining, work)
                .await
                .unwrap_or_else(|_| Err(Failure::DeadlineExceeded.to_status())),
            None => work.await,
        };
        let code = ended.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.state.metrics.record_rpc(self.method, code_label(code), deadline.started.elapsed());
        ended.map_err(|status| self.context.request_id.add_to_status(status))
    }

    /// The response with this body: with the ID of the call, and compressed only where the caller compresses.
    pub(in crate::service) fn respond<R>(&self, body: R) -> Response<R> {
        let mut response = Response::new(body);
        self.context.request_id.add_to(response.metadata_mut());
        if !self.accepts_gzip {
            response.disable_compression();
        }
        response
    }
}

/// Every stock client says that it could read gzip, but over loopback compression only costs time: the caller that
/// compresses its own messages wants it.
fn is_compressed<T>(request: &Request<T>) -> bool {
    request.metadata().get("grpc-encoding").is_some_and(|encoding| encoding == "gzip")
}

/// Until when the caller waits for the answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Deadline {
    started: Stopwatch,
    limit: Option<Duration>,
}

impl Deadline {
    fn of(metadata: &MetadataMap) -> Self {
        Self { started: Stopwatch::start(), limit: parse_grpc_timeout(metadata) }
    }

    /// The time left; nothing when the caller set no deadline.
    pub(in crate::service) fn remaining(self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.started.elapsed()))
    }
}

/// `grpc-timeout`, in whole units of at most eight digits.
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

/// The metadata key of a call's ID, in requests and in responses.
const REQUEST_ID: &str = "x-request-id";

/// The longest ID that is taken over from a caller; a longer one is replaced.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Names a call: what the caller sent as `x-request-id`, or a number that no other call of any process has.
#[derive(Clone, Debug)]
pub(in crate::service) enum RequestId {
    /// Sent by the caller.
    Given(MetadataValue<Ascii>),
    /// Made here.
    Made(u64),
}

/// The part of made IDs that differs between processes.
static PROCESS_ID_PREFIX: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

impl RequestId {
    fn of(metadata: &MetadataMap) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let is_usable = |id: &&MetadataValue<Ascii>| {
            let bytes = id.as_encoded_bytes();
            (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        match metadata.get(REQUEST_ID).filter(is_usable) {
            Some(id) => Self::Given(id.clone()),
            None => Self::Made(NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn add_to(&self, metadata: &mut MetadataMap) {
        let value = match self {
            Self::Given(id) => Some(id.clone()),
            Self::Made(_) => self.to_string().parse().ok(),
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
            Self::Given(id) => f.write_str(id.to_str().unwrap_or_default()),
            Self::Made(number) => write!(f, "{:016x}{number:016x}", *PROCESS_ID_PREFIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    #[test]
    fn grpc_timeout_is_read_in_each_unit() {
        for (text, expected) in [
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
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
            assert_eq!(parse_grpc_timeout(&with("grpc-timeout", text)), expected, "{text}");
        }
    }

    #[test]
    fn a_request_id_of_the_caller_is_kept_and_an_unusable_one_replaced() {
        let long = "x".repeat(MAX_REQUEST_ID_BYTES + 1);
        for (sent, is_kept) in
            [("abc-1", true), (&long[1..], true), (&long, false), ("a b", false), ("", false)]
        {
            let id = RequestId::of(&with(REQUEST_ID, sent)).to_string();
            assert_eq!(id == sent, is_kept, "{sent:?}: {id:?}");
        }
    }

    #[test]
    fn made_request_ids_differ() {
        let [first, second] = [(); 2].map(|()| RequestId::of(&MetadataMap::new()));
        assert_ne!(first.to_string(), second.to_string());
        let mut metadata = MetadataMap::new();
        first.add_to(&mut metadata);
        assert_eq!(metadata.get(REQUEST_ID).unwrap().to_str().unwrap(), first.to_string());
    }
}
