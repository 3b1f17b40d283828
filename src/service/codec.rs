//! The codec of every RPC: messages stay bytes, so that requests are decoded one at a time and responses are written as
//! they are sent.

use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A response in its wire form, in consecutive chunks.
#[derive(Default)]
pub(super) struct EncodedMessage(Vec<BytesMut>);

impl EncodedMessage {
    /// The message that these chunks make.
    pub(super) fn of(chunks: Vec<BytesMut>) -> Self {
        Self(chunks)
    }

    /// How many bytes it has.
    fn len(&self) -> usize {
        self.0.iter().map(BytesMut::len).sum()
    }
}

impl From<BytesMut> for EncodedMessage {
    fn from(bytes: BytesMut) -> Self {
        Self(vec![bytes])
    }
}

/// Passes messages through as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = EncodedMessage;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

/// The response to one `Presign` with a session token fits into this buffer; a longer one makes its own.
const USUAL_MESSAGE_BYTES: usize = 2 * 1024;

/// A message is sent as soon as it is there: the threshold is what a stream collects before it sends.
fn buffers() -> BufferSettings {
    BufferSettings::new(USUAL_MESSAGE_BYTES, 0)
}

impl Encoder for BytesCodec {
    type Item = EncodedMessage;
    type Error = Status;

    fn encode(&mut self, message: EncodedMessage, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.len());
        for chunk in message.0 {
            // Each is freed before the next one is copied.
            out.put_slice(&chunk);
        }
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = bytes.remaining();
        Ok(Some(bytes.copy_to_bytes(length)))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
