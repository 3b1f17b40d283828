//! The endpoint and the signing scope of a target. The only module that uses aws-sdk-s3, and only its endpoint rules.

mod refusal;
mod rules;

use std::str::FromStr;

use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint as Resolved, Params, ResolveEndpoint};
use aws_smithy_types::{Document, endpoint::EndpointAuthScheme as AuthScheme};
use futures_util::FutureExt;

use self::refusal::{MULTI_REGION, OUTPOSTS_ALIAS};
pub use self::{
    refusal::EndpointError,
    rules::{Addressing, EndpointDefaults, EndpointRules, EndpointUrl, EndpointUrlError, mask_user},
};
use super::{
    canonical::Host,
    name::Region,
    sign::{Regions, Scope},
    target::{Target, TargetKind},
};

/// The endpoint of one target. It does not depend on the key, so no key can change the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// `https://HOST[:PORT]` and the base path, without a trailing slash.
    url: String,
    /// The byte offset of the base path in `url`.
    path_offset: usize,
    /// The value of the `Host` header, without the default port of the scheme.
    host: Host,
    /// The scope of signatures for this target.
    scope: Scope,
    /// Whether requests are signed with the credentials of an S3 Express session.
    needs_session: bool,
    kind: TargetKind,
}

impl Endpoint {
    /// `https://HOST[:PORT]` and the base path, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The byte offset of the path in [`Self::url`].
    pub(crate) fn path_offset(&self) -> usize {
        self.path_offset
    }

    /// The value of the `Host` header.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The scope of signatures for this target.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether requests for this target are signed with the credentials of an S3 Express session.
    pub fn needs_session(&self) -> bool {
        self.needs_session
    }

    /// The kind of the target.
    pub fn kind(&self) -> TargetKind {
        self.kind
    }
}

/// Resolves the endpoint of a target with AWS's endpoint rules.
///
/// # Errors
/// When no region is set, or AWS's rules reject the combination of target and settings.
pub fn resolve(target: &Target, rules: &EndpointRules) -> Result<Endpoint, EndpointError> {
    let region = rules.region.as_ref().or_else(|| target.region()).ok_or(EndpointError::NoRegion)?;
    check_arn(target, region, rules)?;
    let resolved = DefaultResolver::new()
        .resolve_endpoint(&build_params(target, region, rules)?)
        .now_or_never()
        .ok_or_else(|| unexpected("AWS's endpoint rules gave no result"))?
        .map_err(|error| EndpointError::from_rules_message(&error.to_string()))?;
    build_endpoint(&resolved, target.kind(), region, rules)
}

/// Checks that the rules allow an endpoint for an ordinary bucket.
///
/// # Errors
/// As [`resolve`].
pub fn check(rules: &EndpointRules) -> Result<(), EndpointError> {
    match Target::from_str("presignd") {
        Ok(bucket) => resolve(&bucket, rules).map(drop),
        Err(_) => Ok(()),
    }
}

/// Checks that the signer's region and endpoint can serve an ARN or alias.
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
    match (target, rules.url_endpoint()) {
        // AWS's rules would ignore the custom endpoint and use AWS, with the credentials of another server.
        (Target::MultiRegionAccessPoint(_), Some(_)) => Err(EndpointError::OnlyOnAws(MULTI_REGION)),
        (Target::OutpostsAlias(_), Some(_)) => Err(EndpointError::OnlyOnAws(OUTPOSTS_ALIAS)),
        (_, Some(url)) if target.needs_host_name() && url.is_ip_address() => Err(EndpointError::IpAddress),
        _ => Ok(()),
    }
}

fn build_params(target: &Target, region: &Region, rules: &EndpointRules) -> Result<Params, EndpointError> {
    // AWS's rules force path style at an IP address only for names without dots.
    let is_at_ip_address = rules.url_endpoint().is_some_and(EndpointUrl::is_ip_address);
    Params::builder()
        .bucket(target.endpoint_parameter())
        .region(region.as_str())
        .force_path_style(rules.addressing == Addressing::Path || is_at_ip_address)
        .set_endpoint(rules.url_endpoint().map(ToString::to_string))
        .set_use_fips(rules.fips)
        .set_use_dual_stack(rules.dual_stack)
        .set_accelerate(rules.accelerate)
        .set_use_arn_region(rules.use_arn_region)
        .set_disable_s3_express_session_auth(rules.disable_session_auth)
        .build()
        .map_err(|error| unexpected(&error.to_string()))
}

fn unexpected(problem: &str) -> EndpointError {
    EndpointError::Unexpected(problem.to_owned())
}

