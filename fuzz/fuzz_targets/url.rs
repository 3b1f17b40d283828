//! URLs for any key: host and path prefix depend only on target and settings, the path has exactly the segments of the key,
//! the query has the requested parameters and the authentication, and no error contains a secret.
//!
//! Input: settings of a signer, `header.NAME`, `query.NAME` and `token` as `NAME=VALUE` lines; an empty line; a line with
//! the bucket; a line with the operation; the key.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::utf8_percent_encode;
use presignd::presign::{
    self, Request,
    name::ObjectKey,
    operation::{GET_OBJECT, HTTP, OPERATIONS, Operation},
    parameters::{Headers, Query},
    snapshot::Snapshot,
};
use presignd_fuzz::{
    CANARY, PATH, Parts, SETTINGS, assert_aws_host, assert_safe_to_show, decode, now, rules, snapshot,
    split_lines, split_pairs,
};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let Some(case) = Case::read(text) else { return Corpus::Reject };
    let Some(rules) = rules(&case.settings) else { return Corpus::Reject };
    let at_aws = rules.endpoint.url_endpoint().is_none();
    let snapshot = snapshot(rules, case.with_token);
    match case.url(&snapshot) {
        Ok(url) => case.assert_properties(&url, &snapshot, at_aws),
        Err(message) => assert_safe_to_show(&message),
    }
    Corpus::Keep
});

struct Case<'a> {
    settings: Vec<(&'a str, &'a str)>,
    headers: Vec<(&'a str, String)>,
    query: Vec<(&'a str, String)>,
    with_token: bool,
    bucket: &'a str,
    operation: &'static Operation<'static>,
    key: &'a str,
}

impl<'a> Case<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (pairs, rest) = split_pairs(text)?;
        let ([bucket, operation], key) = split_lines(rest)?;
        let mut known = OPERATIONS.into_iter().chain([&HTTP]);
        let operation = known.find(|known| known.name == operation)?;
        let mut case = Self {
            settings: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            with_token: false,
            bucket,
            operation,
            key,
        };
        for (name, value) in pairs {
            // Values may be secrets, such as SSE-C keys.
            let secret = || format!("{value}{CANARY}");
            match name.split_once('.') {
                Some(("header", name)) => case.headers.push((name, secret())),
                Some(("query", name)) => case.query.push((name, secret())),
                None if name == "token" => case.with_token = true,
                None if SETTINGS.contains(&name) => case.settings.push((name, value)),
                _ => return None,
            }
        }
        Some(case)
    }

    fn url(&self, snapshot: &Arc<Snapshot>) -> Result<String, String> {
        let (mut headers, mut query) = (Headers::default(), Query::default());
        for (name, value) in &self.headers {
            headers.add(*name, value.as_str()).map_err(|error| error.to_string())?;
        }
        for (name, value) in &self.query {
            query.add(*name, value.as_str()).map_err(|error| error.to_string())?;
        }
        let key = ObjectKey::try_from(self.key).map_err(|error| error.to_string())?;
        let request = Request {
            key,
            operation: self.operation,
            headers: &headers,
            query: &query,
            expires_in: None,
            min_expires_in: None,
        };
        let signer = snapshot.target_signer(self.bucket, now()).map_err(|error| error.to_string())?;
        let mut url = String::new();
        let request = request.check().map_err(|error| error.to_string())?;
        presign::presign(request, &signer, &mut url).map_err(|error| error.to_string())?;
        Ok(url)
    }

    /// The part before the key in every URL for this target, taken from the URL for the key `x`.
    fn prefix_of_keys(&self, snapshot: &Arc<Snapshot>) -> String {
        let settings = self.settings.clone();
        let (headers, query) = (Vec::new(), Vec::new());
        let other = Case { settings, headers, query, operation: &GET_OBJECT, key: "x", ..*self };
        let url = other.url(snapshot).expect("a target that works for one key works for another");
        let (base, _) = url.split_once('?').expect("the URL has a query");
        base.strip_suffix("/x").expect("the path ends in the key").to_owned()
    }

    fn assert_properties(&self, url: &str, snapshot: &Arc<Snapshot>, at_aws: bool) {
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte)), "{url}");
        let parts = Parts::of(url);
        let before = self.prefix_of_keys(snapshot);
        assert_eq!(
            (parts.scheme, parts.authority),
            (Parts::of(&before).scheme, Parts::of(&before).authority)
        );
        if at_aws {
            assert_aws_host(parts.authority);
        }
        let prefix = Parts::of(&before).path;
        let rest = parts.path.strip_prefix(prefix).expect("every key has the same prefix");
        if self.key.is_empty() {
            assert!(rest == "/" || (rest.is_empty() && !prefix.is_empty()), "{url}");
        } else {
            let key = rest.strip_prefix('/').expect("a slash precedes the key");
            assert_eq!(key, utf8_percent_encode(self.key, PATH).to_string());
            assert!(key.split('/').map(decode).eq(self.key.split('/').map(|it| it.as_bytes().to_vec())));
        }
        assert_parsed_alike(url, parts);
        self.assert_query(parts.query);
    }

    /// Asserts that the query has exactly the requested parameters and the authentication, sorted by name and each once, with
    /// the signature last.
    fn assert_query(&self, query: &str) {
        let pairs: Option<Vec<_>> = query.split('&').map(|pair| pair.split_once('=')).collect();
        let mut pairs = pairs.expect("each has a name and a value");
        let (last, signature) = pairs.pop().expect("there is one");
        assert_eq!(last, "X-Amz-Signature");
        assert!(
            signature.len() >= 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{signature}"
        );
        assert!(pairs.is_sorted_by(|(left, _), (right, _)| left < right), "{query}");
        let value = |name: &str| {
            pairs.iter().find(|(known, _)| decode(known) == name.as_bytes()).map(|it| decode(it.1))
        };
        for (name, wanted) in &self.query {
            assert_eq!(value(name).as_deref(), Some(wanted.as_bytes()), "{name}");
        }
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.push("host".to_owned());
        names.sort_unstable();
        assert_eq!(value("X-Amz-SignedHeaders"), Some(names.join(";").into_bytes()));
        let authentication =
            5 + usize::from(self.with_token) + usize::from(value("X-Amz-Region-Set").is_some());
        let subresource = usize::from(self.operation.subresource.is_some());
        assert_eq!(pairs.len(), authentication + subresource + self.query.len(), "{query}");
    }
}

/// Asserts that the independent URL parser returns the same parts.
fn assert_parsed_alike(url: &str, parts: Parts<'_>) {
    let Ok(read) = url.parse::<http::Uri>() else {
        assert!(url.len() > usize::from(u16::MAX) - 1, "not a URL: {url}");
        return;
    };
    let scheme = read.scheme_str().expect("it has a scheme");
    assert!(scheme.eq_ignore_ascii_case(parts.scheme), "{url}");
    assert_eq!(read.authority().map(http::uri::Authority::as_str), Some(parts.authority));
    assert_eq!((read.path(), read.query()), (parts.path, Some(parts.query)));
}
