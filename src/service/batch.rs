//! Many URLs in one call: an answer for each, within what a client can receive.

use prost::Message;

use super::{Moment, Shared, status::Failure};
use crate::{
    clock::Stopwatch,
    pb::{self, presign_result::Result as ItemResult},
};

/// The default receive limit of every gRPC client.
///
/// Source: `GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH` in
/// [grpc_types.h](https://grpc.github.io/grpc/core/channel__arg__names_8h.html).
pub(super) const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// How many URLs are signed before others get their turn: well under a millisecond's work.
const CHUNK: usize = 64;

/// Room for the fields of a streamed answer around its batch.
const STREAM_ENVELOPE: usize = 32;

/// What bounds a batch.
pub(super) struct BatchLimits {
    items: usize,
    answer_bytes: usize,
    /// Where the requests stand in the call's message.
    field: &'static str,
}

impl BatchLimits {
    /// The limits of BatchPresign.
    pub(super) fn of(shared: &Shared) -> Self {
        Self { items: shared.batch_items, answer_bytes: ANSWER_LIMIT, field: "requests" }
    }

    /// The limits of one message of StreamPresign.
    pub(super) fn of_stream(shared: &Shared) -> Self {
        Self {
            items: shared.batch_items,
            answer_bytes: ANSWER_LIMIT - STREAM_ENVELOPE,
            field: "batch.requests",
        }
    }
}

/// A batch being answered: one clock reading and one credential snapshot for all of it.
pub(super) struct Signing<'s, 'b> {
    moment: Moment<'s>,
    batch: &'b pb::BatchPresignRequest,
    limits: &'b BatchLimits,
    next: usize,
    /// The last result, when it did not fit into the message before.
    held_back: Option<pb::PresignResult>,
}

/// A part of a batch's answer that fits into one message.
pub(super) struct Part {
    pub(super) answer: pb::BatchPresignResponse,
    /// Whether this is the rest of the batch.
    pub(super) last: bool,
}

impl<'s, 'b> Signing<'s, 'b> {
    /// Checks the batch's size and starts.
    pub(super) fn start(
        shared: &'s Shared,
        batch: &'b pb::BatchPresignRequest,
        limits: &'b BatchLimits,
    ) -> Result<Self, Failure> {
        let (items, limit, field) = (batch.requests.len(), limits.items, limits.field);
        match items {
            0 => return Err(Failure::EmptyBatch { limit, field }),
            _ if items > limit => return Err(Failure::BatchTooLarge { items, limit, field }),
            _ => shared.metrics.batch(items),
        }
        Ok(Self { moment: shared.moment(), batch, limits, next: 0, held_back: None })
    }

    /// Signs until the batch ends or a message is full, letting others have their turn between chunks.
    pub(super) async fn part(&mut self) -> Result<Part, Failure> {
        let mut answer = pb::BatchPresignResponse::default();
        let mut bytes = 0;
        if let Some(result) = self.held_back.take() {
            bytes += size_in_list(&result);
            answer.results.push(result);
        }
        while self.held_back.is_none() && self.next < self.batch.requests.len() {
            self.chunk(&mut answer, &mut bytes)?;
            tokio::task::yield_now().await;
        }
        Ok(Part { answer, last: self.held_back.is_none() })
    }

    /// Signs a chunk, or less when the message is full: then the last result is held back for the next one.
    fn chunk(&mut self, answer: &mut pb::BatchPresignResponse, bytes: &mut usize) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        let mut signed = 0;
        let end = (self.next + CHUNK).min(self.batch.requests.len());
        while self.next < end && self.held_back.is_none() {
            let result = self.item()?;
            signed += usize::from(matches!(result.result, Some(ItemResult::Presigned(_))));
            *bytes += size_in_list(&result);
            if *bytes > self.limits.answer_bytes {
                self.held_back = Some(result);
            } else {
                answer.results.push(result);
            }
        }
        self.moment.shared.metrics.signed(watch.elapsed(), signed);
        Ok(())
    }

    fn item(&mut self) -> Result<pb::PresignResult, Failure> {
        let index = self.next;
        self.next += 1;
        let signed = self.moment.sign(&self.batch.requests[index], self.batch.defaults.as_ref());
        let result = match signed {
            Ok(presigned) => ItemResult::Presigned(presigned),
            Err(failure) if self.batch.all_or_nothing => {
                return Err(Failure::Item { field: self.limits.field, index, failure: Box::new(failure) });
            }
            Err(failure) => ItemResult::Error(failure.to_item()),
        };
        Ok(pb::PresignResult { result: Some(result) })
    }
}

/// The bytes of a result in the list: itself, its length and its tag.
fn size_in_list(result: &pb::PresignResult) -> usize {
    let bytes = result.encoded_len();
    1 + prost::length_delimiter_len(bytes) + bytes
}

/// Answers a batch in one message, or not at all.
pub(super) async fn whole(
    shared: &Shared,
    batch: &pb::BatchPresignRequest,
    limits: &BatchLimits,
) -> Result<pb::BatchPresignResponse, Failure> {
    let part = Signing::start(shared, batch, limits)?.part().await?;
    if part.last {
        return Ok(part.answer);
    }
    let (fits, items) = (part.answer.results.len(), batch.requests.len());
    Err(Failure::AnswerTooLarge { fits, items, limit: limits.answer_bytes })
}
