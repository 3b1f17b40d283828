//! The target that the `bucket` of a request names.

use std::{borrow::Cow, str::FromStr};

use thiserror::Error;

use super::{
    arn::{AccessPointArn, Arn, ArnError, MultiRegionArn, OutpostsAccessPointArn},
    name::{BucketName, BucketNameError, Region},
};

/// What the `bucket` of a request names, by its kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A general purpose bucket.
    Bucket(BucketName),
    /// An access point by its ARN.
    AccessPoint(AccessPointArn),
    /// An access point by its alias (`…-s3alias`).
    AccessPointAlias(BucketName),
    /// An Object Lambda access point by its ARN.
    ObjectLambda(AccessPointArn),
    /// An Object Lambda access point by its alias (`…--ol-s3`); its endpoint is formed as that of an access point alias.
    ObjectLambdaAlias(BucketName),
    /// A Multi-Region Access Point by its ARN.
    MultiRegionAccessPoint(MultiRegionArn),
    /// A directory bucket (`…--x-s3`), or an access point of one (`…--xa-s3`).
    Directory(BucketName),
    /// An S3 on Outposts access point by its ARN.
    Outposts(OutpostsAccessPointArn),
    /// An S3 on Outposts access point by its alias (`…--op-s3`).
    OutpostsAlias(BucketName),
}

/// The kind of a target. It is a metric label, so the set is small and fixed.
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
    /// An Object Lambda access point, by ARN or alias.
    ObjectLambda,
    /// A directory bucket (S3 Express One Zone), or an access point of one.
    Directory,
}

impl TargetKind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Bucket,
        Self::AccessPoint,
        Self::MultiRegionAccessPoint,
        Self::Outposts,
        Self::ObjectLambda,
        Self::Directory,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::AccessPoint => "access_point",
            Self::MultiRegionAccessPoint => "multi_region_access_point",
            Self::Outposts => "outposts",
            Self::ObjectLambda => "object_lambda",
            Self::Directory => "directory_bucket",
        }
    }
}

/// Why a `bucket` is not a valid target.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TargetError {
    /// Not a bucket name.
    #[error(transparent)]
    Name(#[from] BucketNameError),
    /// Not a valid ARN, or one of an unsupported service.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// The alias of a Multi-Region Access Point without its ARN.
    #[error(
        "{0:?} is the alias of a Multi-Region Access Point, but S3 accepts only its ARN: \
         give arn:aws:s3::ACCOUNT:accesspoint/{0}"
    )]
    MultiRegionAlias(String),
    /// It has the suffix of a directory bucket, but not the format of its name.
    #[error(
        "bucket ends in {0}, but is not a valid name of a directory bucket or of its access point: \
         use NAME--ZONE-ID{0}, such as logs--use1-az4{0}, with at most 63 lower-case letters, digits and '-'"
    )]
    Directory(&'static str),
}

