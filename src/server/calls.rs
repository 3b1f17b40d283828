//! The calls of one connection: counts those in progress, and sends long responses in short frames.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prost::bytes::Bytes;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::{Code, Status, service::Routes};
use tower::Service;

use crate::{
    listen::peer::Peer,
    metrics::{Metrics, Rejection},
    service::{REQUEST_ID, message_too_large},
};

/// The services as one connection calls them: counts its open calls, and passes them the peer.
#[derive(Clone)]
pub(super) struct ConnectionService {
    routes: Routes,
    open_calls: TaskTracker,
    message_bytes: usize,
    metrics: Metrics,
    peer: Peer,
}

/// The body of a response. Its call counts as open until the body is sent, or the peer cancels the call.
pub(super) struct TrackedResponseBody {
    body: tonic::body::Body,
    /// The bytes of the current frame that are not sent yet.
    rest: Bytes,
    _open_call: TaskTrackerToken,
}

/// The most bytes of a frame. A longer one is split, and each part is passed on once hyper has capacity for it, so that the
/// body ends only shortly before its last byte is sent.
const MAX_FRAME_BYTES: usize = 64 * 1024;

/// The most bytes of one response that hyper buffers. The body keeps the others.
pub(super) const SEND_BUFFER_BYTES: usize = 2 * MAX_FRAME_BYTES;

impl ConnectionService {
    pub(super) fn new(routes: Routes, message_bytes: usize, metrics: Metrics, peer: Peer) -> Self {
        Self { routes, open_calls: TaskTracker::new(), message_bytes, metrics, peer }
    }

    /// The calls whose responses are not sent yet.
    pub(super) fn open_calls(&self) -> TaskTracker {
        self.open_calls.clone()
    }
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<TrackedResponseBody>;
    type Error = <Routes as Service<Request<Incoming>>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        <Routes as Service<Request<Incoming>>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let open_call = self.open_calls.token();
        let (limit, metrics) = (self.message_bytes, self.metrics.clone());
        let request_id = request.headers().get(REQUEST_ID).cloned();
        let responding = self.routes.call(request);
        Box::pin(async move {
            let response = responding.await?;
            let response = if is_size_limit_error(&response) {
                metrics.count_rejection(Rejection::MessageTooLarge);
                message_too_large(limit, request_id.as_ref().map(HeaderValue::as_bytes)).into_http()
            } else {
                response
            };
            Ok(response.map(|body| TrackedResponseBody { body, rest: Bytes::new(), _open_call: open_call }))
        })
    }
}

/// tonic answers `OUT_OF_RANGE`, without details, to a message over the limit. No other error of presignd has this code.
fn is_size_limit_error<B>(response: &Response<B>) -> bool {
    response
        .headers()
        .get("grpc-status")
        .is_some_and(|status| *status == (Code::OutOfRange as i32).to_string())
}

impl TrackedResponseBody {
    /// The next part of the current frame. Once the remaining bytes fit into the send buffer they are copied, so that they
    /// do not keep the memory of the whole frame while they wait to be sent.
    fn next_part(&mut self) -> Bytes {
        let part = self.rest.split_to(self.rest.len().min(MAX_FRAME_BYTES));
        let remaining = self.rest.len();
        if part.len() == MAX_FRAME_BYTES
            && (SEND_BUFFER_BYTES - MAX_FRAME_BYTES < remaining && remaining <= SEND_BUFFER_BYTES)
        {
            self.rest = Bytes::copy_from_slice(&self.rest);
        }
        part
    }
}

impl Body for TrackedResponseBody {
    type Data = <tonic::body::Body as Body>::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()? else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(data) => this.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(this.next_part()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
