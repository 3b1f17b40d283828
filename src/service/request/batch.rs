//! Splits a batch into its requests without decoding them, so that a batch uses little more memory than its bytes. Decoded,
//! an empty request of two bytes would use a kilobyte.

use std::ops::Range;

use prost::bytes::Bytes;

use super::protobuf::{FieldReader, merge_request};
use crate::{pb, service::failure::Failure};

/// A `BatchPresignRequest` whose requests are still encoded.
pub(in crate::service) struct EncodedBatch {
    message: Bytes,
    /// The byte range of each request in `message`, up to the limit.
    requests: Vec<Range<usize>>,
    /// The number of requests, including those over the limit.
    count: usize,
    defaults: Option<Box<pb::PresignRequest>>,
    all_or_nothing: bool,
}

impl EncodedBatch {
    /// Reads a `BatchPresignRequest`. Requests over `limit` are only counted.
    pub(in crate::service) fn read(message: Bytes, limit: usize) -> Result<Self, Failure> {
        let whole = 0..message.len();
        let mut batch = Self::empty(message);
        batch.merge(whole, limit)?;
        Ok(batch)
    }

    /// Reads the batch of a `StreamPresignRequest`; `None` if it has no batch.
    pub(in crate::service) fn read_streamed(message: &Bytes, limit: usize) -> Result<Option<Self>, Failure> {
        let mut batch = None;
        let mut fields = FieldReader::new(message, "message");
        while let Some((tag, value)) = fields.next()? {
            if tag == 1 {
                let part = range_ending_at(fields.position(), value.bytes("batch")?);
                batch.get_or_insert_with(|| Self::empty(message.clone())).merge(part, limit)?;
            }
        }
        Ok(batch)
    }

    fn empty(message: Bytes) -> Self {
        Self { message, requests: Vec::new(), count: 0, defaults: None, all_or_nothing: false }
    }

    fn merge(&mut self, part: Range<usize>, limit: usize) -> Result<(), Failure> {
        let message = self.message.clone();
        let start = part.start;
        let mut fields = FieldReader::new(&message[part], "batch");
        while let Some((tag, value)) = fields.next()? {
            match tag {
                1 => {
                    let request = value.bytes("requests")?;
                    self.count += 1;
                    if self.count <= limit {
                        self.requests.push(range_ending_at(start + fields.position(), request));
                    }
                }
                2 => self.merge_defaults(value.bytes("defaults")?)?,
                3 => self.all_or_nothing = value.flag("all_or_nothing")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn merge_defaults(&mut self, message: &[u8]) -> Result<(), Failure> {
        merge_request(message, self.defaults.get_or_insert_default())
    }

    /// The whole encoded message.
    pub(in crate::service) fn message(&self) -> &[u8] {
        &self.message
    }

    /// The number of requests, including those over the limit.
    pub(in crate::service) fn len(&self) -> usize {
        self.count
    }

    /// The encoded request with this index; empty if the index is out of range.
    pub(in crate::service) fn request(&self, index: usize) -> &[u8] {
        self.requests.get(index).map_or(&[], |range| &self.message[range.clone()])
    }

    /// The defaults for the fields that a request does not set.
    pub(in crate::service) fn defaults(&self) -> Option<&pb::PresignRequest> {
        self.defaults.as_deref()
    }

    /// Whether the first failed request fails the whole call.
    pub(in crate::service) fn is_all_or_nothing(&self) -> bool {
        self.all_or_nothing
    }
}

fn range_ending_at(end: usize, value: &[u8]) -> Range<usize> {
    end - value.len()..end
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, option, prelude::*};
    use prost::Message as _;

    use super::*;

    prop_compose! {
        /// An encoded `PresignRequest`. The message itself has no `Debug`, which proptest needs.
        fn any_request()(
            bucket in "\\PC{0,9}",
            key in "\\PC{0,9}",
            seconds in option::of(any::<i64>()),
            headers in btree_map("\\PC{0,6}", "\\PC{0,6}", 0..3),
        ) -> Vec<u8> {
            let expires_in = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
            pb::PresignRequest { bucket, key, expires_in, headers, ..Default::default() }.encode_to_vec()
        }
    }

    fn decoded(bytes: &[u8]) -> pb::PresignRequest {
        pb::PresignRequest::decode(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn all_fields_of_a_batch_are_read(
            requests in prop::collection::vec(any_request(), 0..4),
            defaults in option::of(any_request()),
            all_or_nothing in any::<bool>(),
        ) {
            let batch = pb::BatchPresignRequest {
                requests: requests.iter().map(|bytes| decoded(bytes)).collect(),
                defaults: defaults.as_deref().map(decoded),
                all_or_nothing,
            };
            let streamed = pb::StreamPresignRequest { batch: Some(batch.clone()) };
            let streamed = EncodedBatch::read_streamed(&streamed.encode_to_vec().into(), 1_000).unwrap().unwrap();
            for read in [EncodedBatch::read(batch.encode_to_vec().into(), 1_000).unwrap(), streamed] {
                let read_requests: Vec<_> = (0..read.len()).map(|index| read.request(index)).collect();
                prop_assert_eq!(&read_requests, &requests);
                prop_assert!(read.defaults() == batch.defaults.as_ref());
                prop_assert_eq!(read.is_all_or_nothing(), all_or_nothing);
            }
        }

        #[test]
        fn a_batch_in_two_parts_is_merged_as_by_prost(
            first in any_request(),
            second in any_request(),
        ) {
            let part = |defaults: &[u8]| {
                let batch = pb::BatchPresignRequest {
                    requests: vec![decoded(defaults)],
                    defaults: Some(decoded(defaults)),
                    ..Default::default()
                };
                pb::StreamPresignRequest { batch: Some(batch) }.encode_to_vec()
            };
            let message: Bytes = [part(&first), part(&second)].concat().into();
            let expected = pb::StreamPresignRequest::decode(&message[..]).unwrap().batch.unwrap();
            let read = EncodedBatch::read_streamed(&message, 1_000).unwrap().unwrap();
            prop_assert!(read.defaults() == expected.defaults.as_ref());
            prop_assert_eq!([read.request(0), read.request(1)], [&first[..], &second]);
        }
    }

    #[test]
    fn requests_over_the_limit_are_only_counted() {
        let message: Bytes = [10, 0].repeat(5_000).into();
        let batch = EncodedBatch::read(message, 1_000).unwrap();
        assert_eq!((batch.len(), batch.requests.len()), (5_000, 1_000));
    }

    #[test]
    fn repeated_defaults_are_validated_separately_and_merged() {
        let twice = [0x12, 3, 0x12, 1, b'x', 0x12, 3, 0x0a, 1, b'b'];
        let batch = EncodedBatch::read(Bytes::copy_from_slice(&twice), 1_000).unwrap();
        let defaults = batch.defaults().unwrap();
        assert_eq!((defaults.key.as_str(), defaults.bucket.as_str()), ("x", "b"));
        // Valid only when the bytes are joined.
        let halves = [0x12, 2, 0x12, 1, 0x12, 1, b'x'];
        assert!(EncodedBatch::read(Bytes::copy_from_slice(&halves), 1_000).is_err());
        assert!(pb::BatchPresignRequest::decode(&halves[..]).is_err());
    }

    #[test]
    fn a_stream_message_may_have_no_batch() {
        assert!(EncodedBatch::read_streamed(&Bytes::new(), 1_000).unwrap().is_none());
    }
}
