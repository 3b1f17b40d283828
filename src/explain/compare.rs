//! Canonical requests in their parts, and what differs between two of them.

use std::iter;

use super::{
    authentication::{Authentication, TOKENS},
    redact::{MAX_SHOWN_CHARS, redact_value, shorten},
    report::{Change, ComparedPair, Finding},
    request::{MAX_URL_PARTS, PlusMeaning, Url, UsedRequest, canonical_path, canonical_query, decode},
    target::UrlTarget,
};
use crate::presign::{
    canonical::{CanonicalRequest, SignedHeaders, UNSIGNED_PAYLOAD, collapse_spaces, write_header},
    encode,
};

/// A request whose authentication S3 could read.
#[derive(Clone, Copy)]
pub(super) struct ParsedRequest<'a> {
    pub(super) used: &'a UsedRequest,
    pub(super) url: &'a Url,
    pub(super) auth: &'a Authentication,
    pub(super) target: &'a UrlTarget,
}

/// A canonical request in its parts: of a request from outside, or what S3 says that it received.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct CanonicalParts {
    pub(super) method: String,
    /// Encoded.
    pub(super) path: String,
    /// Names and values, encoded; sorted when they are written.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case, sorted, and values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) signed_headers: String,
    pub(super) payload: String,
}

impl CanonicalParts {
    /// The canonical request of a request as it is.
    pub(super) fn of(request: &ParsedRequest<'_>) -> Self {
        let ParsedRequest { used, url, auth, target } = *request;
        let mut names = auth.signed_headers.clone();
        names.sort_unstable();
        names.dedup();
        let signed_headers = names.join(";");
        let header = |name: String| {
            let value = match name.as_str() {
                "host" => used.host(url),
                _ => used.header(&name).unwrap_or_default(),
            };
            (name, collapse_spaces(value).collect())
        };
        let payload = used.header("x-amz-content-sha256").map(str::to_owned);
        Self {
            method: used.method().to_owned(),
            path: canonical_path(&url.path, target.plus()),
            query: encode_query(url, PlusMeaning::Space),
            headers: names.into_iter().map(header).collect(),
            signed_headers,
            payload: payload
                .or_else(|| url.value("X-Amz-Content-Sha256"))
                .unwrap_or_else(|| UNSIGNED_PAYLOAD.to_owned()),
        }
    }

    /// Parses what S3 says that it received. None when it is not a canonical request, or has too many parts.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.split(['\n', '&']).count() > 2 * MAX_URL_PARTS {
            return None;
        }
        let mut lines = text.lines();
        let (method, path, query) = (lines.next()?, lines.next()?, lines.next()?);
        let headers = lines.by_ref().map_while(|line| (!line.is_empty()).then(|| line.split_once(':')));
        let headers: Option<Vec<_>> = headers.collect();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let query = query.split('&').filter(|pair| !pair.is_empty());
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(|pair| owned(pair.split_once('=').unwrap_or((pair, "")))).collect(),
            headers: headers?.into_iter().map(owned).collect(),
            signed_headers: lines.next()?.to_owned(),
            payload: lines.next()?.to_owned(),
        })
    }

    /// The text that is hashed.
    pub(super) fn text(&self) -> String {
        self.write(|_, value| value)
    }

    /// The text without the secrets in it.
    pub(super) fn redacted_text(&self) -> String {
        self.write(redact_value)
    }

    /// Writes the text, each value of a header or a query parameter as `show` returns it.
    fn write(&self, show: impl for<'v> Fn(&str, &'v str) -> &'v str) -> String {
        let mut pairs: Vec<_> = self.query.iter().collect();
        pairs.sort_unstable();
        let mut query = String::new();
        for (name, value) in pairs {
            let separator = if query.is_empty() { "" } else { "&" };
            query.extend([separator, name, "=", show(name, value)]);
        }
        let request = CanonicalRequest {
            method_line: &format!("{}\n", self.method),
            path: &self.path,
            query: &query,
            headers: ShownHeaders { request: self, show },
        };
        let mut text = String::new();
        request.write_to(&mut |piece| text.push_str(piece));
        text
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same with another value of a header that is there.
    pub(super) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        for (known, old) in &mut other.headers {
            if known == name {
                value.clone_into(old);
            }
        }
        other
    }

    /// The same with a query parameter, which replaces one of the same name. Name and value are not encoded yet.
    pub(super) fn with_parameter(&self, name: &str, value: &str) -> Self {
        let (mut new_name, mut new_value) = (String::new(), String::new());
        encode::query(name, &mut new_name);
        encode::query(value, &mut new_value);
        let mut other = self.clone();
        other.query.retain(|(known, _)| *known != new_name);
        other.query.push((new_name, new_value));
        other
    }

    pub(super) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    /// The same with each `+` of the URL read differently: in the path either way, in the query as a plus.
    pub(super) fn with_other_pluses(&self, url: &Url) -> [Self; 3] {
        let path = |plus| self.with_path(canonical_path(&url.path, plus));
        let query = Self { query: encode_query(url, PlusMeaning::Plus), ..self.clone() };
        [path(PlusMeaning::Space), path(PlusMeaning::Plus), query]
    }

    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.query.iter().any(|(known, _)| known == name)
    }
}

