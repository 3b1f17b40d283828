//! `StreamPresign`: any number of batches, answered in order, and only as fast as the caller reads.

use std::sync::Arc;

use prost::bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::batch::{BatchPart, BatchSigner, MAX_RESPONSE_BYTES};
use crate::{
    metrics::Rejection,
    service::{
        admission::call::Call, codec::EncodedMessage, failure::Failure, request::batch::EncodedBatch,
        response::encode,
    },
};

/// The responses of one stream.
pub(in crate::service) type Responses = ReceiverStream<Result<EncodedMessage, Status>>;

/// How many responses wait for a slow reader. It bounds the memory of a stream.
const QUEUED_RESPONSES: usize = 1;

/// Answers a stream in a background task. It ends after the last message of the caller, at the deadline, or at the first
/// invalid batch.
pub(in crate::service) fn stream_presign(call: Arc<Call>, mut messages: Streaming<Bytes>) -> Responses {
    let (responses, receiver) = mpsc::channel(QUEUED_RESPONSES);
    tokio::spawn(async move {
        let result = call.run_to_status(answer_messages(&call, &mut messages, &responses)).await;
        if let Err(status) = result {
            // Fails only if the caller has disconnected.
            let _is_disconnected = responses.send(Err(status)).await;
        }
    });
    ReceiverStream::new(receiver)
}

async fn answer_messages(
    call: &Arc<Call>,
    messages: &mut Streaming<Bytes>,
    responses: &mpsc::Sender<Result<EncodedMessage, Status>>,
) -> Result<(), Status> {
    let mut first_index = 0;
    while let Some(message) =
        messages.message().await.map_err(|status| replace_size_limit_error(status, call))?
    {
        let started = start_batch(call, &message).await;
        let signer = started.map_err(|failure| failure.to_status())?;
        let (mut next, mut carried_over) = (0, None);
        while next < signer.len() {
            let result = sign_one_message(&signer, next, carried_over).await;
            let mut part = result.map_err(|failure| failure.to_status())?;
            let results = part.end - next;
            (next, carried_over) = (part.end, part.carried_over.take());
            if responses.send(Ok(encode_response(part, first_index))).await.is_err() {
                return Err(Status::cancelled("the caller has disconnected"));
            }
            first_index += results as u64;
        }
    }
    Ok(())
}

async fn start_batch(call: &Arc<Call>, message: &Bytes) -> Result<BatchSigner, Failure> {
    let batch = EncodedBatch::read_streamed(message, call.state.batch_items)?.ok_or(Failure::NoBatch)?;
    BatchSigner::start(call, batch, "batch.requests").await
}

/// Signs as many requests as fit into one response. The core permit is released before the response waits for its reader,
/// so that a slow reader delays only its own stream.
async fn sign_one_message(
    signer: &BatchSigner,
    start: usize,
    carried_over: Option<BytesMut>,
) -> Result<BatchPart, Failure> {
    let _permit = signer.acquire_core_permit().await;
    let limit = MAX_RESPONSE_BYTES - encode::MAX_STREAM_ENVELOPE_BYTES;
    signer.sign_range(start..signer.len(), limit, carried_over).await
}

fn encode_response(part: BatchPart, first_index: u64) -> EncodedMessage {
    let head = encode::encode_stream_head(part.results.len());
    let chunks = std::iter::once(head).chain(part.results.into_chunks());
    EncodedMessage::from_chunks(chunks.chain([encode::encode_stream_tail(first_index)]).collect())
}

/// Replaces the error of tonic for a message over the limit, which is `OUT_OF_RANGE` without details, and counts it. No other
/// error of presignd has that code.
fn replace_size_limit_error(status: Status, call: &Call) -> Status {
    if status.code() != Code::OutOfRange {
        return status;
    }
    call.state.metrics.count_rejection(Rejection::MessageTooLarge);
    Failure::MessageTooLarge { limit: call.state.message_bytes }.to_status()
}
