//! Decoding of protobuf messages: a reader of a message's top-level fields, and one request at a time with prost.
//!
//! Source: [protobuf encoding](https://protobuf.dev/programming-guides/encoding/). Fields can come in
//! any order, unknown fields are skipped, the last value of a repeated scalar field counts, and repeated messages are
//! merged.

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use crate::{pb, presign::parameters::MAX_PARAMETERS, service::failure::Failure};

/// An error in the encoding of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::service) struct MalformedMessage {
    /// The malformed field, or the message if the field is unknown.
    pub(in crate::service) field: &'static str,
    pub(in crate::service) problem: &'static str,
}

const NOT_PROTOBUF: &str = "is not a valid protobuf message";
const NOT_UTF8: &str = "is not valid UTF-8";
const WRONG_TYPE: &str = "does not have the type that the contract gives it";

impl MalformedMessage {
    pub(in crate::service) fn new(field: &'static str) -> Self {
        Self { field, problem: NOT_PROTOBUF }
    }

    pub(super) fn wrong_type(field: &'static str) -> Self {
        Self { field, problem: WRONG_TYPE }
    }
}

impl From<MalformedMessage> for Failure {
    fn from(MalformedMessage { field, problem }: MalformedMessage) -> Self {
        Self::Malformed { field, problem }
    }
}

/// Reads the top-level fields of a message in order.
pub(super) struct FieldReader<'m> {
    message: &'m [u8],
    rest: &'m [u8],
    /// The name of the message in errors.
    name: &'static str,
}

/// The value of a field.
pub(super) enum FieldValue<'m> {
    Varint(u64),
    Bytes(&'m [u8]),
    /// A fixed-size number or a group, which the contract does not use.
    Other,
}

impl<'m> FieldReader<'m> {
    pub(super) fn new(message: &'m [u8], name: &'static str) -> Self {
        Self { message, rest: message, name }
    }

    /// The next field's tag and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, FieldValue<'m>)>, MalformedMessage> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.read().map(Some).ok_or(MalformedMessage::new(self.name))
    }

    /// The offset of the end of the last field that was read.
    pub(super) fn position(&self) -> usize {
        self.message.len() - self.rest.len()
    }

    fn read(&mut self) -> Option<(u32, FieldValue<'m>)> {
        let (tag, wire_type) = decode_key(&mut self.rest).ok()?;
        let value = match wire_type {
            WireType::Varint => FieldValue::Varint(decode_varint(&mut self.rest).ok()?),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut self.rest).ok()?).ok()?;
                let (value, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                FieldValue::Bytes(value)
            }
            other => {
                skip_field(other, tag, &mut self.rest, DecodeContext::default()).ok()?;
                FieldValue::Other
            }
        };
        Some((tag, value))
    }
}

impl<'m> FieldValue<'m> {
    pub(super) fn bytes(self, field: &'static str) -> Result<&'m [u8], MalformedMessage> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(MalformedMessage::wrong_type(field)),
        }
    }

    pub(super) fn flag(self, field: &'static str) -> Result<bool, MalformedMessage> {
        match self {
            Self::Varint(number) => Ok(number != 0),
            _ => Err(MalformedMessage::wrong_type(field)),
        }
    }
}

/// The fields of `PresignRequest` outside the operation. An error in any other field is reported for `operation`.
const REQUEST_FIELDS: [&str; 8] =
    ["bucket", "key", "expires_in", "min_expires_in", "signer", "headers", "query", "reuse_window"];

/// The tags of `headers` and `query` in `PresignRequest`.
const MAP_TAGS: [u32; 2] = [6, 7];

/// The most encoded entries of a map, including repeated keys.
const MAX_MAP_ENTRIES: usize = 10 * MAX_PARAMETERS;

/// A message up to this length cannot have more than [`MAX_MAP_ENTRIES`], and is decoded without counting them.
const UNCOUNTED_BYTES: usize = 2 * MAX_MAP_ENTRIES;

/// Decodes one `PresignRequest` into `request`. The previous content is removed, its memory is reused.
pub(in crate::service) fn decode_request(
    message: &[u8],
    request: &mut pb::PresignRequest,
) -> Result<(), Failure> {
    request.clear();
    merge_request(message, request)
}

