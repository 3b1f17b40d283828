//! Batches without an upper bound: one at a time, in order, and only as fast as the caller reads.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::{
    PresignApi,
    batch::{BatchLimits, Signing},
    deadline,
    status::{Failure, code_name},
};
use crate::{clock::Stopwatch, metrics::Rejection, pb};

/// The answers of one stream.
pub(super) type Responses = ReceiverStream<Result<pb::StreamPresignResponse, Status>>;

const METHOD: &str = "StreamPresign";

/// Answers that wait for a slow reader: with one, a stream holds a few messages whatever its length.
const WAITING_ANSWERS: usize = 1;

/// Starts to answer a stream; it ends with the caller's last message, its deadline, or its first bad batch.
pub(super) fn start(
    api: PresignApi,
    request: Request<Streaming<pb::StreamPresignRequest>>,
) -> Result<Responses, Status> {
    let watch = Stopwatch::start();
    let place = api.place().map_err(|failure| {
        api.0.metrics.rpc(METHOD, code_name(failure.code()), watch.elapsed());
        failure.to_status()
    })?;
    let limit = deadline(&request);
    let mut messages = request.into_inner();
    let (answers, receiver) = mpsc::channel(WAITING_ANSWERS);
    tokio::spawn(async move {
        let _place = place;
        let _in_flight = api.0.metrics.in_flight();
        let work = answer_all(&api, &mut messages, &answers);
        let ended = match limit {
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Failure::DeadlineExceeded.to_status())),
            None => work.await,
        };
        let code = ended.as_ref().map_or_else(Status::code, |()| Code::Ok);
        api.0.metrics.rpc(METHOD, code_name(code), watch.elapsed());
        if let Err(status) = ended {
            // A caller that is gone does not hear why.
            let _unheard = answers.send(Err(status)).await;
        }
    });
    Ok(ReceiverStream::new(receiver))
}

async fn answer_all(
    api: &PresignApi,
    messages: &mut Streaming<pb::StreamPresignRequest>,
    answers: &mpsc::Sender<Result<pb::StreamPresignResponse, Status>>,
) -> Result<(), Status> {
    let limits = BatchLimits::of_stream(&api.0);
    let mut first_index = 0;
    while let Some(message) = messages.message().await.map_err(|status| named(status, api))? {
        let batch = message.batch.ok_or_else(|| Failure::NoBatch.to_status())?;
        let mut signing = Signing::start(&api.0, &batch, &limits).map_err(|failure| failure.to_status())?;
        loop {
            let part = signing.part().await.map_err(|failure| failure.to_status())?;
            let results = part.answer.results.len() as u64;
            let answer = pb::StreamPresignResponse { batch: Some(part.answer), first_index };
            if answers.send(Ok(answer)).await.is_err() {
                return Err(Status::cancelled("the caller is gone"));
            }
            first_index += results;
            if part.last {
                break;
            }
        }
    }
    Ok(())
}

/// tonic calls a message over the limit `OUT_OF_RANGE`; nothing else of ours is.
fn named(status: Status, api: &PresignApi) -> Status {
    if status.code() != Code::OutOfRange {
        return status;
    }
    api.0.metrics.rejected(Rejection::MessageTooLarge);
    Failure::MessageTooLarge { limit: api.0.message_bytes }.to_status()
}
