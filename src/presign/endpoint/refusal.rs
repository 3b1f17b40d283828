//! Why a target has no endpoint under a signer's rules.

use thiserror::Error;

use crate::presign::name::Region;

/// Why a target has no endpoint under these rules.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EndpointError {
    /// No region is known.
    #[error("no region is known for this signer: set signers.NAME.region or AWS_REGION where presignd runs")]
    NoRegion,
    /// The ARN is of another partition than the signer.
    #[error(
        "the ARN is in partition {arn}, but this signer's region {region} is in partition {signer}: \
         use a signer whose credentials are of partition {arn}"
    )]
    Partition {
        /// The ARN's partition.
        arn: &'static str,
        /// The signer's region.
        region: Region,
        /// The signer's partition.
        signer: &'static str,
    },
    /// The ARN is of another region than the signer, which keeps to its own.
    #[error(
        "the ARN is in region {arn}, but this signer is for {region} alone (signers.NAME.use_arn_region is false): \
         use a signer for {arn}, or one without that setting"
    )]
    ArnRegion {
        /// The ARN's region.
        arn: Region,
        /// The signer's region.
        region: Region,
    },
    /// There is no such thing elsewhere than at AWS.
    #[error(
        "{0} is reached at AWS alone, but this signer has an endpoint of its own: \
         give the ARN of an access point that is reached there, or use a signer without signers.NAME.public_endpoint and \
         with signers.NAME.endpoint = \"aws\" (or without it and AWS_ENDPOINT_URL)"
    )]
    OnlyAtAws(&'static str),
    /// An ARN's access point stands in the host, and the endpoint's host is an IP address.
    #[error(
        "an access point is named in the host, in front of the endpoint's, and so needs a host name there: \
         use a signer whose endpoint (or public_endpoint) is not an IP address"
    )]
    IpAddress,
    /// AWS has no such combination: in our words.
    #[error("{0}")]
    Refused(&'static str),
    /// AWS's rules say something that presignd does not know.
    #[error("S3 has no endpoint for this target: {0}")]
    Unexpected(String),
}

/// What [`EndpointError::OnlyAtAws`] is said of.
pub(super) const MULTI_REGION: &str = "a Multi-Region Access Point";
pub(super) const OUTPOSTS_ALIAS: &str = "the alias of an S3 on Outposts access point";

impl EndpointError {
    /// What AWS's rules say, in our words, naming the settings.
    pub(super) fn of_rules(said: &str) -> Self {
        match REASONS.iter().find(|(reason, _)| said.contains(reason)) {
            Some((_, ours)) => Self::Refused(ours),
            None => Self::Unexpected(said.to_owned()),
        }
    }
}

const NO_OUTPOSTS_ALIAS: &str =
    "the Outposts access point alias is not one that S3 made: give it as S3 shows it, or the ARN";

/// What AWS's rules say, and the same in our words. The settings stand under `signers.NAME.`.
const REASONS: [(&str, &str); 24] = [
    (
        "Accelerate cannot be used with FIPS",
        "S3 Transfer Acceleration has no FIPS endpoint: \
         use a signer with signers.NAME.accelerate or signers.NAME.fips, not both",
    ),
    (
        "Cannot set dual-stack in combination with a custom endpoint",
        "dual-stack is a choice among AWS's own endpoints, and this signer has an endpoint of its own: \
         use a signer with signers.NAME.dual_stack = false, or without endpoint and public_endpoint",
    ),
    (
        "A custom endpoint cannot be combined with FIPS",
        "FIPS is a choice among AWS's own endpoints, and this signer has an endpoint of its own: \
         use a signer with signers.NAME.fips = false, or without endpoint and public_endpoint",
    ),
    (
        "A custom endpoint cannot be combined with S3 Accelerate",
        "S3 Transfer Acceleration is AWS's own endpoint, and this signer has an endpoint of its own: \
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
        "S3 Transfer Acceleration needs the bucket in the host, where names with dots, capitals or '_' do not fit: \
         use a signer without signers.NAME.accelerate, and without signers.NAME.path_style",
    ),
    (
        "Path-style addressing cannot be used with ARN buckets",
        "an access point is named in the host, never in the path, by its ARN: \
         use a signer without signers.NAME.path_style",
    ),
    (
        "S3Express does not support S3 Accelerate",
        "directory buckets have no S3 Transfer Acceleration: use a signer without signers.NAME.accelerate",
    ),
    (
        "Unrecognized S3Express bucket name format",
        "the zone in the directory bucket's name is none that AWS has: \
         it stands before the end of the name, as in logs--use1-az4--x-s3",
    ),
    (
        "S3Express bucket name is not a valid virtual hostable name",
        "the directory bucket's name does not fit into a host: it has 3 to 63 lower-case letters, digits and '-'",
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
    ("Unrecognized hardware type", NO_OUTPOSTS_ALIAS),
    ("Invalid Outposts Bucket alias", NO_OUTPOSTS_ALIAS),
    ("The outpost Id must only contain", NO_OUTPOSTS_ALIAS),
    // For what S3 tests before it is there.
    ("Expected a endpoint to be specified", NO_OUTPOSTS_ALIAS),
];
