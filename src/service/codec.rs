//! The codec of every RPC. It leaves messages encoded, so that the items of a batch are decoded one at a time, and
//! responses are written directly in their encoded form.

use prost::{
    Message,
    bytes::{Buf, BufMut, Bytes, BytesMut},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// An encoded response message, in consecutive chunks.
#[derive(Default)]
pub(super) struct EncodedMessage(Vec<BytesMut>);

impl EncodedMessage {
    /// The message that consists of these chunks.
    pub(super) fn from_chunks(chunks: Vec<BytesMut>) -> Self {
        Self(chunks)
    }

    /// Encodes a message, in one chunk.
    pub(super) fn encode(message: &impl Message) -> Self {
        let mut chunk = BytesMut::with_capacity(message.encoded_len());
        message.encode_raw(&mut chunk);
        chunk.into()
    }

    /// The length in bytes.
    fn len(&self) -> usize {
        self.0.iter().map(BytesMut::len).sum()
    }
}

impl From<BytesMut> for EncodedMessage {
    fn from(bytes: BytesMut) -> Self {
        Self(vec![bytes])
    }
}

/// Passes encoded messages through.
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

/// The initial capacity of a buffer. The response to one `Presign` with a session token fits into it.
const BUFFER_BYTES: usize = 2 * 1024;

/// With a threshold of 0 each message of a stream is sent at once.
fn buffer_settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, 0)
}

impl Encoder for BytesCodec {
    type Item = EncodedMessage;
    type Error = Status;

    fn encode(&mut self, message: EncodedMessage, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.len());
        for chunk in message.0 {
            // Each chunk is freed before the next one is copied.
            out.put_slice(&chunk);
        }
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffer_settings()
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
        buffer_settings()
    }
}
