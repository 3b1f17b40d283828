//! Access point ARNs of S3, S3 Object Lambda and S3 on Outposts, each part validated.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{name::Region, partition::Partition};

/// The ARN of an S3 access point, `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME`, or of an Object Lambda access
/// point, whose service is `s3-object-lambda`.
///
/// Source: [Using access points](https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-access-points.html),
/// [Using Object Lambda access points](https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-use.html).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AccessPointArn {
    service: &'static str,
    location: ArnLocation,
    name: AccessPointName,
}

/// The ARN of an S3 on Outposts access point:
/// `arn:PARTITION:s3-outposts:REGION:ACCOUNT:outpost/OUTPOST-ID/accesspoint/NAME`, with `/` or `:` as separators in
/// the resource.
///
/// Source: [Resource ARNs for S3 on Outposts](https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsARN.html).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OutpostsAccessPointArn {
    location: ArnLocation,
    outpost: OutpostId,
    name: AccessPointName,
}

/// A supported ARN, by the kind of its resource.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Arn {
    /// An S3 access point.
    AccessPoint(AccessPointArn),
    /// An S3 on Outposts access point.
    Outposts(OutpostsAccessPointArn),
    /// A Multi-Region Access Point.
    MultiRegionAccessPoint(MultiRegionArn),
    /// An Object Lambda access point.
    ObjectLambda(AccessPointArn),
}

/// The ARN of an S3 Multi-Region Access Point: `arn:PARTITION:s3::ACCOUNT:accesspoint/ALIAS.mrap`. It has no region.
///
/// Source: [Multi-Region Access Points](https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequests.html).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MultiRegionArn {
    partition: &'static str,
    account: AccountId,
    alias: MultiRegionAlias,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct MultiRegionAlias(Box<str>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct ArnLocation {
    partition: &'static str,
    region: Region,
    account: AccountId,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct AccountId(Box<str>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct OutpostId(Box<str>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct AccessPointName(Box<str>);

/// Which part of an ARN is invalid, and its correct form.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ArnError {
    /// Fewer than the six parts of an ARN.
    #[error(
        "the ARN has {0} parts separated by colons: the format is arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"
    )]
    Parts(usize),
    /// An unknown partition.
    #[error(
        "the ARN's partition is {0:?}: \
         it must be aws, aws-cn, aws-us-gov, aws-eusc, aws-iso, aws-iso-b, aws-iso-e or aws-iso-f"
    )]
    Partition(String),
    /// The ARN of a bucket or an object, as used in IAM policies.
    #[error("the ARN names a bucket: set bucket to the name, {0:?}, and set the object's key in key")]
    Bucket(String),
    /// Not a supported service.
    #[error("the ARN's service is {0:?}: it must be s3-outposts, s3 or s3-object-lambda")]
    Service(String),
    /// Not a region name.
    #[error("the ARN's region is {0:?}: it must be a region name, such as us-east-1")]
    Region(String),
    /// The region is not in the partition of the ARN.
    #[error("the ARN's region {region} is in partition {actual}, but the ARN says {partition}")]
    RegionPartition {
        /// The ARN's region.
        region: String,
        /// The partition of that region.
        actual: &'static str,
        /// The partition that the ARN names.
        partition: &'static str,
    },
    /// Not twelve digits.
    #[error("the ARN's account is {0:?}: an AWS account ID has 12 digits")]
    Account(String),
    /// The resource has another format.
    #[error("the ARN's resource is {resource:?}: it must be {expected}")]
    Resource {
        /// The resource in the ARN.
        resource: String,
        /// The format that it must have.
        expected: &'static str,
    },
    /// Not an Outpost ID.
    #[error(
        "the ARN's Outpost ID is {0:?}: \
         it must be op- and 17 lower-case hexadecimal digits, such as op-01ac5d28a6a232904"
    )]
    OutpostId(String),
    /// Not an access point name.
    #[error(
        "the ARN's access point name is {0:?}: it must have 3 to 50 lower-case letters, digits and '-', \
         and must begin and end with a letter or a digit"
    )]
    AccessPointName(String),
    /// Not the alias of a Multi-Region Access Point.
    #[error(
        "the ARN has no region, so it must name a Multi-Region Access Point, but its alias is {0:?}: \
         give the alias that S3 generated, such as mfzwi23gnjvgw.mrap, or add the region of the access point"
    )]
    MultiRegionAlias(String),
}

