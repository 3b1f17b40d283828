//! Names of buckets, keys and regions, validated when they are parsed.

use std::fmt;

use thiserror::Error;

use super::partition::Partition;

/// The longest object key that S3 stores, in bytes of UTF-8.
///
/// Source: [Naming Amazon S3 objects](https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
pub const MAX_KEY_BYTES: usize = 1024;

/// A bucket name, or an alias that S3 accepts instead of one.
///
/// Today's rules allow 3 to 63 characters. Older buckets, which still exist, may have up to 255 characters, capital
/// letters and underscores, so these are accepted too. Source:
/// [Bucket naming rules](https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BucketName(Box<str>);

impl BucketName {
    /// The name, unchanged.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a bucket name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BucketNameError {
    /// The text is empty.
    #[error("bucket is empty: give a bucket name, an access point ARN or an access point alias")]
    Empty,
    /// Not 3 to 255 characters.
    #[error(
        "the length of the bucket name is {0}: \
         it must have 3 to 63 characters (up to 255 if created before March 2018)"
    )]
    Length(usize),
    /// A character that bucket names cannot have.
    #[error("bucket name contains {0:?}: use only letters, digits, '-', '.' and '_'")]
    Character(char),
    /// The first or the last character is not a letter or digit.
    #[error("bucket name must begin and end with a letter or a digit")]
    Edge,
    /// Two dots in a row.
    #[error("bucket name must not have two dots in a row")]
    Dots,
    /// It is an IPv4 address.
    #[error("bucket name must not be formatted as an IP address")]
    IpAddress,
}

impl TryFrom<&str> for BucketName {
    type Error = BucketNameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err(BucketNameError::Empty);
        }
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-._".contains(*c)) {
            return Err(BucketNameError::Character(bad));
        }
        if !(3..=255).contains(&text.len()) {
            return Err(BucketNameError::Length(text.len()));
        }
        if !begins_and_ends_alphanumeric(text) {
            return Err(BucketNameError::Edge);
        }
        if text.contains("..") {
            return Err(BucketNameError::Dots);
        }
        if text.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(BucketNameError::IpAddress);
        }
        Ok(Self(text.into()))
    }
}

fn begins_and_ends_alphanumeric(text: &str) -> bool {
    let is_alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_alphanumeric(text.as_bytes().first()) && is_alphanumeric(text.as_bytes().last())
}

/// An object key as S3 stores it: not percent-encoded, and signed as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectKey<'a>(&'a str);

impl<'a> ObjectKey<'a> {
    /// The key, unchanged.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// Why a text is not an object key.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum KeyError {
    /// The operation needs the key of an object.
    #[error("key is empty: {operation} needs an object key")]
    Empty {
        /// The operation's name.
        operation: &'static str,
    },
    /// Over [`MAX_KEY_BYTES`].
    #[error("key has {0} bytes: S3 allows at most {MAX_KEY_BYTES} bytes of UTF-8")]
    TooLong(usize),
    /// The operation works on the bucket and has no key.
    #[error(
        "key is set, but {operation} works on the bucket: leave key empty (to filter a listing, set prefix)"
    )]
    Unexpected {
        /// The operation's name.
        operation: &'static str,
    },
}

impl<'a> TryFrom<&'a str> for ObjectKey<'a> {
    type Error = KeyError;

    /// An empty text is accepted: whether the key is required depends on the operation.
    fn try_from(text: &'a str) -> Result<Self, Self::Error> {
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong(text.len()));
        }
        Ok(Self(text))
    }
}

/// A region of AWS or of an S3-compatible server, such as `us-east-1`, `auto` or `garage`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Region(Box<str>);

impl Region {
    /// The region, unchanged.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the partition of this region.
    pub fn partition(&self) -> &'static str {
        Partition::of_region(&self.0).name
    }
}

/// The text is not a region name. The message completes the sentence "it must be …".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a region name, such as us-east-1")]
pub struct RegionError;

impl std::str::FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && begins_and_ends_alphanumeric(text);
        if fits { Ok(Self(text.into())) } else { Err(RegionError) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_bucket_names_are_accepted() {
        for name in ["abc", "my-bucket", "my.dotted.bucket", "My_Old_Bucket", &"a".repeat(255)] {
            assert_eq!(BucketName::try_from(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn invalid_bucket_names_are_rejected_with_a_reason() {
        let rows = [
            ("", BucketNameError::Empty),
            ("ab", BucketNameError::Length(2)),
            ("a/b", BucketNameError::Character('/')),
            ("evil.example#", BucketNameError::Character('#')),
            ("-abc", BucketNameError::Edge),
            ("abc.", BucketNameError::Edge),
            ("a..b", BucketNameError::Dots),
            ("192.168.5.4", BucketNameError::IpAddress),
        ];
        for (text, reason) in rows {
            assert_eq!(BucketName::try_from(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn regions_that_could_change_the_host_are_rejected() {
        for text in ["", "us east", "US-EAST-1", "x/y", "x.evil.example", "-a", "a-"] {
            assert!(text.parse::<Region>().is_err(), "{text:?}");
        }
    }
}
