//! What a request's `bucket` names.

use std::{borrow::Cow, str::FromStr};

use thiserror::Error;

use super::{
    arn::{AccessPointArn, Arn, ArnError, MultiRegionArn, OutpostsAccessPointArn},
    name::{BucketName, BucketNameError, Region},
};

/// Where the objects are: the `bucket` of a request, told apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A general purpose bucket.
    Bucket(BucketName),
    /// An access point by its ARN.
    AccessPoint(AccessPointArn),
    /// An access point by its alias (`…-s3alias`).
    AccessPointAlias(BucketName),
    /// A Multi-Region Access Point by its ARN.
    MultiRegionAccessPoint(MultiRegionArn),
    /// An S3 on Outposts access point by its ARN.
    Outposts(OutpostsAccessPointArn),
    /// An S3 on Outposts access point by its alias (`…--op-s3`).
    OutpostsAlias(BucketName),
}

/// The kind of a target: a metric label, so the set is small and fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetKind {
    /// A general purpose bucket.
    Bucket,
    /// An S3 access point, by ARN or alias.
    AccessPoint,
    /// An S3 Multi-Region Access Point.
    MultiRegionAccessPoint,
    /// An S3 on Outposts access point, by ARN or alias.
    Outposts,
}

impl TargetKind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 4] =
        [Self::Bucket, Self::AccessPoint, Self::MultiRegionAccessPoint, Self::Outposts];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::AccessPoint => "access_point",
            Self::MultiRegionAccessPoint => "multi_region_access_point",
            Self::Outposts => "outposts",
        }
    }
}

/// Why a `bucket` cannot be signed for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TargetError {
    /// Not a bucket name.
    #[error(transparent)]
    Name(#[from] BucketNameError),
    /// Not an ARN that presignd knows.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// In the contract, but not in this version.
    #[error(
        "{0} are not supported by this version of presignd: \
         use a bucket, an access point, a Multi-Region Access Point or an S3 on Outposts access point"
    )]
    Unsupported(&'static str),
}

impl Target {
    /// The kind of this target.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Bucket(_) => TargetKind::Bucket,
            Self::AccessPoint(_) | Self::AccessPointAlias(_) => TargetKind::AccessPoint,
            Self::MultiRegionAccessPoint(_) => TargetKind::MultiRegionAccessPoint,
            Self::Outposts(_) | Self::OutpostsAlias(_) => TargetKind::Outposts,
        }
    }

    /// The region that the target itself names, where it names one.
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::AccessPoint(arn) => Some(arn.region()),
            Self::Outposts(arn) => Some(arn.region()),
            Self::Bucket(_)
            | Self::AccessPointAlias(_)
            | Self::MultiRegionAccessPoint(_)
            | Self::OutpostsAlias(_) => None,
        }
    }

    /// The partition that the target itself names, where it names one.
    pub fn partition(&self) -> Option<&'static str> {
        match self {
            Self::MultiRegionAccessPoint(arn) => Some(arn.partition()),
            _ => self.region().map(Region::partition),
        }
    }

    /// The target in its one canonical spelling, however the caller wrote it.
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::Bucket(name) | Self::AccessPointAlias(name) | Self::OutpostsAlias(name) => {
                Cow::Borrowed(name.as_str())
            }
            Self::AccessPoint(arn) => Cow::Owned(arn.to_string()),
            Self::MultiRegionAccessPoint(arn) => Cow::Owned(arn.to_string()),
            Self::Outposts(arn) => Cow::Owned(arn.to_string()),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("arn:") {
            return match text.parse()? {
                Arn::AccessPoint(arn) => Ok(Self::AccessPoint(arn)),
                Arn::Outposts(arn) => Ok(Self::Outposts(arn)),
                Arn::MultiRegionAccessPoint(arn) => Ok(Self::MultiRegionAccessPoint(arn)),
                Arn::ObjectLambdaAccessPoint => Err(TargetError::Unsupported("Object Lambda access points")),
            };
        }
        let name = BucketName::try_from(text)?;
        // The suffixes are S3's own and no bucket may end in them:
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        if text.ends_with("--op-s3") {
            return Ok(Self::OutpostsAlias(name));
        }
        if text.ends_with("-s3alias") {
            return Ok(Self::AccessPointAlias(name));
        }
        match UNSUPPORTED_SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix)) {
            Some((_, what)) => Err(TargetError::Unsupported(what)),
            None => Ok(Self::Bucket(name)),
        }
    }
}

/// What other endings of a name stand for.
const UNSUPPORTED_SUFFIXES: [(&str, &str); 4] = [
    ("--ol-s3", "Object Lambda access point aliases"),
    ("--x-s3", "directory buckets (S3 Express One Zone)"),
    ("--xa-s3", "access points of directory buckets (S3 Express One Zone)"),
    (".mrap", "Multi-Region Access Point aliases"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_target_is_told_apart() {
        let rows = [
            ("plain-bucket", TargetKind::Bucket),
            ("my.dotted.bucket", TargetKind::Bucket),
            ("arn:aws:s3:us-east-1:123456789012:accesspoint/reports", TargetKind::AccessPoint),
            ("reports-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", TargetKind::AccessPoint),
            ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", TargetKind::MultiRegionAccessPoint),
            (
                "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/reports",
                TargetKind::Outposts,
            ),
            ("test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3", TargetKind::Outposts),
        ];
        for (text, kind) in rows {
            assert_eq!(text.parse::<Target>().unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn a_target_of_a_later_version_says_that_it_is_not_supported_yet() {
        for text in [
            "mfzwi23gnjvgw.mrap",
            "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/redact",
            "logs--use1-az4--x-s3",
            "redact-abc--ol-s3",
        ] {
            assert!(matches!(text.parse::<Target>(), Err(TargetError::Unsupported(_))), "{text}");
        }
    }
}
