//! Routes an HTTP/2 request to its RPC.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request as HttpRequest, Response as HttpResponse, header::CONTENT_TYPE};
use hyper::body::Body as HttpBody;
use prost::bytes::Bytes;
use tonic::{
    Request, Status, Streaming,
    body::Body,
    codec::CompressionEncoding,
    metadata::{GRPC_CONTENT_TYPE, MetadataMap},
    server::{Grpc, NamedService},
};
use tower::{BoxError, Service, service_fn};

use super::{
    ServiceState,
    admission::call::Call,
    codec::{BytesCodec, EncodedMessage},
    failure::Failure,
    rpc::{
        batch::batch_presign, explain::explain, post::presign_post, presign::presign, stream::stream_presign,
    },
};
use crate::metrics::RpcMethod;

/// The service of the contract, `presign.v1.PresignService`.
#[derive(Clone)]
pub struct PresignServer(Arc<ServiceState>);

impl PresignServer {
    /// The service with this state.
    pub fn new(state: ServiceState) -> Self {
        Self(Arc::new(state))
    }

    async fn route<B>(self, request: HttpRequest<B>) -> HttpResponse<Body>
    where
        B: HttpBody<Error: Into<BoxError> + Send> + Send + 'static,
    {
        let method = request.uri().path().strip_prefix("/presign.v1.PresignService/").unwrap_or_default();
        match method {
            "Presign" => self.unary(RpcMethod::Presign, request, presign).await,
            // A compressed response is written by tonic's encoder, an uncompressed one by `MessageBody`.
            "BatchPresign" if request.headers().contains_key(GRPC_ENCODING) => {
                self.unary(RpcMethod::BatchPresign, request, encode_batch).await
            }
            "BatchPresign" => self.batch(request).await.unwrap_or_else(Status::into_http),
            "StreamPresign" => self.stream(request).await,
            "PresignPost" => self.unary(RpcMethod::PresignPost, request, presign_post).await,
            "Explain" => self.unary(RpcMethod::Explain, request, explain).await,
            _ => Status::unimplemented(UNKNOWN_METHOD).into_http(),
        }
    }

    fn grpc(&self) -> Grpc<BytesCodec> {
        Grpc::new(BytesCodec)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(self.0.message_bytes)
    }

    async fn unary<B, F>(
        &self,
        method: RpcMethod,
        request: HttpRequest<B>,
        handler: impl Fn(Arc<Call>, Bytes) -> F + Copy,
    ) -> HttpResponse<Body>
    where
        B: HttpBody<Error: Into<BoxError> + Send> + Send + 'static,
        F: Future<Output = Result<EncodedMessage, Failure>>,
    {
        let service = service_fn(|request: Request<Bytes>| {
            let admitted = Call::admit(&self.0, method, &request);
            async move {
                let call = Arc::new(admitted?);
                let message = call.run(handler(Arc::clone(&call), request.into_inner())).await?;
                Ok::<_, Status>(call.respond(message))
            }
        });
        self.grpc().unary(service, request).await
    }

    async fn stream<B>(&self, request: HttpRequest<B>) -> HttpResponse<Body>
    where
        B: HttpBody<Error: Into<BoxError> + Send> + Send + 'static,
    {
        let service = service_fn(|request: Request<Streaming<Bytes>>| {
            let admitted = Call::admit(&self.0, RpcMethod::StreamPresign, &request);
            async move {
                let call = Arc::new(admitted?);
                Ok::<_, Status>(call.respond(stream_presign(Arc::clone(&call), request.into_inner())))
            }
        });
        self.grpc().streaming(service, request).await
    }

    /// `BatchPresign` without compression: the request is decoded by tonic, the response is a [`MessageBody`].
    ///
    /// [`MessageBody`]: super::response::body::MessageBody
    async fn batch<B>(&self, request: HttpRequest<B>) -> Result<HttpResponse<Body>, Status>
    where
        B: HttpBody<Error: Into<BoxError> + Send> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let mut messages = Streaming::new_request(BytesCodec, body, None, Some(self.0.message_bytes));
        let message = messages
            .message()
            .await?
            .ok_or_else(|| Status::internal("the request has no message: send exactly one"))?;
        // Reads the rest of the request body.
        messages.trailers().await?;
        let request =
            Request::from_parts(MetadataMap::from_headers(parts.headers), parts.extensions, message);
        let call = Arc::new(Call::admit(&self.0, RpcMethod::BatchPresign, &request)?);
        let batch = call.run(batch_presign(Arc::clone(&call), request.into_inner())).await?;
        let (metadata, body, extensions) = call.respond(batch.into_body()).into_parts();
        let mut response = HttpResponse::new(Body::new(body));
        *response.headers_mut() = metadata.into_headers();
        *response.extensions_mut() = extensions;
        response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        Ok(response)
    }
}

const UNKNOWN_METHOD: &str =
    "presign.v1.PresignService does not have this method: the client may be newer than the server";

/// The header that names the compression of a request's messages.
const GRPC_ENCODING: &str = "grpc-encoding";

async fn encode_batch(call: Arc<Call>, message: Bytes) -> Result<EncodedMessage, Failure> {
    Ok(batch_presign(call, message).await?.into_message())
}

impl NamedService for PresignServer {
    const NAME: &'static str = "presign.v1.PresignService";
}

impl<B> Service<HttpRequest<B>> for PresignServer
where
    B: HttpBody<Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.route(request).await) })
    }
}