/// The headers of a request from outside, each value as `show` returns it.
struct ShownHeaders<'a, F> {
    request: &'a CanonicalParts,
    show: F,
}

impl<F: for<'v> Fn(&str, &'v str) -> &'v str> SignedHeaders for ShownHeaders<'_, F> {
    fn write_lines(&self, sink: &mut impl FnMut(&str)) {
        for (name, value) in &self.request.headers {
            write_header(name, iter::once((self.show)(name, value)), sink);
        }
    }

    fn write_names(&self, sink: &mut impl FnMut(&str)) {
        sink(&self.request.signed_headers);
    }

    fn payload(&self) -> &str {
        &self.request.payload
    }
}

fn encode_query(url: &Url, plus: PlusMeaning) -> Vec<(String, String)> {
    let encoded = |raw: &str| canonical_query(raw, plus);
    let signed = url.query.iter().filter(|parameter| parameter.name() != "X-Amz-Signature");
    signed.map(|parameter| (encoded(&parameter.name), encoded(&parameter.value))).collect()
}

/// Every difference, in the order of the canonical request.
pub(super) fn find_changes(
    before: &CanonicalParts,
    after: &CanonicalParts,
    pair: ComparedPair,
) -> Vec<Finding> {
    let mut changes = Changes { findings: Vec::new(), pair };
    changes.add_if_different(Change::Method, &before.method, &after.method);
    if before.path != after.path {
        changes.add(name_path_change(&before.path, &after.path), &before.path, &after.path);
    }
    changes.compare_queries(&before.query, &after.query);
    for (name, value) in &before.headers {
        changes.compare_header(name, value, after.header(name));
    }
    changes.add_if_different(Change::SignedHeaders, &before.signed_headers, &after.signed_headers);
    changes.add_if_different(Change::Payload, &before.payload, &after.payload);
    changes.findings
}

/// The first line in which what S3 received differs from what was given.
pub(super) fn find_first_difference(received: &CanonicalParts, given: &CanonicalParts) -> Option<Finding> {
    let line = find_different_line(&received.text(), &given.text())?;
    let (received, given) = (received.redacted_text(), given.redacted_text());
    let (received, given) = (received.lines().nth(line).unwrap_or(""), given.lines().nth(line).unwrap_or(""));
    // A query is long, and what precedes the difference says nothing.
    let different = received.char_indices().zip(given.chars()).find(|((_, left), right)| left != right);
    let different = different.map_or(received.len().min(given.len()), |((index, _), _)| index);
    let start = different.saturating_sub(MAX_SHOWN_CHARS / 4);
    let cut = |text: &str| {
        let start = text.floor_char_boundary(start);
        let dots = if start == 0 { "" } else { "…" };
        format!("{dots}{}", shorten(&text[start..]))
    };
    Some(Finding::FirstDifference { line: line + 1, received: cut(received), given: cut(given) })
}

fn find_different_line(left: &str, right: &str) -> Option<usize> {
    let longest = left.lines().count().max(right.lines().count());
    let (mut left, mut right) = (left.lines(), right.lines());
    (0..longest).find(|_| left.next() != right.next())
}

/// Names and values, encoded.
type QueryPairs = Vec<(String, String)>;

