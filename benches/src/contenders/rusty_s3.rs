//! rusty-s3, with the same hash crates as presignd.

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::Contender;
use crate::work;

/// A bucket and its credentials.
pub(crate) struct RustyS3 {
    bucket: Bucket,
    credentials: Credentials,
    now: jiff::Timestamp,
}

impl RustyS3 {
    /// A signer with the example credentials of AWS.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let endpoint = format!("https://s3.{}.amazonaws.com", work::REGION);
        let endpoint = url::Url::parse(&endpoint).expect("a URL");
        let bucket = Bucket::new(endpoint, UrlStyle::VirtualHost, work::BUCKET, work::REGION);
        let credentials = match token {
            Some(token) => Credentials::new_with_token(work::ACCESS_KEY, work::SECRET_KEY, token),
            None => Credentials::new(work::ACCESS_KEY, work::SECRET_KEY),
        };
        let now = work::signed_at().try_into().expect("a time in range");
        Self { bucket: bucket.expect("a bucket"), credentials, now }
    }

    fn presigned(&self, key: &str) -> url::Url {
        self.bucket.get_object(Some(&self.credentials), key).sign_with_time(work::EXPIRES_IN, &self.now)
    }
}

impl Contender for RustyS3 {
    fn sign(&mut self, key: &str) -> usize {
        self.presigned(key).as_str().len()
    }

    fn url(&mut self, key: &str) -> Option<String> {
        Some(self.presigned(key).into())
    }
}
