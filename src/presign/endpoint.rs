//! Where a request goes and what its signature is for. The only home of aws-sdk-s3, and of it only the endpoint rules.

use std::{fmt, str::FromStr};

use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint as Resolved, Params, ResolveEndpoint};
use aws_smithy_types::{Document, endpoint::EndpointAuthScheme as AuthScheme};
use futures_util::FutureExt;
use thiserror::Error;

use super::{
    canonical::Host,
    name::Region,
    sign::{Regions, Scope},
    target::{Target, TargetKind},
};

/// What an operator set for a signer that bears on the endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndpointRules {
    /// The region of targets that do not name their own.
    pub region: Option<Region>,
    /// An S3-compatible server, or a private link, in the place of AWS's own endpoint.
    pub endpoint: Option<EndpointUrl>,
    /// How the bucket is put into the URL.
    pub addressing: Addressing,
}

/// How a bucket is put into the URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addressing {
    /// `BUCKET.host`, except where S3 demands the path: a dot in the name under TLS, capitals, an IP address.
    #[default]
    VirtualHost,
    /// `host/BUCKET`, always.
    Path,
}

/// An endpoint given by the operator: `http` or `https`, a host, perhaps a port and a base path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointUrl(String);

/// A text that is not an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "{0:?} is not an endpoint: write http://HOST[:PORT][/BASE] or https://…, without user, query or fragment"
)]
pub struct EndpointUrlError(String);

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || EndpointUrlError(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| error())?;
        let authority = uri.authority().ok_or_else(error)?;
        let scheme_fits = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain = uri.query().is_none() && !text.contains('#') && !authority.as_str().contains('@');
        let port_fits = authority.port().is_none() || authority.port_u16().is_some_and(|port| port > 0);
        let path_fits = uri.path().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
            && !uri.path().split('/').any(|part| part == "." || part == "..");
        if scheme_fits && plain && port_fits && path_fits && !authority.host().is_empty() {
            let base = uri.path().trim_end_matches('/');
            // The rules put the bucket right behind a base path: it needs its slash.
            let slash = if base.is_empty() { "" } else { "/" };
            Ok(Self(format!("{}{slash}", text.trim_end_matches('/'))))
        } else {
            Err(error())
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where requests for one target go. It is known before any key is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// `https://HOST[:PORT]`, then the base path without a slash at its end.
    url: String,
    /// Where in `url` the base path begins.
    path_at: usize,
    /// The value of the `Host` header: without the scheme's own port.
    host: Host,
    /// What signatures for this target are for.
    scope: Scope,
    kind: TargetKind,
}

impl Endpoint {
    /// `https://HOST[:PORT]`, then the base path without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where in [`Self::url`] the path begins.
    pub(super) fn path_at(&self) -> usize {
        self.path_at
    }

    /// The value of the `Host` header.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What signatures for this target are for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The kind of the target.
    pub fn kind(&self) -> TargetKind {
        self.kind
    }
}

/// Why a target has no endpoint under these rules.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EndpointError {
    /// No region is known.
    #[error("no region is known for this signer: set signers.NAME.region or AWS_REGION where presignd runs")]
    NoRegion,
    /// The ARN is of another partition than the signer.
    #[error(
        "the ARN is in partition {arn}, but this signer's region {region} is in partition {signer}: \
         use a signer whose credentials are of partition {arn}"
    )]
    Partition {
        /// The ARN's partition.
        arn: &'static str,
        /// The signer's region.
        region: Region,
        /// The signer's partition.
        signer: &'static str,
    },
    /// There is no such thing elsewhere than at AWS.
    #[error(
        "a Multi-Region Access Point is reached at AWS alone, but this signer has an endpoint of its own: \
         use a signer without signers.NAME.endpoint"
    )]
    OnlyAtAws,
    /// AWS's rules refuse the combination.
    #[error("S3 has no endpoint for this target: {0}")]
    Refused(String),
}