fn build_endpoint(
    resolved: &Resolved,
    kind: TargetKind,
    region: &Region,
    rules: &EndpointRules,
) -> Result<Endpoint, EndpointError> {
    let url = resolved.url().trim_end_matches('/').to_owned();
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| unexpected("the endpoint's URL has no scheme"))?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = Host::new(authority.strip_suffix(default_port).unwrap_or(authority).to_owned());
    let path_offset = scheme.len() + "://".len() + authority.len();
    let scope = build_scope(resolved, region, rules)?;
    let needs_session = find_auth_scheme(resolved, S3_EXPRESS_SCHEME).is_some();
    Ok(Endpoint { url, path_offset, host, scope, needs_session, kind })
}

/// The auth scheme in AWS's rules for signatures with the credentials of an S3 Express session.
const S3_EXPRESS_SCHEME: &str = "sigv4-s3express";

/// The scope of signatures. For Outposts, AWS's rules list SigV4A first; it is used only if `rules.sigv4a` is set, or if
/// the endpoint does not support SigV4.
fn build_scope(resolved: &Resolved, region: &Region, rules: &EndpointRules) -> Result<Scope, EndpointError> {
    let text =
        |scheme: &AuthScheme, name: &str| scheme.get(name).and_then(Document::as_string).map(str::to_owned);
    let prefers_sigv4a = rules.sigv4a == Some(true);
    // Session credentials sign with SigV4.
    let sigv4 = find_auth_scheme(resolved, S3_EXPRESS_SCHEME).or_else(|| find_auth_scheme(resolved, "sigv4"));
    let (scheme, regions) = match (sigv4, find_auth_scheme(resolved, "sigv4a")) {
        (Some(sigv4), other) if other.is_none() || !prefers_sigv4a => {
            let region = match text(sigv4, "signingRegion") {
                Some(text) => text
                    .parse()
                    .map_err(|_| unexpected("the endpoint's signing region is not a region name"))?,
                None => region.clone(),
            };
            (sigv4, Regions::One(region))
        }
        (_, Some(sigv4a)) => (sigv4a, Regions::Set(read_region_set(sigv4a))),
        (_, None) => return Err(unexpected("the endpoint supports neither SigV4 nor SigV4A")),
    };
    Ok(Scope { regions, service: text(scheme, "signingName").unwrap_or("s3".to_owned()).into() })
}

fn find_auth_scheme<'r>(resolved: &'r Resolved, name: &str) -> Option<&'r AuthScheme> {
    resolved.auth_schemes().iter().find(|scheme| scheme.name() == name)
}

