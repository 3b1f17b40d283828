//! What happens around every call of a connection, whichever service it is for.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prost::bytes::Bytes;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::{Code, Status, service::Routes};
use tower::Service;

use crate::{
    listen::peer::Peer,
    metrics::{Metrics, Rejection},
    service::message_too_large,
};

/// The services, with the calls of one connection kept track of.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    running: TaskTracker,
    message_bytes: usize,
    metrics: Metrics,
    peer: Peer,
}

/// A response's body: the call runs until it is sent, or the peer no longer wants it.
pub(super) struct TrackedBody {
    body: tonic::body::Body,
    /// What of the body's last frame is not sent yet.
    rest: Bytes,
    _running: TaskTrackerToken,
}

/// A long frame goes out in pieces, each when there is room for it: so the end of the body is near the end of sending.
const PIECE: usize = 64 * 1024;

/// Bytes of one answer that wait to be written; the rest stays with the answer until there is room.
pub(super) const SEND_BUFFER: usize = 2 * PIECE;

impl Calls {
    pub(super) fn new(routes: Routes, message_bytes: usize, metrics: Metrics, peer: Peer) -> Self {
        Self { routes, running: TaskTracker::new(), message_bytes, metrics, peer }
    }

    /// The calls that are not answered yet.
    pub(super) fn running(&self) -> TaskTracker {
        self.running.clone()
    }
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<TrackedBody>;
    type Error = <Routes as Service<Request<Incoming>>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        <Routes as Service<Request<Incoming>>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let running = self.running.token();
        let (limit, metrics) = (self.message_bytes, self.metrics.clone());
        let answering = self.routes.call(request);
        Box::pin(async move {
            let answer = answering.await?;
            let answer = if is_too_large(&answer) {
                metrics.count_rejection(Rejection::MessageTooLarge);
                message_too_large(limit).into_http()
            } else {
                answer
            };
            Ok(answer.map(|body| TrackedBody { body, rest: Bytes::new(), _running: running }))
        })
    }
}

/// tonic calls a message over the limit `OUT_OF_RANGE`, without details; nothing else of ours is.
fn is_too_large<B>(answer: &Response<B>) -> bool {
    answer.headers().get("grpc-status").is_some_and(|status| *status == (Code::OutOfRange as i32).to_string())
}

impl TrackedBody {
    /// The next piece of the frame at hand. What is left over for the last ones is copied, so that they do not keep all
    /// of a long frame while they wait to be written.
    fn piece(&mut self) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let left = self.rest.len();
        if piece.len() == PIECE && (SEND_BUFFER - PIECE < left && left <= SEND_BUFFER) {
            self.rest = Bytes::copy_from_slice(&self.rest);
        }
        piece
    }
}

impl Body for TrackedBody {
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
        Poll::Ready(Some(Ok(Frame::data(this.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
