//! The presigner of the AWS SDK for Rust.

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    presigning::{PresignedRequest, PresigningConfig},
};

use aws_smithy_runtime_api::client::auth::AuthSchemeId;

use super::{Contender, poll_once};
use crate::work;

/// A client that sends nothing.
pub(crate) struct AwsSdk {
    client: Client,
    bucket: String,
    presigning: PresigningConfig,
}

impl AwsSdk {
    /// A client with the example credentials of AWS that signs with SigV4, for a bucket or an access point.
    pub(crate) fn new(token: Option<&str>, bucket: &str) -> Self {
        Self::with(token, bucket, Some([AuthSchemeId::from("sigv4")]))
    }

    /// A client with default settings, which signs with SigV4A for S3 on Outposts.
    pub(crate) fn by_default(token: Option<&str>, bucket: &str) -> Self {
        Self::with(token, bucket, None)
    }

    fn with(token: Option<&str>, bucket: &str, preference: Option<[AuthSchemeId; 1]>) -> Self {
        let token = token.map(ToOwned::to_owned);
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(work::REGION))
            .credentials_provider(Credentials::new(work::ACCESS_KEY, work::SECRET_KEY, token, None, "bench"));
        config.set_auth_scheme_preference(preference.map(Into::into));
        let presigning =
            PresigningConfig::builder().start_time(work::signed_at()).expires_in(work::EXPIRES_IN).build();
        Self {
            client: Client::from_conf(config.build()),
            bucket: bucket.to_owned(),
            presigning: presigning.expect("good settings"),
        }
    }

    fn presigned(&self, key: &str) -> PresignedRequest {
        let call = self.client.get_object().bucket(&self.bucket).key(key);
        poll_once(call.presigned(self.presigning.clone())).expect("it can be signed")
    }
}

impl Contender for AwsSdk {
    fn sign(&mut self, key: &str) -> usize {
        self.presigned(key).uri().len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.presigned(key).uri().to_owned())
    }
}
