//! Where a request goes and what its signature is for. The only home of aws-sdk-s3, and of it only the endpoint rules.

mod refusal;
mod rules;

use std::str::FromStr;

use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint as Resolved, Params, ResolveEndpoint};
use aws_smithy_types::{Document, endpoint::EndpointAuthScheme as AuthScheme};
use futures_util::FutureExt;

use self::refusal::{MULTI_REGION, OUTPOSTS_ALIAS};
pub use self::{
    refusal::EndpointError,
    rules::{Addressing, EndpointDefaults, EndpointRules, EndpointUrl, EndpointUrlError, without_user},
};
use super::{
    canonical::Host,
    name::Region,
    sign::{Regions, Scope},
    target::{Target, TargetKind},
};

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
    /// Whether they are made with the credentials of an S3 Express session.
    needs_session: bool,
    kind: TargetKind,
}

impl Endpoint {
    /// `https://HOST[:PORT]`, then the base path without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where in [`Self::url`] the path begins.
    pub(crate) fn path_at(&self) -> usize {
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

    /// Whether signatures for this target are made with the credentials of an S3 Express session.
    pub fn needs_session(&self) -> bool {
        self.needs_session
    }

    /// The kind of the target.
    pub fn kind(&self) -> TargetKind {
        self.kind
    }
}

/// The endpoint of a target, by AWS's own rules.
///
/// # Errors
/// When the rules lack a region, or AWS's rules refuse the combination.
pub fn resolve(target: &Target, rules: &EndpointRules) -> Result<Endpoint, EndpointError> {
    let region = rules.region.as_ref().or_else(|| target.region()).ok_or(EndpointError::NoRegion)?;
    check_arn(target, region, rules)?;
    let resolved = DefaultResolver::new()
        .resolve_endpoint(&params(target, region, rules)?)
        .now_or_never()
        .ok_or_else(|| unexpected("AWS's endpoint rules gave no result"))?
        .map_err(|error| EndpointError::of_rules(&error.to_string()))?;
    endpoint(&resolved, target.kind(), region, rules)
}

/// Whether there is an endpoint for any bucket at all: for one whose name fits everywhere.
///
/// # Errors
/// As [`resolve`].
pub fn check(rules: &EndpointRules) -> Result<(), EndpointError> {
    match Target::from_str("presignd") {
        Ok(bucket) => resolve(&bucket, rules).map(drop),
        Err(_) => Ok(()),
    }
}

/// What an ARN names must be within the signer's reach.
fn check_arn(target: &Target, region: &Region, rules: &EndpointRules) -> Result<(), EndpointError> {
    if let Some(arn) = target.partition()
        && arn != region.partition()
    {
        let signer = region.partition();
        return Err(EndpointError::Partition { arn, region: region.clone(), signer });
    }
    if let Some(arn) = target.region()
        && arn != region
        && rules.use_arn_region == Some(false)
    {
        return Err(EndpointError::ArnRegion { arn: arn.clone(), region: region.clone() });
    }
    match (target, rules.in_url()) {
        // AWS's rules would go to AWS all the same, with the credentials of another server.
        (Target::MultiRegionAccessPoint(_), Some(_)) => Err(EndpointError::OnlyAtAws(MULTI_REGION)),
        (Target::OutpostsAlias(_), Some(_)) => Err(EndpointError::OnlyAtAws(OUTPOSTS_ALIAS)),
        (_, Some(url)) if target.needs_host() && url.is_ip_address() => Err(EndpointError::IpAddress),
        _ => Ok(()),
    }
}

fn params(target: &Target, region: &Region, rules: &EndpointRules) -> Result<Params, EndpointError> {
    // AWS's rules see to it for names without dots alone.
    let at_ip_address = rules.in_url().is_some_and(EndpointUrl::is_ip_address);
    Params::builder()
        .bucket(target.for_rules())
        .region(region.as_str())
        .force_path_style(rules.addressing == Addressing::Path || at_ip_address)
        .set_endpoint(rules.in_url().map(ToString::to_string))
        .set_use_fips(rules.fips)
        .set_use_dual_stack(rules.dual_stack)
        .set_accelerate(rules.accelerate)
        .set_use_arn_region(rules.use_arn_region)
        .set_disable_s3_express_session_auth(rules.disable_session_auth)
        .build()
        .map_err(|error| unexpected(&error.to_string()))
}

fn unexpected(what: &str) -> EndpointError {
    EndpointError::Unexpected(what.to_owned())
}

fn endpoint(
    resolved: &Resolved,
    kind: TargetKind,
    region: &Region,
    rules: &EndpointRules,
) -> Result<Endpoint, EndpointError> {
    let url = resolved.url().trim_end_matches('/').to_owned();
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| unexpected("the endpoint's URL has no scheme"))?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let host = Host::new(authority.strip_suffix(own_port).unwrap_or(authority).to_owned());
    let path_at = scheme.len() + "://".len() + authority.len();
    let scope = scope(resolved, region, rules)?;
    let needs_session = named(resolved, WITH_SESSION).is_some();
    Ok(Endpoint { url, path_at, host, scope, needs_session, kind })
}

