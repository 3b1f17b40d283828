//! The differences between two canonical requests.

use super::{
    authentication::TOKENS,
    canonical::CanonicalParts,
    change::{Change, ComparedPair},
    redact::{MAX_SHOWN_CHARS, redact_value, shorten},
    report::Finding,
    url::{PlusMeaning, decode},
};

/// Finds every difference, in the order of the canonical request.
pub(super) fn find_changes(
    before: &CanonicalParts,
    after: &CanonicalParts,
    pair: ComparedPair,
) -> Vec<Finding> {
    let mut changes = Changes { findings: Vec::new(), pair };
    changes.add_if_different(Change::Method, &before.method, &after.method);
    if before.path != after.path {
        changes.add(classify_path_change(&before.path, &after.path), &before.path, &after.path);
    }
    changes.compare_queries(&before.query, &after.query);
    for (name, value) in &before.headers {
        changes.compare_header(name, value, after.header(name));
    }
    changes.add_if_different(Change::SignedHeaders, &before.signed_headers, &after.signed_headers);
    changes.add_if_different(Change::Payload, &before.payload, &after.payload);
    changes.findings
}

/// Finds the first line in which the request that S3 received differs from the given one.
pub(super) fn find_first_difference(received: &CanonicalParts, given: &CanonicalParts) -> Option<Finding> {
    let line = find_different_line(&received.text(), &given.text())?;
    let (received, given) = (received.redacted_text(), given.redacted_text());
    let (received, given) = (received.lines().nth(line).unwrap_or(""), given.lines().nth(line).unwrap_or(""));
    // A query is long: show the part with the difference.
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

/// Names and values, percent-encoded.
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
            return match classify_encoding_change(before, after) {
                Some(Change::PlusReadAsSpace) => self.add(Change::TokenPlusReadAsSpace, "", ""),
                Some(Change::EncodedTwice) => self.add(Change::TokenEncodedTwice, "", ""),
                _ => self.add(Change::Token, "", ""),
            };
        }
        if name == "X-Amz-Credential" {
            return self.add(Change::Scope, &decoded(before), &decoded(after));
        }
        let pair = |value: &str| format!("{name}={}", redact_value(name, value));
        match classify_encoding_change(before, after) {
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

/// The pairs that are not in `other`. Pairs that occur more than once are counted.
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

/// Classifies how the encoding of a text changed. None when something else changed.
fn classify_encoding_change(before: &str, after: &str) -> Option<Change> {
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

fn classify_path_change(before: &str, after: &str) -> Change {
    classify_encoding_change(before, after).unwrap_or_else(|| {
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

/// Normalises a path as URL libraries do: without empty segments, `.` and `..`.
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
            other => panic!("{other} is not a change"),
        };
        find_changes(before, after, ComparedPair::SignedAndUsed).into_iter().map(of).collect()
    }

    #[test]
    fn each_change_of_a_path_is_classified() {
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
    fn each_change_of_a_query_is_classified() {
        for (before, after, change) in [
            ("a=1&b=2", "a=1&b=2&utm=x", Change::ParametersAdded),
            ("a=1&b=2", "a=1", Change::ParametersDropped),
            ("a=1&b=2", "a=2&b=2", Change::Parameter("a".into())),
            ("a=1&a=2", "a=1", Change::ParametersDropped),
            ("a=x%2By", "a=x%20y", Change::PlusReadAsSpace),
            ("X-Amz-Security-Token=t&a=", "a=", Change::TokenMissing),
            ("X-Amz-Security-Token=t", "X-Amz-Security-Token=u", Change::Token),
            ("X-Amz-Security-Token=t%2B", "X-Amz-Security-Token=t%20", Change::TokenPlusReadAsSpace),
            ("X-Amz-Security-Token=t%2B", "X-Amz-Security-Token=t%252B", Change::TokenEncodedTwice),
        ] {
            assert_eq!(
                changes(&canonical("/", before), &canonical("/", after)),
                [change],
                "{before} {after}"
            );
        }
    }

    #[test]
    fn the_first_different_line_is_shown_without_secrets() {
        let given = canonical("/a", "X-Amz-Security-Token=secret&b=1");
        let line = |received: &CanonicalParts| {
            find_first_difference(received, &given).map(|finding| finding.to_string())
        };
        assert_eq!(line(&given.clone()), None);
        let header = line(&given.with_header("content-type", "image/png")).unwrap();
        assert!(
            header.starts_with(
                "line 4 of the canonical request is the first that differs: S3 received \"content-type:image/png\""
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
