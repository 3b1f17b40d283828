//! What a URL's host and path name: bucket, key, and the region and service that the host belongs to.
//!
//! Sources: [Virtual hosting of buckets](https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html),
//! [S3 endpoints](https://docs.aws.amazon.com/general/latest/gr/s3.html).

use super::{
    escapes::{self, Plus},
    url::Url,
};
use crate::presign::{endpoint::EndpointUrl, partition::Partition};

/// What host and path name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The bucket or the access point; empty where the host tells nothing.
    pub bucket: String,
    /// The key, decoded once.
    pub key: String,
    /// The path of the key alone, as it is written in the URL; it begins with a slash.
    pub(super) key_path: String,
    /// What the host is at AWS; nothing for a host elsewhere.
    pub(super) aws: Option<AwsHost>,
}

/// A host of AWS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AwsHost {
    /// The region in it, where one is.
    pub(super) region: Option<String>,
    /// The service that a signature for it is for.
    pub(super) service: &'static str,
}

/// Where authentication begins that became a part of a path, in lower case.
const QUERY: [&str; 9] = [
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

impl Place {
    /// `endpoints` are those that an operator set.
    pub(super) fn of(url: &Url, host: &str, endpoints: &[&EndpointUrl]) -> Self {
        let new = |bucket, path| Self::new(bucket, path, Plus::Plus);
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        // A dot at the end stands for the root of all names.
        let name = name.strip_suffix('.').unwrap_or(&name);
        if let Some((bucket, aws)) = at_aws(name) {
            return Self { aws: Some(aws), ..Self::new(bucket, &url.path, Plus::Space) };
        }
        // A proxy may have taken the base path away: an endpoint whose path is there comes first.
        let known: Vec<_> = endpoints.iter().map(|endpoint| split(endpoint)).collect();
        let behind = |base: &str| url.path.strip_prefix(base).filter(|rest| rest.starts_with('/'));
        let whole = known.iter().filter_map(|(authority, base)| Some((authority, behind(base)?)));
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
        // Servers of one's own have the bucket in the path; another name, such as a CDN's, tells nothing.
        if name.contains('.') && name.parse::<std::net::Ipv4Addr>().is_err() {
            return new(Some(""), &url.path);
        }
        new(None, &url.path)
    }

    /// The same without a query that became a part of the path, as far as that can be told.
    pub(super) fn without_query(self) -> Self {
        let cut = |text: String| {
            let lower = text.to_ascii_lowercase();
            let end = QUERY.iter().filter_map(|start| lower.find(start)).min();
            end.map_or(text.clone(), |end| text[..end].to_owned())
        };
        Self { bucket: cut(self.bucket), key: cut(self.key), ..self }
    }

    /// What a `+` in the path stands for. S3 at AWS takes it for a space, as in a form: its canonical request then has
    /// `%20`. Elsewhere it is what it is.
    ///
    /// Source: AWS documents neither; this is what S3's error documents show, and what the maintainers of its SDKs say
    /// ([nginx-s3-gateway 77](https://github.com/nginx/nginx-s3-gateway/issues/77),
    /// [aws-sdk-ruby 654](https://github.com/aws/aws-sdk-ruby/issues/654)).
    pub(super) fn plus(&self) -> Plus {
        if self.aws.is_some() { Plus::Space } else { Plus::Plus }
    }

    /// Without a bucket in the host it is the first part of the path.
    fn new(bucket: Option<&str>, path: &str, plus: Plus) -> Self {
        let (bucket, key_path) = if let Some(bucket) = bucket {
            (bucket.to_owned(), path)
        } else {
            let rest = path.strip_prefix('/').unwrap_or(path);
            let (bucket, key) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (escapes::decoded(bucket, Plus::Plus), key)
        };
        let key = escapes::decoded(key_path.strip_prefix('/').unwrap_or(key_path), plus);
        Self { bucket, key, key_path: key_path.to_owned(), aws: None }
    }
}

/// Host and base path of an endpoint that an operator set, the scheme's own port left out.
pub(super) fn split(endpoint: &EndpointUrl) -> (String, String) {
    let text = endpoint.to_string();
    let (scheme, rest) = text.split_once("://").unwrap_or(("", &text));
    let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    (authority.strip_suffix(own_port).unwrap_or(authority).to_owned(), base.trim_end_matches('/').to_owned())
}

/// A host and its port, up to what cannot be in one.
pub(super) fn host_in(authority: &str) -> String {
    let may_be = |c: char| c.is_alphanumeric() || "-._:[]".contains(c);
    authority[..authority.find(|c| !may_be(c)).unwrap_or(authority.len())].to_owned()
}

/// The region that a host of AWS is in.
pub(super) fn region_of(host: &str) -> Option<String> {
    at_aws(&host.to_ascii_lowercase())?.1.region
}

/// The bucket in a host of AWS, nothing where it stands in the path, and the rest of the host.
fn at_aws(name: &str) -> Option<(Option<&str>, AwsHost)> {
    let mut partitions = Partition::all();
    let labels =
        partitions.find_map(|partition| name.strip_suffix(partition.dns_suffix)?.strip_suffix('.'))?;
    // The last label that is S3's: a bucket's name may have one of its own before it.
    let all: Vec<&str> = labels.split('.').collect();
    let at = all.iter().rposition(|label| *label == "s3" || is_of_s3(label))?;
    let (label, behind) = (all[at], &all[at + 1..]);
    let in_label = label.strip_prefix("s3-fips-").or_else(|| label.strip_prefix("s3-"));
    let in_label = in_label.filter(|region| looks_like_region(region));
    let region = behind.iter().find(|label| looks_like_region(label)).copied().or(in_label);
    let service = match label {
        _ if label.starts_with("s3-outposts") => "s3-outposts",
        _ if label.starts_with("s3-object-lambda") => "s3-object-lambda",
        _ if label.starts_with("s3express-") => "s3express",
        _ => "s3",
    };
    let before = labels.get(..labels.len() - all[at..].join(".").len()).unwrap_or_default();
    // Behind a private link the bucket stands before the endpoint's own name:
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

fn is_of_s3(label: &str) -> bool {
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

    fn place(url: &str) -> Place {
        let url = Url::parse(url).unwrap();
        let endpoint: EndpointUrl = "http://minio.local:9000/base".parse().unwrap();
        Place::of(&url, url.host(), &[&endpoint])
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
            let place = place(url);
            assert_eq!((place.bucket.as_str(), place.key.as_str()), (bucket, key), "{url}");
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
            let aws = place(&format!("https://{host}/k")).aws.unwrap();
            assert_eq!((aws.region.as_deref(), aws.service), (region, service), "{host}");
        }
    }
}
