//! `StreamPresign`: batches without an upper bound, one at a time, in order, and only as fast as the caller reads.

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

/// Responses that wait for a slow reader: with one, a stream keeps a few messages whatever its length.
const QUEUED_RESPONSES: usize = 1;

/// Answers a stream in the background. It ends with the caller's last message, its deadline, or its first bad batch.
pub(in crate::service) fn stream_presign(call: Arc<Call>, mut messages: Streaming<Bytes>) -> Responses {
    let (responses, receiver) = mpsc::channel(QUEUED_RESPONSES);
    tokio::spawn(async move {
        let ended = call.run_to_status(answer_messages(&call, &mut messages, &responses)).await;
        if let Err(status) = ended {
            // A caller that is gone does not receive it.
            let _caller_is_gone = responses.send(Err(status)).await;
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
    while let Some(message) = messages.message().await.map_err(|status| name_size_limit(status, call))? {
        let started = start_batch(call, &message).await;
        let signer = started.map_err(|failure| failure.to_status())?;
        let (mut next, mut carried_over) = (0, None);
        while next < signer.len() {
            let signed = sign_one_message(&signer, next, carried_over).await;
            let mut part = signed.map_err(|failure| failure.to_status())?;
            let results = part.end - next;
            (next, carried_over) = (part.end, part.carried_over.take());
            if responses.send(Ok(encode_response(part, first_index))).await.is_err() {
                return Err(Status::cancelled("the caller is gone"));
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

/// As many results as fit into one message. The core's permit is released before the response waits for its reader, so
/// that a slow reader slows its own stream only.
async fn sign_one_message(
    signer: &BatchSigner,
    start: usize,
    carried_over: Option<BytesMut>,
) -> Result<BatchPart, Failure> {
    let _permit = signer.acquire_core().await;
    let limit = MAX_RESPONSE_BYTES - encode::MAX_STREAM_ENVELOPE_BYTES;
    signer.sign_range(start..signer.len(), limit, carried_over).await
}

fn encode_response(part: BatchPart, first_index: u64) -> EncodedMessage {
    let head = encode::encode_stream_head(part.results.len());
    let chunks = std::iter::once(head).chain(part.results.into_chunks());
    EncodedMessage::of(chunks.chain([encode::encode_stream_tail(first_index)]).collect())
}

/// tonic answers OUT_OF_RANGE, without details, to a message over the limit. No failure of presignd has that code.
fn name_size_limit(status: Status, call: &Call) -> Status {
    if status.code() != Code::OutOfRange {
        return status;
    }
    call.state.metrics.count_rejection(Rejection::MessageTooLarge);
    Failure::MessageTooLarge { limit: call.state.message_bytes }.to_status()
}
