//! Compares thousands of URLs with those of independent signers: aws-sigv4, the presigner of aws-sdk-s3, and boto3.

mod boto3;
pub mod cases;
mod endpoints;
mod sdk;
pub mod sigv4;
mod sigv4a;
