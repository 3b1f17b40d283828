//! Requests as they lie in their message: read where they are, so that nothing is copied and a batch takes no more
//! memory than its bytes.
//!
//! The rules are protobuf's own ([encoding](https://protobuf.dev/programming-guides/encoding/)): fields come in any
//! order, unknown ones are passed over, of a single field the last one counts, and a message that comes twice is merged.

use std::borrow::Cow;

use prost::{
    Message as _,
    bytes::Bytes,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_types::Duration;

use super::{operations::OperationKind, status::Failure};
use crate::{
    pb::presign_request::Operation as WireOperation,
    presign::{operation::Operation as CoreOperation, parameters::MAX_PARAMETERS},
};

/// A message that is not what its sender says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed {
    /// The field that is wrong, where it can be told.
    pub(super) field: &'static str,
    /// What is wrong with it.
    pub(super) problem: &'static str,
}

type Result<T> = std::result::Result<T, Malformed>;

impl Malformed {
    pub(super) fn new(field: &'static str) -> Self {
        Self { field, problem: "is not a valid protobuf message" }
    }
}

/// The fields of a message, one after the other: their number and their value.
struct Fields<'m> {
    rest: &'m [u8],
    /// What the message is called.
    name: &'static str,
}

enum Value<'m> {
    Varint(u64),
    Bytes(&'m [u8]),
    /// Of a type that no field of ours has.
    Other,
}

impl<'m> Fields<'m> {
    fn of(message: &'m [u8], name: &'static str) -> Self {
        Self { rest: message, name }
    }

    fn next(&mut self) -> Result<Option<(u32, Value<'m>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.read().map(Some).ok_or(Malformed::new(self.name))
    }

    /// The place of the value that was read last, in a message in which these fields end at `end`.
    fn place(&self, value: &[u8], end: usize) -> Place {
        let to = end - self.rest.len();
        Place { from: to - value.len(), to }
    }

    fn read(&mut self) -> Option<(u32, Value<'m>)> {
        let (tag, wire_type) = decode_key(&mut self.rest).ok()?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(decode_varint(&mut self.rest).ok()?),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut self.rest).ok()?).ok()?;
                let (value, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(value)
            }
            other => {
                skip_field(other, tag, &mut self.rest, DecodeContext::default()).ok()?;
                Value::Other
            }
        };
        Some((tag, value))
    }
}

impl<'m> Value<'m> {
    fn bytes(self, field: &'static str) -> Result<&'m [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed { field, problem: "has another type than the contract says" }),
        }
    }

    fn text(self, field: &'static str) -> Result<&'m str> {
        let utf8 = str::from_utf8(self.bytes(field)?);
        utf8.map_err(|_| Malformed { field, problem: "is not valid UTF-8" })
    }

    fn flag(self, field: &'static str) -> Result<bool> {
        match self {
            Self::Varint(number) => Ok(number != 0),
            _ => Err(Malformed { field, problem: "has another type than the contract says" }),
        }
    }
}

/// A `PresignRequest`. It has headers and query in it, which may be secrets: it is not printed.
#[derive(Clone, PartialEq, Default)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Item<'m> {
    pub(super) bucket: &'m str,
    pub(super) key: &'m str,
    pub(super) expires_in: Option<Duration>,
    pub(super) min_expires_in: Option<Duration>,
    pub(super) signer: &'m str,
    pub(super) headers: Pairs<'m>,
    pub(super) query: Pairs<'m>,
    pub(super) reuse_window: Option<Duration>,
    pub(super) operation: Option<Operation<'m>>,
}

impl<'m> Item<'m> {
    pub(super) fn read(message: &'m [u8]) -> Result<Self> {
        let mut item = Self::default();
        item.merge(message)?;
        Ok(item)
    }

    /// Reads who is to sign, for what bucket, for how long and in what window, and nothing else.
    pub(super) fn read_wish(message: &'m [u8]) -> Result<Self> {
        let mut item = Self::default();
        let mut fields = Fields::of(message, "request");
        while let Some((tag, value)) = fields.next()? {
            match tag {
                1 => item.bucket = value.text("bucket")?,
                3 => merge_duration(&mut item.expires_in, value, "expires_in")?,
                5 => item.signer = value.text("signer")?,
                8 => merge_duration(&mut item.reuse_window, value, "reuse_window")?,
                _ => {}
            }
        }
        Ok(item)
    }

