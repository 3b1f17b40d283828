//! `x-request-id`: every response and every error has the ID of the caller, or a generated one.

use std::fmt::Debug;

use presignd::pb::{self, presign_service_client::PresignServiceClient};
use tokio_stream::once;
use tonic::{Request, Response, Status, metadata::MetadataMap, transport::Channel};

use crate::support::{
    grpc::{BUCKET, batch, get, presigned},
    sidecar::Sidecar,
};

const REQUEST_ID: &str = "x-request-id";

/// The request ID in the response or the error of each RPC.
type Ids = Vec<(&'static str, String)>;

fn with_id<T>(id: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(id) = id {
        request.metadata_mut().insert(REQUEST_ID, id.parse().unwrap());
    }
    request
}

fn id_of(metadata: &MetadataMap) -> String {
    let ids: Vec<_> = metadata.get_all(REQUEST_ID).iter().collect();
    assert_eq!(ids.len(), 1, "one {REQUEST_ID}");
    ids[0].to_str().unwrap().to_owned()
}

fn id_of_response<T>(result: Result<Response<T>, Status>) -> String {
    id_of(result.unwrap_or_else(|status| panic!("refused: {status}")).metadata())
}

fn id_of_error<T: Debug>(result: Result<T, Status>) -> String {
    id_of(result.unwrap_err().metadata())
}

fn form(key: &str) -> pb::PresignPostRequest {
    pb::PresignPostRequest { bucket: BUCKET.to_owned(), key: key.to_owned(), ..Default::default() }
}

fn stream_message(requests: Vec<pb::PresignRequest>) -> pb::StreamPresignRequest {
    pb::StreamPresignRequest { batch: Some(batch(requests)) }
}

/// Makes a successful call of each RPC.
async fn successful_calls(client: &mut PresignServiceClient<Channel>, id: Option<&str>) -> Ids {
    let url = presigned(client.presign(get("key")).await).url;
    let explain = pb::ExplainRequest { url, method: "GET".to_owned(), ..Default::default() };
    let stream = once(stream_message(vec![get("key")]));
    vec![
        ("Presign", id_of_response(client.presign(with_id(id, get("key"))).await)),
        ("BatchPresign", id_of_response(client.batch_presign(with_id(id, batch(vec![get("key")]))).await)),
        ("StreamPresign", id_of_response(client.stream_presign(with_id(id, stream)).await)),
        ("PresignPost", id_of_response(client.presign_post(with_id(id, form("key"))).await)),
        ("Explain", id_of_response(client.explain(with_id(id, explain)).await)),
    ]
}

/// Makes a call of each RPC that is refused.
async fn refused_calls(client: &mut PresignServiceClient<Channel>, id: Option<&str>) -> Ids {
    let stream = client.stream_presign(with_id(id, once(stream_message(Vec::new())))).await.unwrap();
    vec![
        ("Presign", id_of_error(client.presign(with_id(id, get(""))).await.map(drop))),
        ("BatchPresign", id_of_error(client.batch_presign(with_id(id, batch(Vec::new()))).await.map(drop))),
        ("StreamPresign", id_of_error(stream.into_inner().message().await.map(drop))),
        ("PresignPost", id_of_error(client.presign_post(with_id(id, form(""))).await.map(drop))),
        ("Explain", id_of_error(client.explain(with_id(id, pb::ExplainRequest::default())).await.map(drop))),
    ]
}

/// Makes successful and refused calls of each RPC.
async fn all_calls(sidecar: &Sidecar, id: Option<&str>) -> Ids {
    let mut client = sidecar.client().await;
    [successful_calls(&mut client, id).await, refused_calls(&mut client, id).await].concat()
}

/// Asserts that these are generated IDs, all different.
fn assert_generated(ids: &Ids) {
    for (index, (rpc, id)) in ids.iter().enumerate() {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{rpc}: {id}");
        assert!(ids[..index].iter().all(|(_, other)| other != id), "{rpc}: {id} is used twice");
    }
}

#[tokio::test]
async fn the_request_id_of_the_caller_is_returned() {
    let sidecar = Sidecar::start(&[]).await;
    let longest = "x".repeat(128);
    for sent in ["order-17/attempt-2", &longest] {
        for (rpc, id) in all_calls(&sidecar, Some(sent)).await {
            assert_eq!(id, sent, "{rpc}");
        }
    }
}

#[tokio::test]
async fn a_request_id_is_generated_for_each_call_without_one() {
    let sidecar = Sidecar::start(&[]).await;
    assert_generated(&all_calls(&sidecar, None).await);
}

#[tokio::test]
async fn an_unusable_request_id_is_replaced() {
    let sidecar = Sidecar::start(&[]).await;
    let too_long = "x".repeat(129);
    for sent in [too_long.as_str(), "two words", ""] {
        assert_generated(&all_calls(&sidecar, Some(sent)).await);
    }
}

#[tokio::test]
async fn limit_errors_have_the_request_id() {
    let sidecar = Sidecar::start(&["--limits-message-bytes", "4096", "--limits-requests", "1"]).await;
    let mut client = sidecar.client().await;
    let long = "k".repeat(5_000);
    let requests = batch(vec![get(&long)]);
    assert_eq!(id_of_error(client.presign(with_id(Some("a"), get(&long))).await.map(drop)), "a");
    assert_eq!(id_of_error(client.batch_presign(with_id(Some("b"), requests)).await.map(drop)), "b");
    let stream = once(stream_message(vec![get(&long)]));
    let mut responses = client.stream_presign(with_id(Some("c"), stream)).await.unwrap().into_inner();
    assert_eq!(id_of_error(responses.message().await.map(drop)), "c");

    let (_open, messages) = tokio::sync::mpsc::channel(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let _open_stream = client.stream_presign(messages).await.unwrap();
    assert_eq!(id_of_error(client.presign(with_id(Some("d"), get("key"))).await.map(drop)), "d");
}
