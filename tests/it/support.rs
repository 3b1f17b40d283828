//! Helpers of the tests: they run the built binary, Python scripts, S3 servers and fake AWS endpoints.

pub mod aws;
pub mod callers;
pub mod clock;
pub mod grpc;
pub mod http;
pub mod in_process;
pub mod issuer;
pub mod provider;
pub mod python;
pub mod s3;
pub mod scrape;
pub mod sidecar;

/// The access key ID of the AWS examples.
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// The secret key of the AWS examples.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The ARN of an S3 on Outposts access point. On the S3 servers its bucket is `demo-123456789012`.
pub const OUTPOSTS_ARN: &str =
    "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/demo";
