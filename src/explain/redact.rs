//! Keeps the secrets of a URL out of explanations, even if the URL is damaged.

use percent_encoding::percent_decode_str;

use crate::presign::encode;

/// The signatures, session tokens and SSE-C keys of a URL, in lower case and in each encoding that an explanation may show.
pub(super) struct Secrets(Vec<String>);

/// The ends of the names of secret parameters, in lower case, and whether the name is recognised without the `=` after it,
/// which a damaged URL may lack. The shorter names are not: they may be part of an object key.
const NAMES: [(&str, bool); 5] = [
    ("x-amz-signature", true),
    ("security-token", true),
    ("s3session-token", true),
    ("signature", false),
    ("customer-key", false),
];

/// The encodings of the `=` after a name.
const EQUALS: [&str; 7] = ["=", "%3d", "%253d", "%25253d", "\\u003d", "&#61;", "&#x3d;"];

/// What may follow a value. No secret contains any of these.
const ENDS: [&str; 10] = ["&", "%26", "%2526", "%252526", "\\", "\"", "'", "<", ">", "#"];

/// The shortest value that is a secret. To redact shorter ones would also redact harmless text.
const MIN_SECRET_BYTES: usize = 16;

/// The most values with one name that are searched for.
const MAX_VALUES: usize = 8;

/// How often a value may be percent-encoded.
const MAX_ENCODINGS: usize = 4;

/// Replaces a secret.
const REDACTED: &str = "***";

impl Secrets {
    /// Finds the secrets in a text that may be a URL.
    pub(super) fn find(text: &str) -> Self {
        // Both texts have the same byte indexes.
        let lower = text.to_ascii_lowercase();
        let values = NAMES.into_iter().flat_map(|(name, may_lack_equals)| {
            let ends = lower.match_indices(name).map(|(index, _)| index + name.len()).take(MAX_VALUES);
            let values = ends.filter_map(|start| {
                let (from, to) = find_value(lower.get(start..)?, may_lack_equals)?;
                text.get(start + from..start + to)
            });
            values.collect::<Vec<_>>()
        });
        Self::from_values(values.flat_map(list_encodings).map(|text| text.to_ascii_lowercase()).collect())
    }

    /// These secrets and others.
    pub(super) fn with<'a>(&self, others: impl Iterator<Item = &'a str>) -> Self {
        let new = others.flat_map(list_encodings).map(|text| text.to_ascii_lowercase());
        Self::from_values(self.0.iter().cloned().chain(new).collect())
    }

    fn from_values(mut values: Vec<String>) -> Self {
        values.retain(|value| value.len() >= MIN_SECRET_BYTES);
        // The longest first: one may be a part of another.
        values.sort_unstable_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        values.dedup();
        Self(values)
    }

    /// Whether a text contains a secret.
    pub(super) fn has_match_in(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        self.0.iter().any(|secret| lower.contains(secret))
    }

    /// Replaces every secret in a text.
    pub(super) fn redact(&self, text: &mut String) {
        let mut lower = text.to_ascii_lowercase();
        for secret in &self.0 {
            while let Some(start) = lower.find(secret) {
                text.replace_range(start..start + secret.len(), REDACTED);
                lower.replace_range(start..start + secret.len(), REDACTED);
            }
        }
    }
}

/// Finds the byte range of the value in the text that follows a name.
fn find_value(rest: &str, may_lack_equals: bool) -> Option<(usize, usize)> {
    let lacks_equals = may_lack_equals && rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    let equals = EQUALS.iter().find(|equals| rest.starts_with(*equals)).copied();
    let from = equals.or(lacks_equals.then_some(""))?.len();
    let rest = &rest[from..];
    let ends = ENDS.iter().filter_map(|end| rest.find(end));
    let to = ends.chain(rest.find(char::is_whitespace)).min().unwrap_or(rest.len());
    Some((from, from + to))
}

/// A value as it is, decoded, and encoded again.
fn list_encodings(value: &str) -> Vec<String> {
    let mut all = vec![value.to_owned()];
    for _ in 0..MAX_ENCODINGS {
        let last = all.last().map_or("", String::as_str);
        let next = percent_decode_str(last).decode_utf8_lossy().into_owned();
        if next == last {
            break;
        }
        all.push(next);
    }
    // A + may be read as a space.
    let plain = all.last().cloned().unwrap_or_default();
    all.push(plain.replace('+', " "));
    let mut add_encoded = |text: &str, encode: fn(&str, &mut String)| {
        let mut new = String::new();
        encode(text, &mut new);
        all.push(new.clone());
        new
    };
    let in_query = add_encoded(&plain, encode::query);
    add_encoded(&in_query, encode::query);
    add_encoded(&plain, encode::path);
    add_encoded(&plain.replace('+', " "), encode::query);
    all
}

/// Headers and query parameters with secret values. A signature is not part of a canonical request, but S3's error document
/// may contain one.
const SECRET_NAMES: [&str; 7] = [
    "x-amz-security-token",
    "x-amz-s3session-token",
    "x-amz-signature",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "authorization",
    "cookie",
];

/// The value of a header or a query parameter, or `***` when it is secret.
pub(super) fn redact_value<'a>(name: &str, value: &'a str) -> &'a str {
    let secret = SECRET_NAMES.iter().any(|secret| secret.eq_ignore_ascii_case(name));
    if secret && !value.is_empty() { REDACTED } else { value }
}

/// The longest part of a request that a finding shows, in characters.
pub(super) const MAX_SHOWN_CHARS: usize = 160;

/// Cuts a text to the length that a finding may show.
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
        fn secrets_are_redacted_in_every_encoding(
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
            for shown in [secret.clone(), encoded(&secret), encoded(&encoded(&secret)), secret.to_lowercase()] {
                prop_assert!(secrets.has_match_in(&shown), "{}", shown);
                let mut text = format!("<{shown}>{shown}");
                secrets.redact(&mut text);
                prop_assert_eq!(text, "<***>***");
            }
        }

        #[test]
        fn redacting_any_text_does_not_panic(text in any::<String>(), rest in "[ -~é]{0,40}") {
            let secrets = Secrets::find(&format!("{text}signature={rest}"));
            secrets.redact(&mut format!("{text}{rest}"));
        }
    }
}
