//! What Explain reads out of a URL: for a URL of presignd the target, the key and a verdict that it is valid; for any
//! other no part that does not stand in it, the path with the bytes that it has, and never a secret.
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
    let rules = rules(&[("region", "us-east-1")]).expect("the settings are good");
    let signer = snapshot(rules, true);
    match what {
        "key" => assert_own_url_is_understood(rest, &signer),
        "url" => match UsedRequest::new(rest, method, []) {
            Ok(used) => {
                let explanation = explain(&used, "", &[signer], now());
                assert_nothing_is_made_up(rest.trim(), &explanation);
            }
            Err(error) => assert_safe_to_show(&error.to_string()),
        },
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

/// A URL that was just made is valid, and names the key that it was made for.
fn assert_own_url_is_understood(key: &str, signer: &Arc<Snapshot>) {
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
    assert!(stands_in(key.as_str(), &target.key), "{} is not in {}", target.key, key.as_str());
    assert_eq!(explanation.host, "my-bucket.s3.us-east-1.amazonaws.com");
    let path = explanation.canonical_request.lines().nth(1).expect("it has a path");
    // What looks like a part of a signature is taken for one, and hidden or left out, wherever it stands.
    let lower = key.as_str().to_lowercase();
    if !["signature", "token", "x-amz-", "awsaccesskeyid"].iter().any(|part| lower.contains(part)) {
        assert_eq!((target.key.as_str(), path), (key.as_str(), &*Parts::of(&url).path));
    }
    assert_nothing_is_made_up(&url, &explanation);
}

fn assert_nothing_is_made_up(url: &str, explanation: &Explanation) {
    if has_canary_in_tokens_alone(url) {
        assert_no_secret(explanation);
    }
    assert!(stands_in(url, &explanation.host), "{}", explanation.host);
    // Hosts have no escapes; a plus may stand for a space.
    let with_spaces = url.replace('+', " ");
    let all = [url.as_bytes(), &decode(url), &decode(&with_spaces)].map(String::from_utf8_lossy).join("\n");
    let parts = &explanation.parts;
    for part in
        [&parts.algorithm, &parts.access_key_id, &parts.scope_date, &parts.scope_region, &parts.scope_service]
    {
        assert!(stands_in(&all, part), "{part} is not in {url}");
    }
    let target = &explanation.target;
    for part in [&target.bucket, &target.key] {
        assert!(stands_in(&all.to_lowercase(), &part.to_lowercase()), "{part} is not in {url}");
    }
    if explanation.verdict == UrlVerdict::Malformed {
        assert!(!explanation.findings.is_empty());
        return;
    }
    // The canonical path stands for the same bytes as the one that was sent, and has as many segments.
    let sent = Parts::of(url.split_once('#').map_or(url, |(sent, _)| sent)).path;
    let sent = if sent.is_empty() { "/" } else { sent };
    let path = explanation.canonical_request.lines().nth(1).expect("it has a path");
    // (S3 reads a plus in the path as a space; other servers do not.)
    let path = decode(path);
    // (A secret that stands in the path is not shown.)
    let is_whole = path == decode(sent) || path == decode(&sent.replace('+', " "));
    assert!(is_whole || path.windows(HIDDEN.len()).any(|some| some == HIDDEN.as_bytes()), "{sent}");
    assert!(
        explanation.verdict == UrlVerdict::Valid || !explanation.findings.is_empty(),
        "a verdict has a reason"
    );
}

/// What is shown in the place of a secret.
const HIDDEN: &str = "***";

/// Whether a text, but for what is hidden in it, is a part of another.
fn stands_in(all: &str, text: &str) -> bool {
    text.split(HIDDEN).all(|piece| all.contains(piece))
}

/// Whether everything in a URL that looks like a secret stands where a session token does.
fn has_canary_in_tokens_alone(url: &str) -> bool {
    let sent = url.split_once('#').map_or(url, |(sent, _)| sent);
    let query = sent.split_once('?').map_or("", |(_, query)| query);
    let token = format!("X-Amz-Security-Token={CANARY}");
    let in_tokens = query.split('&').filter(|pair| pair.starts_with(&token)).count();
    String::from_utf8_lossy(&decode(url)).matches(CANARY).count() == in_tokens
}

/// Key and token of the signer, and whatever a URL's own token says.
fn assert_no_secret(explanation: &Explanation) {
    let shown = [&explanation.canonical_request, &explanation.string_to_sign, &explanation.host];
    let findings: Vec<_> = explanation.findings.iter().map(ToString::to_string).collect();
    for text in shown.into_iter().chain(&findings) {
        assert!(!text.contains(CANARY), "{text}");
    }
}
