//! The HTTP body of one long gRPC message. It sends chunks without copying them; tonic's encoder would copy them into one
//! buffer of megabytes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use http::{HeaderMap, HeaderValue};
use hyper::body::{Body, Frame, SizeHint};
use prost::bytes::{BufMut, Bytes, BytesMut};
use tonic::Status;

use crate::service::admission::response_budget::InFlight;

/// One gRPC message, and the trailers with status OK.
pub(in crate::service) struct MessageBody {
    /// The prefix of the message, until it is sent.
    prefix: Option<Bytes>,
    chunks: vec::IntoIter<BytesMut>,
    /// The trailers, until they are sent.
    trailers: Option<HeaderMap>,
    /// The reservation in the response budget, if the response needs one.
    in_flight: Option<InFlight>,
}

impl MessageBody {
    /// The body of an uncompressed message that consists of these chunks.
    ///
    /// Source: Length-Prefixed-Message in
    /// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
    /// The length of a response is limited, so that it fits into the prefix.
    pub(in crate::service) fn new(chunks: Vec<BytesMut>, in_flight: Option<InFlight>) -> Self {
        let length: usize = chunks.iter().map(BytesMut::len).sum();
        let mut prefix = BytesMut::with_capacity(5);
        prefix.put_u8(0);
        prefix.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Self {
            prefix: Some(prefix.freeze()),
            chunks: chunks.into_iter(),
            trailers: Some(trailers),
            in_flight,
        }
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(in_flight) = &this.in_flight {
            in_flight.record_progress();
        }
        let data = this.prefix.take().or_else(|| this.chunks.next().map(BytesMut::freeze));
        let frame = data.map(Frame::data).or_else(|| this.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn body_is_prefix_chunks_and_trailers() {
        let chunks = [&b"first "[..], b"second"].map(BytesMut::from).into();
        let collected = MessageBody::new(chunks, None).collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x0cfirst second"[..]);
    }
}
