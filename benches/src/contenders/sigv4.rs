//! aws-sigv4, called as the AWS SDK calls it: it gets the URI and returns the parameters to add to it.

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
        SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::{v4, v4a},
};
use aws_smithy_runtime_api::client::identity::Identity;

use super::Contender;
use crate::work;

/// An identity and its algorithm.
pub(crate) struct AwsSigv4 {
    identity: Identity,
    origin: String,
    algorithm: Algorithm,
}

#[derive(Clone, Copy)]
enum Algorithm {
    SigV4,
    SigV4A,
}

impl AwsSigv4 {
    /// SigV4 for the bucket.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let host = format!("{}.s3.{}.amazonaws.com", work::BUCKET, work::REGION);
        Self::with(token, &host, Algorithm::SigV4)
    }

    /// SigV4A for the Multi-Region Access Point.
    pub(crate) fn multi_region(token: Option<&str>) -> Self {
        Self::with(token, work::MULTI_REGION_HOST, Algorithm::SigV4A)
    }

    fn with(token: Option<&str>, host: &str, algorithm: Algorithm) -> Self {
        let token = token.map(ToOwned::to_owned);
        let credentials = Credentials::new(work::ACCESS_KEY, work::SECRET_KEY, token, None, "bench");
        Self { identity: credentials.into(), origin: format!("https://{host}/"), algorithm }
    }

    fn presigned(&self, key: &str) -> String {
        let uri = format!("{}{key}", self.origin);
        let body = SignableBody::UnsignedPayload;
        let request = SignableRequest::new("GET", uri.as_str(), std::iter::empty(), body).expect("a request");
        let signed = sign(request, &self.params()).expect("it can be signed");
        let mut request = http::Request::get(uri).body(()).expect("a request");
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        request.uri().to_string()
    }

    fn params(&self) -> SigningParams<'_> {
        match self.algorithm {
            Algorithm::SigV4 => v4::SigningParams::builder()
                .identity(&self.identity)
                .region(work::REGION)
                .name("s3")
                .time(work::signed_at())
                .settings(settings())
                .build()
                .expect("nothing is missing")
                .into(),
            Algorithm::SigV4A => v4a::SigningParams::builder()
                .identity(&self.identity)
                .region_set("*")
                .name("s3")
                .time(work::signed_at())
                .settings(settings())
                .build()
                .expect("nothing is missing")
                .into(),
        }
    }
}

/// Settings of S3. Built for each request, as in the SDK.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(work::EXPIRES_IN);
    settings
}

impl Contender for AwsSigv4 {
    fn sign(&mut self, key: &str) -> usize {
        self.presigned(key).len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.presigned(key))
    }
}