const OUTPOSTS_RESOURCE: &str = "outpost/OUTPOST-ID/accesspoint/NAME";
const ACCESS_POINT_RESOURCE: &str = "accesspoint/NAME";

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return Err(ArnError::Parts(parts.len()));
        };
        let partition =
            Partition::named(partition).ok_or_else(|| ArnError::Partition(partition.to_owned()))?.name;
        match service {
            "s3" if region.is_empty() && account.is_empty() => Err(ArnError::Bucket(resource.to_owned())),
            "s3" if region.is_empty() => {
                parse_multi_region(partition, account, resource).map(Self::MultiRegionAccessPoint)
            }
            "s3" => parse_access_point("s3", ArnLocation::parse(partition, region, account)?, resource)
                .map(Self::AccessPoint),
            "s3-object-lambda" => {
                let location = ArnLocation::parse(partition, region, account)?;
                parse_access_point("s3-object-lambda", location, resource).map(Self::ObjectLambda)
            }
            "s3-outposts" => {
                parse_outposts(ArnLocation::parse(partition, region, account)?, resource).map(Self::Outposts)
            }
            other => Err(ArnError::Service(other.to_owned())),
        }
    }
}

fn parse_access_point(
    service: &'static str,
    location: ArnLocation,
    resource: &str,
) -> Result<AccessPointArn, ArnError> {
    let parts: Vec<&str> = resource.split(['/', ':']).collect();
    match parts.as_slice() {
        ["accesspoint", name] => Ok(AccessPointArn { service, location, name: name.parse()? }),
        _ => Err(ArnError::Resource { resource: resource.to_owned(), expected: ACCESS_POINT_RESOURCE }),
    }
}

fn parse_multi_region(
    partition: &'static str,
    account: &str,
    resource: &str,
) -> Result<MultiRegionArn, ArnError> {
    match resource.split_once(['/', ':']) {
        Some(("accesspoint", alias)) => {
            Ok(MultiRegionArn { partition, account: account.parse()?, alias: alias.parse()? })
        }
        _ => Err(ArnError::Resource { resource: resource.to_owned(), expected: ACCESS_POINT_RESOURCE }),
    }
}

fn parse_outposts(location: ArnLocation, resource: &str) -> Result<OutpostsAccessPointArn, ArnError> {
    let parts: Vec<&str> = resource.split(['/', ':']).collect();
    match parts.as_slice() {
        ["outpost", outpost, "accesspoint", name] => {
            Ok(OutpostsAccessPointArn { location, outpost: outpost.parse()?, name: name.parse()? })
        }
        _ => Err(ArnError::Resource { resource: resource.to_owned(), expected: OUTPOSTS_RESOURCE }),
    }
}

impl AccessPointArn {
    /// The region of the access point.
    pub fn region(&self) -> &Region {
        &self.location.region
    }
}

impl OutpostsAccessPointArn {
    /// The region of the Outpost.
    pub fn region(&self) -> &Region {
        &self.location.region
    }
}

impl MultiRegionArn {
    /// The partition of the access point.
    pub fn partition(&self) -> &'static str {
        self.partition
    }

    /// The ARN without the account. S3 identifies the access point only by its alias, which is unique in the partition;
    /// neither the host nor the signature contains the account. The caller can write any account there, so no decision
    /// may depend on it.
    pub fn without_account(&self) -> String {
        format!("arn:{}:s3:::accesspoint/{}", self.partition, self.alias.0)
    }
}

impl ArnLocation {
    fn parse(partition: &'static str, region: &str, account: &str) -> Result<Self, ArnError> {
        let region: Region = region.parse().map_err(|_| ArnError::Region(region.to_owned()))?;
        if region.partition() != partition {
            let actual = region.partition();
            return Err(ArnError::RegionPartition { region: region.to_string(), actual, partition });
        }
        Ok(Self { partition, region, account: account.parse()? })
    }
}

