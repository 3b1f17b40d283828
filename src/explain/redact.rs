//! Keeps secrets of a URL out of explanations, wherever they are in it and however it was damaged.

use percent_encoding::percent_decode_str;

use crate::presign::encode;

/// Signatures, tokens and keys of a URL, in each spelling that an explanation could have; in lower case.
pub(super) struct Secrets(Vec<String>);

/// The ends of the names of secret parameters, in lower case, and whether the name is recognised even when the sign after it
/// was lost: an object key may have the shorter words in it.
const NAMES: [(&str, bool); 5] = [
    ("x-amz-signature", true),
    ("security-token", true),
    ("s3session-token", true),
    ("signature", false),
    ("customer-key", false),
];

/// Spellings of `=` after a name.
const EQUALS: [&str; 7] = ["=", "%3d", "%253d", "%25253d", "\\u003d", "&#61;", "&#x3d;"];

/// What ends a value. No secret contains any of these.
const ENDS: [&str; 10] = ["&", "%26", "%2526", "%252526", "\\", "\"", "'", "<", ">", "#"];

/// Shorter values are no secrets, and would be hidden where they are harmless. In bytes.
const MIN_SECRET_BYTES: usize = 16;

/// How many values of one name are searched for.
const MAX_VALUES: usize = 8;

/// How often a value may have been encoded.
const MAX_ENCODINGS: usize = 4;

/// What replaces a secret.
const HIDDEN: &str = "***";

impl Secrets {
    /// The secrets in a text that may be a URL.
    pub(super) fn find(text: &str) -> Self {
        // Every byte has the same index in both.
        let lower = text.to_ascii_lowercase();
        let values = NAMES.into_iter().flat_map(|(name, without_sign)| {
            let ends = lower.match_indices(name).map(|(at, _)| at + name.len()).take(MAX_VALUES);
            let values = ends.filter_map(|at| {
                let (from, to) = find_value(lower.get(at..)?, without_sign)?;
                text.get(at + from..at + to)
            });
            values.collect::<Vec<_>>()
        });
        Self::sorted(values.flat_map(list_spellings).map(|text| text.to_ascii_lowercase()).collect())
    }

    /// The same with other known secrets.
    pub(super) fn with<'a>(&self, others: impl Iterator<Item = &'a str>) -> Self {
        let new = others.flat_map(list_spellings).map(|text| text.to_ascii_lowercase());
        Self::sorted(self.0.iter().cloned().chain(new).collect())
    }

    fn sorted(mut known: Vec<String>) -> Self {
        known.retain(|value| value.len() >= MIN_SECRET_BYTES);
        // The longest first: one may be a part of another.
        known.sort_unstable_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        known.dedup();
        Self(known)
    }

    /// Whether a text contains a secret.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        self.0.iter().any(|secret| lower.contains(secret))
    }

    /// Replaces every secret in a text.
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

/// The range of the value in the text after a name.
fn find_value(rest: &str, without_sign: bool) -> Option<(usize, usize)> {
    let is_lost = without_sign && rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    let sign = EQUALS.iter().find(|sign| rest.starts_with(*sign)).copied();
    let from = sign.or(is_lost.then_some(""))?.len();
    let rest = &rest[from..];
    let ends = ENDS.iter().filter_map(|end| rest.find(end));
    let to = ends.chain(rest.find(char::is_whitespace)).min().unwrap_or(rest.len());
    Some((from, from + to))
}

/// A value as it is, decoded, and encoded again.
fn list_spellings(value: &str) -> Vec<String> {
    let mut all = vec![value.to_owned()];
    for _ in 0..MAX_ENCODINGS {
        let last = all.last().map_or("", String::as_str);
        let next = percent_decode_str(last).decode_utf8_lossy().into_owned();
        if next == last {
            break;
        }
        all.push(next);
    }
    // A + may be a space.
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

/// Headers and query parameters whose values are secrets: session tokens and the keys of SSE-C. A signature is not part
/// of a canonical request, and is not shown either.
const SECRET_NAMES: [&str; 7] = [
    "x-amz-security-token",
    "x-amz-s3session-token",
    "x-amz-signature",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "authorization",
    "cookie",
];

/// The value of a header or a query parameter, unless it is secret.
pub(super) fn redact_value<'a>(name: &str, value: &'a str) -> &'a str {
    let secret = SECRET_NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name));
    if secret && !value.is_empty() { HIDDEN } else { value }
}

/// The longest text of a request that a finding repeats, in characters.
pub(super) const MAX_SHOWN_CHARS: usize = 160;

/// A text of a request, cut to the length that a finding repeats.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
            let secrets = Secrets::find(&format!("{before}{written}"));
            for told in [secret.clone(), encoded(&secret), encoded(&encoded(&secret)), secret.to_lowercase()] {
                prop_assert!(secrets.are_in(&told), "{}", told);
                let mut text = format!("<{told}>{told}");
                secrets.hide_in(&mut text);
                prop_assert_eq!(text, "<***>***");
            }
        }

        #[test]
        fn any_text_can_be_looked_through(text in any::<String>(), rest in "[ -~é]{0,40}") {
            let secrets = Secrets::find(&format!("{text}signature={rest}"));
            secrets.hide_in(&mut format!("{text}{rest}"));
        }
    }
}
