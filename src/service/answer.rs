//! Answers, written as the bytes that go out: no message is put together first.

use prost::{
    Message as _,
    bytes::{BufMut, BytesMut},
    encoding::{
        DecodeContext, WireType, decode_key, encode_key, encode_varint, encoded_len_varint, key_len,
        skip_field,
    },
};
use prost_types::{Duration, Timestamp};

use crate::{
    pb,
    presign::{
        Request,
        expiry::{ClampReason, Seconds},
        presigned::Presigned,
    },
};

/// Field 1 of `PresignResponse`, and of `PresignResult`: the URL.
const PRESIGNED: u32 = 1;
/// Field 2 of `PresignResult`: why there is none.
const ERROR: u32 = 2;
/// Field 1 of `BatchPresignResponse`.
const RESULTS: u32 = 1;

/// A signed URL about to be written.
pub(super) struct Signed<'a> {
    pub(super) url: &'a str,
    pub(super) request: &'a Request<'a>,
    pub(super) terms: &'a Terms,
}

/// What was granted, in its wire form: the fields of `PresignedRequest` behind the headers. Most results of a batch have
/// the same.
pub(super) struct Terms {
    of: Presigned,
    fields: Vec<u8>,
}

impl Terms {
    pub(super) fn new(presigned: Presigned) -> Self {
        let message = pb::PresignedRequest {
            signed_at: Some(Timestamp::from(presigned.signed_at)),
            expires_at: Some(Timestamp::from(presigned.expires_at())),
            granted: Some(duration(presigned.grant.granted)),
            requested: Some(duration(presigned.requested)),
            clamp_reason: clamp_reason(presigned.grant.reason).into(),
            ..pb::PresignedRequest::default()
        };
        Self { of: presigned, fields: message.encode_to_vec() }
    }

    /// Whether these are the terms of another URL, too.
    pub(super) fn are_of(&self, presigned: &Presigned) -> bool {
        self.of == *presigned
    }
}

/// Appends a `PresignResponse`.
pub(super) fn write_response(signed: &Signed<'_>, out: &mut BytesMut) {
    let fields = Fields::of(signed);
    out.reserve(message_len(PRESIGNED, fields.len));
    fields.write(PRESIGNED, out);
}

/// Appends one result of a `BatchPresignResponse`: a URL.
pub(super) fn write_result(signed: &Signed<'_>, out: &mut BytesMut) {
    let fields = Fields::of(signed);
    let result_len = message_len(PRESIGNED, fields.len);
    out.reserve(message_len(RESULTS, result_len));
    write_head(RESULTS, result_len, out);
    fields.write(PRESIGNED, out);
}

/// Appends one result of a `BatchPresignResponse`: an error.
pub(super) fn write_error(error: &tonic_types::Status, out: &mut BytesMut) {
    let len = error.encoded_len();
    write_head(RESULTS, message_len(ERROR, len), out);
    write_head(ERROR, len, out);
    out.reserve(len);
    error.encode_raw(out);
}

/// How many of the results that lie here, from the first one on, take no more than `room` bytes.
pub(super) fn results_within(results: &[u8], room: usize) -> usize {
    let mut rest = results;
    let mut count = 0;
    while let Some(after) = past_one_field(rest)
        && results.len() - after.len() <= room
    {
        rest = after;
        count += 1;
    }
    count
}

fn past_one_field(mut rest: &[u8]) -> Option<&[u8]> {
    let (tag, wire_type) = decode_key(&mut rest).ok()?;
    skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
    Some(rest)
}

/// What stands before the results of one batch in a `StreamPresignResponse`.
pub(super) fn streamed_head(batch_len: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(STREAM_ENVELOPE);
    write_head(1, batch_len, &mut out);
    out
}

/// What stands behind them: the place of the first result in the whole stream.
pub(super) fn streamed_tail(first_index: u64) -> BytesMut {
    let mut out = BytesMut::with_capacity(STREAM_ENVELOPE);
    if first_index > 0 {
        encode_key(2, WireType::Varint, &mut out);
        encode_varint(first_index, &mut out);
    }
    out
}

/// Room for the fields of a streamed answer around its batch.
pub(super) const STREAM_ENVELOPE: usize = 32;

/// The fields of a `PresignedRequest`, and how long they will be.
struct Fields<'a> {
    signed: &'a Signed<'a>,
    method: &'a str,
    len: usize,
}

impl<'a> Fields<'a> {
    fn of(signed: &'a Signed<'a>) -> Self {
        let method = signed.request.operation.method.as_str();
        let header = |(name, value)| message_len(3, entry_len(name, value));
        let headers: usize = signed.request.headers.iter().map(header).sum();
        let len = text_len(1, signed.url) + text_len(2, method) + headers + signed.terms.fields.len();
        Self { signed, method, len }
    }

    fn write(&self, tag: u32, out: &mut BytesMut) {
        write_head(tag, self.len, out);
        write_text(1, self.signed.url, out);
        write_text(2, self.method, out);
        for (name, value) in self.signed.request.headers.iter() {
            write_head(3, entry_len(name, value), out);
            write_text(1, name, out);
            write_text(2, value, out);
        }
        out.put_slice(&self.signed.terms.fields);
    }
}

