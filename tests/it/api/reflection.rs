//! gRPC reflection, v1 and v1alpha, which clients such as `grpcurl` use.

use tokio_stream::once;
use tonic::{Code, Status, transport::Channel};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{grpc::refused, sidecar::Sidecar};

/// Gets the names of all services from one version of reflection.
macro_rules! services {
    ($version:ident, $channel:expr) => {{
        use $version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answers = ServerReflectionClient::new($channel).server_reflection_info(once(request)).await?;
        let answer = answers.into_inner().message().await?.expect("there is an answer");
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("the services were asked for")
        };
        Ok(list.service.into_iter().map(|service| service.name).collect())
    }};
}

async fn v1(channel: Channel) -> Result<Vec<String>, Status> {
    services!(v1, channel)
}

async fn v1alpha(channel: Channel) -> Result<Vec<String>, Status> {
    services!(v1alpha, channel)
}

#[tokio::test]
async fn both_reflection_versions_list_the_services() {
    let sidecar = Sidecar::start(&[]).await;
    let channel = sidecar.connect().await;
    for listed in [v1(channel.clone()).await.unwrap(), v1alpha(channel.clone()).await.unwrap()] {
        for service in ["presign.v1.PresignService", "grpc.health.v1.Health"] {
            assert!(listed.iter().any(|name| name == service), "{service} is in {listed:?}");
        }
    }
}

#[tokio::test]
async fn reflection_can_be_disabled() {
    let sidecar = Sidecar::start(&["--reflection=false"]).await;
    let channel = sidecar.connect().await;
    for answer in [v1(channel.clone()).await, v1alpha(channel.clone()).await] {
        assert_eq!(refused(answer).code(), Code::Unimplemented);
    }
}
