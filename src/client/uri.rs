//! `s3://BUCKET/KEY` and `ARN/KEY` on the command line.

use std::str::FromStr;

/// A bucket name, alias or ARN, and a key. The server validates them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Uri {
    /// A bucket name, an alias or an ARN.
    pub bucket: String,
    /// The key, not percent-encoded.
    pub key: String,
}

impl S3Uri {
    /// Parses a bucket with an optional prefix of keys, which becomes `key`.
    ///
    /// # Errors
    /// When there is no bucket.
    pub fn parse_listing(text: &str) -> Result<Self, String> {
        let form = "s3://BUCKET[/PREFIX], s3://ARN[/PREFIX] or ARN[/PREFIX]";
        split_uri(text).ok_or_else(|| format!("{text:?} is not the URI of a bucket: use {form}"))
    }
}

impl FromStr for S3Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY";
        let object = split_uri(text).filter(|uri| !uri.key.is_empty());
        object.ok_or_else(|| format!("{text:?} is not the URI of an object: use {form}"))
    }
}

fn split_uri(text: &str) -> Option<S3Uri> {
    let rest = match text.strip_prefix("s3://") {
        Some(rest) => rest,
        None => text.starts_with("arn:").then_some(text)?,
    };
    let name_start = if rest.starts_with("arn:") { arn_name_start(rest)? } else { 0 };
    let (name, key) = rest[name_start..].split_once('/').unwrap_or((&rest[name_start..], ""));
    let bucket = &rest[..name_start + name.len()];
    (!name.is_empty()).then(|| S3Uri { bucket: bucket.to_owned(), key: key.to_owned() })
}

/// The byte index at which the access point's name begins in an ARN.
fn arn_name_start(text: &str) -> Option<usize> {
    let resource_start = text.match_indices(':').nth(4)?.0 + 1;
    let resource = &text[resource_start..];
    // `outpost/ID/accesspoint/NAME` or `accesspoint/NAME`, with either separator.
    let separator_count = if resource.starts_with("outpost") { 3 } else { 1 };
    Some(resource_start + resource.match_indices(['/', ':']).nth(separator_count - 1)?.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_is_split_into_bucket_and_unchanged_key() {
        let outposts =
            "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/reports";
        let with_colons = outposts.replace('/', ":");
        let point = "arn:aws:s3:us-east-1:123456789012:accesspoint/reports";
        for (text, bucket, key) in [
            ("s3://bucket/a/b", "bucket", "a/b"),
            ("s3://bucket//a%2F b?c", "bucket", "/a%2F b?c"),
            (&format!("s3://{outposts}/a/b"), outposts, "a/b"),
            (&format!("{outposts}/../x"), outposts, "../x"),
            (&format!("{with_colons}/x:y"), &with_colons, "x:y"),
            (&format!("{point}/a"), point, "a"),
        ] {
            let parsed: S3Uri = text.parse().unwrap();
            assert_eq!((parsed.bucket.as_str(), parsed.key.as_str()), (bucket, key), "{text}");
        }
    }

    #[test]
    fn uri_without_an_object_is_rejected_with_the_form() {
        for text in
            ["", "bucket/key", "s3://bucket", "s3://bucket/", "s3:///key", "http://bucket/key", "arn:aws:s3"]
        {
            assert!(text.parse::<S3Uri>().unwrap_err().contains("use s3://BUCKET/KEY"), "{text}");
        }
    }

    #[test]
    fn a_listing_needs_no_prefix() {
        let point = "arn:aws:s3:us-east-1:123456789012:accesspoint/reports";
        for (text, bucket, prefix) in [
            ("s3://bucket", "bucket", ""),
            ("s3://bucket/", "bucket", ""),
            ("s3://bucket/a/b", "bucket", "a/b"),
            (point, point, ""),
            (&format!("s3://{point}/a/"), point, "a/"),
        ] {
            let parsed = S3Uri::parse_listing(text).unwrap();
            assert_eq!((parsed.bucket.as_str(), parsed.key.as_str()), (bucket, prefix), "{text}");
        }
        for text in ["", "bucket", "s3://", "s3:///a", "arn:aws:s3", "https://bucket"] {
            assert!(S3Uri::parse_listing(text).unwrap_err().contains("use s3://BUCKET[/PREFIX]"), "{text}");
        }
    }
}
