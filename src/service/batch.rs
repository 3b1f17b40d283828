//! Many URLs in one call: an answer for each, within what a client can receive.

use std::{ops::Range, sync::Arc, time::Duration};

use prost::bytes::{Bytes, BytesMut};
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

use super::{
    Shared, answer,
    codec::Answer,
    early,
    request::{Defaults, Merged},
    results::Results,
    room::{Held, Taken},
    sessions,
    status::Failure,
    wire::{Batch, Item},
    work::{Moment, Work},
};
use crate::clock::Stopwatch;

/// The default receive limit of every gRPC client.
///
/// Source: `GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH` in
/// [grpc_types.h](https://grpc.github.io/grpc/core/channel__arg__names_8h.html).
pub(super) const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// How long a batch signs before others get their turn: less than a call for one URL takes.
const SLICE: Duration = Duration::from_micros(20);

/// A batch as long as this is worth a second core.
const WORTH_A_CORE: usize = 256;

/// A batch as short as this is like a call for one URL: it does not wait for the long ones.
const SHORT: usize = 32;

/// The bytes of a usual result, with a session token in its URL.
const USUAL_RESULT: usize = 1024;

/// A batch being answered: one clock reading and one credential snapshot for all of it.
#[derive(Clone)]
pub(super) struct Signing {
    shared: Arc<Shared>,
    batch: Arc<Batch>,
    moment: Arc<Moment>,
    /// Where the requests stand in the call's message.
    field: &'static str,
}

/// Results that lie one behind the other.
pub(super) struct Part {
    pub(super) results: Results,
    /// The first request that has none.
    pub(super) end: usize,
    /// The result of that request, when there was no room for it: the beginning of the next part.
    pub(super) held_back: Option<BytesMut>,
}

impl Signing {
    /// Checks the batch's size and starts. The caller still has so much time.
    pub(super) async fn start(
        shared: &Arc<Shared>,
        batch: Batch,
        field: &'static str,
        time: Option<Duration>,
    ) -> Result<Self, Failure> {
        let (items, limit) = (batch.len(), shared.batch_items);
        match items {
            0 => return Err(Failure::EmptyBatch { limit, field }),
            _ if items > limit => return Err(Failure::BatchTooLarge { items, limit, field }),
            _ => shared.metrics.batch(items),
        }
        early::renew_for_batch(shared, &batch, time).await;
        let moment = Arc::new(sessions::for_batch(shared, &batch).await);
        Ok(Self { shared: Arc::clone(shared), batch: Arc::new(batch), moment, field })
    }