fn read_region_set(sigv4a: &AuthScheme) -> Box<str> {
    let set = sigv4a.get("signingRegionSet").and_then(Document::as_array).map_or(&[][..], Vec::as_slice);
    set.iter().filter_map(Document::as_string).collect::<Vec<_>>().join(",").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(bucket: &str, rules: &EndpointRules) -> Endpoint {
        resolve(&bucket.parse().unwrap(), rules).unwrap()
    }

    fn region_of(scope: &Scope) -> &str {
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
    fn endpoint_and_scope_are_as_aws_documents() {
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
                (endpoint.url(), region_of(scope), &*scope.service),
                (url, scope_region, service),
                "{bucket} from {region}"
            );
        }
    }

    #[test]
    fn custom_endpoint_keeps_port_and_base_path() {
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
                endpoint.url().get(endpoint.path_offset()..).unwrap().starts_with('/'),
                url.ends_with("/bucket")
            );
        }
    }

    #[test]
    fn arn_of_another_partition_is_rejected() {
        let china =
            "arn:aws-cn:s3-outposts:cn-north-1:123456789012:outpost/op-01234567890123456/accesspoint/abc";
        let error =
            resolve(&china.parse().unwrap(), &rules("us-east-1", None, Addressing::VirtualHost)).unwrap_err();
        assert!(error.to_string().contains("use a signer with credentials for partition aws-cn"), "{error}");
    }

    #[test]
    fn aws_only_targets_are_rejected_at_custom_endpoints() {
        let endpoint = rules("us-east-1", Some("https://minio.local"), Addressing::VirtualHost);
        let public_endpoint = endpoint.endpoint.clone();
        let public = EndpointRules { endpoint: None, public_endpoint, ..endpoint.clone() };
        for (target, kind) in [
            ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", MULTI_REGION),
            ("test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3", OUTPOSTS_ALIAS),
            ("test-accessp-e0b1d075431d83bebde8xz5w8ijx1qzlbp3i3ebeta0--op-s3", OUTPOSTS_ALIAS),
        ] {
            for rules in [&endpoint, &public] {
                let error = resolve(&target.parse().unwrap(), rules).unwrap_err();
                assert_eq!(error, EndpointError::OnlyOnAws(kind), "{target}");
                assert!(error.to_string().contains("give the ARN"), "{error}");
            }
        }
    }

    #[test]
    fn multi_region_endpoints_use_the_suffix_of_the_partition() {
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
            assert_eq!(region_of(endpoint.scope()), "*");
        }
    }

    #[test]
    fn outposts_endpoints_use_the_suffix_of_the_partition() {
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
    fn unsupported_multi_region_settings_are_named() {
        let target: Target = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap".parse().unwrap();
        let plain = || rules("us-east-1", None, Addressing::VirtualHost);
        for (rules, remedy) in [
            (EndpointRules { dual_stack: Some(true), ..plain() }, "signers.NAME.dual_stack = false"),
            (EndpointRules { fips: Some(true), ..plain() }, "signers.NAME.fips = false"),
            (EndpointRules { accelerate: Some(true), ..plain() }, "without signers.NAME.accelerate"),
            (EndpointRules { addressing: Addressing::Path, ..plain() }, "without signers.NAME.path_style"),
        ] {
            let error = resolve(&target, &rules).unwrap_err();
            assert!(matches!(error, EndpointError::Rejected(_)), "{error}");
            assert!(error.to_string().contains(remedy), "{error}");
            assert!(!error.to_string().contains("alias,"), "{error}");
        }
    }

    #[test]
    fn check_rejects_rules_under_which_no_bucket_has_an_endpoint() {
        let plain = || rules("us-east-1", None, Addressing::VirtualHost);
        assert_eq!(check(&plain()), Ok(()));
        assert_eq!(check(&EndpointRules::default()), Err(EndpointError::NoRegion));
        let both = EndpointRules { fips: Some(true), accelerate: Some(true), ..plain() };
        assert!(matches!(check(&both), Err(EndpointError::Rejected(_))));
    }

    #[test]
    fn without_region_only_arns_resolve() {
        let none = EndpointRules::default();
        assert_eq!(resolve(&"bucket".parse().unwrap(), &none), Err(EndpointError::NoRegion));
        let arn = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/abc";
        assert_eq!(region_of(resolved(arn, &none).scope()), "us-west-2");
    }

    const OUTPOSTS: &str =
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/abc";

    #[test]
    fn sigv4a_setting_applies_to_outposts_only() {
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
            assert_eq!(region_of(endpoint.scope()), expected, "{bucket} {sigv4a:?}");
        }
    }

    #[test]
    fn public_endpoint_takes_precedence_in_urls() {
        let public: Option<EndpointUrl> = Some("https://files.example/s3".parse().unwrap());
        let internal = rules("us-east-1", Some("http://minio:9000"), Addressing::Path);
        let both = EndpointRules { public_endpoint: public, ..internal };
        let endpoint = resolved("bucket", &both);
        assert_eq!(
            (endpoint.url(), endpoint.host().as_str()),
            ("https://files.example/s3/bucket", "files.example")
        );
    }

    #[test]
    fn directory_bucket_needs_session_unless_disabled() {
        let set = |disable_session_auth| EndpointRules {
            disable_session_auth,
            ..rules("us-east-1", None, Addressing::VirtualHost)
        };
        for (disabled, needs_session) in [(Some(true), false), (Some(false), true), (None, true)] {
            let endpoint = resolved("logs--use1-az4--x-s3", &set(disabled));
            assert_eq!(
                (endpoint.url(), region_of(endpoint.scope()), &*endpoint.scope().service),
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
    fn arn_of_another_region_needs_use_arn_region() {
        let set = |use_arn_region| EndpointRules {
            use_arn_region,
            ..rules("us-east-1", None, Addressing::VirtualHost)
        };
        for allowed in [None, Some(true)] {
            assert_eq!(region_of(resolved(OUTPOSTS, &set(allowed)).scope()), "us-west-2");
        }
        let error = resolve(&OUTPOSTS.parse().unwrap(), &set(Some(false))).unwrap_err();
        assert!(matches!(error, EndpointError::ArnRegion { .. }), "{error}");
        assert!(error.to_string().contains("signers.NAME.use_arn_region is false"), "{error}");
    }

    #[test]
    fn ip_address_endpoint_uses_path_style_and_rejects_arns() {
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
