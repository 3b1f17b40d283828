//! What differs between two canonical requests, and what that is called.

use super::{
    authentication::TOKENS,
    canonical::{Canonical, shown_value},
    change::{Change, Way},
    escapes::{self, Plus},
    finding::Finding,
};

/// The longest text of a request that a finding repeats, in characters.
const SHOWN: usize = 160;

/// Every difference, in the order of the canonical request.
pub(super) fn differences(before: &Canonical, after: &Canonical, way: Way) -> Vec<Finding> {
    let mut found = Found { list: Vec::new(), way };
    found.add_if_other(Change::Method, &before.method, &after.method);
    if before.path != after.path {
        found.add(path_change(&before.path, &after.path), &before.path, &after.path);
    }
    queries(before, after, &mut found);
    for (name, value) in &before.headers {
        header(name, value, after.header(name), &mut found);
    }
    found.add_if_other(Change::SignedHeaders, &before.signed_headers, &after.signed_headers);
    found.add_if_other(Change::Payload, &before.payload, &after.payload);
    found.list
}

/// The first line in which what S3 received differs from what was given.
pub(super) fn first_difference(received: &Canonical, given: &Canonical) -> Option<Finding> {
    let (theirs, ours) = (received.text(), given.text());
    let line = first_different_line(&theirs, &ours)?;
    let (theirs, ours) = (received.shown(), given.shown());
    let (theirs, ours) = (theirs.lines().nth(line).unwrap_or(""), ours.lines().nth(line).unwrap_or(""));
    // A query is long: what is before the difference says nothing.
    let alike = theirs.char_indices().zip(ours.chars()).find(|((_, a), b)| a != b);
    let from = alike.map_or(theirs.len().min(ours.len()), |((at, _), _)| at).saturating_sub(SHOWN / 4);
    let cut = |text: &str| {
        let from = text.floor_char_boundary(from);
        let start = if from == 0 { "" } else { "…" };
        format!("{start}{}", shortened(&text[from..]))
    };
    Some(Finding::FirstDifference { line: line + 1, received: cut(theirs), given: cut(ours) })
}

fn first_different_line(left: &str, right: &str) -> Option<usize> {
    let longest = left.lines().count().max(right.lines().count());
    let (mut left, mut right) = (left.lines(), right.lines());
    (0..longest).find(|_| left.next() != right.next())
}

struct Found {
    list: Vec<Finding>,
    way: Way,
}

impl Found {
    fn add(&mut self, change: Change, before: &str, after: &str) {
        let (before, after) = (shortened(before), shortened(after));
        self.list.push(Finding::Changed { change, way: self.way, before, after });
    }

    fn add_if_other(&mut self, change: Change, before: &str, after: &str) {
        if before != after {
            self.add(change, before, after);
        }
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn header(name: &str, before: &str, after: Option<&str>, found: &mut Found) {
    let shown = |value| shown_value(name, value);
    match after {
        _ if name == "host" => found.add_if_other(Change::Host, before, after.unwrap_or_default()),
        None | Some("") if !before.is_empty() => {
            found.add(Change::HeaderMissing(shortened(name)), shown(before), "");
        }
        Some(after) if after != before => {
            found.add(Change::Header(shortened(name)), shown(before), shown(after));
        }
        _ => {}
    }
}

/// What happened to an encoded text, where it has a name.
fn encoding_change(before: &str, after: &str) -> Option<Change> {
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
    // The last character of the escape is where the two differ first.
    let first = before.bytes().zip(after.bytes()).find(|(before, after)| before != after);
    Some(if first.is_some_and(|(before, _)| before == b'0') {
        Change::PlusForSpace
    } else {
        Change::PlusReadAsSpace
    })
}

fn path_change(before: &str, after: &str) -> Change {
    encoding_change(before, after).unwrap_or_else(|| {
        let same = normalised(before) == normalised(after);
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

/// A path as a normaliser leaves it: no empty part, no `.` and no `..`.
fn normalised(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn queries(before: &Canonical, after: &Canonical, found: &mut Found) {
    let (mut dropped, mut added) = (Vec::new(), Vec::new());
    let without = |from: &Canonical, other: &Canonical| -> Vec<(String, String)> {
        let mut rest = other.query.clone();
        let mut only = from.query.clone();
        only.retain(|pair| match rest.iter().position(|known| known == pair) {
            Some(place) => {
                rest.swap_remove(place);
                false
            }
            None => true,
        });
        only
    };
    let mut only_after = without(after, before);
    for (name, value) in without(before, after) {
        match only_after.iter().position(|(other, _)| *other == name) {
            Some(place) => {
                let (_, other) = only_after.swap_remove(place);
                changed_parameter(&name, &value, &other, found);
            }
            None => dropped.push((name, value)),
        }
    }
    added.append(&mut only_after);
    if let Some(place) = dropped.iter().position(|(name, _)| TOKENS.contains(&name.as_str())) {
        dropped.swap_remove(place);
        found.add(Change::TokenMissing, "", "");
    }
    if !dropped.is_empty() {
        found.add(Change::ParametersDropped, &listed(&dropped), "");
    }
    if !added.is_empty() {
        found.add(Change::ParametersAdded, "", &listed(&added));
    }
}

fn changed_parameter(name: &str, before: &str, after: &str, found: &mut Found) {
    let decoded = |text: &str| escapes::decoded(text, Plus::Plus);
    if TOKENS.contains(&name) {
        return match encoding_change(before, after) {
            Some(change @ (Change::PlusReadAsSpace | Change::EncodedTwice)) => {
                found.add(change, "the session token", "another");
            }
            _ => found.add(Change::Token, "", ""),
        };
    }
    if name == "X-Amz-Credential" {
        return found.add(Change::Scope, &decoded(before), &decoded(after));
    }
    let pair = |value: &str| format!("{name}={}", shown_value(name, value));
    match encoding_change(before, after) {
        Some(change @ (Change::PlusReadAsSpace | Change::PlusForSpace)) => {
            found.add(change, &pair(before), &pair(after));
        }
        _ => found.add(
            Change::Parameter(shortened(name)),
            shown_value(name, &decoded(before)),
            shown_value(name, &decoded(after)),
        ),
    }
}

fn listed(pairs: &[(String, String)]) -> String {
    let each = pairs.iter().map(|(name, value)| format!("{name}={}", shown_value(name, value)));
    each.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(path: &str, query: &str) -> Canonical {
        let text = format!("GET\n{path}\n{query}\ncontent-type:text/plain\nhost:h\n\ncontent-type;host\nU");
        Canonical::parse(&text).unwrap()
    }

    fn changes(before: &Canonical, after: &Canonical) -> Vec<Change> {
        let of = |finding| match finding {
            Finding::Changed { change, .. } => change,
            other => panic!("{other} is no change"),
        };
        differences(before, after, Way::SignedAndUsed).into_iter().map(of).collect()
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
        let line =
            |received: &Canonical| first_difference(received, &given).map(|finding| finding.to_string());
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
