//! What is secret in a URL, wherever it stands and however the URL was damaged: kept out of everything that is told.

use super::escapes::{self, Plus};
use crate::presign::encode;

/// Values of signatures, tokens and keys that stand in a URL, in each way in which they could be told; in lower case.
pub(super) struct Secrets(Vec<String>);

/// The ends of the names of parameters that have something secret as their value, in lower case.
const NAMES: [&str; 4] = ["signature", "security-token", "s3session-token", "customer-key"];

/// How `=` may be written behind a name.
const EQUALS: [&str; 7] = ["=", "%3d", "%253d", "%25253d", "\\u003d", "&#61;", "&#x3d;"];

/// What a value ends at. A secret has none of them in it.
const ENDS: [&str; 10] = ["&", "%26", "%2526", "%252526", "\\", "\"", "'", "<", ">", "#"];

/// What is shorter is no secret, and would be found where it is none.
const SHORTEST: usize = 16;

/// So many values of one name are looked for.
const MOST: usize = 16;

/// So many times a value may have been encoded.
const LAYERS: usize = 4;

const HIDDEN: &str = "***";

impl Secrets {
    /// Those in a text that may be a URL.
    pub(super) fn of(text: &str) -> Self {
        // It has the same bytes at the same places.
        let lower = text.to_ascii_lowercase();
        let behind =
            |name: &'static str| lower.match_indices(name).map(move |(at, _)| at + name.len()).take(MOST);
        let places = NAMES.into_iter().flat_map(behind);
        let values =
            places.filter_map(|at| value(lower.get(at..)?).map(|(from, to)| &text[at + from..at + to]));
        let mut known: Vec<String> =
            values.flat_map(spellings).map(|text| text.to_ascii_lowercase()).collect();
        known.retain(|value| value.len() >= SHORTEST);
        // The longer one first: one may be a part of another.
        known.sort_unstable_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        known.dedup();
        Self(known)
    }

    /// Whether one of them is in a text.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        self.0.iter().any(|secret| lower.contains(secret))
    }

    /// Takes them out of a text.
    pub(super) fn hide_in(&self, text: &mut String) {
        for secret in &self.0 {
            let lower = text.to_ascii_lowercase();
            let mut places: Vec<usize> = lower.match_indices(secret).map(|(at, _)| at).collect();
            while let Some(at) = places.pop() {
                text.replace_range(at..at + secret.len(), HIDDEN);
            }
        }
    }
}

/// Where the value stands in what is behind a name.
fn value(behind: &str) -> Option<(usize, usize)> {
    let from = EQUALS.iter().find(|sign| behind.starts_with(*sign))?.len();
    let rest = &behind[from..];
    let ends = ENDS.iter().filter_map(|end| rest.find(end));
    let to = ends.chain(rest.find(char::is_whitespace)).min().unwrap_or(rest.len());
    Some((from, from + to))
}

/// A value as it is written, decoded, and encoded again.
fn spellings(value: &str) -> Vec<String> {
    let mut all = vec![value.to_owned()];
    for _ in 0..LAYERS {
        let last = all.last().map_or("", String::as_str);
        let next = escapes::decoded(last, Plus::Plus);
        if next == last {
            break;
        }
        all.push(next);
    }
    // A + may stand for a space.
    let plain = all.last().cloned().unwrap_or_default();
    all.push(plain.replace('+', " "));
    let mut written = |text: &str, how: fn(&str, &mut String)| {
        let mut new = String::new();
        how(text, &mut new);
        all.push(new.clone());
        new
    };
    let in_query = written(&plain, encode::query);
    written(&in_query, encode::query);
    written(&plain, encode::path);
    written(&plain.replace('+', " "), encode::query);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_is_found_and_hidden_however_it_is_written(
            secret in "[A-Za-z0-9+/]{16,40}={0,2}",
            name in prop::sample::select(vec!["X-Amz-Security-Token", "x-amz-signature", "X-Amz-S3session-Token", "Signature"]),
            before in "[ -~]{0,20}",
            layers in 0..4_usize,
        ) {
            let encoded = |text: &str| {
                let mut out = String::new();
                encode::query(text, &mut out);
                out
            };
            let mut written = format!("{name}={secret}&X-Amz-Date=1");
            for _ in 0..layers {
                written = encoded(&written);
            }
            let secrets = Secrets::of(&format!("{before}{written}"));
            for told in [secret.clone(), encoded(&secret), encoded(&encoded(&secret)), secret.to_lowercase()] {
                prop_assert!(secrets.are_in(&told), "{}", told);
                let mut text = format!("<{told}>{told}");
                secrets.hide_in(&mut text);
                prop_assert_eq!(text, "<***>***");
            }
        }

        #[test]
        fn any_text_can_be_looked_through(text in any::<String>(), rest in "[ -~é]{0,40}") {
            let secrets = Secrets::of(&format!("{text}signature={rest}"));
            secrets.hide_in(&mut format!("{text}{rest}"));
        }
    }
}
