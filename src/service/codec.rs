//! The codec of the calls that sign: messages stay the bytes that they are, on their way in and on their way out.

use std::{
    marker::PhantomData,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// An answer in its wire form, in pieces that go out one behind the other.
#[derive(Default)]
pub struct Answer(Vec<BytesMut>);

impl Answer {
    /// An answer of these pieces.
    pub(super) fn of(pieces: Vec<BytesMut>) -> Self {
        Self(pieces)
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(BytesMut::len).sum()
    }
}

/// The pieces of a long answer, on their way around tonic's encoder: it would copy them into one buffer of megabytes.
/// They travel in the response's extensions, and `server::calls` puts them into the message that tonic has left empty.
#[derive(Clone, Debug)]
pub struct Pieces(Arc<Mutex<Vec<BytesMut>>>);

impl Pieces {
    /// The pieces; none the second time.
    pub fn take(&self) -> Vec<BytesMut> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Answer {
    /// Leaves an empty answer, whose pieces go another way.
    pub(super) fn set_apart(&mut self) -> Pieces {
        Pieces(Arc::new(Mutex::new(mem::take(&mut self.0))))
    }
}

impl From<BytesMut> for Answer {
    fn from(bytes: BytesMut) -> Self {
        Self(vec![bytes])
    }
}

/// Takes messages in and hands answers out as they are. The type parameters are those that tonic's generated code
/// gives to every codec.
#[derive(Debug)]
pub struct RawCodec<Out, In>(PhantomData<(Out, In)>);

impl<Out, In> Default for RawCodec<Out, In> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl Codec for RawCodec<Answer, Bytes> {
    type Encode = Answer;
    type Decode = Bytes;
    type Encoder = RawEncoder;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> RawDecoder {
        RawDecoder
    }
}

/// Writes an answer behind tonic's frame head.
#[derive(Debug)]
pub struct RawEncoder;

/// Takes a message as it is.
#[derive(Debug)]
pub struct RawDecoder;

/// Room for the answer to one Presign with a session token; whatever is longer says how long it is.
const USUAL_ANSWER: usize = 2 * 1024;

impl Encoder for RawEncoder {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, answer: Answer, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(answer.len());
        for piece in answer.0 {
            // Each is free again before the next one is copied.
            out.put_slice(&piece);
        }
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // An answer goes out as soon as it is there: the threshold is what a stream gathers before it sends.
        BufferSettings::new(USUAL_ANSWER, 0)
    }
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let whole = bytes.remaining();
        Ok(Some(bytes.copy_to_bytes(whole)))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(USUAL_ANSWER, 0)
    }
}