/// The name that AWS's rules have for signatures with the credentials of an S3 Express session.
const WITH_SESSION: &str = "sigv4-s3express";

/// What a signature is for. For Outposts the rules list SigV4A first: it is taken when the signer asks for it, or when
/// there is nothing else.
fn scope(resolved: &Resolved, region: &Region, rules: &EndpointRules) -> Result<Scope, EndpointError> {
    let text =
        |scheme: &AuthScheme, name: &str| scheme.get(name).and_then(Document::as_string).map(str::to_owned);
    let prefers_sigv4a = rules.sigv4a == Some(true);
    // A session's credentials sign as others do.
    let sigv4 = named(resolved, WITH_SESSION).or_else(|| named(resolved, "sigv4"));
    let (scheme, regions) = match (sigv4, named(resolved, "sigv4a")) {
        (Some(sigv4), other) if other.is_none() || !prefers_sigv4a => {
            let region = match text(sigv4, "signingRegion") {
                Some(text) => text
                    .parse()
                    .map_err(|_| unexpected("the endpoint's signing region is not a region name"))?,
                None => region.clone(),
            };
            (sigv4, Regions::One(region))
        }
        (_, Some(sigv4a)) => (sigv4a, Regions::Set(region_set(sigv4a))),
        (_, None) => return Err(unexpected("the endpoint supports neither SigV4 nor SigV4A")),
    };
    Ok(Scope { regions, service: text(scheme, "signingName").unwrap_or("s3".to_owned()).into() })
}

