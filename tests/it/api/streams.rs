//! `StreamPresign`: results in order, responses that every client can receive, and back-pressure.

use std::time::Duration;

use presignd::pb;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming};

use super::batches::large_results;
use crate::support::{
    grpc::{GrpcError, batch, get, put, refused, url_of},
    scrape::Scrape,
    sidecar::{PATIENCE, Sidecar},
};

type Answers = Streaming<pb::StreamPresignResponse>;

fn message(batch: pb::BatchPresignRequest) -> pb::StreamPresignRequest {
    pb::StreamPresignRequest { batch: Some(batch) }
}

fn keys(count: usize) -> pb::StreamPresignRequest {
    message(batch((0..count).map(|number| get(&format!("key-{number}"))).collect()))
}

/// Sends these messages, and closes the request side of the stream.
async fn stream(sidecar: &Sidecar, messages: Vec<pb::StreamPresignRequest>) -> Answers {
    opened(sidecar.client().await.stream_presign(tokio_stream::iter(messages)).await)
}

fn opened(answer: Result<Response<Answers>, Status>) -> Answers {
    answer.unwrap_or_else(|status| panic!("refused: {status}")).into_inner()
}

/// The next message; `None` at the end of the stream.
async fn next(answers: &mut Answers) -> Option<pb::StreamPresignResponse> {
    let message = tokio::time::timeout(PATIENCE, answers.message()).await.expect("an answer comes in time");
    message.unwrap_or_else(|status| panic!("the stream failed: {status}"))
}

/// All remaining messages: the first index and the results of each. Each has at most 4 MiB.
async fn rest(answers: &mut Answers) -> Vec<(u64, Vec<pb::PresignResult>)> {
    let mut all = Vec::new();
    while let Some(message) = next(answers).await {
        assert!(message.encoded_len() <= 4 * 1024 * 1024);
        all.push((message.first_index, message.batch.expect("an answer has a batch").results));
    }
    all
}

#[tokio::test]
async fn results_are_in_order_with_their_first_index() {
    let sidecar = Sidecar::start(&[]).await;
    let sizes = [3, 1, 200, 2];
    let mut answers = stream(&sidecar, sizes.map(keys).into()).await;
    let mut first = 0;
    for (size, (index, results)) in sizes.into_iter().zip(rest(&mut answers).await) {
        assert_eq!((index, results.len()), (first, size));
        for (number, result) in results.iter().enumerate() {
            assert!(url_of(result).url.contains(&format!("/key-{number}?")));
        }
        first += size as u64;
    }
    assert_eq!(first, 206, "the stream ended with OK after the last response");
}

#[tokio::test]
async fn each_message_is_answered_before_the_next_is_sent() {
    let sidecar = Sidecar::start(&[]).await;
    let (sender, messages) = mpsc::channel(1);
    let mut answers = opened(sidecar.client().await.stream_presign(ReceiverStream::new(messages)).await);
    for index in 0..3 {
        sender.send(keys(1)).await.unwrap();
        assert_eq!(next(&mut answers).await.unwrap().first_index, index);
    }
    drop(sender);
    assert!(next(&mut answers).await.is_none(), "half-close ends the stream with OK");
}

