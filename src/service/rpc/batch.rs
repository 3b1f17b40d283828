//! `BatchPresign`: many requests, with all results in one message of at most 4 MiB.

use std::{ops::Range, sync::Arc, time::Duration};

use prost::bytes::{Bytes, BytesMut};
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

use crate::{
    clock::Stopwatch,
    pb,
    service::{
        admission::{
            call::Call,
            response_budget::{InFlight, Reservation},
        },
        codec::EncodedMessage,
        failure::Failure,
        request::{
            batch::EncodedBatch,
            merged::{BatchDefaults, MergedRequest},
            protobuf::decode_request,
        },
        response::{body::MessageBody, chunks::ResultChunks, encode},
        sign::{
            call_signer::{CallSigner, add_needs},
            needs::CredentialNeeds,
            snapshot::CallSnapshot,
        },
    },
};

/// The most bytes of a response: the default receive limit of gRPC clients.
///
/// Source: `GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH` in
/// [grpc_types.h](https://grpc.github.io/grpc/core/channel__arg__names_8h.html).
pub(super) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// How long a batch signs before it yields to other tasks. It is less than the time for a single call.
const TIME_SLICE: Duration = Duration::from_micros(20);

/// A batch uses one more core for each further 256 requests, if the core is free.
const REQUESTS_PER_CORE: usize = 256;

/// A batch of at most this many requests is signed without a core permit, so that it does not wait for long batches.
const SHORT_BATCH_REQUESTS: usize = 32;

/// The length of a usual result, with a session token in its URL.
const USUAL_RESULT_BYTES: usize = 1024;

/// How many requests are checked for their needs before the batch yields to other tasks.
const NEEDS_PER_SLICE: usize = 128;

/// Signs the requests of one batch, with one clock reading and one snapshot of each signer.
#[derive(Clone)]
pub(super) struct BatchSigner {
    call: Arc<Call>,
    batch: Arc<EncodedBatch>,
    snapshot: Arc<CallSnapshot>,
    /// The path of the requests in the message of the call, for errors.
    field: &'static str,
}

/// The results of consecutive requests.
pub(super) struct BatchPart {
    pub(super) results: ResultChunks,
    /// The index of the first request whose result is not in `results`.
    pub(super) end: usize,
    /// The result of request `end`, if it was signed but did not fit. The next part starts with it.
    pub(super) carried_over: Option<BytesMut>,
}

/// The response to a batch, with its reservation in the response budget.
pub(in crate::service) struct BatchResponse {
    chunks: Vec<BytesMut>,
    in_flight: Option<InFlight>,
}

impl BatchResponse {
    /// The body that sends it uncompressed.
    pub(in crate::service) fn into_body(self) -> MessageBody {
        MessageBody::new(self.chunks, self.in_flight)
    }

    /// The message for tonic to compress. The reservation ends here, because the compressed response is short.
    pub(in crate::service) fn into_message(self) -> EncodedMessage {
        EncodedMessage::from_chunks(self.chunks)
    }
}

impl BatchSigner {
    /// Checks the size of the batch, and gets from AWS what its requests need.
    pub(super) async fn start(
        call: &Arc<Call>,
        batch: EncodedBatch,
        field: &'static str,
    ) -> Result<Self, Failure> {
        let (items, limit) = (batch.len(), call.state.batch_items);
        match items {
            0 => return Err(Failure::EmptyBatch { limit, field }),
            _ if items > limit => return Err(Failure::BatchTooLarge { items, limit, field }),
            _ => call.state.metrics.record_batch_size(items),
        }
        let snapshot = ensure_credentials(call, &batch).await;
        Ok(Self { call: Arc::clone(call), batch: Arc::new(batch), snapshot: Arc::new(snapshot), field })
    }

