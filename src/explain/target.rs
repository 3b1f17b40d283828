//! The target of a URL, by its host and path: the bucket, the key, and the region and service of the host.
//!
//! Sources: [Virtual hosting of buckets](https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html),
//! [S3 endpoints](https://docs.aws.amazon.com/general/latest/gr/s3.html).

use super::url::{PlusMeaning, Url, decode};
use crate::presign::{endpoint::EndpointUrl, partition::Partition};

/// The target of a URL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UrlTarget {
    /// The bucket or the access point; empty when neither host nor path contains it, as in the URL of a CDN.
    pub bucket: String,
    /// The key, decoded once.
    pub key: String,
    /// The key with its leading slash, encoded as in the URL.
    pub(super) key_path: String,
    /// None when the host is not AWS's.
    pub(super) aws: Option<AwsHost>,
}

/// The parts of an AWS host name other than the bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AwsHost {
    pub(super) region: Option<String>,
    /// The service of the credential scope.
    pub(super) service: &'static str,
}

/// The beginnings of an authenticated query that became a part of the path, in lower case.
const QUERY_STARTS: [&str; 9] = [
    "?x-amz-",
    "%3fx-amz-",
    "\\u003fx-amz-",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-signature",
    "?awsaccesskeyid",
    "%3fawsaccesskeyid",
    "awsaccesskeyid",
];

impl UrlTarget {
    /// The target of a URL with this Host header. `endpoints` are those in the signers' settings.
    pub(super) fn from_url(url: &Url, host: &str, endpoints: &[&EndpointUrl]) -> Self {
        let new = |bucket, path| Self::new(bucket, path, PlusMeaning::Plus);
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        // A DNS name may end with the dot of the root zone.
        let name = name.strip_suffix('.').unwrap_or(&name);
        if let Some((bucket, aws)) = parse_aws_host(name) {
            return Self { aws: Some(aws), ..Self::new(bucket, &url.path, PlusMeaning::Space) };
        }
        // Endpoints whose base path is in the URL come first, then all: a proxy may have removed the base path.
        let known: Vec<_> = endpoints.iter().map(|endpoint| split_endpoint(endpoint)).collect();
        let after = |base: &str| url.path.strip_prefix(base).filter(|rest| rest.starts_with('/'));
        let whole = known.iter().filter_map(|(authority, base)| Some((authority, after(base)?)));
        let stripped = known.iter().map(|(authority, _)| (authority, url.path.as_str()));
        for (authority, path) in whole.chain(stripped) {
            if *authority == host {
                return new(None, path);
            }
            if let Some(bucket) =
                host.strip_suffix(authority.as_str()).and_then(|bucket| bucket.strip_suffix('.'))
            {
                return new(Some(bucket), path);
            }
        }
        // Without a domain the bucket is in the path. A domain may be a CDN's, whose URLs contain no bucket.
        if name.contains('.') && name.parse::<std::net::Ipv4Addr>().is_err() {
            return new(Some(""), &url.path);
        }
        new(None, &url.path)
    }

    /// Removes a query that became a part of the path, as far as it can be recognised.
    pub(super) fn cut_query(self) -> Self {
        let cut = |text: String| {
            let lower = text.to_ascii_lowercase();
            let end = QUERY_STARTS.iter().filter_map(|start| lower.find(start)).min();
            end.map_or(text.clone(), |end| text[..end].to_owned())
        };
        Self { bucket: cut(self.bucket), key: cut(self.key), ..self }
    }

    /// The meaning of a `+` in the path: a space for S3 on AWS, whose canonical request then has `%20`, and a plus for other
    /// servers.
    ///
    /// Source: AWS does not document it; S3's error documents show it, and the maintainers of AWS's SDKs say so
    /// ([nginx-s3-gateway 77](https://github.com/nginx/nginx-s3-gateway/issues/77),
    /// [aws-sdk-ruby 654](https://github.com/aws/aws-sdk-ruby/issues/654)).
    pub(super) fn plus_meaning(&self) -> PlusMeaning {
        if self.aws.is_some() { PlusMeaning::Space } else { PlusMeaning::Plus }
    }