/// The length of a map's entry. What is empty is left out, as proto3 has it.
fn entry_len(name: &str, value: &str) -> usize {
    text_len(1, name) + text_len(2, value)
}

fn text_len(tag: u32, text: &str) -> usize {
    if text.is_empty() { 0 } else { message_len(tag, text.len()) }
}

fn write_text(tag: u32, text: &str, out: &mut BytesMut) {
    if !text.is_empty() {
        write_head(tag, text.len(), out);
        out.put_slice(text.as_bytes());
    }
}

/// The length of a field that has a length, all of it.
fn message_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

fn write_head(tag: u32, len: usize, out: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

pub(super) fn clamp_reason(core: ClampReason) -> pb::ClampReason {
    match core {
        ClampReason::None => pb::ClampReason::None,
        ClampReason::ServiceMaximum => pb::ClampReason::ServiceMaximum,
        ClampReason::ServerMaximum => pb::ClampReason::ServerMaximum,
        ClampReason::PolicyMaximum => pb::ClampReason::PolicyMaximum,
        ClampReason::CredentialExpiry => pb::ClampReason::CredentialExpiry,
        ClampReason::SessionExpiry => pb::ClampReason::SessionExpiry,
    }
}

pub(super) fn duration(seconds: Seconds) -> Duration {
    Duration { seconds: i64::try_from(seconds.get()).unwrap_or(i64::MAX), nanos: 0 }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration as Time, SystemTime};

    use super::*;
    use crate::presign::{
        expiry::Grant,
        name::ObjectKey,
        operation,
        parameters::{Headers, Query},
    };

    /// What is written for a URL, and what a client should read.
    fn written(write: fn(&Signed<'_>, &mut BytesMut)) -> (BytesMut, pb::PresignedRequest) {
        let mut headers = Headers::default();
        headers.add("content-type", "text/plain").unwrap();
        headers.add("x-amz-meta-empty", "").unwrap();
        let request = Request {
            key: ObjectKey::try_from("key").unwrap(),
            operation: &operation::PUT_OBJECT,
            headers: &headers,
            query: &Query::default(),
            expires_in: None,
            min_expires_in: None,
        };
        let seconds = |number| Seconds::rounded_down(Time::from_secs(number)).unwrap();
        let presigned = Presigned {
            signed_at: SystemTime::UNIX_EPOCH + Time::from_secs(1_000),
            grant: Grant { granted: seconds(60), reason: ClampReason::CredentialExpiry },
            requested: seconds(900),
        };
        let url = "https://example/".repeat(20);
        let mut out = BytesMut::new();
        write(&Signed { url: &url, request: &request, terms: &Terms::new(presigned) }, &mut out);
        let wire = |seconds| Duration { seconds, nanos: 0 };
        let expected = pb::PresignedRequest {
            url,
            method: "PUT".to_owned(),
            headers: headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            signed_at: Some(Timestamp { seconds: 1_000, nanos: 0 }),
            expires_at: Some(Timestamp { seconds: 1_060, nanos: 0 }),
            granted: Some(wire(60)),
            requested: Some(wire(900)),
            clamp_reason: pb::ClampReason::CredentialExpiry.into(),
        };
        (out, expected)
    }

    #[test]
    fn a_response_is_what_prost_would_have_written() {
        let (bytes, presigned) = written(write_response);
        assert_eq!(bytes, pb::PresignResponse { presigned: Some(presigned) }.encode_to_vec());
    }

    #[test]
    fn the_results_of_a_batch_are_what_prost_would_have_written_streamed_or_not() {
        let (mut bytes, presigned) = written(write_result);
        let error = tonic_types::Status { code: 3, message: "no".to_owned(), details: Vec::new() };
        write_error(&error, &mut bytes);
        let result = |result| pb::PresignResult { result: Some(result) };
        let results = vec![
            result(pb::presign_result::Result::Presigned(presigned)),
            result(pb::presign_result::Result::Error(error)),
        ];
        let batch = pb::BatchPresignResponse { results };
        assert_eq!(bytes, batch.encode_to_vec());
        for first_index in [0, 300] {
            let (head, tail) = (streamed_head(bytes.len()), streamed_tail(first_index));
            assert!(head.len() + tail.len() <= STREAM_ENVELOPE);
            let streamed = pb::StreamPresignResponse { batch: Some(batch.clone()), first_index };
            assert_eq!([&head[..], &bytes, &tail].concat(), streamed.encode_to_vec());
        }
    }

    #[test]
    fn results_are_counted_as_long_as_they_fit() {
        let (one, _) = written(write_result);
        let three = one.repeat(3);
        let rows = [
            (0, 0),
            (one.len() - 1, 0),
            (one.len(), 1),
            (3 * one.len() - 1, 2),
            (3 * one.len(), 3),
            (usize::MAX, 3),
        ];
        for (room, count) in rows {
            assert_eq!(results_within(&three, room), count, "{room}");
        }
    }
}
