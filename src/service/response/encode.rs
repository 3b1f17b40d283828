//! Encodes responses directly, without building their messages first.

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
/// Field 2 of `PresignResult`: the error.
const ERROR: u32 = 2;
/// Field 1 of `BatchPresignResponse`.
const RESULTS: u32 = 1;

/// A signed URL, with the request and the grant that are written next to it.
pub(in crate::service) struct SignedUrl<'a> {
    pub(in crate::service) url: &'a str,
    pub(in crate::service) request: &'a Request<'a>,
    pub(in crate::service) grant: &'a EncodedGrant,
}

/// The encoded fields of `PresignedRequest` after the headers. They are the same for most results of a batch.
pub(in crate::service) struct EncodedGrant {
    presigned: Presigned,
    fields: Vec<u8>,
}

impl EncodedGrant {
    pub(in crate::service) fn new(presigned: Presigned) -> Self {
        let message = pb::PresignedRequest {
            signed_at: Some(Timestamp::from(presigned.signed_at)),
            expires_at: Some(Timestamp::from(presigned.expires_at())),
            granted: Some(to_wire_duration(presigned.grant.granted)),
            requested: Some(to_wire_duration(presigned.requested)),
            clamp_reason: to_wire_clamp_reason(presigned.grant.reason).into(),
            ..pb::PresignedRequest::default()
        };
        Self { presigned, fields: message.encode_to_vec() }
    }

    /// Whether this is also the grant of another URL.
    pub(in crate::service) fn matches(&self, presigned: &Presigned) -> bool {
        self.presigned == *presigned
    }
}

/// Appends a `PresignResponse`.
pub(in crate::service) fn write_response(signed: &SignedUrl<'_>, out: &mut BytesMut) {
    let fields = UrlFields::new(signed);
    out.reserve(field_len(PRESIGNED, fields.len));
    fields.write(PRESIGNED, out);
}

/// Appends a result of a `BatchPresignResponse` with a URL.
pub(in crate::service) fn write_result(signed: &SignedUrl<'_>, out: &mut BytesMut) {
    let fields = UrlFields::new(signed);
    let result_len = field_len(PRESIGNED, fields.len);
    out.reserve(field_len(RESULTS, result_len));
    write_key_and_length(RESULTS, result_len, out);
    fields.write(PRESIGNED, out);
}

/// Appends a result of a `BatchPresignResponse` with an error.
pub(in crate::service) fn write_error(error: &tonic_types::Status, out: &mut BytesMut) {
    let len = error.encoded_len();
    write_key_and_length(RESULTS, field_len(ERROR, len), out);
    write_key_and_length(ERROR, len, out);
    out.reserve(len);
    error.encode_raw(out);
}

/// How many of the first of these encoded results have at most `limit` bytes together.
pub(in crate::service) fn count_results_within(results: &[u8], limit: usize) -> usize {
    let mut rest = results;
    let mut count = 0;
    while let Some(after) = skip_one_field(rest)
        && results.len() - after.len() <= limit
    {
        rest = after;
        count += 1;
    }
    count
}

fn skip_one_field(mut rest: &[u8]) -> Option<&[u8]> {
    let (tag, wire_type) = decode_key(&mut rest).ok()?;
    skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
    Some(rest)
}

/// Encodes the part of a `StreamPresignResponse` before the results of its batch.
pub(in crate::service) fn encode_stream_head(batch_len: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(MAX_STREAM_ENVELOPE_BYTES);
    write_key_and_length(1, batch_len, &mut out);
    out
}

/// Encodes the part after the results: the index of the first result in the stream.
pub(in crate::service) fn encode_stream_tail(first_index: u64) -> BytesMut {
    let mut out = BytesMut::with_capacity(MAX_STREAM_ENVELOPE_BYTES);
    if first_index > 0 {
        encode_key(2, WireType::Varint, &mut out);
        encode_varint(first_index, &mut out);
    }
    out
}