    /// A target with this bucket. When `bucket` is None, it is the first segment of the path.
    fn new(bucket: Option<&str>, path: &str, plus: PlusMeaning) -> Self {
        let (bucket, key_path) = if let Some(bucket) = bucket {
            (bucket.to_owned(), path)
        } else {
            let rest = path.strip_prefix('/').unwrap_or(path);
            let (bucket, key) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (decode(bucket, PlusMeaning::Plus), key)
        };
        let key = decode(key_path.strip_prefix('/').unwrap_or(key_path), plus);
        Self { bucket, key, key_path: key_path.to_owned(), aws: None }
    }
}

/// Splits an endpoint into its host, without the default port, and its base path.
pub(super) fn split_endpoint(endpoint: &EndpointUrl) -> (String, String) {
    let url = Url::parse(&endpoint.to_string());
    url.map(|url| (url.host().to_owned(), url.path.trim_end_matches('/').to_owned())).unwrap_or_default()
}

/// Cuts a host and its port at the first character that cannot be part of them.
pub(super) fn cut_host(authority: &str) -> String {
    let may_be = |c: char| c.is_alphanumeric() || "-._:[]".contains(c);
    authority[..authority.find(|c| !may_be(c)).unwrap_or(authority.len())].to_owned()
}

/// Finds the region in the name of an AWS host.
pub(super) fn find_region(host: &str) -> Option<String> {
    parse_aws_host(&host.to_ascii_lowercase())?.1.region
}

/// Parses the name of an AWS host. The bucket is None when it is in the path.
fn parse_aws_host(name: &str) -> Option<(Option<&str>, AwsHost)> {
    let mut partitions = Partition::all();
    let labels =
        partitions.find_map(|partition| name.strip_suffix(partition.dns_suffix)?.strip_suffix('.'))?;
    // The last label of S3: the bucket's name before it may contain such a label too.
    let all: Vec<&str> = labels.split('.').collect();
    let index = all.iter().rposition(|label| *label == "s3" || is_s3_label(label))?;
    let (label, rest) = (all[index], &all[index + 1..]);
    let in_label = label.strip_prefix("s3-fips-").or_else(|| label.strip_prefix("s3-"));
    let in_label = in_label.filter(|region| is_region_name(region));
    let region = rest.iter().find(|label| is_region_name(label)).copied().or(in_label);
    let service = match label {
        _ if label.starts_with("s3-outposts") => "s3-outposts",
        _ if label.starts_with("s3-object-lambda") => "s3-object-lambda",
        _ if label.starts_with("s3express-") => "s3express",
        _ => "s3",
    };
    let before = labels.get(..labels.len() - all[index..].join(".").len()).unwrap_or_default();
    // With AWS PrivateLink the bucket is before the name of the endpoint:
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html
    let link = ["bucket.vpce-", "accesspoint.vpce-"].iter().find_map(|link| before.rsplit_once(link));
    let before = link.map_or(before, |(before, _)| before);
    let before = before.strip_suffix('.').unwrap_or(before);
    let bucket = match before {
        "" => None,
        _ if service == "s3-outposts" => before.split('.').next(),
        _ => Some(before.strip_suffix(".accesspoint").unwrap_or(before)),
    };
    Some((bucket, AwsHost { region: region.map(str::to_owned), service }))
}

fn is_s3_label(label: &str) -> bool {
    label.starts_with("s3-") || label.starts_with("s3express-")
}

