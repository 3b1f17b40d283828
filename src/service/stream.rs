//! Batches without an upper bound: one at a time, in order, and only as fast as the caller reads.

use std::time::Duration;

use prost::bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::{
    PresignApi, answer,
    batch::{ANSWER_LIMIT, Part, Signing},
    codec::Answer,
    deadline,
    status::{Failure, code_label},
    wire::Batch,
};
use crate::{
    clock::Stopwatch,
    metrics::{Method, Rejection},
};

/// The answers of one stream.
pub(super) type Responses = ReceiverStream<Result<Answer, Status>>;

/// Answers that wait for a slow reader: with one, a stream holds a few messages whatever its length.
const WAITING_ANSWERS: usize = 1;

/// Starts to answer a stream; it ends with the caller's last message, its deadline, or its first bad batch.
pub(super) fn start(api: PresignApi, request: Request<Streaming<Bytes>>) -> Result<Responses, Status> {
    let watch = Stopwatch::start();
    let place = api.place().map_err(|failure| {
        api.0.metrics.rpc(Method::StreamPresign, code_label(failure.code()), watch.elapsed());
        failure.to_status()
    })?;
    let limit = deadline(&request);
    let mut messages = request.into_inner();
    let (answers, receiver) = mpsc::channel(WAITING_ANSWERS);
    tokio::spawn(async move {
        let _place = place;
        let _in_flight = api.0.metrics.in_flight();
        let ends = Ends { watch, limit };
        let work = answer_all(&api, &mut messages, &answers, ends);
        let ended = match limit {
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Failure::DeadlineExceeded.to_status())),
            None => work.await,
        };
        let code = ended.as_ref().map_or_else(Status::code, |()| Code::Ok);
        api.0.metrics.rpc(Method::StreamPresign, code_label(code), watch.elapsed());
        if let Err(status) = ended {
            // A caller that is gone does not hear why.
            let _unheard = answers.send(Err(status)).await;
        }
    });
    Ok(ReceiverStream::new(receiver))
}

async fn answer_all(
    api: &PresignApi,
    messages: &mut Streaming<Bytes>,
    answers: &mpsc::Sender<Result<Answer, Status>>,
    ends: Ends,
) -> Result<(), Status> {
    let mut first_index = 0;
    while let Some(message) = messages.message().await.map_err(|status| named(status, api))? {
        let started = start_batch(api, &message, ends.time_left()).await;
        let signing = started.map_err(|failure| failure.to_status())?;
        let (mut next, mut held_back) = (0, None);
        while next < signing.len() {
            let mut part =
                one_message(&signing, next, held_back).await.map_err(|failure| failure.to_status())?;
            let results = part.end - next;
            (next, held_back) = (part.end, part.held_back.take());
            if answers.send(Ok(streamed(part, first_index))).await.is_err() {
                return Err(Status::cancelled("the caller is gone"));
            }
            first_index += results as u64;
        }
    }
    Ok(())
}

/// When the caller's time for a stream is over.
#[derive(Clone, Copy)]
struct Ends {
    watch: Stopwatch,
    limit: Option<Duration>,
}

impl Ends {
    fn time_left(self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.watch.elapsed()))
    }
}

async fn start_batch(api: &PresignApi, message: &Bytes, time: Option<Duration>) -> Result<Signing, Failure> {
    let batch = Batch::read_streamed(message, api.0.batch_items)?.ok_or(Failure::NoBatch)?;
    Signing::start(&api.0, batch, "batch.requests", time).await
}

/// As many results as fit into one message. The place is given back before the answer waits for its reader, so that a
/// slow one slows its own stream only.
async fn one_message(signing: &Signing, from: usize, held_back: Option<BytesMut>) -> Result<Part, Failure> {
    let _place = signing.place().await;
    signing.part(from..signing.len(), ANSWER_LIMIT - answer::STREAM_ENVELOPE, held_back).await
}

fn streamed(part: Part, first_index: u64) -> Answer {
    let head = answer::streamed_head(part.results.len());
    let pieces = std::iter::once(head).chain(part.results.into_pieces());
    Answer::of(pieces.chain([answer::streamed_tail(first_index)]).collect())
}

/// tonic calls a message over the limit `OUT_OF_RANGE`; nothing else of ours is.
fn named(status: Status, api: &PresignApi) -> Status {
    if status.code() != Code::OutOfRange {
        return status;
    }
    api.0.metrics.rejected(Rejection::MessageTooLarge);
    Failure::MessageTooLarge { limit: api.0.message_bytes }.to_status()
}