    /// The number of requests.
    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Waits for a permit to sign, in order of arrival; a short batch needs none. There is one permit for each core: more
    /// batches at the same time would only delay each other, and keep their responses in memory for longer.
    pub(super) async fn acquire_core_permit(&self) -> Option<OwnedSemaphorePermit> {
        match self.len() {
            ..=SHORT_BATCH_REQUESTS => None,
            // The semaphore is never closed.
            _ => Arc::clone(&self.call.state.core_permits).acquire_owned().await.ok(),
        }
    }

    /// Signs the requests of a range, until the results would exceed `limit` bytes, but at least one. Yields to other tasks
    /// after each time slice.
    pub(super) async fn sign_range(
        &self,
        range: Range<usize>,
        limit: usize,
        carried_over: Option<BytesMut>,
    ) -> Result<BatchPart, Failure> {
        let defaults = self.batch.defaults().map(BatchDefaults::new);
        let mut signer = CallSigner::new(&self.call, &self.snapshot);
        let mut request = Box::<pb::PresignRequest>::default();
        let first = range.start + usize::from(carried_over.is_some());
        let mut results = ResultChunks::starting_with(carried_over);
        let mut slice = Stopwatch::start();
        for index in first..range.end {
            if signer.should_check_clock() && slice.elapsed() > TIME_SLICE {
                tokio::task::yield_now().await;
                slice = Stopwatch::start();
            }
            let out = results.open_chunk((range.end - index) * USUAL_RESULT_BYTES);
            let before = out.len();
            self.append_result(index, &mut request, defaults.as_ref(), &mut signer, out)?;
            if out.len() - before > limit {
                out.truncate(before);
                self.append_failure(index, Failure::ResultTooLarge { limit }, out)?;
            }
            if let Some(carried_over) = results.accept_result(before, limit) {
                return Ok(BatchPart { results, end: index, carried_over: Some(carried_over) });
            }
        }
        Ok(BatchPart { results, end: range.end, carried_over: None })
    }

    fn append_result(
        &self,
        index: usize,
        request: &mut pb::PresignRequest,
        defaults: Option<&BatchDefaults<'_>>,
        signer: &mut CallSigner<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let message = self.batch.request(index);
        signer.count_read(message.len());
        let result = match decode_request(message, request) {
            Ok(()) => {
                let merged = MergedRequest::new(request, defaults.map(BatchDefaults::request));
                signer.sign(merged, defaults, encode::write_result, out)
            }
            Err(failure) => {
                signer.record_undecoded(&failure);
                Err(failure)
            }
        };
        result.or_else(|failure| self.append_failure(index, failure, out))
    }

    /// Appends the error of a request, or fails if it is to fail the whole batch.
    fn append_failure(&self, index: usize, failure: Failure, out: &mut BytesMut) -> Result<(), Failure> {
        if self.batch.is_all_or_nothing() {
            return Err(Failure::Item { field: self.field, index, failure: Box::new(failure) });
        }
        encode::write_error(&failure.to_item_status(), out);
        Ok(())
    }

    /// Signs every request. A long batch uses all free cores.
    async fn sign_all(&self) -> Result<Vec<BatchPart>, Failure> {
        let mut permits = Vec::new();
        while permits.len() + 1 < self.len() / REQUESTS_PER_CORE
            && let Ok(permit) = Arc::clone(&self.call.state.core_permits).try_acquire_owned()
        {
            permits.push(permit);
        }
        let length = self.len().div_ceil(permits.len() + 1);
        let mut ranges = (0..self.len()).step_by(length).map(|start| start..(start + length).min(self.len()));
        let first = ranges.next().unwrap_or_default();
        let mut others = JoinSet::new();
        for (number, range) in ranges.enumerate() {
            let (signer, permit) = (self.clone(), permits.pop());
            others.spawn(async move {
                let part = signer.sign_range(range, MAX_RESPONSE_BYTES, None).await;
                drop(permit);
                (number, part)
            });
        }
        let first = self.sign_range(first, MAX_RESPONSE_BYTES, None).await?;
        let mut others = others.join_all().await;
        others.sort_unstable_by_key(|(number, _)| *number);
        let mut parts = vec![first];
        for (_, part) in others {
            // The results after a full part do not fit into the response.
            if parts.last().is_some_and(|last| last.carried_over.is_some()) {
                break;
            }
            parts.push(part?);
        }
        Ok(parts)
    }
}

