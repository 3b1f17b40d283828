//! URLs from the built binary, over gRPC, used against real S3 servers that verify every signature.

mod addressing;
mod headers;
mod http;
mod keys;
mod multipart;
mod object_lock;
mod operations;
mod post;
mod roles;
mod rotation;
mod session;
mod tampering;

use presignd::pb::{
    GetObject, PresignRequest, PresignedRequest, PutObject, presign_request::Operation,
    presign_service_client::PresignServiceClient,
};
use tonic::transport::Channel;

use crate::support::{
    http::{Answer, Request},
    s3::Server,
    sidecar::Sidecar,
};

/// Gets URLs from a presignd and uses them against one S3 server.
struct RoundTrip {
    client: PresignServiceClient<Channel>,
    server: &'static Server,
    sidecar: Sidecar,
}

impl RoundTrip {
    /// Starts presignd with AWS credentials and a region only.
    async fn start(server: &'static Server) -> Self {
        Self::with_sidecar(server, Box::pin(Sidecar::start(&[])).await).await
    }

    /// Starts presignd with the server as its endpoint, and with the bucket in the path.
    async fn start_with_path_style(server: &'static Server) -> Self {
        let endpoint = server.endpoint();
        let arguments = ["--signers-default-endpoint", &endpoint, "--signers-default-path-style"];
        Self::with_sidecar(server, Box::pin(Sidecar::start(&arguments)).await).await
    }

    async fn with_sidecar(server: &'static Server, sidecar: Sidecar) -> Self {
        Self { client: sidecar.client().await, server, sidecar }
    }

    async fn presign(&self, bucket: &str, key: &str, operation: Operation) -> PresignedRequest {
        self.presign_with_expiry(bucket, key, operation, None).await
    }

    async fn presign_with_expiry(
        &self,
        bucket: &str,
        key: &str,
        operation: Operation,
        seconds: Option<i64>,
    ) -> PresignedRequest {
        let request = PresignRequest {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            expires_in: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            operation: Some(operation),
            ..PresignRequest::default()
        };
        let mut client = self.client.clone();
        let answer = Box::pin(client.presign(request)).await;
        let answer = answer.unwrap_or_else(|status| panic!("{bucket} {key:?}: {}", status.message()));
        answer.into_inner().presigned.expect("the response has a URL")
    }

    /// Presigns an operation and sends the request.
    async fn send(&self, bucket: &str, key: &str, operation: Operation, body: impl Into<Vec<u8>>) -> Answer {
        let presigned = self.presign(bucket, key, operation).await;
        Request::of(&presigned).with_body(body).send(self.server.port).await
    }

    /// Presigns an operation and sends the request, which must succeed.
    async fn send_ok(
        &self,
        bucket: &str,
        key: &str,
        operation: Operation,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let answer = self.send(bucket, key, operation, body).await;
        let (server, verdict) = (self.server.name, answer.verdict());
        assert!(answer.status.is_success(), "{server}: {verdict} for {bucket} {key:?}: {}", answer.text());
        answer
    }

    async fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send_ok(bucket, key, Operation::PutObject(PutObject::default()), body).await
    }

    async fn get(&self, bucket: &str, key: &str) -> Answer {
        self.send_ok(bucket, key, Operation::GetObject(GetObject::default()), "").await
    }
}