impl FromStr for AccountId {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if is_valid { Ok(Self(text.into())) } else { Err(ArnError::Account(text.to_owned())) }
    }
}

impl FromStr for OutpostId {
    type Err = ArnError;

    /// Source: the pattern of `OutpostId` in the S3 on Outposts API,
    /// [CreateEndpoint](https://docs.aws.amazon.com/AmazonS3/latest/API/API_s3outposts_CreateEndpoint.html).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_valid = text.strip_prefix("op-").is_some_and(|id| id.len() == 17 && id.bytes().all(hex));
        if is_valid { Ok(Self(text.into())) } else { Err(ArnError::OutpostId(text.to_owned())) }
    }
}

impl FromStr for AccessPointName {
    type Err = ArnError;

    /// Source: [Access point naming rules](https://docs.aws.amazon.com/AmazonS3/latest/userguide/creating-access-points.html).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = (3..=50).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_valid { Ok(Self(text.into())) } else { Err(ArnError::AccessPointName(text.to_owned())) }
    }
}

/// The canonical spelling, with `/` between the parts of the resource.
impl fmt::Display for OutpostsAccessPointArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArnLocation { partition, region, account } = &self.location;
        let (outpost, name) = (&self.outpost.0, &self.name.0);
        write!(f, "arn:{partition}:s3-outposts:{region}:{}:outpost/{outpost}/accesspoint/{name}", account.0)
    }
}

impl FromStr for MultiRegionAlias {
    type Err = ArnError;

    /// S3 generates the alias: lower-case letters and digits, then `.mrap`. Source:
    /// [Rules for naming Multi-Region Access Points](https://docs.aws.amazon.com/AmazonS3/latest/userguide/multi-region-access-point-naming.html).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_generated = |id: &str| {
            (1..=58).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let is_valid = text.strip_suffix(".mrap").is_some_and(is_generated);
        if is_valid { Ok(Self(text.into())) } else { Err(ArnError::MultiRegionAlias(text.to_owned())) }
    }
}

/// The canonical spelling, with `/` between the parts of the resource.
impl fmt::Display for MultiRegionArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:s3::{}:accesspoint/{}", self.partition, self.account.0, self.alias.0)
    }
}

