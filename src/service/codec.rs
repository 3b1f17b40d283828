//! prost's codec, with a look at a message before it is decoded: one that has far too many requests in it would take
//! gigabytes as structs, and is refused while it is still bytes.

use std::marker::PhantomData;

use prost::{
    Message,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::status::batch_too_large;

/// The most requests in a batch, by the contract.
const MOST_REQUESTS: usize = 1_000;

/// The codec of every call.
#[derive(Debug)]
pub struct BoundedCodec<Out, In>(PhantomData<(Out, In)>);

impl<Out, In> Default for BoundedCodec<Out, In> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Out, In> Codec for BoundedCodec<Out, In>
where
    Out: Message + Send + 'static,
    In: Message + Default + Send + 'static,
{
    type Encode = Out;
    type Decode = In;
    type Encoder = <ProstCodec<Out, In> as Codec>::Encoder;
    type Decoder = BoundedDecoder<In>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Out, In>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<Out, In>::raw_decoder(BufferSettings::default()))
    }
}

/// Decodes a message that does not have too many requests in it.
#[derive(Debug)]
pub struct BoundedDecoder<In>(ProstDecoder<In>);

impl<In: Message + Default> Decoder for BoundedDecoder<In> {
    type Item = In;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<In>, Status> {
        let message = bytes.chunk();
        // A batch has its requests in field 1, a message of a stream has its batch there.
        check(message, "requests")?;
        for batch in firsts(message) {
            check(batch, "batch.requests")?;
        }
        self.0.decode(bytes)
    }
}

fn check(message: &[u8], field: &'static str) -> Result<(), Status> {
    let items = firsts(message).count();
    if items > MOST_REQUESTS { Err(batch_too_large(items, MOST_REQUESTS, field)) } else { Ok(()) }
}

/// Every value of field 1 that has a length; as far as the message can be read.
fn firsts(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while rest.has_remaining() {
            let (tag, wire) = decode_key(&mut rest).ok()?;
            if (tag, wire) == (1, WireType::LengthDelimited) {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                return Some(value);
            }
            skip_field(wire, tag, &mut rest, DecodeContext::default()).ok()?;
        }
        None
    })
}
