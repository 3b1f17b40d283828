//! The roles that a signer assumes.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// The roles that a signer assumes in sequence, and with which parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roles {
    /// In the order in which they are assumed. If empty, the credentials of the provider are used directly.
    pub arns: Vec<RoleArn>,
    /// `signers.NAME.external_id`: for the last role.
    pub external_id: Option<String>,
    /// `signers.NAME.session_name`: identifies the caller in `CloudTrail`.
    pub session_name: String,
    /// `signers.NAME.session_duration`: for the last role. Default: one hour.
    pub duration: Option<Duration>,
}

/// The ARN of an IAM role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleArn(String);

/// The error for a text that is not the ARN of a role. It completes the sentence "… must be".
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("role ARNs such as arn:aws:iam::123456789012:role/NAME, separated by commas")]
pub struct RoleArnError;

impl FromStr for RoleArn {
    type Err = RoleArnError;

    /// Source: `RoleArn` of [AssumeRole](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, role] = parts[..] else { return Err(RoleArnError) };
        let name = role.strip_prefix("role/").ok_or(RoleArnError)?;
        let is_valid = partition.starts_with("aws")
            && partition.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && !name.is_empty()
            && text.len() <= 2_048
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(text.to_owned())) } else { Err(RoleArnError) }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_role_arns_are_parsed() {
        for valid in [
            "arn:aws:iam::123456789012:role/reader",
            "arn:aws-us-gov:iam::123456789012:role/path/to/reader",
            "arn:aws-cn:iam::123456789012:role/a+b=c,d.e@f-g_h",
        ] {
            assert_eq!(valid.parse::<RoleArn>().unwrap().to_string(), valid);
        }
        for invalid in [
            "",
            "reader",
            "arn:aws:iam::123456789012:user/reader",
            "arn:aws:iam::12345:role/reader",
            "arn:aws:sts::123456789012:assumed-role/reader/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert_eq!(invalid.parse::<RoleArn>(), Err(RoleArnError), "{invalid}");
        }
    }

    /// A regression: the fuzz target `arn` produced these.
    #[test]
    fn a_partition_with_control_characters_is_rejected() {
        for invalid in
            ["arn:aws\0:iam::123456789012:role/path/reader", "arn:aws\u{b}:iam::123456789012:role/a"]
        {
            assert_eq!(invalid.parse::<RoleArn>(), Err(RoleArnError), "{invalid:?}");
        }
    }
}
