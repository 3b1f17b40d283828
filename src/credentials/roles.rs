//! The roles that a signer assumes.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// The roles that a signer assumes one after the other, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roles {
    /// In the order in which they are assumed; none leaves the provider's credentials as they are.
    pub arns: Vec<RoleArn>,
    /// `signers.NAME.external_id`: for the last one.
    pub external_id: Option<String>,
    /// `signers.NAME.session_name`: by it, AWS's logs tell who it was.
    pub session_name: String,
    /// `signers.NAME.session_duration`: of the last one; an hour when it is not set.
    pub duration: Option<Duration>,
}

/// The ARN of an IAM role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleArn(String);

/// A text that is not the ARN of a role.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("role ARNs such as arn:aws:iam::123456789012:role/NAME, several with commas between them")]
pub struct RoleArnError;

impl FromStr for RoleArn {
    type Err = RoleArnError;

    /// Source: `RoleArn` of [AssumeRole](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, role] = parts[..] else { return Err(RoleArnError) };
        let name = role.strip_prefix("role/").ok_or(RoleArnError)?;
        let fits = partition.starts_with("aws")
            && partition.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && !name.is_empty()
            && text.len() <= 2_048
            && name.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(RoleArnError) }
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
    fn a_role_arn_is_told_from_other_texts() {
        for good in [
            "arn:aws:iam::123456789012:role/reader",
            "arn:aws-us-gov:iam::123456789012:role/path/to/reader",
            "arn:aws-cn:iam::123456789012:role/a+b=c,d.e@f-g_h",
        ] {
            assert_eq!(good.parse::<RoleArn>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "reader",
            "arn:aws:iam::123456789012:user/reader",
            "arn:aws:iam::12345:role/reader",
            "arn:aws:sts::123456789012:assumed-role/reader/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert_eq!(bad.parse::<RoleArn>(), Err(RoleArnError), "{bad}");
        }
    }

    /// Found by the fuzz target `arn`.
    #[test]
    fn a_partition_with_control_characters_is_none() {
        for bad in ["arn:aws\0:iam::123456789012:role/path/reader", "arn:aws\u{b}:iam::123456789012:role/a"] {
            assert_eq!(bad.parse::<RoleArn>(), Err(RoleArnError), "{bad:?}");
        }
    }
}