/// The most bytes of a `StreamPresignResponse` in addition to its results.
pub(in crate::service) const MAX_STREAM_ENVELOPE_BYTES: usize = 32;

/// The fields of a `PresignedRequest`, and their encoded length.
struct UrlFields<'a> {
    signed: &'a SignedUrl<'a>,
    method: &'a str,
    len: usize,
}

impl<'a> UrlFields<'a> {
    fn new(signed: &'a SignedUrl<'a>) -> Self {
        let method = signed.request.operation.method.as_str();
        let header = |(name, value)| field_len(3, entry_len(name, value));
        let headers: usize = signed.request.headers.iter().map(header).sum();
        let len =
            text_field_len(1, signed.url) + text_field_len(2, method) + headers + signed.grant.fields.len();
        Self { signed, method, len }
    }

    fn write(&self, tag: u32, out: &mut BytesMut) {
        write_key_and_length(tag, self.len, out);
        write_text_field(1, self.signed.url, out);
        write_text_field(2, self.method, out);
        for (name, value) in self.signed.request.headers.iter() {
            write_key_and_length(3, entry_len(name, value), out);
            write_text_field(1, name, out);
            write_text_field(2, value, out);
        }
        out.put_slice(&self.signed.grant.fields);
    }
}

/// The encoded length of an entry of a map. Empty strings are omitted, as in proto3.
fn entry_len(name: &str, value: &str) -> usize {
    text_field_len(1, name) + text_field_len(2, value)
}

fn text_field_len(tag: u32, text: &str) -> usize {
    if text.is_empty() { 0 } else { field_len(tag, text.len()) }
}

fn write_text_field(tag: u32, text: &str, out: &mut BytesMut) {
    if !text.is_empty() {
        write_key_and_length(tag, text.len(), out);
        out.put_slice(text.as_bytes());
    }
}

/// The encoded length of a length-delimited field, including its key and length.
fn field_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

fn write_key_and_length(tag: u32, len: usize, out: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

pub(in crate::service) fn to_wire_clamp_reason(core: ClampReason) -> pb::ClampReason {
    match core {
        ClampReason::None => pb::ClampReason::None,
        ClampReason::ServiceMaximum => pb::ClampReason::ServiceMaximum,
        ClampReason::ServerMaximum => pb::ClampReason::ServerMaximum,
        ClampReason::PolicyMaximum => pb::ClampReason::PolicyMaximum,
        ClampReason::CredentialExpiry => pb::ClampReason::CredentialExpiry,
        ClampReason::SessionExpiry => pb::ClampReason::SessionExpiry,
    }
}

pub(in crate::service) fn to_wire_duration(seconds: Seconds) -> Duration {
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

    /// The encoded URL, and the message that a client should decode from it.
    fn written(write: fn(&SignedUrl<'_>, &mut BytesMut)) -> (BytesMut, pb::PresignedRequest) {
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
        write(&SignedUrl { url: &url, request: &request, grant: &EncodedGrant::new(presigned) }, &mut out);
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
    fn an_encoded_response_equals_that_of_prost() {
        let (bytes, presigned) = written(write_response);
        assert_eq!(bytes, pb::PresignResponse { presigned: Some(presigned) }.encode_to_vec());
    }

    #[test]
    fn encoded_batches_and_streams_equal_those_of_prost() {
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
            let (head, tail) = (encode_stream_head(bytes.len()), encode_stream_tail(first_index));
            assert!(head.len() + tail.len() <= MAX_STREAM_ENVELOPE_BYTES);
            let streamed = pb::StreamPresignResponse { batch: Some(batch.clone()), first_index };
            assert_eq!([&head[..], &bytes, &tail].concat(), streamed.encode_to_vec());
        }
    }

    #[test]
    fn results_are_counted_up_to_the_limit() {
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
        for (limit, count) in rows {
            assert_eq!(count_results_within(&three, limit), count, "{limit}");
        }
    }
}