    fn merge(&mut self, message: &'m [u8]) -> Result<()> {
        let mut fields = Fields::of(message, "request");
        while let Some((tag, value)) = fields.next()? {
            match tag {
                1 => self.bucket = value.text("bucket")?,
                2 => self.key = value.text("key")?,
                3 => merge_duration(&mut self.expires_in, value, "expires_in")?,
                4 => merge_duration(&mut self.min_expires_in, value, "min_expires_in")?,
                5 => self.signer = value.text("signer")?,
                6 => self.headers.read(value, "headers")?,
                7 => self.query.read(value, "query")?,
                8 => merge_duration(&mut self.reuse_window, value, "reuse_window")?,
                tag => {
                    if let Some(kind) = OperationKind::with_tag(tag) {
                        self.set_operation(kind, value.bytes("operation")?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn set_operation(&mut self, kind: OperationKind, message: &'m [u8]) -> Result<()> {
        match &mut self.operation {
            Some(same) if same.kind == kind => join(&mut same.message, message, "operation")?,
            other => {
                // What is thrown away must have been a message all the same.
                if let Some(old) = other.take()
                    && !old.is_empty()
                {
                    old.decode()?;
                }
                *other = Some(Operation { kind, message: Cow::Borrowed(message) });
            }
        }
        Ok(())
    }
}

/// Merges a message that comes again: the one behind the other, both whole. Nothing takes more memory than it came in.
fn join<'m>(into: &mut Cow<'m, [u8]>, more: &'m [u8], field: &'static str) -> Result<()> {
    match into {
        _ if more.is_empty() => return Ok(()),
        Cow::Borrowed([]) => *into = Cow::Borrowed(more),
        Cow::Borrowed(first) => {
            walk(first, field)?;
            walk(more, field)?;
            *into = Cow::Owned([*first, more].concat());
        }
        Cow::Owned(joined) => {
            walk(more, field)?;
            joined.extend_from_slice(more);
        }
    }
    Ok(())
}

/// Whether a message ends where its last field does.
fn walk(message: &[u8], field: &'static str) -> Result<()> {
    let mut fields = Fields::of(message, field);
    while fields.next()?.is_some() {}
    Ok(())
}

fn merge_duration(into: &mut Option<Duration>, value: Value<'_>, field: &'static str) -> Result<()> {
    let message = value.bytes(field)?;
    into.get_or_insert_default().merge(message).map_err(|_| Malformed::new(field))
}

/// A map of texts. Of entries with the same key the last one counts.
#[derive(Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Pairs<'m> {
    pairs: Vec<(&'m str, &'m str)>,
    /// How many entries came, those with the same key included.
    entries: usize,
}

/// More entries than any map has that can be signed, however often its keys come: they are not looked at any more.
const MOST_ENTRIES: usize = 10 * MAX_PARAMETERS;

impl<'m> Pairs<'m> {
    fn read(&mut self, value: Value<'m>, field: &'static str) -> Result<()> {
        let mut entry = Fields::of(value.bytes(field)?, field);
        let (mut name, mut text) = ("", "");
        while let Some((tag, value)) = entry.next()? {
            match tag {
                1 => name = value.text(field)?,
                2 => text = value.text(field)?,
                _ => {}
            }
        }
        self.entries += 1;
        if self.are_too_many() {
            return Ok(());
        }
        match self.pairs.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = text,
            None => self.pairs.push((name, text)),
        }
        Ok(())
    }

    /// More than can be signed.
    pub(super) fn are_too_many(&self) -> bool {
        self.pairs.len() > MAX_PARAMETERS || self.entries > MOST_ENTRIES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'m str, &'m str)> {
        self.pairs.iter().copied()
    }
}

/// The operation of a request, its message not decoded yet.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Operation<'m> {
    kind: OperationKind,
    message: Cow<'m, [u8]>,
}

impl Operation<'_> {
    /// The core's row for it.
    pub(super) fn operation(&self) -> &'static CoreOperation<'static> {
        self.kind.operation()
    }

    /// Whether nothing is set in it.
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_empty()
    }