impl Target {
    /// The kind of this target.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Bucket(_) => TargetKind::Bucket,
            Self::AccessPoint(_) | Self::AccessPointAlias(_) => TargetKind::AccessPoint,
            Self::MultiRegionAccessPoint(_) => TargetKind::MultiRegionAccessPoint,
            Self::Outposts(_) | Self::OutpostsAlias(_) => TargetKind::Outposts,
            Self::ObjectLambda(_) | Self::ObjectLambdaAlias(_) => TargetKind::ObjectLambda,
            Self::Directory(_) => TargetKind::Directory,
        }
    }

    /// The region in the target's ARN, if it has one.
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::AccessPoint(arn) | Self::ObjectLambda(arn) => Some(arn.region()),
            Self::Outposts(arn) => Some(arn.region()),
            Self::Bucket(_)
            | Self::AccessPointAlias(_)
            | Self::ObjectLambdaAlias(_)
            | Self::Directory(_)
            | Self::MultiRegionAccessPoint(_)
            | Self::OutpostsAlias(_) => None,
        }
    }

    /// The partition in the target's ARN, if it is an ARN.
    pub fn partition(&self) -> Option<&'static str> {
        match self {
            Self::MultiRegionAccessPoint(arn) => Some(arn.partition()),
            _ => self.region().map(Region::partition),
        }
    }

    /// Whether the endpoint identifies the target only by its host name, never in the path.
    pub(super) fn needs_host_name(&self) -> bool {
        matches!(self, Self::AccessPoint(_) | Self::ObjectLambda(_) | Self::Outposts(_))
    }

    /// The canonical spelling of the target, for comparisons in policies, Explain and logs.
    ///
    /// It contains only what the host or the scope of a signature contains. So a Multi-Region Access Point is
    /// `arn:PARTITION:s3:::accesspoint/ALIAS.mrap`, without the account of the caller's ARN, which S3 never receives.
    /// Rules must name such an access point in this form.
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::Bucket(name)
            | Self::AccessPointAlias(name)
            | Self::ObjectLambdaAlias(name)
            | Self::Directory(name)
            | Self::OutpostsAlias(name) => Cow::Borrowed(name.as_str()),
            Self::AccessPoint(arn) | Self::ObjectLambda(arn) => Cow::Owned(arn.to_string()),
            Self::MultiRegionAccessPoint(arn) => Cow::Owned(arn.without_account()),
            Self::Outposts(arn) => Cow::Owned(arn.to_string()),
        }
    }

    /// The value of the parameter `Bucket` of AWS's endpoint rules.
    pub(super) fn endpoint_parameter(&self) -> Cow<'_, str> {
        match self {
            Self::MultiRegionAccessPoint(arn) => Cow::Owned(arn.to_string()),
            other => other.canonical(),
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
                Arn::ObjectLambda(arn) => Ok(Self::ObjectLambda(arn)),
            };
        }
        let name = BucketName::try_from(text)?;
        // S3 reserves these suffixes, so no bucket name ends in them:
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        if text.ends_with("--op-s3") {
            return Ok(Self::OutpostsAlias(name));
        }
        if text.ends_with("-s3alias") {
            return Ok(Self::AccessPointAlias(name));
        }
        if text.ends_with("--ol-s3") {
            return Ok(Self::ObjectLambdaAlias(name));
        }
        if text.strip_suffix(".mrap").is_some() {
            return Err(TargetError::MultiRegionAlias(text.to_owned()));
        }
        match DIRECTORY_SUFFIXES.into_iter().find(|suffix| text.ends_with(suffix)) {
            Some(suffix) if is_directory_bucket(text, suffix) => Ok(Self::Directory(name)),
            Some(suffix) => Err(TargetError::Directory(suffix)),
            None => Ok(Self::Bucket(name)),
        }
    }
}

/// The suffixes of directory buckets and of their access points.
const DIRECTORY_SUFFIXES: [&str; 2] = ["--x-s3", "--xa-s3"];

/// Source: [Directory bucket naming rules](https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html).
fn is_directory_bucket(text: &str, suffix: &str) -> bool {
    let Some((name, zone)) = text.strip_suffix(suffix).and_then(|rest| rest.rsplit_once("--")) else {
        return false;
    };
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 63 && text.bytes().all(is_allowed) && !name.is_empty() && !zone.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_kind_is_recognized() {
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
            ("arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/redact", TargetKind::ObjectLambda),
            ("redact-hrzrlukc5m36ft7okagglf3gmwlu--ol-s3", TargetKind::ObjectLambda),
            ("logs--use1-az4--x-s3", TargetKind::Directory),
            ("reports--usw2-lax1-az1--xa-s3", TargetKind::Directory),
        ];
        for (text, kind) in rows {
            assert_eq!(text.parse::<Target>().unwrap().kind(), kind, "{text}");
        }
    }

    #[test]
    fn reserved_suffix_with_wrong_format_is_rejected() {
        let rows = [
            ("mfzwi23gnjvgw.mrap", TargetError::MultiRegionAlias("mfzwi23gnjvgw.mrap".to_owned())),
            ("logs--x-s3", TargetError::Directory("--x-s3")),
            ("Logs--use1-az4--x-s3", TargetError::Directory("--x-s3")),
            ("my.logs--use1-az4--x-s3", TargetError::Directory("--x-s3")),
            ("logs----x-s3", TargetError::Directory("--x-s3")),
            ("logs--xa-s3", TargetError::Directory("--xa-s3")),
        ];
        for (text, error) in rows {
            assert_eq!(text.parse::<Target>(), Err(error), "{text}");
        }
    }

    #[test]
    fn canonical_arn_parses_to_the_same_target() {
        for text in [
            "arn:aws:s3:us-east-1:123456789012:accesspoint:reports",
            "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint:redact",
            "arn:aws-us-gov:s3-object-lambda:us-gov-west-1:123456789012:accesspoint/redact",
            "arn:aws-cn:s3-outposts:cn-north-1:123456789012:outpost:op-01234567890123456:accesspoint:demo",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.canonical().parse::<Target>().unwrap(), target, "{text}");
            assert_eq!(target.canonical().replace('/', ":"), text.replace('/', ":"));
        }
    }

    #[test]
    fn canonical_multi_region_arn_omits_the_account() {
        for text in [
            "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
            "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap",
            "arn:aws:s3::210987654321:accesspoint/mfzwi23gnjvgw.mrap",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.canonical(), "arn:aws:s3:::accesspoint/mfzwi23gnjvgw.mrap", "{text}");
        }
    }
}
