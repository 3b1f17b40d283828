//! What a request's `bucket` names: its one canonical spelling is the same target, at the same endpoint; the endpoint is
//! the one that was set, or AWS's.
//!
//! Input: settings of a signer as `NAME=VALUE` lines, an empty line, and then the bucket.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use presignd::presign::{
    endpoint::{self, EndpointUrl},
    target::{Target, TargetKind},
};
use presignd_fuzz::{Parts, SETTINGS, assert_at_aws, assert_can_be_shown, pairs, rules};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let Some((settings, bucket)) = pairs(text) else { return Corpus::Reject };
    if settings.iter().any(|(name, _)| !SETTINGS.contains(name)) {
        return Corpus::Reject;
    }
    let target: Target = match bucket.parse() {
        Ok(target) => target,
        Err(error) => {
            assert_can_be_shown(&format!("{error}"));
            return Corpus::Keep;
        }
    };
    let canonical = target.canonical().into_owned();
    let again: Target = if target.kind() == TargetKind::MultiRegionAccessPoint {
        // It has no account, which S3 never sees: with any, it is the same.
        let other: Target = canonical.replace(":s3:::", ":s3::123456789012:").parse().expect("it is one");
        assert_eq!(other.canonical(), canonical);
        target.clone()
    } else {
        canonical.parse().expect("the canonical spelling is one")
    };
    assert_eq!(
        (&again, again.kind(), again.canonical().as_ref()),
        (&target, target.kind(), canonical.as_str())
    );

    let Some(rules) = rules(&settings) else { return Corpus::Keep };
    let set = rules.endpoint.url_endpoint();
    if let Some(set) = set {
        assert_eq!(set.to_string().parse::<EndpointUrl>().as_ref(), Ok(set));
    }
    let resolved = endpoint::resolve(&target, &rules.endpoint);
    assert_eq!(endpoint::resolve(&again, &rules.endpoint), resolved);
    match resolved {
        Err(error) => assert_can_be_shown(&error.to_string()),
        Ok(endpoint) => assert_is_where_it_was_set(endpoint.url(), set, &target),
    }
    Corpus::Keep
});

/// The bucket is a label in front of the host, or the last part of the path, and nothing else is added.
///
/// AWS's rules, which are followed here as the SDKs do, give ARNs and directory buckets an endpoint's host alone: without
/// its base path, and under https.
fn assert_is_where_it_was_set(url: &str, set: Option<&EndpointUrl>, target: &Target) {
    let parts = Parts::of(url);
    let canonical = target.canonical();
    assert!(!url.contains(['?', '#', '@', '\\', ' ']), "{url}");
    let Some(set) = set.map(ToString::to_string) else {
        assert_eq!(parts.scheme, "https");
        assert_at_aws(parts.authority);
        assert!(parts.path.is_empty() || parts.path[1..] == *canonical, "{url}");
        return;
    };
    let in_host =
        !matches!(target, Target::Bucket(_) | Target::AccessPointAlias(_) | Target::ObjectLambdaAlias(_));
    let wanted = Parts::of(&set);
    let base = wanted.path.trim_end_matches('/');
    let base = if in_host && parts.path.is_empty() { "" } else { base };
    assert!(parts.scheme == wanted.scheme || (in_host && parts.scheme == "https"), "{url} for {set}");
    let in_path = parts.path.strip_prefix(base).unwrap_or_else(|| panic!("{url} has not the base of {set}"));
    if parts.authority == wanted.authority {
        assert_eq!(in_path, format!("/{canonical}"), "{url} for {set}");
    } else {
        let (front, behind) = parts.authority.split_at(parts.authority.len() - wanted.authority.len());
        assert_eq!(behind, wanted.authority, "{url} for {set}");
        let labels = front.strip_suffix('.').unwrap_or_else(|| panic!("{url} for {set}"));
        assert!(labels.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{url}");
        assert_eq!(in_path, "", "{url} for {set}");
    }
}