    /// Decodes its message with prost: most operations have many fields, and few requests set any.
    pub(super) fn decode(&self) -> Result<WireOperation> {
        self.kind.decode(&self.message).map_err(|_| Malformed::new("operation"))
    }
}

/// A `BatchPresignRequest`.
pub(super) struct Batch {
    message: Bytes,
    /// Where each request lies in the message, the first `limit` of them.
    requests: Vec<Place>,
    /// How many requests there are.
    items: usize,
    defaults: Under,
    pub(super) all_or_nothing: bool,
}

/// The defaults of a batch.
#[derive(Clone)]
enum Under {
    Nothing,
    Once(Place),
    /// They came several times, and are merged by putting one behind the other.
    Joined(Vec<u8>),
}

/// Where something lies in a message.
#[derive(Clone, Copy)]
struct Place {
    from: usize,
    to: usize,
}

impl Place {
    fn of(self, message: &[u8]) -> &[u8] {
        message.get(self.from..self.to).unwrap_or_default()
    }
}

impl Batch {
    /// Reads the batch that is the whole message. No more than `limit` requests are taken down.
    pub(super) fn read(message: Bytes, limit: usize) -> Result<Self> {
        let whole = Place { from: 0, to: message.len() };
        let mut batch = Self::empty(message);
        batch.merge(whole, limit)?;
        Ok(batch)
    }

    /// Reads the batch of a `StreamPresignRequest`, when it has one.
    pub(super) fn read_streamed(message: &Bytes, limit: usize) -> Result<Option<Self>> {
        let mut batch = None;
        let mut fields = Fields::of(message, "message");
        while let Some((tag, value)) = fields.next()? {
            if tag == 1 {
                let part = fields.place(value.bytes("batch")?, message.len());
                batch.get_or_insert_with(|| Self::empty(message.clone())).merge(part, limit)?;
            }
        }
        Ok(batch)
    }

    fn empty(message: Bytes) -> Self {
        Self { message, requests: Vec::new(), items: 0, defaults: Under::Nothing, all_or_nothing: false }
    }

