//! presignd's contract without presignd: requests are decoded, responses are built from constant parts and encoded. This is
//! the cost of tonic and prost for the messages of presignd; the difference is the cost of presignd itself.

use std::pin::Pin;

use futures_util::{Stream, TryStreamExt};
use prost_types::{Duration, Timestamp};
use tonic::{Request, Response, Status, Streaming};

use crate::contract::presign::v1::{
    self as pb, presign_result::Result as ItemResult, presign_service_server::PresignService,
};

/// The service. The field `signer` of a request has the length of the URL to return.
pub(crate) struct BareService;

impl BareService {
    fn presigned(request: Option<&pb::PresignRequest>) -> pb::PresignedRequest {
        let bytes = request.and_then(|request| request.signer.parse().ok()).unwrap_or_default();
        let time = Some(Timestamp { seconds: 1_795_694_400, nanos: 0 });
        let lifetime = Some(Duration { seconds: 900, nanos: 0 });
        pb::PresignedRequest {
            url: "x".repeat(bytes),
            method: "GET".to_owned(),
            signed_at: time,
            expires_at: time,
            granted: lifetime,
            requested: lifetime,
            clamp_reason: pb::ClampReason::None.into(),
            ..Default::default()
        }
    }

    fn batch(request: &pb::BatchPresignRequest) -> pb::BatchPresignResponse {
        let presigned = ItemResult::Presigned(Self::presigned(request.defaults.as_ref()));
        let result = pb::PresignResult { result: Some(presigned) };
        pb::BatchPresignResponse { results: vec![result; request.requests.len()] }
    }
}

#[tonic::async_trait]
impl PresignService for BareService {
    type StreamPresignStream = Pin<Box<dyn Stream<Item = Result<pb::StreamPresignResponse, Status>> + Send>>;

    async fn presign(
        &self,
        request: Request<pb::PresignRequest>,
    ) -> Result<Response<pb::PresignResponse>, Status> {
        Ok(Response::new(pb::PresignResponse { presigned: Some(Self::presigned(Some(request.get_ref()))) }))
    }

    async fn batch_presign(
        &self,
        request: Request<pb::BatchPresignRequest>,
    ) -> Result<Response<pb::BatchPresignResponse>, Status> {
        Ok(Response::new(Self::batch(request.get_ref())))
    }

    async fn stream_presign(
        &self,
        request: Request<Streaming<pb::StreamPresignRequest>>,
    ) -> Result<Response<Self::StreamPresignStream>, Status> {
        let answers = request.into_inner().map_ok(|request| pb::StreamPresignResponse {
            batch: request.batch.as_ref().map(Self::batch),
            first_index: 0,
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn presign_post(
        &self,
        _request: Request<pb::PresignPostRequest>,
    ) -> Result<Response<pb::PresignPostResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn explain(
        &self,
        _request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
