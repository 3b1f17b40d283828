//! Why a target has no endpoint under a signer's rules.

use thiserror::Error;

use crate::presign::name::Region;

/// Why a target has no endpoint under these rules.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EndpointError {
    /// Neither the signer nor the target has a region.
    #[error(
        "this signer has no region: set signers.NAME.region, or AWS_REGION in the environment of presignd"
    )]
    NoRegion,
    /// The ARN is in another partition than the signer.
    #[error(
        "the ARN is in partition {arn}, but this signer's region {region} is in partition {signer}: \
         use a signer with credentials for partition {arn}"
    )]
    Partition {
        /// The ARN's partition.
        arn: &'static str,
        /// The signer's region.
        region: Region,
        /// The signer's partition.
        signer: &'static str,
    },
    /// The ARN is in another region than the signer, and `use_arn_region` is false.
    #[error(
        "the ARN is in region {arn}, but this signer signs only for {region} (signers.NAME.use_arn_region is false): \
         use a signer for {arn}, or set signers.NAME.use_arn_region = true"
    )]
    ArnRegion {
        /// The ARN's region.
        arn: Region,
        /// The signer's region.
        region: Region,
    },
    /// Only AWS has this kind of target, but the signer uses a custom endpoint.
    #[error(
        "{0} exists only on AWS, but this signer uses a custom endpoint: \
         give the ARN of an access point at that endpoint, or use a signer without signers.NAME.public_endpoint and with \
         signers.NAME.endpoint = \"aws\" (or with neither endpoint nor AWS_ENDPOINT_URL)"
    )]
    OnlyOnAws(&'static str),
    /// An access point ARN becomes part of the host name, but the endpoint is an IP address.
    #[error(
        "an access point ARN needs an endpoint with a host name, but this signer's endpoint is an IP address: \
         use a signer whose endpoint (or public_endpoint) has a host name"
    )]
    IpAddress,
    /// AWS's rules reject the combination of target and settings. The message is one of `REJECTIONS`.
    #[error("{0}")]
    Rejected(&'static str),
    /// AWS's rules reject the target with a message that is not in `REJECTIONS`.
    #[error("no S3 endpoint for this target: {0}")]
    Unexpected(String),
}

/// Targets in [`EndpointError::OnlyOnAws`].
pub(super) const MULTI_REGION: &str = "a Multi-Region Access Point";
pub(super) const OUTPOSTS_ALIAS: &str = "the alias of an S3 on Outposts access point";

impl EndpointError {
    /// The error for a message of AWS's rules.
    pub(super) fn from_rules_message(message: &str) -> Self {
        match REJECTIONS.iter().find(|(part, _)| message.contains(part)) {
            Some((_, explained)) => Self::Rejected(explained),
            None => Self::Unexpected(message.to_owned()),
        }
    }
}

const INVALID_OUTPOSTS_ALIAS: &str =
    "the Outposts access point alias is not valid: give the alias exactly as S3 shows it, or the ARN";

/// Parts of the messages of AWS's rules, and a message for each that names the settings to change.
const REJECTIONS: [(&str, &str); 24] = [
    (
        "Accelerate cannot be used with FIPS",
        "S3 Transfer Acceleration has no FIPS endpoint: \
         use a signer with only one of signers.NAME.accelerate and signers.NAME.fips",
    ),
    (
        "Cannot set dual-stack in combination with a custom endpoint",
        "dual-stack exists only on AWS, but this signer uses a custom endpoint: \
         use a signer with signers.NAME.dual_stack = false, or without endpoint and public_endpoint",
    ),
    (
        "A custom endpoint cannot be combined with FIPS",
        "FIPS exists only on AWS, but this signer uses a custom endpoint: \
         use a signer with signers.NAME.fips = false, or without endpoint and public_endpoint",
    ),
    (
        "A custom endpoint cannot be combined with S3 Accelerate",
        "S3 Transfer Acceleration exists only on AWS, but this signer uses a custom endpoint: \
         use a signer without signers.NAME.accelerate, or without endpoint and public_endpoint",
    ),
    (
        "Partition does not support FIPS",
        "the partition of this signer's region has no FIPS endpoints: use a signer with signers.NAME.fips = false",
    ),
    (
        "S3 Accelerate cannot be used in this region",
        "the partition of this signer's region has no S3 Transfer Acceleration: \
         use a signer without signers.NAME.accelerate",
    ),
    (
        "Path-style addressing cannot be used with S3 Accelerate",
        "S3 Transfer Acceleration needs the bucket in the host name, so the name cannot have dots, capitals or '_': \
         use a signer without signers.NAME.accelerate or, if the name allows it, without signers.NAME.path_style",
    ),
    (
        "Path-style addressing cannot be used with ARN buckets",
        "an access point ARN cannot be used with path-style addressing: \
         use a signer without signers.NAME.path_style",
    ),
    (
        "S3Express does not support S3 Accelerate",
        "directory buckets have no S3 Transfer Acceleration: use a signer without signers.NAME.accelerate",
    ),
    (
        "Unrecognized S3Express bucket name format",
        "the zone ID in the directory bucket's name is not known to AWS: \
         the format is NAME--ZONE-ID--x-s3, such as logs--use1-az4--x-s3",
    ),
    (
        "S3Express bucket name is not a valid virtual hostable name",
        "the directory bucket's name cannot be part of a host name: \
         it must have 3 to 63 lower-case letters, digits and '-'",
    ),
    (
        "S3 Object Lambda does not support Dual-stack",
        "Object Lambda access points have no dual-stack endpoint: \
         use a signer with signers.NAME.dual_stack = false",
    ),
    (
        "S3 Object Lambda does not support S3 Accelerate",
        "Object Lambda access points have no S3 Transfer Acceleration: \
         use a signer without signers.NAME.accelerate",
    ),
    (
        "Access Points do not support S3 Accelerate",
        "access points have no S3 Transfer Acceleration: use a signer without signers.NAME.accelerate",
    ),
    (
        "S3 MRAP does not support dual-stack",
        "Multi-Region Access Points have no dual-stack endpoint: \
         use a signer with signers.NAME.dual_stack = false",
    ),
    (
        "S3 MRAP does not support FIPS",
        "Multi-Region Access Points have no FIPS endpoint: use a signer with signers.NAME.fips = false",
    ),
    (
        "S3 MRAP does not support S3 Accelerate",
        "Multi-Region Access Points have no S3 Transfer Acceleration: \
         use a signer without signers.NAME.accelerate",
    ),
    (
        "S3 Outposts does not support Dual-stack",
        "S3 on Outposts has no dual-stack endpoint: use a signer with signers.NAME.dual_stack = false",
    ),
    (
        "S3 Outposts does not support FIPS",
        "S3 on Outposts has no FIPS endpoint: use a signer with signers.NAME.fips = false",
    ),
    (
        "S3 Outposts does not support S3 Accelerate",
        "S3 on Outposts has no S3 Transfer Acceleration: use a signer without signers.NAME.accelerate",
    ),
    ("Unrecognized hardware type", INVALID_OUTPOSTS_ALIAS),
    ("Invalid Outposts Bucket alias", INVALID_OUTPOSTS_ALIAS),
    ("The outpost Id must only contain", INVALID_OUTPOSTS_ALIAS),
    // The aliases of the test stages of S3.
    ("Expected a endpoint to be specified", INVALID_OUTPOSTS_ALIAS),
];
