//! What a URL is for, by its host and path: the bucket, the key, and the region and service of the host.
//!
//! Sources: [Virtual hosting of buckets](https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html),
//! [S3 endpoints](https://docs.aws.amazon.com/general/latest/gr/s3.html).

use super::request::{PlusMeaning, Url, decode};
use crate::presign::{endpoint::EndpointUrl, partition::Partition};

/// What a URL is for, by its host and path.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UrlTarget {
    /// The bucket or the access point; empty where neither host nor path has it, such as behind a CDN.
    pub bucket: String,
    /// The key, decoded once.
    pub key: String,
    /// The key with a slash before it, encoded as in the URL.
    pub(super) key_path: String,
    /// None for a host that is not AWS's.
    pub(super) aws: Option<AwsHost>,
}

/// What the name of an AWS host says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AwsHost {
    pub(super) region: Option<String>,
    /// The service of the credential scope.
    pub(super) service: &'static str,
}

/// How a query with authentication begins that became a part of the path, in lower case.
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
    /// `endpoints` are those in the signers' settings.
    pub(super) fn find(url: &Url, host: &str, endpoints: &[&EndpointUrl]) -> Self {
        let new = |bucket, path| Self::new(bucket, path, PlusMeaning::Plus);
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        // A DNS name may end with the dot of the root.
        let name = name.strip_suffix('.').unwrap_or(&name);
        if let Some((bucket, aws)) = parse_aws_host(name) {
            return Self { aws: Some(aws), ..Self::new(bucket, &url.path, PlusMeaning::Space) };
        }
        // An endpoint whose base path is there comes first: a proxy may have removed it.
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
        // Servers without a domain have the bucket in the path; a domain may be a CDN's, which has none anywhere.
        if name.contains('.') && name.parse::<std::net::Ipv4Addr>().is_err() {
            return new(Some(""), &url.path);
        }
        new(None, &url.path)
    }

    /// The same without a query that became a part of the path, as far as it can be recognised.
    pub(super) fn cut_query(self) -> Self {
        let cut = |text: String| {
            let lower = text.to_ascii_lowercase();
            let end = QUERY_STARTS.iter().filter_map(|start| lower.find(start)).min();
            end.map_or(text.clone(), |end| text[..end].to_owned())
        };
        Self { bucket: cut(self.bucket), key: cut(self.key), ..self }
    }

    /// What a `+` in the path stands for. S3 at AWS reads a space, as in a form: its canonical request then has `%20`.
    /// Other servers read a plus.
    ///
    /// Source: AWS documents neither; this is what S3's error documents show, and what the maintainers of its SDKs say
    /// ([nginx-s3-gateway 77](https://github.com/nginx/nginx-s3-gateway/issues/77),
    /// [aws-sdk-ruby 654](https://github.com/aws/aws-sdk-ruby/issues/654)).
    pub(super) fn plus(&self) -> PlusMeaning {
        if self.aws.is_some() { PlusMeaning::Space } else { PlusMeaning::Plus }
    }

    /// Without a bucket in the host, it is the first segment of the path.
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

/// Host and base path of an endpoint in a signer's settings, without the default port of its scheme.
pub(super) fn split_endpoint(endpoint: &EndpointUrl) -> (String, String) {
    let url = Url::parse(&endpoint.to_string());
    url.map(|url| (url.host().to_owned(), url.path.trim_end_matches('/').to_owned())).unwrap_or_default()
}

/// A host and its port, cut at the first character that no host has.
pub(super) fn cut_host(authority: &str) -> String {
    let may_be = |c: char| c.is_alphanumeric() || "-._:[]".contains(c);
    authority[..authority.find(|c| !may_be(c)).unwrap_or(authority.len())].to_owned()
}

/// The region in the name of an AWS host.
pub(super) fn find_region(host: &str) -> Option<String> {
    parse_aws_host(&host.to_ascii_lowercase())?.1.region
}

/// The bucket in the name of an AWS host, if it is there and not in the path, and what else the name says.
fn parse_aws_host(name: &str) -> Option<(Option<&str>, AwsHost)> {
    let mut partitions = Partition::all();
    let labels =
        partitions.find_map(|partition| name.strip_suffix(partition.dns_suffix)?.strip_suffix('.'))?;
    // The last label that is S3's: a bucket's name may have such a label too, before it.
    let all: Vec<&str> = labels.split('.').collect();
    let at = all.iter().rposition(|label| *label == "s3" || is_s3_label(label))?;
    let (label, rest) = (all[at], &all[at + 1..]);
    let in_label = label.strip_prefix("s3-fips-").or_else(|| label.strip_prefix("s3-"));
    let in_label = in_label.filter(|region| looks_like_region(region));
    let region = rest.iter().find(|label| looks_like_region(label)).copied().or(in_label);
    let service = match label {
        _ if label.starts_with("s3-outposts") => "s3-outposts",
        _ if label.starts_with("s3-object-lambda") => "s3-object-lambda",
        _ if label.starts_with("s3express-") => "s3express",
        _ => "s3",
    };
    let before = labels.get(..labels.len() - all[at..].join(".").len()).unwrap_or_default();
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

/// `us-east-1`, `us-gov-west-1`: words and a number at the end.
fn looks_like_region(label: &str) -> bool {
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
        UrlTarget::find(&url, url.host(), &[&endpoint])
    }

    #[test]
    fn bucket_and_key_are_found_in_host_and_path() {
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
    fn a_host_of_aws_tells_region_and_service() {
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
