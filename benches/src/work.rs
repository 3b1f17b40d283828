//! The input that is the same for all contenders: keys, bucket, credentials, time and lifetime.

use std::time::{Duration, SystemTime};

/// The access key ID of the AWS examples.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// The secret key of the AWS examples.
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 800 characters in the form of a session token: 3 % of them are escaped in a URL.
pub(crate) const SESSION_TOKEN: &str = include_str!("../session-token.txt");
/// The region of all targets.
pub(crate) const REGION: &str = "us-east-1";
/// A general purpose bucket.
pub(crate) const BUCKET: &str = "example-bucket";
/// An S3 on Outposts access point.
pub(crate) const OUTPOSTS: &str =
    "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/demo";
/// A Multi-Region Access Point.
pub(crate) const MULTI_REGION: &str = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
/// The host of the Multi-Region Access Point.
pub(crate) const MULTI_REGION_HOST: &str = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com";
/// The lifetime of each URL.
pub(crate) const EXPIRES_IN: Duration = Duration::from_mins(15);

/// The signing time, if it can be set: 26 November 2026, 12:00:00 UTC.
const SIGNED_AT: u64 = 1_795_694_400;

/// The signing time.
pub(crate) fn signed_at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(SIGNED_AT)
}

/// A key in the form of a camera's file name. All have the same length.
pub(crate) fn key(number: u64) -> String {
    format!("photos/2026/11/26/IMG_{:08}.jpg", number % 100_000_000)
}