/// Collects the differences between two requests.
struct Changes {
    findings: Vec<Finding>,
    pair: ComparedPair,
}

impl Changes {
    fn add(&mut self, change: Change, before: &str, after: &str) {
        let (before, after) = (shorten(before), shorten(after));
        self.findings.push(Finding::Changed { change, pair: self.pair, before, after });
    }

    fn add_if_different(&mut self, change: Change, before: &str, after: &str) {
        if before != after {
            self.add(change, before, after);
        }
    }

    fn compare_header(&mut self, name: &str, before: &str, after: Option<&str>) {
        let shown = |value| redact_value(name, value);
        match after {
            _ if name == "host" => self.add_if_different(Change::Host, before, after.unwrap_or_default()),
            None | Some("") if !before.is_empty() => {
                self.add(Change::HeaderMissing(shorten(name)), shown(before), "");
            }
            Some(after) if after != before => {
                self.add(Change::Header(shorten(name)), shown(before), shown(after));
            }
            _ => {}
        }
    }

    fn compare_queries(&mut self, before: &QueryPairs, after: &QueryPairs) {
        let (mut dropped, mut added) = (subtract(before, after), subtract(after, before));
        dropped.retain(|(name, value)| {
            let Some(index) = added.iter().position(|(other, _)| other == name) else { return true };
            let (_, other) = added.swap_remove(index);
            self.compare_parameter(name, value, &other);
            false
        });
        if let Some(index) = dropped.iter().position(|(name, _)| TOKENS.contains(&name.as_str())) {
            dropped.swap_remove(index);
            self.add(Change::TokenMissing, "", "");
        }
        if !dropped.is_empty() {
            self.add(Change::ParametersDropped, &redact_query(&dropped), "");
        }
        if !added.is_empty() {
            self.add(Change::ParametersAdded, "", &redact_query(&added));
        }
    }

    fn compare_parameter(&mut self, name: &str, before: &str, after: &str) {
        let decoded = |text: &str| decode(text, PlusMeaning::Plus);
        if TOKENS.contains(&name) {
            return match name_encoding_change(before, after) {
                Some(change @ (Change::PlusReadAsSpace | Change::EncodedTwice)) => {
                    self.add(change, "the session token", "another");
                }
                _ => self.add(Change::Token, "", ""),
            };
        }
        if name == "X-Amz-Credential" {
            return self.add(Change::Scope, &decoded(before), &decoded(after));
        }
        let pair = |value: &str| format!("{name}={}", redact_value(name, value));
        match name_encoding_change(before, after) {
            Some(change @ (Change::PlusReadAsSpace | Change::PlusForSpace)) => {
                self.add(change, &pair(before), &pair(after));
            }
            _ => self.add(
                Change::Parameter(shorten(name)),
                redact_value(name, &decoded(before)),
                redact_value(name, &decoded(after)),
            ),
        }
    }
}

/// The pairs that are not in `other`; a pair may be there several times.
fn subtract(pairs: &QueryPairs, other: &QueryPairs) -> QueryPairs {
    let mut rest = other.clone();
    let mut only = pairs.clone();
    only.retain(|pair| match rest.iter().position(|known| known == pair) {
        Some(index) => {
            rest.swap_remove(index);
            false
        }
        None => true,
    });
    only
}

fn redact_query(pairs: &QueryPairs) -> String {
    let each = pairs.iter().map(|(name, value)| format!("{name}={}", redact_value(name, value)));
    each.collect::<Vec<_>>().join("&")
}

/// What happened to an encoded text, where it has a name.
fn name_encoding_change(before: &str, after: &str) -> Option<Change> {
    let (twice, once) = (|text: &str| text.replace('%', "%25"), |text: &str| text.replace("%25", "%"));
    if after == twice(before) || before == once(after) {
        return Some(Change::EncodedTwice);
    }
    if before == twice(after) || after == once(before) {
        return Some(Change::Decoded);
    }
    let spaces = |text: &str| text.replace("%2B", "%20");
    if spaces(before) != spaces(after) {
        return None;
    }
    // The first different byte is the last digit of an escape.
    let first = before.bytes().zip(after.bytes()).find(|(before, after)| before != after);
    Some(if first.is_some_and(|(before, _)| before == b'0') {
        Change::PlusForSpace
    } else {
        Change::PlusReadAsSpace
    })
}

