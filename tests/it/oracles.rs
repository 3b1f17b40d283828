//! Independent signers must agree, for thousands of requests: aws-sigv4, the aws-sdk-s3 presigner, and boto3.

mod boto3;
pub mod cases;
mod endpoints;
mod sdk;
pub mod sigv4;
mod sigv4a;
