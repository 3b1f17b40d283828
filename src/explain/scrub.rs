//! What is secret in a URL, wherever it stands and however the URL was damaged: kept out of everything that is told.

use super::escapes::{self, Plus};
use crate::presign::encode;

/// Values of signatures, tokens and keys that stand in a URL, in each way in which they could be told; in lower case.
pub(super) struct Secrets(Vec<String>);

/// The ends of the names of parameters that have something secret as their value, in lower case, and whether they are
/// known as such where the sign behind them was lost: a key may have a word in it.
const NAMES: [(&str, bool); 5] = [
    ("x-amz-signature", true),
    ("security-token", true),
    ("s3session-token", true),
    ("signature", false),
    ("customer-key", false),
];

/// How `=` may be written behind a name.
const EQUALS: [&str; 7] = ["=", "%3d", "%253d", "%25253d", "\\u003d", "&#61;", "&#x3d;"];

/// What a value ends at. A secret has none of them in it.
const ENDS: [&str; 10] = ["&", "%26", "%2526", "%252526", "\\", "\"", "'", "<", ">", "#"];

/// What is shorter is no secret, and would be found where it is none.
const SHORTEST: usize = 16;

/// So many values of one name are looked for.
const MOST: usize = 8;

/// So many times a value may have been encoded.
const LAYERS: usize = 4;

const HIDDEN: &str = "***";

impl Secrets {
    /// Those in a text that may be a URL.
    pub(super) fn of(text: &str) -> Self {
        // It has the same bytes at the same places.
        let lower = text.to_ascii_lowercase();
        let values = NAMES.into_iter().flat_map(|(name, without_sign)| {
            let places = lower.match_indices(name).map(|(at, _)| at + name.len()).take(MOST);
            let values = places.filter_map(|at| {
                let (from, to) = value(lower.get(at..)?, without_sign)?;
                text.get(at + from..at + to)
            });
            values.collect::<Vec<_>>()
        });
        Self::sorted(values.flat_map(spellings).map(|text| text.to_ascii_lowercase()).collect())
    }

    /// The same with others that are known.
    pub(super) fn and<'a>(&self, others: impl Iterator<Item = &'a str>) -> Self {
        let new = others.flat_map(spellings).map(|text| text.to_ascii_lowercase());
        Self::sorted(self.0.iter().cloned().chain(new).collect())
    }

    fn sorted(mut known: Vec<String>) -> Self {
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
        let mut lower = text.to_ascii_lowercase();
        for secret in &self.0 {
            while let Some(at) = lower.find(secret) {
                text.replace_range(at..at + secret.len(), HIDDEN);
                lower.replace_range(at..at + secret.len(), HIDDEN);
            }
        }
    }
}

/// Where the value stands in what is behind a name. Where the sign may be lost, something else than a sign is there.
fn value(behind: &str, without_sign: bool) -> Option<(usize, usize)> {
    let is_lost = without_sign && behind.starts_with(|c: char| c.is_ascii_alphanumeric());
    let sign = EQUALS.iter().find(|sign| behind.starts_with(*sign)).copied();
    let from = sign.or(is_lost.then_some(""))?.len();
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
