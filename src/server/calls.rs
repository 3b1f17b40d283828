//! What happens around every call of a connection, whichever service it is for.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prost::bytes::{BufMut, Bytes, BytesMut};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::{Code, Status, service::Routes};
use tower::Service;

use crate::{
    listen::peer::Peer,
    metrics::{Metrics, Rejection},
    service::{codec::Pieces, room::Held, status::message_too_large},
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

/// An answer's body: the call runs until it is sent, or nobody wants it any more.
pub(super) struct Answer {
    body: tonic::body::Body,
    /// What of the body's last frame is still to be sent.
    rest: Bytes,
    /// The message itself, when it did not go through tonic's encoder.
    pieces: std::vec::IntoIter<BytesMut>,
    /// Whether the head of that message was sent.
    is_open: bool,
    room: Option<Held>,
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
    type Response = Response<Answer>;
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
            let mut answer = if is_too_large(&answer) {
                metrics.rejected(Rejection::MessageTooLarge);
                message_too_large(limit).into_http()
            } else {
                answer
            };
            let room = answer.extensions_mut().remove();
            let pieces = answer.extensions_mut().remove::<Pieces>().map(|pieces| pieces.take());
            let pieces = pieces.unwrap_or_default().into_iter();
            Ok(answer.map(|body| Answer {
                body,
                rest: Bytes::new(),
                pieces,
                is_open: false,
                room,
                _running: running,
            }))
        })
    }
}

/// tonic calls a message over the limit `OUT_OF_RANGE`, without details; nothing else of ours is.
fn is_too_large<B>(answer: &Response<B>) -> bool {
    answer.headers().get("grpc-status").is_some_and(|status| *status == (Code::OutOfRange as i32).to_string())
}

impl Answer {
    /// The head of the message that the pieces make, in the place of that of an empty one; without pieces, what is there.
    ///
    /// Source of the form: Length-Prefixed-Message in
    /// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
    fn with_pieces(&mut self, data: Bytes) -> Result<Bytes, Status> {
        if self.pieces.len() == 0 {
            return Ok(data);
        }
        let bytes = self.pieces.as_slice().iter().map(BytesMut::len).sum::<usize>();
        let bytes = u32::try_from(bytes).ok().filter(|_| *data == [0; 5] && !self.is_open);
        let bytes = bytes.ok_or_else(|| Status::internal("the answer was not encoded as it should be"))?;
        self.is_open = true;
        let mut head = BytesMut::with_capacity(5);
        head.put_u8(0);
        head.put_u32(bytes);
        Ok(head.freeze())
    }

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

impl Body for Answer {
    type Data = <tonic::body::Body as Body>::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() && this.is_open {
            this.rest = this.pieces.next().map(BytesMut::freeze).unwrap_or_default();
        }
        if this.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()? else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(data) => this.rest = this.with_pieces(data)?,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        if let Some(room) = &this.room {
            room.progress();
        }
        Poll::Ready(Some(Ok(Frame::data(this.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.pieces.len() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
