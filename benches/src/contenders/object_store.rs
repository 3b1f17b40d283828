//! `object_store`'s signer, with ring for its hashes, which the build has anyway. It reads the clock for each URL.

use object_store::{
    ClientOptions,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
    path::Path,
    signer::Signer,
};

use super::{Contender, at_once};
use crate::work;

/// A store that is never asked for anything but URLs.
pub(crate) struct ObjectStore(AmazonS3);

impl ObjectStore {
    /// A store with AWS's example credentials.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let builder = AmazonS3Builder::new()
            .with_region(work::REGION)
            .with_bucket_name(work::BUCKET)
            .with_virtual_hosted_style_request(true)
            .with_access_key_id(work::ACCESS_KEY)
            .with_secret_access_key(work::SECRET_KEY)
            .with_http_connector(Nowhere);
        let builder = match token {
            Some(token) => builder.with_token(token),
            None => builder,
        };
        Self(builder.build().expect("a store"))
    }

    fn presigned(&self, key: &str) -> url::Url {
        at_once(self.0.signed_url(http::Method::GET, &Path::from(key), work::EXPIRES_IN))
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

/// In the place of an HTTP client, which signing does not need: it would bring a second TLS stack.
#[derive(Debug)]
struct Nowhere;

impl HttpConnector for Nowhere {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait::async_trait]
impl HttpService for Nowhere {
    async fn call(&self, _request: HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::new(HttpErrorKind::Connect, std::io::Error::other("nothing is sent")))
    }
}