/// Gets from AWS what the valid requests of a batch need. Returns the snapshot to sign with.
async fn ensure_credentials(call: &Call, batch: &EncodedBatch) -> CallSnapshot {
    let snapshot = CallSnapshot::take(&call.state);
    let mut needs = CredentialNeeds::new(&snapshot, batch.message());
    if needs.are_final() {
        return snapshot;
    }
    {
        let defaults = batch.defaults().map(BatchDefaults::new);
        let mut request = Box::<pb::PresignRequest>::default();
        for index in 0..batch.len() {
            if index % NEEDS_PER_SLICE == NEEDS_PER_SLICE - 1 {
                tokio::task::yield_now().await;
            }
            // A request that cannot be decoded fails later, when it is signed.
            if decode_request(batch.request(index), &mut request).is_ok() {
                let merged = MergedRequest::new(&request, batch.defaults());
                add_needs(call, &snapshot, merged, defaults.as_ref(), &mut needs);
            }
        }
    }
    let newer = needs.ensure(&call.state, call.context.deadline).await;
    newer.unwrap_or(snapshot)
}

/// Signs a batch. Fails if the response would exceed [`MAX_RESPONSE_BYTES`].
pub(in crate::service) async fn batch_presign(
    call: Arc<Call>,
    message: Bytes,
) -> Result<BatchResponse, Failure> {
    let batch = EncodedBatch::read(message, call.state.batch_items)?;
    let signer = BatchSigner::start(&call, batch, "requests").await?;
    // Memory is reserved before the core permit, so that a batch that waits for memory does not block a core.
    let expected = (signer.len() * USUAL_RESULT_BYTES).min(MAX_RESPONSE_BYTES);
    let reservation = call.state.response_budget.reserve(expected).await;
    let permit = signer.acquire_core_permit().await;
    let parts = signer.sign_all().await?;
    let fits = count_fitting(&parts);
    if fits < signer.len() {
        return Err(Failure::AnswerTooLarge { fits, items: signer.len(), limit: MAX_RESPONSE_BYTES });
    }
    let chunks = parts.into_iter().flat_map(|part| part.results.into_chunks()).collect();
    drop(permit);
    Ok(BatchResponse { chunks, in_flight: reservation.map(Reservation::start_sending) })
}

/// How many of the first results fit into one response.
fn count_fitting(parts: &[BatchPart]) -> usize {
    let mut remaining = MAX_RESPONSE_BYTES;
    let mut fits = 0;
    for part in parts {
        match remaining.checked_sub(part.results.len()) {
            Some(rest) => {
                fits = part.end;
                remaining = rest;
            }
            None => return fits + part.results.count_within(remaining),
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part with this many results of this many bytes each, whose last request is `end - 1`.
    fn part(results: usize, bytes_each: usize, end: usize) -> BatchPart {
        let error = tonic_types::Status { code: 3, message: "x".repeat(bytes_each), details: Vec::new() };
        let mut written = ResultChunks::default();
        for _ in 0..results {
            let out = written.open_chunk(0);
            let before = out.len();
            encode::write_error(&error, out);
            assert!(written.accept_result(before, usize::MAX).is_none());
        }
        BatchPart { results: written, end, carried_over: None }
    }

    #[test]
    fn results_that_fit_are_counted_over_all_parts() {
        const MIB: usize = 1024 * 1024;
        let rows = [
            (vec![part(10, 100, 10), part(10, 100, 20)], 20),
            // Two of the three results of the second part fit.
            (vec![part(1, MIB, 1), part(3, MIB, 4)], 3),
            (vec![part(3, MIB, 3), part(3, MIB, 6), part(1, 100, 7)], 3),
        ];
        for (number, (parts, fits)) in rows.into_iter().enumerate() {
            assert_eq!(count_fitting(&parts), fits, "row {number}");
        }
    }
}