/// Merges one encoded `PresignRequest` into another, by the rules of protobuf for repeated messages.
pub(super) fn merge_request(message: &[u8], request: &mut pb::PresignRequest) -> Result<(), Failure> {
    if message.len() > UNCOUNTED_BYTES {
        check_map_entries(message)?;
    }
    Ok(request.merge(message).map_err(|error| name_malformed_field(&error))?)
}

/// Rejects maps with too many entries before they are decoded, which would allocate memory for each entry.
fn check_map_entries(message: &[u8]) -> Result<(), Failure> {
    let mut counts = [0; MAP_TAGS.len()];
    let mut fields = FieldReader::new(message, "request");
    while let Some((tag, _)) = fields.next()? {
        for (index, _) in MAP_TAGS.iter().enumerate().filter(|(_, map)| **map == tag) {
            counts[index] += 1;
            if counts[index] > MAX_MAP_ENTRIES {
                return Err(Failure::too_many_parameters(["headers", "query"][index]));
            }
        }
    }
    Ok(())
}

/// Finds the malformed field in the text of the error: prost has no other way to get it.
fn name_malformed_field(error: &prost::DecodeError) -> MalformedMessage {
    let text = error.to_string();
    let Some((field, problem)) =
        text.split_once("PresignRequest.").and_then(|(_, named)| named.split_once(':'))
    else {
        return MalformedMessage::new("request");
    };
    let field = REQUEST_FIELDS.into_iter().find(|known| *known == field).unwrap_or("operation");
    let problem = if problem.contains("UTF-8") {
        NOT_UTF8
    } else if problem.contains("invalid wire type") {
        WRONG_TYPE
    } else {
        NOT_PROTOBUF
    };
    MalformedMessage { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &[u8]) -> Result<pb::PresignRequest, Failure> {
        let mut request = pb::PresignRequest::default();
        decode_request(message, &mut request).map(|()| request)
    }

    #[test]
    fn the_malformed_field_is_named() {
        for (bytes, field, problem) in [
            (&[0x12, 1, 0xff][..], "key", NOT_UTF8),
            (&[0x10, 1], "key", WRONG_TYPE),
            (&[0x12, 9, b'x'], "key", NOT_PROTOBUF),
            (&[0x1a, 1, 8], "expires_in", NOT_PROTOBUF),
            (&[0x32, 3, 0x0a, 1, 0xff], "headers", NOT_UTF8),
            // The first operation is malformed, and the second one replaces it.
            (&[0x62, 2, 8, 1, 0x52, 0], "operation", WRONG_TYPE),
            (&[0xff], "request", NOT_PROTOBUF),
        ] {
            let failure = Failure::Malformed { field, problem };
            assert_eq!(decode(bytes).err(), Some(failure), "{bytes:?}");
        }
    }

    #[test]
    fn decoding_removes_the_previous_request() {
        let before = pb::PresignRequest {
            bucket: "b".into(),
            headers: [("a".into(), "b".into())].into(),
            expires_in: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            operation: Some(pb::presign_request::Operation::HeadBucket(pb::HeadBucket::default())),
            ..Default::default()
        };
        let mut request = before;
        decode_request(&[0x12, 1, b'x'], &mut request).unwrap();
        assert!(request == pb::PresignRequest { key: "x".into(), ..Default::default() });
    }

    #[test]
    fn a_map_with_too_many_entries_is_rejected() {
        let entry = [0x32, 3, 0x0a, 1, b'a'];
        assert!(decode(&entry.repeat(MAX_MAP_ENTRIES)).is_ok_and(|request| request.headers.len() == 1));
        assert_eq!(
            decode(&entry.repeat(MAX_MAP_ENTRIES + 1)).err(),
            Some(Failure::too_many_parameters("headers"))
        );
        let query = [0x3a, 3, 0x0a, 1, b'a'];
        assert_eq!(decode(&query.repeat(1 << 18)).err(), Some(Failure::too_many_parameters("query")));
    }
}
