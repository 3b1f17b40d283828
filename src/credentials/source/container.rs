//! The authorization token of the container endpoint. The SDK reads it only from the environment, where presignd has
//! removed it.

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
};

use crate::presign::credentials::Secret;

/// The variable with the token. ECS and EKS can set a token file instead.
///
/// Source: [Container credential provider](https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
pub(super) const TOKEN_VARIABLE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";

const AUTHORIZATION: &str = "authorization";

/// Wraps a client so that it adds the token to each request without one: a token from a token file has priority.
pub(super) fn with_token(client: SharedHttpClient, token: Secret) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        let inner = client.http_connector(settings, components);
        SharedHttpConnector::new(TokenConnector { inner, token: token.clone() })
    })
}

#[derive(Debug)]
struct TokenConnector {
    inner: SharedHttpConnector,
    token: Secret,
}

impl HttpConnector for TokenConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let headers = request.headers_mut();
        if !headers.contains_key(AUTHORIZATION)
            && let Err(error) = headers.try_insert(AUTHORIZATION, self.token.expose().to_owned())
        {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// Answers every request, and records its `authorization` header.
    #[derive(Clone, Debug, Default)]
    struct Recorder(Arc<Mutex<Vec<Option<String>>>>);

    impl HttpConnector for Recorder {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let sent = request.headers().get(AUTHORIZATION).map(str::to_owned);
            self.0.lock().unwrap().push(sent);
            let status = 200_u16.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::empty())))
        }
    }

    fn connector(token: &str) -> (TokenConnector, Recorder) {
        let recorder = Recorder::default();
        let inner = SharedHttpConnector::new(recorder.clone());
        (TokenConnector { inner, token: Secret::from(token.to_owned()) }, recorder)
    }

    #[tokio::test]
    async fn the_token_is_added_unless_the_request_has_one() {
        let (connector, recorder) = connector("from-the-variable");
        connector.call(HttpRequest::empty()).await.unwrap();
        let mut request = HttpRequest::empty();
        request.headers_mut().insert(AUTHORIZATION, "from-the-file");
        connector.call(request).await.unwrap();
        let sent = recorder.0.lock().unwrap().clone();
        assert_eq!(sent, [Some("from-the-variable".to_owned()), Some("from-the-file".to_owned())]);
    }

    #[tokio::test]
    async fn an_invalid_token_fails_and_is_not_printed() {
        let (connector, recorder) = connector("canary\n");
        let error = connector.call(HttpRequest::empty()).await.unwrap_err();
        assert!(error.is_user() && recorder.0.lock().unwrap().is_empty());
        let printed = format!("{error:?} {} {connector:?}", super::super::describe_error(&error));
        assert!(!printed.contains("canary"), "{printed}");
    }
}
