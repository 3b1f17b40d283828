//! AWS's partitions.

/// An AWS partition: a group of regions with separate accounts, ARNs and host names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// The name, as in ARNs.
    pub name: &'static str,
    /// The prefix of its region names. Empty for the commercial partition, which has none.
    region_prefix: &'static str,
    /// The suffix of its host names.
    pub dns_suffix: &'static str,
}

const COMMERCIAL: Partition = Partition { name: "aws", region_prefix: "", dns_suffix: "amazonaws.com" };

/// Source: `partitions.json` of the AWS SDKs' endpoint rules, which has the prefixes as regular expressions, and
/// [Partitions](https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html).
const PARTITIONS: [Partition; 8] = [
    COMMERCIAL,
    Partition { name: "aws-cn", region_prefix: "cn-", dns_suffix: "amazonaws.com.cn" },
    Partition { name: "aws-us-gov", region_prefix: "us-gov-", dns_suffix: "amazonaws.com" },
    Partition { name: "aws-eusc", region_prefix: "eusc-", dns_suffix: "amazonaws.eu" },
    Partition { name: "aws-iso", region_prefix: "us-iso-", dns_suffix: "c2s.ic.gov" },
    Partition { name: "aws-iso-b", region_prefix: "us-isob-", dns_suffix: "sc2s.sgov.gov" },
    Partition { name: "aws-iso-e", region_prefix: "eu-isoe-", dns_suffix: "cloud.adc-e.uk" },
    Partition { name: "aws-iso-f", region_prefix: "us-isof-", dns_suffix: "csp.hci.ic.gov" },
];

impl Partition {
    /// Every known partition.
    pub fn all() -> impl Iterator<Item = Self> {
        PARTITIONS.into_iter()
    }

    /// The partition with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|partition| partition.name == name)
    }

    /// The partition of a region, by the prefix of the region's name.
    pub fn of_region(region: &str) -> Self {
        let mut others = Self::all().filter(|partition| *partition != COMMERCIAL);
        others.find(|partition| region.starts_with(partition.region_prefix)).unwrap_or(COMMERCIAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presign::{
        arn::ArnError,
        endpoint::{EndpointRules, resolve},
    };

    #[test]
    fn partitions_match_the_endpoint_rules() {
        for (region, name) in [
            ("us-east-1", "aws"),
            ("us-west-2", "aws"),
            ("eu-west-1", "aws"),
            ("auto", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
        ] {
            let partition = Partition::of_region(region);
            assert_eq!((partition.name, Partition::named(name)), (name, Some(partition)), "{region}");
            let rules = EndpointRules { region: Some(region.parse().unwrap()), ..EndpointRules::default() };
            let endpoint = resolve(&"bucket".parse().unwrap(), &rules).unwrap();
            let host = format!("bucket.s3.{region}.{}", partition.dns_suffix);
            assert_eq!(endpoint.host().as_str(), host);
        }
        assert_eq!(Partition::named("aws-moon"), None);
    }

    #[test]
    fn unknown_partition_error_names_every_partition() {
        let error = ArnError::Partition("aws-moon".to_owned()).to_string();
        let names: Vec<_> = error.split([' ', ',', ':']).collect();
        for partition in Partition::all() {
            assert!(names.contains(&partition.name), "{} is in: {error}", partition.name);
        }
    }
}
