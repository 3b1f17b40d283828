//! Malformed messages: the error names the field, and a malformed item fails alone.

use presignd::pb::{self, presign_result::Result as ItemResult};
use prost::Message;
use tonic::{Code, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

use crate::support::{
    grpc::{BUCKET, GrpcError, error_of, get, refused, url_of},
    sidecar::Sidecar,
};

/// A `PresignRequest` whose key can be any bytes. In protobuf, bytes and strings have the same encoding.
#[derive(Clone, PartialEq, Message)]
struct AnyKey {
    #[prost(string, tag = "1")]
    bucket: String,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    get_object: Vec<u8>,
}

/// A `BatchPresignRequest` whose requests can be any bytes.
#[derive(Clone, PartialEq, Message)]
struct AnyRequests {
    #[prost(bytes = "vec", repeated, tag = "1")]
    requests: Vec<Vec<u8>>,
}

/// A `BatchPresignRequest` with a number in place of its requests.
#[derive(Clone, PartialEq, Message)]
struct Numbers {
    #[prost(uint64, tag = "1")]
    requests: u64,
}

async fn call<Q, A>(channel: Channel, method: &'static str, request: Q) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut client = Grpc::new(channel);
    client.ready().await.expect("the connection is good");
    let request = tonic::Request::new(request);
    let answer =
        client.unary(request, PathAndQuery::from_static(method), ProstCodec::<Q, A>::default()).await?;
    Ok(answer.into_inner())
}

fn malformed(field: &'static str, problem: &str) -> GrpcError {
    let message =
        format!("{field} {problem}: generate the client from the contract, proto/presign/v1/presign.proto");
    GrpcError::new(Code::InvalidArgument, "MESSAGE_MALFORMED", Some(field), &message)
}

const PRESIGN: &str = "/presign.v1.PresignService/Presign";
const BATCH: &str = "/presign.v1.PresignService/BatchPresign";

#[tokio::test]
async fn a_key_that_is_not_utf8_is_refused() {
    let sidecar = Sidecar::start(&[]).await;
    let request = AnyKey { bucket: BUCKET.to_owned(), key: vec![b'a', 0xff], get_object: Vec::new() };
    let answer = call::<_, pb::PresignResponse>(sidecar.connect().await, PRESIGN, request).await;
    assert_eq!(GrpcError::of(&refused(answer)), malformed("key", "is not valid UTF-8"));
}

#[tokio::test]
async fn a_malformed_item_fails_alone() {
    let sidecar = Sidecar::start(&[]).await;
    let (good, cut) = (get("good").encode_to_vec(), vec![0x12, 9, b'x']);
    let requests = vec![good.clone(), cut, vec![0x10, 1], good];
    let answer: pb::BatchPresignResponse =
        call(sidecar.connect().await, BATCH, AnyRequests { requests }).await.unwrap();
    let results = answer.results;
    assert!(url_of(&results[0]).url.contains("/good?") && url_of(&results[3]).url.contains("/good?"));
    assert!(matches!(results[1].result, Some(ItemResult::Error(_))));
    assert_eq!(GrpcError::of(&error_of(&results[1])), malformed("key", "is not a valid protobuf message"));
    assert_eq!(
        GrpcError::of(&error_of(&results[2])),
        malformed("key", "does not have the type that the contract gives it")
    );
}

#[tokio::test]
async fn a_malformed_batch_is_refused_as_a_whole() {
    let sidecar = Sidecar::start(&[]).await;
    let answer =
        call::<_, pb::BatchPresignResponse>(sidecar.connect().await, BATCH, Numbers { requests: 7 }).await;
    assert_eq!(
        GrpcError::of(&refused(answer)),
        malformed("requests", "does not have the type that the contract gives it")
    );
}

#[tokio::test]
async fn a_malformed_form_is_refused() {
    let sidecar = Sidecar::start(&[]).await;
    let broken = AnyKey { bucket: BUCKET.to_owned(), key: vec![0xff], get_object: Vec::new() };
    let path = "/presign.v1.PresignService/PresignPost";
    let answer: Result<pb::PresignPostResponse, Status> = call(sidecar.connect().await, path, broken).await;
    assert_eq!(GrpcError::of(&refused(answer)), malformed("request", "is not a valid protobuf message"));
}
