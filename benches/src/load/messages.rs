//! The requests, encoded once, and the expected responses.

use bytes::Bytes;
use prost::{Message, encoding::encoded_len_varint};

use super::{Mode, Options, Target};
use crate::{contract::presign::v1 as pb, echo_pb, work};

/// The minimum number of different requests; they are sent in rotation.
const DISTINCT: u64 = 16;

/// The requests to send.
pub(super) struct Messages {
    encoded: Vec<Bytes>,
    target: Target,
    mode: Mode,
    items: usize,
}

/// The sizes of the first response, which all others must have too.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) message_bytes: usize,
    pub(super) item_bytes: usize,
    pub(super) url_bytes: usize,
    /// Allowed difference in bytes: in a stream, `first_index` grows.
    slack: usize,
}

impl Answer {
    /// Panics if a response does not have the length of the first.
    pub(super) fn check_length(&self, bytes: &Bytes) {
        let fits = bytes.len().abs_diff(self.message_bytes) <= self.slack;
        assert!(fits, "an answer has {} bytes, the first had {}", bytes.len(), self.message_bytes);
    }
}

impl Messages {
    /// The messages that the options describe.
    pub(super) fn of(options: &Options) -> Self {
        let items = if options.mode == Mode::Unary { 1 } else { options.items };
        let number = DISTINCT.max(1_000 / items.max(1));
        let encoded = (0..number).map(|number| encoded(options, number * items)).collect();
        let items = usize::try_from(items).expect("a small number");
        Self { encoded, target: options.target, mode: options.mode, items }
    }

    /// One of the requests, by number.
    pub(super) fn get(&self, number: usize) -> Bytes {
        self.encoded[number % self.encoded.len()].clone()
    }

    /// Checks the whole response to the first request.
    pub(super) fn check(&self, bytes: Bytes) -> Answer {
        let message_bytes = bytes.len();
        let (item_bytes, url_bytes) = match (self.target, self.mode) {
            (Target::Echo, Mode::Unary) => (message(echo_pb::UnaryResponse::decode(bytes)).item.len(), 0),
            (Target::Echo, Mode::Batch | Mode::Stream) => {
                let answer = message(echo_pb::BatchResponse::decode(bytes));
                assert_eq!(answer.items.len(), self.items, "one item per request");
                (answer.items[0].len(), 0)
            }
            (_, Mode::Unary) => {
                let answer = message(pb::PresignResponse::decode(bytes)).presigned.expect("it has a URL");
                self.check_presigned(&answer, 0);
                (answer.encoded_len(), answer.url.len())
            }
            (_, Mode::Batch) => self.results(&message(pb::BatchPresignResponse::decode(bytes))),
            (_, Mode::Stream) => {
                let answer = message(pb::StreamPresignResponse::decode(bytes));
                self.results(&answer.batch.expect("a stream's answer has a batch"))
            }
        };
        let slack = if self.mode == Mode::Stream { 16 } else { 0 };
        Answer { message_bytes, item_bytes, url_bytes, slack }
    }

    /// The sizes of a result and of its URL.
    fn results(&self, answer: &pb::BatchPresignResponse) -> (usize, usize) {
        assert_eq!(answer.results.len(), self.items, "one result per request");
        let mut url_bytes = 0;
        for (number, result) in (0..).zip(&answer.results) {
            match &result.result {
                Some(pb::presign_result::Result::Presigned(presigned)) => {
                    self.check_presigned(presigned, number);
                    url_bytes = presigned.url.len();
                }
                _ => panic!("item {number} was not signed"),
            }
        }
        (answer.results[0].encoded_len(), url_bytes)
    }

    fn check_presigned(&self, presigned: &pb::PresignedRequest, number: u64) {
        assert!(
            presigned.signed_at.is_some() && presigned.expires_at.is_some() && presigned.granted.is_some()
        );
        if self.target == Target::Presignd {
            let url = &presigned.url;
            assert!(url.contains(&work::key(number)), "the URL is for its key");
            let (_, signature) = url.split_once("&X-Amz-Signature=").expect("a signature");
            assert_eq!(signature.len(), 64, "a signature of SHA-256");
        }
    }
}

fn message<T>(decoded: Result<T, prost::DecodeError>) -> T {
    decoded.expect("an answer of the contract")
}

fn encoded(options: &Options, first: u64) -> Bytes {
    let bytes = match (options.target, options.mode) {
        (Target::Presignd | Target::Bare, Mode::Unary) => single(options, first).encode_to_vec(),
        (Target::Presignd | Target::Bare, Mode::Batch) => batch(options, first).encode_to_vec(),
        (Target::Presignd | Target::Bare, Mode::Stream) => {
            pb::StreamPresignRequest { batch: Some(batch(options, first)) }.encode_to_vec()
        }
        (Target::Echo, Mode::Unary) => echo_unary(options, first).encode_to_vec(),
        (Target::Echo, Mode::Batch | Mode::Stream) => echo_batch(options, first).encode_to_vec(),
    };
    bytes.into()
}

fn single(options: &Options, number: u64) -> pb::PresignRequest {
    pb::PresignRequest { key: work::key(number), ..defaults(options) }
}

fn batch(options: &Options, first: u64) -> pb::BatchPresignRequest {
    let item = |number| pb::PresignRequest { key: work::key(number), ..Default::default() };
    pb::BatchPresignRequest {
        requests: (first..first + options.items).map(item).collect(),
        defaults: Some(defaults(options)),
        all_or_nothing: false,
    }
}

/// The defaults of a batch.
fn defaults(options: &Options) -> pb::PresignRequest {
    let seconds = i64::try_from(work::EXPIRES_IN.as_secs()).expect("a small number");
    let signer =
        if options.target == Target::Bare { options.answer_bytes.to_string() } else { String::new() };
    pb::PresignRequest {
        bucket: options.bucket.clone(),
        signer,
        expires_in: Some(prost_types::Duration { seconds, nanos: 0 }),
        operation: Some(pb::presign_request::Operation::GetObject(pb::GetObject::default())),
        ..Default::default()
    }
}

/// A request of the same length as the request to presignd.
fn echo_unary(options: &Options, number: u64) -> echo_pb::UnaryRequest {
    let answer_bytes = u32::try_from(options.answer_bytes).expect("a small number");
    let whole = single(options, number).encoded_len();
    let empty = echo_pb::UnaryRequest { item: String::new(), answer_bytes }.encoded_len();
    let item = text(work::key(number), filling(whole.saturating_sub(empty)));
    echo_pb::UnaryRequest { item, answer_bytes }
}

/// A batch of the same length as the batch for presignd, item by item.
fn echo_batch(options: &Options, first: u64) -> echo_pb::BatchRequest {
    let like = batch(options, first);
    let item = |request: &pb::PresignRequest| text(request.key.clone(), request.encoded_len());
    echo_pb::BatchRequest {
        items: like.requests.iter().map(item).collect(),
        defaults: text(String::new(), like.defaults.map_or(0, |defaults| defaults.encoded_len())),
        answer_bytes: u32::try_from(options.answer_bytes).expect("a small number"),
    }
}

/// The length of the string whose field has this many bytes.
fn filling(field: usize) -> usize {
    let around = |bytes: usize| 1 + encoded_len_varint(bytes.try_into().unwrap_or_default());
    field.saturating_sub(around(field))
}

fn text(begins: String, bytes: usize) -> String {
    let missing = bytes.saturating_sub(begins.len());
    begins + &"x".repeat(missing)
}