/// The canonical spelling, with `/` between the parts of the resource.
impl fmt::Display for AccessPointArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArnLocation { partition, region, account } = &self.location;
        let (service, name) = (self.service, &self.name.0);
        write!(f, "arn:{partition}:{service}:{region}:{}:accesspoint/{name}", account.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPOSTS: &str =
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/example-ap";

    #[test]
    fn outposts_arn_accepts_slashes_and_colons() {
        for text in [
            OUTPOSTS,
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost:op-01ac5d28a6a232904:accesspoint:example-ap",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904:accesspoint/example-ap",
        ] {
            let Arn::Outposts(arn) = text.parse().unwrap() else { panic!("{text} is an Outposts ARN") };
            assert_eq!(arn.to_string(), OUTPOSTS);
            assert_eq!(arn.region().as_str(), "us-west-2");
        }
    }

    #[test]
    fn every_partition_accepts_its_own_regions() {
        for (partition, region) in [
            ("aws", "eu-west-1"),
            ("aws-cn", "cn-north-1"),
            ("aws-us-gov", "us-gov-east-1"),
            ("aws-eusc", "eusc-de-east-1"),
            ("aws-iso", "us-iso-east-1"),
            ("aws-iso-b", "us-isob-east-1"),
            ("aws-iso-e", "eu-isoe-west-1"),
            ("aws-iso-f", "us-isof-south-1"),
        ] {
            let text =
                OUTPOSTS.replace("arn:aws:", &format!("arn:{partition}:")).replace("us-west-2", region);
            assert!(text.parse::<Arn>().is_ok(), "{text}");
        }
    }

    #[test]
    fn invalid_part_of_outposts_arn_is_named() {
        let cases = [
            ("arn:aws", "the ARN has 2 parts"),
            ("arn:aws:s3-outposts:us-west-2:123456789012", "the ARN has 5 parts"),
            (&OUTPOSTS.replace("arn:aws:", "arn:aws-moon:"), "partition is \"aws-moon\""),
            (&OUTPOSTS.replace("s3-outposts", "s3-outpost"), "service is \"s3-outpost\""),
            ("arn:aws:s3:::my-bucket", "set bucket to the name, \"my-bucket\""),
            (&OUTPOSTS.replace("us-west-2", ""), "region is \"\""),
            (&OUTPOSTS.replace("us-west-2", "us_west_2"), "region is \"us_west_2\""),
            (&OUTPOSTS.replace("us-west-2", "cn-north-1"), "is in partition aws-cn, but the ARN says aws"),
            (
                &OUTPOSTS.replace("us-west-2", "eusc-de-east-1"),
                "is in partition aws-eusc, but the ARN says aws",
            ),
            (&OUTPOSTS.replace("123456789012", "12345678901"), "account is \"12345678901\""),
            (&OUTPOSTS.replace("123456789012", "12345678901x"), "account is \"12345678901x\""),
            (&OUTPOSTS.replace("outpost/", "outposts/"), "resource is \"outposts/op-"),
            (&OUTPOSTS.replace("accesspoint/", "bucket/"), "must be outpost/OUTPOST-ID/accesspoint/NAME"),
            (&OUTPOSTS.replace("/accesspoint/example-ap", ""), "must be outpost/OUTPOST-ID/accesspoint/NAME"),
            (&format!("{OUTPOSTS}/more"), "must be outpost/OUTPOST-ID/accesspoint/NAME"),
            (&OUTPOSTS.replace("op-01ac5d28a6a232904", "op-1"), "Outpost ID is \"op-1\""),
            (&OUTPOSTS.replace("op-01ac5d28a6a232904", "op-01AC5D28A6A232904"), "Outpost ID is"),
            (&OUTPOSTS.replace("op-01ac5d28a6a232904", ""), "Outpost ID is \"\""),
            (&OUTPOSTS.replace("example-ap", "ap"), "access point name is \"ap\""),
            (&OUTPOSTS.replace("example-ap", "Example"), "access point name is \"Example\""),
            (&OUTPOSTS.replace("example-ap", "my.ap"), "access point name is \"my.ap\""),
            (&OUTPOSTS.replace("example-ap", ""), "access point name is \"\""),
        ];
        for (text, message) in cases {
            let error = text.parse::<Arn>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn multi_region_arn_needs_a_generated_alias() {
        let text = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
        for text in [text, &text.replace("point/", "point:")] {
            let Arn::MultiRegionAccessPoint(arn) = text.parse().unwrap() else {
                panic!("{text} is a Multi-Region ARN")
            };
            assert_eq!(arn.to_string(), "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap");
        }
        for (wrong, message) in [
            (text.replace(".mrap", ""), "alias is \"mfzwi23gnjvgw\""),
            (text.replace("mfzwi23gnjvgw", "x.evil.example"), "alias is \"x.evil.example.mrap\""),
            (text.replace("mfzwi23gnjvgw", ""), "alias is \".mrap\""),
            (text.replace("123456789012", "1"), "account is \"1\""),
            (text.replace("accesspoint/", "bucket/"), "must be accesspoint/NAME"),
        ] {
            let error = wrong.parse::<Arn>().unwrap_err().to_string();
            assert!(error.contains(message), "{wrong}: {error}");
        }
    }

    #[test]
    fn access_point_arn_has_one_canonical_spelling() {
        for separator in ['/', ':'] {
            let text = format!("arn:aws:s3:eu-west-1:123456789012:accesspoint{separator}reports");
            let Arn::AccessPoint(arn) = text.parse().unwrap() else {
                panic!("{text} is an access point ARN")
            };
            assert_eq!(arn.to_string(), "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports");
            assert_eq!(arn.region().as_str(), "eu-west-1");
        }
        let extra = "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports/object/key";
        assert!(extra.parse::<Arn>().unwrap_err().to_string().contains("must be accesspoint/NAME"));
    }
}
