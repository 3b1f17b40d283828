//! Explains any URL. One that presignd just signed is valid and has the right bucket and key. For any other, each part is
//! contained in the URL, the canonical path has the same bytes, and no secret is shown.
//!
//! Input: the method; `key` or `url`; and then an object's key, or a whole URL.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::{Corpus, fuzz_target};
use presignd::{
    explain::{Explanation, UrlVerdict, UsedRequest, explain},
    presign::{
        self, Request,
        name::ObjectKey,
        operation::{GET_OBJECT, HEAD_BUCKET, Operation},
        parameters::{Headers, Query},
        snapshot::Snapshot,
    },
};
use presignd_fuzz::{CANARY, Parts, assert_safe_to_show, decode, now, rules, snapshot, split_lines};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let Some(([method, what], rest)) = split_lines(text) else { return Corpus::Reject };
    let rules = rules(&[("region", "us-east-1")]).expect("the settings are valid");
    let signer = snapshot(rules, true);
    match what {
        "key" => assert_own_url_is_valid(rest, &signer),
        "url" => match UsedRequest::new(rest, method, []) {
            Ok(used) => {
                let explanation = explain(&used, "", &[signer], now());
                assert_parts_are_in_url(rest.trim(), &explanation);
            }
            Err(error) => assert_safe_to_show(&error.to_string()),
        },
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

/// A URL that was just signed is valid, and its explanation has the key of the request.
fn assert_own_url_is_valid(key: &str, signer: &Arc<Snapshot>) {
    let Ok(key) = ObjectKey::try_from(key) else { return };
    let operation: &Operation<'_> = if key.as_str().is_empty() { &HEAD_BUCKET } else { &GET_OBJECT };
    let request = Request {
        key,
        operation,
        headers: &Headers::default(),
        query: &Query::default(),
        expires_in: None,
        min_expires_in: None,
    };
    let target_signer = signer.target_signer("my-bucket", now()).expect("it is a bucket");
    let mut url = String::new();
    let checked = request.check().expect("its parts are consistent");
    presign::presign(checked, &target_signer, &mut url).expect("it can be signed for");
    let used = UsedRequest::new(&url, operation.method.as_str(), []).expect("it is a URL");
    let explanation = explain(&used, "", &[Arc::clone(signer)], now());
    assert_eq!(explanation.verdict, UrlVerdict::Valid, "{:?}", explanation.findings);
    let target = &explanation.target;
    assert_eq!(target.bucket, "my-bucket");
    assert!(contains_except_redacted(key.as_str(), &target.key), "{} is not in {}", target.key, key.as_str());
    assert_eq!(explanation.host, "my-bucket.s3.us-east-1.amazonaws.com");
    let path = explanation.canonical_request.lines().nth(1).expect("it has a path");
    // Anything that may be a part of a signature is redacted or removed, wherever it is.
    let lower = key.as_str().to_lowercase();
    if !["signature", "token", "x-amz-", "awsaccesskeyid"].iter().any(|part| lower.contains(part)) {
        assert_eq!((target.key.as_str(), path), (key.as_str(), &*Parts::of(&url).path));
    }
    assert_parts_are_in_url(&url, &explanation);
}

/// Asserts that nothing in an explanation is invented: each part is contained in the URL.
fn assert_parts_are_in_url(url: &str, explanation: &Explanation) {
    if has_canary_only_in_tokens(url) {
        assert_no_secret(explanation);
    }
    assert!(contains_except_redacted(url, &explanation.host), "{}", explanation.host);
    // Hosts have no escapes; a plus may be a space.
    let with_spaces = url.replace('+', " ");
    let all = [url.as_bytes(), &decode(url), &decode(&with_spaces)].map(String::from_utf8_lossy).join("\n");
    let parts = &explanation.parts;
    for part in
        [&parts.algorithm, &parts.access_key_id, &parts.scope_date, &parts.scope_region, &parts.scope_service]
    {
        assert!(contains_except_redacted(&all, part), "{part} is not in {url}");
    }
    let target = &explanation.target;
    for part in [&target.bucket, &target.key] {
        assert!(
            contains_except_redacted(&all.to_lowercase(), &part.to_lowercase()),
            "{part} is not in {url}"
        );
    }
    if explanation.verdict == UrlVerdict::Malformed {
        assert!(!explanation.findings.is_empty());
        return;
    }
    // The canonical path encodes the same bytes as the path in the URL.
    let sent = Parts::of(url.split_once('#').map_or(url, |(sent, _)| sent)).path;
    let sent = if sent.is_empty() { "/" } else { sent };
    let path = explanation.canonical_request.lines().nth(1).expect("it has a path");
    let path = decode(path);
    // S3 on AWS reads a plus in the path as a space. A secret in the path is redacted.
    let is_whole = path == decode(sent) || path == decode(&sent.replace('+', " "));
    assert!(is_whole || path.windows(REDACTED.len()).any(|some| some == REDACTED.as_bytes()), "{sent}");
    assert!(
        explanation.verdict == UrlVerdict::Valid || !explanation.findings.is_empty(),
        "a verdict has a reason"
    );
}

/// Replaces a secret.
const REDACTED: &str = "***";

/// Whether `all` contains each piece of a text between its redacted parts.
fn contains_except_redacted(all: &str, text: &str) -> bool {
    text.split(REDACTED).all(|piece| all.contains(piece))
}

/// Whether all canaries in a URL are at the beginning of a session token.
fn has_canary_only_in_tokens(url: &str) -> bool {
    let sent = url.split_once('#').map_or(url, |(sent, _)| sent);
    let query = sent.split_once('?').map_or("", |(_, query)| query);
    let token = format!("X-Amz-Security-Token={CANARY}");
    let in_tokens = query.split('&').filter(|pair| pair.starts_with(&token)).count();
    String::from_utf8_lossy(&decode(url)).matches(CANARY).count() == in_tokens
}

/// Neither the signer's secret key and token nor the token in the URL is shown.
fn assert_no_secret(explanation: &Explanation) {
    let shown = [&explanation.canonical_request, &explanation.string_to_sign, &explanation.host];
    let findings: Vec<_> = explanation.findings.iter().map(ToString::to_string).collect();
    for text in shown.into_iter().chain(&findings) {
        assert!(!text.contains(CANARY), "{text}");
    }
}