fn name_path_change(before: &str, after: &str) -> Change {
    name_encoding_change(before, after).unwrap_or_else(|| {
        let same = normalise(before) == normalise(after);
        let slashes = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
        let more = after.len().saturating_sub(before.len());
        if same && before.len() > after.len() {
            Change::PathNormalised
        } else if same && more == slashes(after).saturating_sub(slashes(before)) {
            Change::SlashAdded
        } else {
            Change::Path
        }
    })
}

/// A path as a URL normaliser leaves it: no empty segment, no `.` and no `..`.
fn normalise(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(path: &str, query: &str) -> CanonicalParts {
        let text = format!("GET\n{path}\n{query}\ncontent-type:text/plain\nhost:h\n\ncontent-type;host\nU");
        CanonicalParts::parse(&text).unwrap()
    }

    fn changes(before: &CanonicalParts, after: &CanonicalParts) -> Vec<Change> {
        let of = |finding| match finding {
            Finding::Changed { change, .. } => change,
            other => panic!("{other} is no change"),
        };
        find_changes(before, after, ComparedPair::SignedAndUsed).into_iter().map(of).collect()
    }

    #[test]
    fn what_happened_to_a_path_has_a_name() {
        for (before, after, change) in [
            ("/a%20b", "/a%2520b", Change::EncodedTwice),
            ("/a%20b%2Bc", "/a%2520b%2Bc", Change::EncodedTwice),
            ("/a%2520b", "/a%20b", Change::Decoded),
            ("/a%20b%2Bc", "/a%2Bb%2Bc", Change::PlusForSpace),
            ("/a%20b", "/a%2Bb", Change::PlusForSpace),
            ("/a%2Bb", "/a%20b", Change::PlusReadAsSpace),
            ("/a//b", "/a/b", Change::PathNormalised),
            ("/./a/../b", "/b", Change::PathNormalised),
            ("/../b", "/b", Change::PathNormalised),
            ("/b/", "/b", Change::PathNormalised),
            ("/a/b", "/a/c", Change::Path),
            ("/a/b", "//a/b", Change::SlashAdded),
            ("/a/b", "/a/b/", Change::SlashAdded),
            ("/a/b", "/a/./b", Change::Path),
        ] {
            assert_eq!(changes(&canonical(before, ""), &canonical(after, "")), [change], "{before} {after}");
        }
    }

    #[test]
    fn what_happened_to_a_query_has_a_name() {
        for (before, after, change) in [
            ("a=1&b=2", "a=1&b=2&utm=x", Change::ParametersAdded),
            ("a=1&b=2", "a=1", Change::ParametersDropped),
            ("a=1&b=2", "a=2&b=2", Change::Parameter("a".into())),
            ("a=1&a=2", "a=1", Change::ParametersDropped),
            ("a=x%2By", "a=x%20y", Change::PlusReadAsSpace),
            ("X-Amz-Security-Token=t&a=", "a=", Change::TokenMissing),
            ("X-Amz-Security-Token=t", "X-Amz-Security-Token=u", Change::Token),
            ("X-Amz-Security-Token=t%2B", "X-Amz-Security-Token=t%20", Change::PlusReadAsSpace),
        ] {
            assert_eq!(
                changes(&canonical("/", before), &canonical("/", after)),
                [change],
                "{before} {after}"
            );
        }
    }

    #[test]
    fn the_first_line_that_differs_is_named_without_what_is_secret() {
        let given = canonical("/a", "X-Amz-Security-Token=secret&b=1");
        let line = |received: &CanonicalParts| {
            find_first_difference(received, &given).map(|finding| finding.to_string())
        };
        assert_eq!(line(&given.clone()), None);
        let header = line(&given.with_header("content-type", "image/png")).unwrap();
        assert!(
            header.starts_with(
                "line 4 of the canonical request is the first that differs: S3 has \"content-type:image/png\""
            ),
            "{header}"
        );
        let token = line(&given.with_parameter("X-Amz-Security-Token", "other")).unwrap();
        assert!(
            token.starts_with("line 3 ") && !token.contains("secret") && !token.contains("other"),
            "{token}"
        );
    }
}
