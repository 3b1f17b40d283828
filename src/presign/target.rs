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
    /// An Object Lambda access point by its ARN.
    ObjectLambda(AccessPointArn),
    /// An Object Lambda access point by its alias (`…--ol-s3`), which goes where the alias of an access point goes.
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

/// Why a `bucket` cannot be signed for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TargetError {
    /// Not a bucket name.
    #[error(transparent)]
    Name(#[from] BucketNameError),
    /// Not an ARN that presignd knows.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// The alias of a Multi-Region Access Point, alone.
    #[error(
        "{0:?} is the alias of a Multi-Region Access Point, but S3 accepts only its ARN: \
         give arn:aws:s3::ACCOUNT:accesspoint/{0}"
    )]
    MultiRegionAlias(String),
    /// It ends as a directory bucket does, and is none.
    #[error(
        "bucket ends in {0}, but is not a valid name of a directory bucket or of its access point: use NAME--ZONE-ID{0}, \
         such as logs--use1-az4{0}, with at most 63 lower-case letters, digits and '-'"
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

    /// The region that the target itself names, where it names one.
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

    /// The partition that the target itself names, where it names one.
    pub fn partition(&self) -> Option<&'static str> {
        match self {
            Self::MultiRegionAccessPoint(arn) => Some(arn.partition()),
            _ => self.region().map(Region::partition),
        }
    }

    /// Whether it is named in the host and nowhere else.
    pub(super) fn needs_host(&self) -> bool {
        matches!(self, Self::AccessPoint(_) | Self::ObjectLambda(_) | Self::Outposts(_))
    }

    /// The target in its one canonical spelling, however the caller wrote it: what a policy, Explain and logs compare. It
    /// has what the host or the scope of a signature binds, and no more: a Multi-Region Access Point is
    /// `arn:PARTITION:s3:::accesspoint/ALIAS.mrap`, without the account that the caller wrote into its ARN, which S3 never
    /// sees. A rule that names such an access point names it so.
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

    /// The target as AWS's endpoint rules read it.
    pub(super) fn for_rules(&self) -> Cow<'_, str> {
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
        // The suffixes are S3's own and no bucket may end in them:
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
            Some(suffix) if is_directory(text, suffix) => Ok(Self::Directory(name)),
            Some(suffix) => Err(TargetError::Directory(suffix)),
            None => Ok(Self::Bucket(name)),
        }
    }
}

/// The ends of a directory bucket's name, and of its access points'.
const DIRECTORY_SUFFIXES: [&str; 2] = ["--x-s3", "--xa-s3"];

/// Source: [Directory bucket naming rules](https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html).
fn is_directory(text: &str, suffix: &str) -> bool {
    let Some((name, zone)) = text.strip_suffix(suffix).and_then(|rest| rest.rsplit_once("--")) else {
        return false;
    };
    let of_these = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 63 && text.bytes().all(of_these) && !name.is_empty() && !zone.is_empty()
}

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
    fn a_name_that_ends_as_another_kind_does_and_is_none_is_refused() {
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
    fn the_canonical_spelling_of_an_arn_is_read_as_the_same_target() {
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
    fn the_account_that_a_multi_region_access_point_is_given_with_binds_nothing_and_is_not_in_its_spelling() {
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
