//! Invalid bucket names and ARNs, each with one invalid part, and unsupported targets.

use super::{Row, but, check, invalid};
use crate::support::OUTPOSTS_ARN;

fn to(bucket: &str) -> presignd::pb::PresignRequest {
    but(|request| request.bucket = bucket.to_owned())
}

/// An Outposts ARN with one part replaced.
fn arn(part: &str, by: &str, message: &str) -> Row {
    assert!(OUTPOSTS_ARN.contains(part), "{part} is a part of the ARN");
    invalid(to(&OUTPOSTS_ARN.replacen(part, by, 1)), "ARN_INVALID", "bucket", message)
}

#[tokio::test]
async fn an_invalid_bucket_name_is_refused() {
    let name = |bucket: &str, message| invalid(to(bucket), "BUCKET_INVALID", "bucket", message);
    check(vec![
        name("", "bucket is empty: give a bucket name, an access point ARN or an access point alias"),
        name(
            "ab",
            "the length of the bucket name is 2: it must have 3 to 63 characters (up to 255 if created before March 2018)",
        ),
        name(
            "bucket/key",
            "bucket name contains '/': use only letters, digits, '-', '.' and '_'",
        ),
        name(
            "evil.example#bucket",
            "bucket name contains '#': use only letters, digits, '-', '.' and '_'",
        ),
        name(
            "bücket",
            "bucket name contains 'ü': use only letters, digits, '-', '.' and '_'",
        ),
        name("-bucket", "bucket name must begin and end with a letter or a digit"),
        name("buc..ket", "bucket name must not have two dots in a row"),
        name("192.168.5.4", "bucket name must not be formatted as an IP address"),
    ])
    .await;
}

#[tokio::test]
async fn an_invalid_outposts_arn_names_the_wrong_part() {
    let resource = |found: &str| {
        format!("the ARN's resource is {found:?}: it must be outpost/OUTPOST-ID/accesspoint/NAME")
    };
    let outpost = |found: &str| {
        format!(
            "the ARN's Outpost ID is {found:?}: it must be op- and 17 lower-case hexadecimal digits, such as op-01ac5d28a6a232904"
        )
    };
    let name = |found: &str| {
        format!(
            "the ARN's access point name is {found:?}: it must have 3 to 50 lower-case letters, digits and '-', \
         and must begin and end with a letter or a digit"
        )
    };
    let id = "op-01234567890123456";
    check(vec![
        arn(
            "aws:",
            "aws-moon:",
            "the ARN's partition is \"aws-moon\": \
             it must be aws, aws-cn, aws-us-gov, aws-eusc, aws-iso, aws-iso-b, aws-iso-e or aws-iso-f",
        ),
        arn(
            "s3-outposts",
            "sqs",
            "the ARN's service is \"sqs\": it must be s3-outposts, s3 or s3-object-lambda",
        ),
        arn("us-east-1", "", "the ARN's region is \"\": it must be a region name, such as us-east-1"),
        arn(
            "us-east-1",
            "US East",
            "the ARN's region is \"US East\": it must be a region name, such as us-east-1",
        ),
        arn(
            "us-east-1",
            "cn-north-1",
            "the ARN's region cn-north-1 is in partition aws-cn, but the ARN says aws",
        ),
        arn("123456789012", "12345", "the ARN's account is \"12345\": an AWS account ID has 12 digits"),
        arn("123456789012", "", "the ARN's account is \"\": an AWS account ID has 12 digits"),
        arn("outpost/", "outposts/", &resource(&format!("outposts/{id}/accesspoint/demo"))),
        arn("accesspoint/", "bucket/", &resource(&format!("outpost/{id}/bucket/demo"))),
        arn("/accesspoint/demo", "", &resource(&format!("outpost/{id}"))),
        arn("demo", "demo/object/key", &resource(&format!("outpost/{id}/accesspoint/demo/object/key"))),
        arn(id, "op-1", &outpost("op-1")),
        arn(id, "op-0123456789012345G", &outpost("op-0123456789012345G")),
        arn("/demo", "/", &name("")),
        arn("/demo", "/Demo", &name("Demo")),
        arn("/demo", "/de.mo", &name("de.mo")),
    ])
    .await;
}

#[tokio::test]
async fn an_unsupported_s3_arn_is_refused() {
    let wrong = |bucket: &str, message| invalid(to(bucket), "ARN_INVALID", "bucket", message);
    check(vec![
        wrong(
            "arn:aws",
            "the ARN has 2 parts separated by colons: the format is arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE",
        ),
        wrong(
            "arn:aws:s3:::plain-bucket",
            "the ARN names a bucket: set bucket to the name, \"plain-bucket\", and set the object's key in key",
        ),
        wrong(
            "arn:aws:s3:us-east-1:123456789012:bucket/reports",
            "the ARN's resource is \"bucket/reports\": it must be accesspoint/NAME",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_arn_of_another_partition_is_refused() {
    let china = OUTPOSTS_ARN.replace("arn:aws:", "arn:aws-cn:").replace("us-east-1", "cn-north-1");
    check(vec![invalid(
        to(&china),
        "TARGET_REFUSED",
        "bucket",
        "the ARN is in partition aws-cn, but this signer's region us-east-1 is in partition aws: \
         use a signer with credentials for partition aws-cn",
    )])
    .await;
}

#[tokio::test]
async fn a_name_with_a_reserved_suffix_is_refused() {
    let name = |bucket: &str, message| invalid(to(bucket), "BUCKET_INVALID", "bucket", message);
    check(vec![
        name(
            "mfzwi23gnjvgw.mrap",
            "\"mfzwi23gnjvgw.mrap\" is the alias of a Multi-Region Access Point, but S3 accepts only its ARN: \
             give arn:aws:s3::ACCOUNT:accesspoint/mfzwi23gnjvgw.mrap",
        ),
        name(
            "Logs--use1-az4--x-s3",
            "bucket ends in --x-s3, but is not a valid name of a directory bucket or of its access point: \
             use NAME--ZONE-ID--x-s3, such as logs--use1-az4--x-s3, with at most 63 lower-case letters, digits and '-'",
        ),
    ])
    .await;
}