    fn merge(&mut self, part: Place, limit: usize) -> Result<()> {
        let message = self.message.clone();
        let mut fields = Fields::of(part.of(&message), "batch");
        while let Some((tag, value)) = fields.next()? {
            match tag {
                1 => {
                    let request = fields.place(value.bytes("requests")?, part.to);
                    self.items += 1;
                    if self.items <= limit {
                        self.requests.push(request);
                    }
                }
                2 => self.join_defaults(fields.place(value.bytes("defaults")?, part.to))?,
                3 => self.all_or_nothing = value.flag("all_or_nothing")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn join_defaults(&mut self, place: Place) -> Result<()> {
        let more = place.of(&self.message);
        match &mut self.defaults {
            Under::Nothing => self.defaults = Under::Once(place),
            _ if more.is_empty() => {}
            Under::Once(first) if first.from == first.to => self.defaults = Under::Once(place),
            Under::Once(first) => {
                let first = first.of(&self.message);
                walk(first, "defaults")?;
                walk(more, "defaults")?;
                self.defaults = Under::Joined([first, more].concat());
            }
            Under::Joined(joined) => {
                walk(more, "defaults")?;
                joined.extend_from_slice(more);
            }
        }
        Ok(())
    }

    /// The whole message that it came in.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// How many requests it has, those past the limit included.
    pub(super) fn len(&self) -> usize {
        self.items
    }

    /// The message of one request; an empty one past the end.
    pub(super) fn request(&self, index: usize) -> &[u8] {
        self.requests.get(index).map_or(&[], |place| place.of(&self.message))
    }

    /// What stands under every request.
    pub(super) fn defaults(&self) -> Result<Option<Item<'_>>> {
        self.defaults_message().map(Item::read).transpose()
    }

    /// Of what stands under every request, who is to sign, for what bucket and for how long.
    pub(super) fn defaults_wish(&self) -> Result<Option<Item<'_>>> {
        self.defaults_message().map(Item::read_wish).transpose()
    }

    fn defaults_message(&self) -> Option<&[u8]> {
        match &self.defaults {
            Under::Nothing => None,
            Under::Once(place) => Some(place.of(&self.message)),
            Under::Joined(joined) => Some(joined),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(Malformed { field, problem }: Malformed) -> Self {
        Self::Malformed { field, problem }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::btree_map, option, prelude::*};

    use super::*;
    use crate::pb::{self, presign_request::Operation as Wire};

    fn any_duration() -> impl Strategy<Value = Option<Duration>> {
        option::of((any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| Duration { seconds, nanos }))
    }

    fn any_map() -> impl Strategy<Value = BTreeMap<String, String>> {
        btree_map("\\PC{0,6}", "\\PC{0,6}", 0..3)
    }

    fn operation(kind: u8, text: String, metadata: BTreeMap<String, String>) -> Option<Wire> {
        match kind {
            0 => None,
            1 => Some(Wire::GetObject(pb::GetObject::default())),
            2 => Some(Wire::GetObject(pb::GetObject { range: text, ..Default::default() })),
            3 => Some(Wire::PutObject(pb::PutObject { content_type: text, metadata, ..Default::default() })),
            _ => Some(Wire::Http(pb::Http { method: text, ..Default::default() })),
        }
    }

    prop_compose! {
        /// A `PresignRequest`, encoded: it has no Debug, which proptest wants.
        fn any_request()(
            bucket in "\\PC{0,9}",
            key in "\\PC{0,9}",
            signer in "\\PC{0,3}",
            (expires_in, min_expires_in, reuse_window) in (any_duration(), any_duration(), any_duration()),
            (headers, query, metadata) in (any_map(), any_map(), any_map()),
            (kind, text) in (0..5_u8, "\\PC{0,9}"),
        ) -> Vec<u8> {
            let operation = operation(kind, text, metadata);
            pb::PresignRequest {
                bucket, key, expires_in, min_expires_in, signer, headers, query, reuse_window, operation,
            }.encode_to_vec()
        }
    }

    fn decoded(bytes: &[u8]) -> Option<pb::PresignRequest> {
        pb::PresignRequest::decode(bytes).ok()
    }

    fn map(pairs: &Pairs<'_>) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The same message as prost has it.
    fn to_prost(item: &Item<'_>) -> Result<pb::PresignRequest> {
        Ok(pb::PresignRequest {
            bucket: item.bucket.to_owned(),
            key: item.key.to_owned(),
            expires_in: item.expires_in,
            min_expires_in: item.min_expires_in,
            signer: item.signer.to_owned(),
            headers: map(&item.headers),
            query: map(&item.query),
            reuse_window: item.reuse_window,
            operation: item.operation.as_ref().map(Operation::decode).transpose()?,
        })
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_prost_reads_it_also_when_it_comes_in_two_halves(
            first in any_request(),
            second in any_request(),
        ) {
            let thrice = [&first[..], &second, &first].concat();
            for bytes in [first.clone(), [first, second].concat(), thrice] {
                let ours = to_prost(&Item::read(&bytes).unwrap()).unwrap();
                prop_assert!(ours == decoded(&bytes).unwrap());
            }
        }

        #[test]
        fn broken_bytes_are_refused_exactly_when_prost_refuses_them(
            request in any_request(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = request;
            prop_assume!(!bytes.is_empty());
            let place = place.index(bytes.len());
            bytes[place] = byte;
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                let ours = Item::read(bytes).and_then(|item| to_prost(&item)).ok();
                prop_assert!(ours == decoded(bytes));
            }
        }

        #[test]
        fn noise_is_refused_exactly_when_prost_refuses_it(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let ours = Item::read(&bytes).and_then(|item| to_prost(&item)).ok();
            prop_assert!(ours == decoded(&bytes));
        }

        #[test]
        fn a_batch_has_its_requests_and_its_defaults_streamed_or_not(
            requests in prop::collection::vec(any_request(), 0..4),
            defaults in option::of(any_request()),
            all_or_nothing in any::<bool>(),
        ) {
            let batch = pb::BatchPresignRequest {
                requests: requests.iter().filter_map(|bytes| decoded(bytes)).collect(),
                defaults: defaults.as_deref().and_then(decoded),
                all_or_nothing,
            };
            let streamed = pb::StreamPresignRequest { batch: Some(batch.clone()) };
            let streamed = Batch::read_streamed(&streamed.encode_to_vec().into(), 1_000).unwrap().unwrap();
            for read in [Batch::read(batch.encode_to_vec().into(), 1_000).unwrap(), streamed] {
                let read_requests: Vec<_> = (0..read.len()).map(|index| read.request(index)).collect();
                prop_assert_eq!(&read_requests, &requests);
                let read_defaults = read.defaults().unwrap().map(|item| to_prost(&item).unwrap());
                prop_assert!(read_defaults == batch.defaults);
                prop_assert_eq!(read.all_or_nothing, all_or_nothing);
            }
        }
    }

    #[test]
    fn a_batch_over_the_limit_is_counted_and_not_taken_down() {
        let message: Bytes = [10, 0].repeat(5_000).into();
        let batch = Batch::read(message, 1_000).unwrap();
        assert_eq!((batch.len(), batch.requests.len()), (5_000, 1_000));
    }

    #[test]
    fn what_comes_again_and_again_takes_no_more_memory_than_it_came_in() {
        // An empty GetObject, empty defaults, an entry of headers, each a million times or so.
        let item = Item::read(&[0x52, 0].repeat(1 << 20)).map(|item| item.operation.unwrap().message.len());
        assert_eq!(item, Ok(0));
        let bytes = [0x52, 3, 0x0a, 1, b'x'].repeat(1 << 18);
        assert_eq!(Item::read(&bytes).map(|item| item.operation.unwrap().message.len()), Ok(3 << 18));
        let batch = Batch::read([0x12, 0].repeat(1 << 20).into(), 1_000).unwrap();
        assert!(matches!(batch.defaults, Under::Once(_)) && batch.defaults().unwrap().is_some());
        let batch = Batch::read([0x12, 3, 0x12, 1, b'x'].repeat(1 << 18).into(), 1_000).unwrap();
        assert!(matches!(&batch.defaults, Under::Joined(joined) if joined.len() == 3 << 18));
        assert_eq!(batch.defaults().unwrap().unwrap().key, "x");
        let item = [0x32, 3, 0x0a, 1, b'a'].repeat(1 << 18);
        let item = Item::read(&item).unwrap();
        assert!(item.headers.are_too_many() && item.headers.pairs.len() == 1);
    }

    #[test]
    fn defaults_that_come_twice_are_merged_as_prost_merges_them_and_each_must_be_whole() {
        let twice = [0x12, 3, 0x12, 1, b'x', 0x12, 3, 0x0a, 1, b'b'];
        let batch = Batch::read(Bytes::copy_from_slice(&twice), 1_000).unwrap();
        let item = batch.defaults().unwrap().unwrap();
        assert_eq!((item.key, item.bucket), ("x", "b"));
        // Whole only when put together.
        let halves = [0x12, 2, 0x12, 1, 0x12, 1, b'x'];
        assert!(Batch::read(Bytes::copy_from_slice(&halves), 1_000).is_err());
        assert!(pb::BatchPresignRequest::decode(&halves[..]).is_err());
    }

    #[test]
    fn a_stream_message_without_a_batch_has_none() {
        assert!(Batch::read_streamed(&Bytes::new(), 1_000).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        let rows = [
            (&[0x12, 1, 0xff][..], "key", "is not valid UTF-8"),
            (&[0x10, 1], "key", "has another type than the contract says"),
            (&[0x12, 9, b'x'], "request", "is not a valid protobuf message"),
            (&[0x1a, 1, 8], "expires_in", "is not a valid protobuf message"),
            // An operation that another one replaces.
            (&[0x62, 2, 8, 1, 0x52, 0], "operation", "is not a valid protobuf message"),
        ];
        for (bytes, field, problem) in rows {
            assert_eq!(Item::read(bytes), Err(Malformed { field, problem }), "{bytes:?}");
        }
    }
}
