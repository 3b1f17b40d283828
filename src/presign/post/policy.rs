//! The policy document, written as Python writes JSON: the signature covers these bytes and must match that of boto3. The
//! only module that uses Base64.
//!
//! Source: [Creating a POST policy](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html).

use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::presign::time::format_iso8601;

/// One condition that S3 checks.
pub(super) enum Condition<'a> {
    /// A field must have this value.
    Exact(&'a str, &'a str),
    /// The value of a field must start with this text.
    StartsWith(&'a str, &'a str),
    /// The minimum and maximum size of the file in bytes, both included.
    Length(u64, u64),
}

/// Encodes the policy in Base64, which is the text to sign.
pub(super) fn encode_policy<'a>(
    expires_at: SystemTime,
    conditions: impl IntoIterator<Item = Condition<'a>>,
) -> String {
    // It contains the session token.
    let document = Zeroizing::new(write_document(expires_at, conditions));
    aws_smithy_types::base64::encode(document.as_bytes())
}

fn write_document<'a>(expires_at: SystemTime, conditions: impl IntoIterator<Item = Condition<'a>>) -> String {
    let mut out = String::with_capacity(1024);
    for piece in ["{\"expiration\": \"", &format_iso8601(expires_at), "\", \"conditions\": ["] {
        out.push_str(piece);
    }
    let mut separator = "";
    for condition in conditions {
        out.push_str(separator);
        condition.write(&mut out);
        separator = ", ";
    }
    out.push_str("]}");
    out
}

impl Condition<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Exact(name, value) => {
                out.push('{');
                write_string("", name, out);
                out.push_str(": ");
                write_string("", value, out);
                out.push('}');
            }
            Self::StartsWith(name, text) => {
                out.push_str("[\"starts-with\", ");
                write_string("$", name, out);
                out.push_str(", ");
                write_string("", text, out);
                out.push(']');
            }
            Self::Length(min, max) => {
                let mut number = itoa::Buffer::new();
                out.push_str("[\"content-length-range\", ");
                out.push_str(number.format(*min));
                out.push_str(", ");
                out.push_str(number.format(*max));
                out.push(']');
            }
        }
    }
}

/// Writes `prefix` and `text` as one JSON string in ASCII. Other characters become UTF-16 code units, as `\uXXXX`.
fn write_string(prefix: &str, text: &str, out: &mut String) {
    out.push('"');
    for character in prefix.chars().chain(text.chars()) {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    out.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(char::from_digit(u32::from(*unit >> shift) & 15, 16).unwrap_or('0'));
                    }
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn policy_has_the_format_of_python() {
        let conditions = [
            Condition::Exact("acl", "public-read"),
            Condition::StartsWith("key", "user/é😀\"\\\t\u{7f}"),
            Condition::Length(1, 5 << 30),
        ];
        assert_eq!(
            write_document(at(1_451_476_800), conditions),
            r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [{"acl": "public-read"}, "#.to_owned()
                + r#"["starts-with", "$key", "user/\u00e9\ud83d\ude00\"\\\t\u007f"], "#
                + r#"["content-length-range", 1, 5368709120]]}"#
        );
    }

    proptest! {
        #[test]
        fn policy_is_ascii_json_for_any_field(name in ".*", value in "(?s).*") {
            let conditions = [Condition::Exact(&name, &value), Condition::StartsWith(&name, &value)];
            let text = write_document(at(0), conditions);
            prop_assert!(text.is_ascii());
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(
                &parsed["conditions"],
                &serde_json::json!([{name.clone(): value.clone()}, ["starts-with", format!("${name}"), value]])
            );
        }
    }
}
