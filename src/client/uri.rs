//! `s3://BUCKET/KEY` and `ARN/KEY`, as people type them.

use std::str::FromStr;

/// A bucket, or what stands for one, and a key. Whether they are good is the server's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Uri {
    /// A bucket name, an alias or an ARN.
    pub bucket: String,
    /// The key, as it is stored.
    pub key: String,
}

impl FromStr for S3Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not an object: write s3://BUCKET/KEY, s3://ARN/KEY or ARN/KEY");
        let rest = match text.strip_prefix("s3://") {
            Some(rest) => rest,
            None if text.starts_with("arn:") => text,
            None => return Err(wrong()),
        };
        let bucket_ends = if rest.starts_with("arn:") { arn_ends(rest) } else { rest.find('/') };
        let (bucket, key) = rest.split_at(bucket_ends.ok_or_else(wrong)?);
        let key = key.strip_prefix('/').ok_or_else(wrong)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(wrong());
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

/// Where an ARN ends: before the slash behind the access point's name.
fn arn_ends(text: &str) -> Option<usize> {
    let resource_at = text.match_indices(':').nth(4)?.0 + 1;
    let resource = &text[resource_at..];
    // `outpost/ID/accesspoint/NAME` or `accesspoint/NAME`, with either separator.
    let separators_inside = if resource.starts_with("outpost") { 3 } else { 1 };
    let name_at = resource.match_indices(['/', ':']).nth(separators_inside - 1)?.0 + 1;
    Some(resource_at + name_at + resource[name_at..].find('/')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_and_key_are_told_apart_and_the_key_is_left_alone() {
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
    fn what_names_no_object_is_refused_with_the_right_form() {
        for text in
            ["", "bucket/key", "s3://bucket", "s3://bucket/", "s3:///key", "http://bucket/key", "arn:aws:s3"]
        {
            assert!(text.parse::<S3Uri>().unwrap_err().contains("write s3://BUCKET/KEY"), "{text}");
        }
    }
}