fn named<'r>(resolved: &'r Resolved, name: &str) -> Option<&'r AuthScheme> {
    resolved.auth_schemes().iter().find(|scheme| scheme.name() == name)
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
        EndpointRules {
            region: Some(region.parse().unwrap()),
            endpoint,
            addressing,
            ..EndpointRules::default()
        }
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
        assert!(error.to_string().contains("use a signer with credentials for partition aws-cn"), "{error}");
    }

    #[test]
    fn what_aws_alone_has_is_not_signed_for_with_the_credentials_of_another_server() {
        let endpoint = rules("us-east-1", Some("https://minio.local"), Addressing::VirtualHost);
        let public_endpoint = endpoint.endpoint.clone();
        let public = EndpointRules { endpoint: None, public_endpoint, ..endpoint.clone() };
        for (target, what) in [
            ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", MULTI_REGION),
            ("test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3", OUTPOSTS_ALIAS),
            ("test-accessp-e0b1d075431d83bebde8xz5w8ijx1qzlbp3i3ebeta0--op-s3", OUTPOSTS_ALIAS),
        ] {
            for rules in [&endpoint, &public] {
                let error = resolve(&target.parse().unwrap(), rules).unwrap_err();
                assert_eq!(error, EndpointError::OnlyAtAws(what), "{target}");
                assert!(error.to_string().contains("give the ARN"), "{error}");
            }
        }
    }

    #[test]
    fn multi_region_access_points_are_where_their_partition_has_them() {
        let arn = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
        for (region, partition, suffix) in [
            ("us-east-1", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
            ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
        ] {
            let arn = arn.replace("arn:aws:", &format!("arn:{partition}:"));
            let endpoint = resolved(&arn, &rules(region, None, Addressing::VirtualHost));
            assert_eq!(endpoint.url(), format!("https://mfzwi23gnjvgw.mrap.accesspoint.s3-global.{suffix}"));
            assert_eq!(place(endpoint.scope()), "*");
        }
    }

    #[test]
    fn outposts_of_every_partition_are_found_there() {
        for (region, partition, suffix) in [
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
            ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
        ] {
            let arn = OUTPOSTS.replace("arn:aws:", &format!("arn:{partition}:")).replace("us-west-2", region);
            let endpoint = resolved(&arn, &rules(region, None, Addressing::VirtualHost));
            let host = format!("abc-123456789012.op-01234567890123456.s3-outposts.{region}.{suffix}");
            assert_eq!(endpoint.host().as_str(), host);
        }
    }

    #[test]
    fn what_multi_region_access_points_do_not_have_is_refused_in_our_words() {
        let target: Target = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap".parse().unwrap();
        let plain = || rules("us-east-1", None, Addressing::VirtualHost);
        for (rules, said) in [
            (EndpointRules { dual_stack: Some(true), ..plain() }, "signers.NAME.dual_stack = false"),
            (EndpointRules { fips: Some(true), ..plain() }, "signers.NAME.fips = false"),
            (EndpointRules { accelerate: Some(true), ..plain() }, "without signers.NAME.accelerate"),
            (EndpointRules { addressing: Addressing::Path, ..plain() }, "without signers.NAME.path_style"),
        ] {
            let error = resolve(&target, &rules).unwrap_err();
            assert!(matches!(error, EndpointError::Refused(_)), "{error}");
            assert!(error.to_string().contains(said), "{error}");
            assert!(!error.to_string().contains("alias,"), "{error}");
        }
    }

    #[test]
    fn check_rejects_rules_under_which_no_bucket_has_an_endpoint() {
        let plain = || rules("us-east-1", None, Addressing::VirtualHost);
        assert_eq!(check(&plain()), Ok(()));
        assert_eq!(check(&EndpointRules::default()), Err(EndpointError::NoRegion));
        let both = EndpointRules { fips: Some(true), accelerate: Some(true), ..plain() };
        assert!(matches!(check(&both), Err(EndpointError::Refused(_))));
    }

    #[test]
    fn without_a_region_only_an_arn_can_be_signed_for() {
        let none = EndpointRules::default();
        assert_eq!(resolve(&"bucket".parse().unwrap(), &none), Err(EndpointError::NoRegion));
        let arn = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/abc";
        assert_eq!(place(resolved(arn, &none).scope()), "us-west-2");
    }

    const OUTPOSTS: &str =
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/abc";

    #[test]
    fn outposts_are_signed_for_by_sigv4a_when_the_signer_asks_and_buckets_by_sigv4_all_the_same() {
        let set = |sigv4a| EndpointRules { sigv4a, ..rules("us-west-2", None, Addressing::VirtualHost) };
        let alias = "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3";
        for (bucket, sigv4a, expected) in [
            (OUTPOSTS, Some(true), "*"),
            (OUTPOSTS, Some(false), "us-west-2"),
            (OUTPOSTS, None, "us-west-2"),
            (alias, Some(true), "*"),
            ("bucket", Some(true), "us-west-2"),
        ] {
            let endpoint = resolved(bucket, &set(sigv4a));
            assert_eq!(place(endpoint.scope()), expected, "{bucket} {sigv4a:?}");
        }
    }

    #[test]
    fn the_url_has_the_public_endpoint_where_there_are_two() {
        let public: Option<EndpointUrl> = Some("https://files.example/s3".parse().unwrap());
        let behind = rules("us-east-1", Some("http://minio:9000"), Addressing::Path);
        let both = EndpointRules { public_endpoint: public, ..behind };
        let endpoint = resolved("bucket", &both);
        assert_eq!(
            (endpoint.url(), endpoint.host().as_str()),
            ("https://files.example/s3/bucket", "files.example")
        );
    }

    #[test]
    fn a_directory_bucket_is_signed_for_s3express_without_a_session_or_with_one() {
        let set = |disable_session_auth| EndpointRules {
            disable_session_auth,
            ..rules("us-east-1", None, Addressing::VirtualHost)
        };
        for (disabled, needs_session) in [(Some(true), false), (Some(false), true), (None, true)] {
            let endpoint = resolved("logs--use1-az4--x-s3", &set(disabled));
            assert_eq!(
                (endpoint.url(), place(endpoint.scope()), &*endpoint.scope().service),
                (
                    "https://logs--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
                    "us-east-1",
                    "s3express"
                )
            );
            assert_eq!(endpoint.needs_session(), needs_session, "{disabled:?}");
        }
        assert!(!resolved("plain-bucket", &set(None)).needs_session());
    }

    #[test]
    fn an_arn_of_another_region_is_refused_to_a_signer_that_keeps_to_its_own() {
        let set = |use_arn_region| EndpointRules {
            use_arn_region,
            ..rules("us-east-1", None, Addressing::VirtualHost)
        };
        for taken in [None, Some(true)] {
            assert_eq!(place(resolved(OUTPOSTS, &set(taken)).scope()), "us-west-2");
        }
        let error = resolve(&OUTPOSTS.parse().unwrap(), &set(Some(false))).unwrap_err();
        assert!(matches!(error, EndpointError::ArnRegion { .. }), "{error}");
        assert!(error.to_string().contains("signers.NAME.use_arn_region is false"), "{error}");
    }

    #[test]
    fn an_ip_address_has_every_name_in_its_path_and_no_arn() {
        for (text, host) in [
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("http://[::1]:9000/base", "[::1]:9000"),
            ("http://[::1]:9000", "[::1]:9000"),
        ] {
            let at = rules("us-east-1", Some(text), Addressing::VirtualHost);
            for name in ["bucket", "dotted.bucket", "Old_Bucket", "reports-abc-s3alias"] {
                let endpoint = resolved(name, &at);
                let url = format!("{text}/{name}");
                assert_eq!((endpoint.url(), endpoint.host().as_str()), (url.as_str(), host));
            }
            for arn in [OUTPOSTS, "arn:aws:s3:us-east-1:123456789012:accesspoint/reports"] {
                let error = resolve(&arn.parse().unwrap(), &at).unwrap_err();
                assert_eq!(error, EndpointError::IpAddress, "{arn}");
                assert!(error.to_string().contains("needs an endpoint with a host name"), "{error}");
            }
        }
    }
}