/// The endpoint of a target, by AWS's own rules.
///
/// # Errors
/// When the rules lack a region, or AWS's rules refuse the combination.
pub fn resolve(target: &Target, rules: &EndpointRules) -> Result<Endpoint, EndpointError> {
    let region = rules.region.as_ref().or_else(|| target.region()).ok_or(EndpointError::NoRegion)?;
    if let Some(arn) = target.partition()
        && arn != region.partition()
    {
        let signer = region.partition();
        return Err(EndpointError::Partition { arn, region: region.clone(), signer });
    }
    if target.kind() == TargetKind::MultiRegionAccessPoint && rules.endpoint.is_some() {
        return Err(EndpointError::OnlyAtAws);
    }
    let params = Params::builder()
        .bucket(target.canonical())
        .region(region.as_str())
        .force_path_style(rules.addressing == Addressing::Path && target.kind() == TargetKind::Bucket)
        .set_endpoint(rules.endpoint.as_ref().map(ToString::to_string))
        .build()
        .map_err(|error| EndpointError::Refused(error.to_string()))?;
    let resolved = DefaultResolver::new()
        .resolve_endpoint(&params)
        .now_or_never()
        .ok_or_else(|| EndpointError::Refused("the endpoint rules did not answer".to_owned()))?
        .map_err(|error| EndpointError::Refused(error.to_string()))?;
    endpoint(&resolved, target.kind(), region)
}

fn endpoint(resolved: &Resolved, kind: TargetKind, region: &Region) -> Result<Endpoint, EndpointError> {
    let unexpected = |what: &str| EndpointError::Refused(format!("the endpoint rules gave {what}"));
    let url = resolved.url().trim_end_matches('/').to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(|| unexpected("no scheme"))?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let host = Host::new(authority.strip_suffix(own_port).unwrap_or(authority).to_owned());
    let path_at = scheme.len() + "://".len() + authority.len();
    let scope = scope(resolved, region)?;
    Ok(Endpoint { url, path_at, host, scope, kind })
}

/// What a signature is for. For Outposts the rules list SigV4A first: SigV4 is taken wherever it is named.
fn scope(resolved: &Resolved, region: &Region) -> Result<Scope, EndpointError> {
    let named = |name: &str| resolved.auth_schemes().iter().find(|scheme| scheme.name() == name);
    let refused = |what: String| EndpointError::Refused(what);
    let text =
        |scheme: &AuthScheme, name: &str| scheme.get(name).and_then(Document::as_string).map(str::to_owned);
    let (scheme, regions) = match (named("sigv4"), named("sigv4a")) {
        (Some(sigv4), _) => {
            let region = match text(sigv4, "signingRegion") {
                Some(text) => text.parse().map_err(|_| refused(format!("signing region {text:?}")))?,
                None => region.clone(),
            };
            (sigv4, Regions::One(region))
        }
        (None, Some(sigv4a)) => (sigv4a, Regions::Set(region_set(sigv4a))),
        (None, None) => return Err(refused("it can be signed with neither SigV4 nor SigV4A".to_owned())),
    };
    Ok(Scope { regions, service: text(scheme, "signingName").unwrap_or("s3".to_owned()).into() })
}

