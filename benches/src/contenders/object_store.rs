//! The signer of `object_store`, with ring for its hashes, which is in the build anyway. It reads the clock for each URL.

use object_store::{
    ClientOptions,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
    path::Path,
    signer::Signer,
};

use super::{Contender, poll_once};
use crate::work;

/// A store that only signs URLs.
pub(crate) struct ObjectStore(AmazonS3);

impl ObjectStore {
    /// A store with the example credentials of AWS.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let builder = AmazonS3Builder::new()
            .with_region(work::REGION)
            .with_bucket_name(work::BUCKET)
            .with_virtual_hosted_style_request(true)
            .with_access_key_id(work::ACCESS_KEY)
            .with_secret_access_key(work::SECRET_KEY)
            .with_http_connector(NoConnector);
        let builder = match token {
            Some(token) => builder.with_token(token),
            None => builder,
        };
        Self(builder.build().expect("a store"))
    }

    fn presigned(&self, key: &str) -> url::Url {
        poll_once(self.0.signed_url(http::Method::GET, &Path::from(key), work::EXPIRES_IN))
            .expect("it can be signed")
    }
}

impl Contender for ObjectStore {
    fn sign(&mut self, key: &str) -> usize {
        self.presigned(key).as_str().len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.presigned(key).into())
    }
}

/// A connector without a connection, because signing needs no HTTP client: a real one would add a second TLS stack.
#[derive(Debug)]
struct NoConnector;

impl HttpConnector for NoConnector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait::async_trait]
impl HttpService for NoConnector {
    async fn call(&self, _request: HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::new(HttpErrorKind::Connect, std::io::Error::other("nothing is sent")))
    }
}
