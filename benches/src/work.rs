//! The work that everyone is given: the same keys, bucket, credentials, time and expiry.

use std::time::{Duration, SystemTime};

/// AWS's example credentials.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// AWS's example credentials.
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 800 characters in the shape of a session token: three in a hundred are escaped in a URL.
pub(crate) const SESSION_TOKEN: &str = include_str!("../session-token.txt");
/// The region of everything.
pub(crate) const REGION: &str = "us-east-1";
/// A general purpose bucket.
pub(crate) const BUCKET: &str = "example-bucket";
/// An S3 on Outposts access point.
pub(crate) const OUTPOSTS: &str =
    "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/demo";
/// A Multi-Region Access Point.
pub(crate) const MULTI_REGION: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
/// Its host.
pub(crate) const MULTI_REGION_HOST: &str = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com";
/// How long each URL works.
pub(crate) const EXPIRES_IN: Duration = Duration::from_mins(15);

/// 26 November 2026, 12:00:00: the time of signing, where it can be set.
const SIGNED_AT: u64 = 1_795_694_400;

/// The time of signing.
pub(crate) fn signed_at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(SIGNED_AT)
}

/// A key in the shape of a camera's. All have the same length.
pub(crate) fn key(number: u64) -> String {
    format!("photos/2026/11/26/IMG_{:08}.jpg", number % 100_000_000)
}