fn region_set(sigv4a: &AuthScheme) -> Box<str> {
    let set = sigv4a.get("signingRegionSet").and_then(Document::as_array).map_or(&[][..], Vec::as_slice);
    set.iter().filter_map(Document::as_string).collect::<Vec<_>>().join(",").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(bucket: &str, rules: &EndpointRules) -> Endpoint {
        resolve(&bucket.parse().unwrap(), rules).unwrap()
    }

    fn place(scope: &Scope) -> &str {
        match &scope.regions {
            Regions::One(region) => region.as_str(),
            Regions::Set(set) => set,
        }
    }

    fn rules(region: &str, endpoint: Option<&str>, addressing: Addressing) -> EndpointRules {
        let endpoint = endpoint.map(|text| text.parse().unwrap());
        EndpointRules { region: Some(region.parse().unwrap()), endpoint, addressing }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    fn each_target_has_the_endpoint_and_the_scope_that_aws_documents() {
        let outposts =
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/reports";
        let govcloud = outposts.replace("aws:", "aws-us-gov:").replace("us-west-2", "us-gov-west-1");
        let china = outposts.replace("aws:", "aws-cn:").replace("us-west-2", "cn-north-1");
        let host = "https://reports-123456789012.op-01234567890123456.s3-outposts";
        let rows = [
            (
                "us-east-1",
                "plain-bucket",
                "https://plain-bucket.s3.us-east-1.amazonaws.com",
                "us-east-1",
                "s3",
            ),
            (
                "eu-west-1",
                "dotted.bucket",
                "https://s3.eu-west-1.amazonaws.com/dotted.bucket",
                "eu-west-1",
                "s3",
            ),
            ("us-east-1", "Old_Bucket", "https://s3.us-east-1.amazonaws.com/Old_Bucket", "us-east-1", "s3"),
            (
                "us-east-1",
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports",
                "https://reports-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
                "eu-west-1",
                "s3",
            ),
            (
                "us-east-1",
                "reports-abc-s3alias",
                "https://reports-abc-s3alias.s3.us-east-1.amazonaws.com",
                "us-east-1",
                "s3",
            ),
            ("us-west-2", outposts, &format!("{host}.us-west-2.amazonaws.com"), "us-west-2", "s3-outposts"),
            ("eu-west-1", outposts, &format!("{host}.us-west-2.amazonaws.com"), "us-west-2", "s3-outposts"),
            (
                "us-gov-west-1",
                &govcloud,
                &format!("{host}.us-gov-west-1.amazonaws.com"),
                "us-gov-west-1",
                "s3-outposts",
            ),
            (
                "cn-north-1",
                &china,
                &format!("{host}.cn-north-1.amazonaws.com.cn"),
                "cn-north-1",
                "s3-outposts",
            ),
            (
                "eu-west-1",
                "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
                "https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
                "*",
                "s3",
            ),
            (
                "us-east-1",
                "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
                "https://test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3\
                 .op-0b1d075431d83bebd.s3-outposts.us-east-1.amazonaws.com",
                "us-east-1",
                "s3-outposts",
            ),
        ];
        for (region, bucket, url, scope_region, service) in rows {
            let endpoint = resolved(bucket, &rules(region, None, Addressing::VirtualHost));
            let scope = endpoint.scope();
            assert_eq!(
                (endpoint.url(), place(scope), &*scope.service),
                (url, scope_region, service),
                "{bucket} from {region}"
            );
        }
    }

    #[test]
    fn a_custom_endpoint_keeps_its_port_and_base_path_and_the_host_header_drops_the_usual_port() {
        let rows = [
            (
                "http://127.0.0.1:9000",
                Addressing::VirtualHost,
                "http://127.0.0.1:9000/bucket",
                "127.0.0.1:9000",
            ),
            (
                "http://minio.local:9000/",
                Addressing::Path,
                "http://minio.local:9000/bucket",
                "minio.local:9000",
            ),
            (
                "http://minio.local:9000",
                Addressing::VirtualHost,
                "http://bucket.minio.local:9000",
                "bucket.minio.local:9000",
            ),
            ("https://s3.example:443", Addressing::Path, "https://s3.example:443/bucket", "s3.example"),
            ("http://s3.example/base/", Addressing::Path, "http://s3.example/base/bucket", "s3.example"),
        ];
        for (text, addressing, url, host) in rows {
            let endpoint = resolved("bucket", &rules("us-east-1", Some(text), addressing));
            assert_eq!((endpoint.url(), endpoint.host().as_str()), (url, host), "{text}");
            assert_eq!(
                endpoint.url().get(endpoint.path_at()..).unwrap().starts_with('/'),
                url.ends_with("/bucket")
            );
        }
    }

    #[test]
    fn an_arn_of_another_partition_is_refused_with_what_to_do() {
        let china =
            "arn:aws-cn:s3-outposts:cn-north-1:123456789012:outpost/op-01234567890123456/accesspoint/abc";
        let error =
            resolve(&china.parse().unwrap(), &rules("us-east-1", None, Addressing::VirtualHost)).unwrap_err();
        assert!(
            error.to_string().contains("use a signer whose credentials are of partition aws-cn"),
            "{error}"
        );
    }

    #[test]
    fn a_multi_region_access_point_is_not_signed_for_with_the_credentials_of_another_server() {
        let rules = rules("us-east-1", Some("https://minio.local"), Addressing::VirtualHost);
        let target = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap".parse().unwrap();
        assert_eq!(resolve(&target, &rules), Err(EndpointError::OnlyAtAws));
    }

    #[test]
    fn without_a_region_only_an_arn_can_be_signed_for() {
        let none = EndpointRules::default();
        assert_eq!(resolve(&"bucket".parse().unwrap(), &none), Err(EndpointError::NoRegion));
        let arn = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/abc";
        assert_eq!(place(resolved(arn, &none).scope()), "us-west-2");
    }

    #[test]
    fn a_text_that_is_no_endpoint_is_refused() {
        for text in [
            "",
            "minio:9000",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x?y",
            "http://x#y",
            "http://x/../y",
            "http://x:0",
        ] {
            assert!(text.parse::<EndpointUrl>().is_err(), "{text:?}");
        }
    }
}