#[tokio::test]
async fn an_empty_stream_ends_with_ok() {
    let sidecar = Sidecar::start(&[]).await;
    let mut answers = stream(&sidecar, Vec::new()).await;
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn a_response_over_4_mib_is_split() {
    let sidecar = Sidecar::start(&[]).await;
    let mut answers = stream(&sidecar, vec![keys(2), message(large_results(1_000)), keys(2)]).await;
    let parts = rest(&mut answers).await;
    let sizes: Vec<usize> = parts.iter().map(|(_, results)| results.len()).collect();
    assert_eq!((sizes[0], sizes[sizes.len() - 1], sizes.iter().sum::<usize>()), (2, 2, 1_004));
    assert_eq!(sizes.len(), 4, "the response of 5.5 MB is sent in two messages: {sizes:?}");
    let mut next_index = 0;
    for (first_index, results) in &parts {
        assert_eq!(*first_index, next_index);
        next_index += results.len() as u64;
    }
    let bulk = parts[1].1.iter().chain(&parts[2].1);
    for (number, result) in bulk.enumerate() {
        assert!(url_of(result).url.contains(&format!("/key-{number}?")), "{number}");
    }
    // The result that did not fit was signed once, and sent in the next message.
    let urls = Scrape::of(&sidecar).await.all("presignd_urls_total", &["outcome", "operation"]);
    let count = |operation: &str| urls.get(&vec!["ok".to_owned(), operation.to_owned()]).copied();
    assert_eq!((count("PutObject"), count("GetObject")), (Some(1_000.0), Some(4.0)));
}

#[tokio::test]
async fn a_failed_item_does_not_end_the_stream() {
    let sidecar = Sidecar::start(&[]).await;
    let mut answers = stream(&sidecar, vec![message(batch(vec![get(""), put("b")])), keys(1)]).await;
    let parts = rest(&mut answers).await;
    assert_eq!(
        parts.iter().map(|(index, results)| (*index, results.len())).collect::<Vec<_>>(),
        [(0, 2), (2, 1)]
    );
    url_of(&parts[0].1[1]);
}

#[tokio::test]
async fn an_invalid_batch_ends_the_stream() {
    let sidecar = Sidecar::start(&[]).await;
    let invalid =
        |reason, field, message| GrpcError::new(Code::InvalidArgument, reason, Some(field), message);
    let together = pb::BatchPresignRequest { all_or_nothing: true, ..batch(vec![get("a"), get("")]) };
    let rows = [
        (
            message(batch(Vec::new())),
            invalid("BATCH_EMPTY", "batch.requests", "batch.requests is empty: send 1 to 1000 requests"),
        ),
        (
            keys(1_001),
            invalid(
                "BATCH_TOO_LARGE",
                "batch.requests",
                "batch.requests has 1001 requests, but at most 1000 are allowed (limits.batch_items): \
                 split the batch or use StreamPresign",
            ),
        ),
        (
            pb::StreamPresignRequest { batch: None },
            invalid(
                "BATCH_MISSING",
                "batch",
                "batch is not set: set batch.requests in each message of the stream",
            ),
        ),
        (
            message(together),
            invalid(
                "KEY_INVALID",
                "batch.requests[1].key",
                "batch.requests[1] failed, and all_or_nothing fails the whole batch: \
                 key is empty: GetObject needs an object key",
            ),
        ),
    ];
    let mut wrong = Vec::new();
    for (bad, expected) in rows {
        let mut answers = stream(&sidecar, vec![keys(2), bad, keys(1)]).await;
        assert_eq!(next(&mut answers).await.unwrap().batch.unwrap().results.len(), 2);
        let actual = GrpcError::of(&refused(answers.message().await));
        if actual != expected {
            wrong.push(format!("{actual:?}\ninstead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_stream() {
    let sidecar = Sidecar::start(&["--limits-message-bytes", "4096"]).await;
    let mut answers = stream(&sidecar, vec![keys(1), keys(500)]).await;
    assert!(next(&mut answers).await.is_some());
    let message =
        "the request message exceeds 4096 bytes (limits.message_bytes): send fewer requests at once";
    let expected = GrpcError::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", None, message);
    assert_eq!(GrpcError::of(&refused(answers.message().await)), expected);
    let rejected = Scrape::of(&sidecar).await.all("presignd_rejected_total", &["reason"]);
    assert_eq!(rejected, [(vec!["message_too_large".to_owned()], 1.0)].into());
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_throttled() {
    /// More messages than all flow-control windows and buffers can take.
    const MANY: usize = 1_000;
    let sidecar = Sidecar::start(&[]).await;
    let (sender, messages) = mpsc::channel(1);
    let mut answers = opened(sidecar.client().await.stream_presign(ReceiverStream::new(messages)).await);
    let mut sent = 0;
    // Each message has 14 KB, and each response 4 MB. The timeout ends the wait once the server reads no further message.
    while sent < MANY {
        let sending = sender.send(message(large_results(750)));
        if tokio::time::timeout(Duration::from_secs(1), sending).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < MANY / 2, "{sent} messages were read from a caller that reads no response");
    // Other callers of the same server are served meanwhile: a call, a batch and a stream.
    let mut others = sidecar.client().await;
    assert!(others.presign(get("other")).await.is_ok());
    assert_eq!(others.batch_presign(large_results(750)).await.unwrap().into_inner().results.len(), 750);
    assert_eq!(rest(&mut stream(&sidecar, vec![keys(100)]).await).await[0].1.len(), 100);
    let begun = Scrape::of(&sidecar).await.get("presignd_batch_size_count", &[]);
    let others = 2.0;
    assert!(
        (1.0..10.0).contains(&(begun - others)),
        "{begun} batches were signed for a caller that reads no response"
    );
    drop(sender);
    let received: usize = rest(&mut answers).await.iter().map(|(_, results)| results.len()).sum();
    assert_eq!(received, sent * 750, "once it reads, it receives every result");
}
