//! Targets, parsed from a request's `bucket`: the canonical form is the same target with the same endpoint, and the endpoint
//! is the configured one or an AWS host.
//!
//! Input: settings of a signer as `NAME=VALUE` lines, an empty line, the bucket.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use presignd::presign::{
    endpoint::{self, EndpointUrl},
    target::{Target, TargetKind},
};
use presignd_fuzz::{Parts, SETTINGS, assert_aws_host, assert_safe_to_show, rules, split_pairs};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let Some((settings, bucket)) = split_pairs(text) else { return Corpus::Reject };
    if settings.iter().any(|(name, _)| !SETTINGS.contains(name)) {
        return Corpus::Reject;
    }
    let target: Target = match bucket.parse() {
        Ok(target) => target,
        Err(error) => {
            assert_safe_to_show(&format!("{error}"));
            return Corpus::Keep;
        }
    };
    let canonical = target.canonical().into_owned();
    let again: Target = if target.kind() == TargetKind::MultiRegionAccessPoint {
        // The canonical form has no account, which is not sent to S3: every account gives the same target.
        let other: Target =
            canonical.replace(":s3:::", ":s3::123456789012:").parse().expect("it is a target");
        assert_eq!(other.canonical(), canonical);
        target.clone()
    } else {
        canonical.parse().expect("the canonical form is a target")
    };
    assert_eq!(
        (&again, again.kind(), again.canonical().as_ref()),
        (&target, target.kind(), canonical.as_str())
    );

    let Some(rules) = rules(&settings) else { return Corpus::Keep };
    let configured = rules.endpoint.url_endpoint();
    if let Some(url) = configured {
        assert_eq!(url.to_string().parse::<EndpointUrl>().as_ref(), Ok(url));
    }
    let resolved = endpoint::resolve(&target, &rules.endpoint);
    assert_eq!(endpoint::resolve(&again, &rules.endpoint), resolved);
    match resolved {
        Err(error) => assert_safe_to_show(&error.to_string()),
        Ok(endpoint) => assert_endpoint(endpoint.url(), configured, &target),
    }
    Corpus::Keep
});

/// Asserts that the endpoint is the configured one, or an AWS host if none is configured. The bucket is a label before the
/// host or the last segment of the path; nothing else is added.
///
/// For ARNs and directory buckets, the rules of AWS use only the host of a configured endpoint: without its base path, and
/// with https. presignd follows them, as the SDKs do.
fn assert_endpoint(url: &str, configured: Option<&EndpointUrl>, target: &Target) {
    let parts = Parts::of(url);
    let canonical = target.canonical();
    assert!(!url.contains(['?', '#', '@', '\\', ' ']), "{url}");
    let Some(configured) = configured.map(ToString::to_string) else {
        assert_eq!(parts.scheme, "https");
        assert_aws_host(parts.authority);
        assert!(parts.path.is_empty() || parts.path[1..] == *canonical, "{url}");
        return;
    };
    let in_host =
        !matches!(target, Target::Bucket(_) | Target::AccessPointAlias(_) | Target::ObjectLambdaAlias(_));
    let wanted = Parts::of(&configured);
    let base = wanted.path.trim_end_matches('/');
    let base = if in_host && parts.path.is_empty() { "" } else { base };
    assert!(parts.scheme == wanted.scheme || (in_host && parts.scheme == "https"), "{url} for {configured}");
    let in_path = parts
        .path
        .strip_prefix(base)
        .unwrap_or_else(|| panic!("{url} does not have the base path of {configured}"));
    if parts.authority == wanted.authority {
        assert_eq!(in_path, format!("/{canonical}"), "{url} for {configured}");
    } else {
        let (front, host) = parts.authority.split_at(parts.authority.len() - wanted.authority.len());
        assert_eq!(host, wanted.authority, "{url} for {configured}");
        let labels = front.strip_suffix('.').unwrap_or_else(|| panic!("{url} for {configured}"));
        assert!(labels.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{url}");
        assert_eq!(in_path, "", "{url} for {configured}");
    }
}