/// Whether a label has the form of a region, as `us-east-1` and `us-gov-west-1`: words, then a number.
fn is_region_name(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let words = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, before)) => {
            before.len() >= 2
                && parts[0] != "website"
                && before.iter().all(words)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> UrlTarget {
        let url = Url::parse(url).unwrap();
        let endpoint: EndpointUrl = "http://minio.local:9000/base".parse().unwrap();
        UrlTarget::from_url(&url, url.host(), &[&endpoint])
    }

    #[test]
    fn bucket_and_key_are_parsed_from_host_and_path() {
        for (url, bucket, key) in [
            ("https://b.s3.us-east-1.amazonaws.com/a%20b//c", "b", "a b//c"),
            ("https://my.s3.bucket.s3.us-east-1.amazonaws.com/k", "my.s3.bucket", "k"),
            ("https://s3.eu-west-1.amazonaws.com/my.bucket/k", "my.bucket", "k"),
            ("https://s3.eu-west-1.amazonaws.com/my.bucket", "my.bucket", ""),
            ("https://s3.amazonaws.com/b/", "b", ""),
            ("https://b.s3-eu-west-1.amazonaws.com/k", "b", "k"),
            ("https://demo-1234.op-0123.s3-outposts.us-east-1.amazonaws.com/k/l", "demo-1234", "k/l"),
            ("https://p-12.s3-accesspoint.cn-north-1.amazonaws.com.cn/k", "p-12", "k"),
            ("https://b.bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com/k", "b", "k"),
            ("https://bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com/b/k", "b", "k"),
            ("https://p-12.accesspoint.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com/k", "p-12", "k"),
            ("https://abc.mrap.accesspoint.s3-global.amazonaws.com/k", "abc.mrap", "k"),
            ("http://127.0.0.1:9000/b/k", "b", "k"),
            ("http://minio.local:9000/base/b/k", "b", "k"),
            ("http://b.minio.local:9000/base/k", "b", "k"),
            ("https://cdn.example.com/k", "", "k"),
            ("http://minio/b/k", "b", "k"),
        ] {
            let target = target(url);
            assert_eq!((target.bucket.as_str(), target.key.as_str()), (bucket, key), "{url}");
        }
    }

    #[test]
    fn region_and_service_are_parsed_from_aws_hosts() {
        for (host, region, service) in [
            ("b.s3.us-east-1.amazonaws.com", Some("us-east-1"), "s3"),
            ("b.s3.dualstack.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"), "s3"),
            ("b.s3.amazonaws.com", None, "s3"),
            ("b.s3-ap-southeast-2.amazonaws.com", Some("ap-southeast-2"), "s3"),
            ("b.bucket.vpce-1a2b-5e6f.s3.eu-west-1.vpce.amazonaws.com", Some("eu-west-1"), "s3"),
            ("b.s3-accelerate.amazonaws.com", None, "s3"),
            ("b.s3.us-east-1.amazonaws.com.", Some("us-east-1"), "s3"),
            ("s3-fips-us-gov-west-1.amazonaws.com", Some("us-gov-west-1"), "s3"),
            ("b.s3-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"), "s3"),
            ("b.s3.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1"), "s3"),
            ("b.s3.us-iso-east-1.c2s.ic.gov", Some("us-iso-east-1"), "s3"),
            ("b.s3.us-isob-east-1.sc2s.sgov.gov", Some("us-isob-east-1"), "s3"),
            ("b.s3.eu-isoe-west-1.cloud.adc-e.uk", Some("eu-isoe-west-1"), "s3"),
            ("b.s3.us-isof-south-1.csp.hci.ic.gov", Some("us-isof-south-1"), "s3"),
            ("b.s3-website-us-east-1.amazonaws.com", None, "s3"),
            ("a.o.s3-outposts.us-west-2.amazonaws.com", Some("us-west-2"), "s3-outposts"),
            ("b.s3express-use1-az4.us-east-1.amazonaws.com", Some("us-east-1"), "s3express"),
            ("x.s3-object-lambda.eu-west-1.amazonaws.com", Some("eu-west-1"), "s3-object-lambda"),
        ] {
            let aws = target(&format!("https://{host}/k")).aws.unwrap();
            assert_eq!((aws.region.as_deref(), aws.service), (region, service), "{host}");
        }
    }
}