    /// How many requests there are.
    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }

    /// A place among the batches that are signed at once: one for each core, in the order in which they came. More
    /// would only be in each other's way, and hold their answers in memory for longer.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        match self.len() {
            ..=SHORT => None,
            // The semaphore is never closed.
            _ => Arc::clone(&self.shared.cores).acquire_owned().await.ok(),
        }
    }

    /// Signs requests until they end or their results would pass `room`, but one at least. Others get their turn
    /// between slices.
    pub(super) async fn part(
        &self,
        range: Range<usize>,
        room: usize,
        held_back: Option<BytesMut>,
    ) -> Result<Part, Failure> {
        let item = self.batch.defaults()?;
        let message = item.as_ref().map_or(Ok(None), |item| Merged::new(item, None).message())?;
        let defaults = item.as_ref().map(|item| Defaults::new(item, message.as_ref()));
        let mut work = Work::new(&self.shared, &self.moment);
        let first = range.start + usize::from(held_back.is_some());
        let mut results = Results::beginning_with(held_back);
        let mut slice = Stopwatch::start();
        for index in first..range.end {
            if work.is_time_to_look() && slice.elapsed() > SLICE {
                tokio::task::yield_now().await;
                slice = Stopwatch::start();
            }
            let out = results.open((range.end - index) * USUAL_RESULT);
            let before = out.len();
            self.result(index, defaults.as_ref(), &mut work, out)?;
            if out.len() - before > room {
                out.truncate(before);
                self.failed(index, Failure::ResultTooLarge { limit: room }, out)?;
            }
            if let Some(held_back) = results.close(before, room) {
                return Ok(Part { results, end: index, held_back: Some(held_back) });
            }
        }
        Ok(Part { results, end: range.end, held_back: None })
    }

    /// Writes the result of one request.
    fn result(
        &self,
        index: usize,
        defaults: Option<&Defaults<'_>>,
        work: &mut Work<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let request = self.batch.request(index);
        work.reads(request.len());
        let signed = Item::read(request)
            .map_err(Failure::from)
            .and_then(|item| work.sign(&item, defaults, answer::write_result, out));
        signed.or_else(|failure| self.failed(index, failure, out))
    }

    /// Writes why a request has no URL, unless that fails the whole batch.
    fn failed(&self, index: usize, failure: Failure, out: &mut BytesMut) -> Result<(), Failure> {
        if self.batch.all_or_nothing {
            return Err(Failure::Item { field: self.field, index, failure: Box::new(failure) });
        }
        answer::write_error(&failure.to_item(), out);
        Ok(())
    }

    /// Signs every request, on as many cores as are free when the batch is long.
    async fn all(&self) -> Result<Vec<Part>, Failure> {
        let mut free = Vec::new();
        while free.len() + 1 < self.len() / WORTH_A_CORE
            && let Ok(another) = Arc::clone(&self.shared.cores).try_acquire_owned()
        {
            free.push(another);
        }
        let each = self.len().div_ceil(free.len() + 1);
        let mut ranges = (0..self.len()).step_by(each).map(|from| from..(from + each).min(self.len()));
        let first = ranges.next().unwrap_or_default();
        let mut others = JoinSet::new();
        for (number, range) in ranges.enumerate() {
            let (signing, place) = (self.clone(), free.pop());
            others.spawn(async move {
                let part = signing.part(range, ANSWER_LIMIT, None).await;
                drop(place);
                (number, part)
            });
        }
        let first = self.part(first, ANSWER_LIMIT, None).await?;
        let mut others = others.join_all().await;
        others.sort_unstable_by_key(|(number, _)| *number);
        let mut parts = vec![first];
        for (_, part) in others {
            // What comes behind a part that is full is as if it had not been tried.
            if parts.last().is_some_and(|last| last.held_back.is_some()) {
                break;
            }
            parts.push(part?);
        }
        Ok(parts)
    }
}

/// Answers a batch in one message, or not at all, with the room that the answer takes.
pub(super) async fn whole(
    shared: &Arc<Shared>,
    message: Bytes,
    time: Option<Duration>,
) -> Result<(Answer, Option<Held>), Failure> {
    let batch = Batch::read(message, shared.batch_items)?;
    let signing = Signing::start(shared, batch, "requests", time).await?;
    // Room comes first: who waits for it keeps nobody from a core.
    let room = shared.room.take((signing.len() * USUAL_RESULT).min(ANSWER_LIMIT)).await;
    let place = signing.place().await;
    let parts = signing.all().await?;
    let fits = fitting(&parts);
    if fits < signing.len() {
        return Err(Failure::AnswerTooLarge { fits, items: signing.len(), limit: ANSWER_LIMIT });
    }
    let answer = Answer::of(parts.into_iter().flat_map(|part| part.results.into_pieces()).collect());
    drop(place);
    Ok((answer, room.map(Taken::until_sent)))
}

/// How many results, from the first one on, a client can receive in one message.
fn fitting(parts: &[Part]) -> usize {
    let mut room = ANSWER_LIMIT;
    let mut fits = 0;
    for part in parts {
        match room.checked_sub(part.results.len()) {
            Some(left) => {
                fits = part.end;
                room = left;
            }
            None => return fits + part.results.within(room),
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many results of so many bytes each, up to the request with the number `end`.
    fn part(results: usize, bytes_each: usize, end: usize) -> Part {
        let error = tonic_types::Status { code: 3, message: "x".repeat(bytes_each), details: Vec::new() };
        let mut written = Results::default();
        for _ in 0..results {
            let out = written.open(0);
            let before = out.len();
            answer::write_error(&error, out);
            assert!(written.close(before, usize::MAX).is_none());
        }
        Part { results: written, end, held_back: None }
    }

    #[test]
    fn what_fits_is_counted_over_all_parts() {
        const MIB: usize = 1024 * 1024;
        let rows = [
            (vec![part(10, 100, 10), part(10, 100, 20)], 20),
            // The second has room for two of its three.
            (vec![part(1, MIB, 1), part(3, MIB, 4)], 3),
            (vec![part(3, MIB, 3), part(3, MIB, 6), part(1, 100, 7)], 3),
        ];
        for (number, (parts, fits)) in rows.into_iter().enumerate() {
            assert_eq!(fitting(&parts), fits, "row {number}");
        }
    }
}
