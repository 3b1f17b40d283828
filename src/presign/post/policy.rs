//! The policy document, written as Python writes JSON, because boto3's signature is of those bytes. The home of Base64.
//!
//! Source: [Creating a POST policy](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html).

use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::presign::time::iso8601;

/// One thing that S3 looks at.
pub(super) enum Condition<'a> {
    /// A field has this value.
    Exact(&'a str, &'a str),
    /// The value of a field starts with this text.
    StartsWith(&'a str, &'a str),
    /// The file has so many bytes, both bounds included.
    Length(u64, u64),
}

/// The document in Base64: what is signed.
pub(super) fn encoded<'a>(
    expires_at: SystemTime,
    conditions: impl IntoIterator<Item = Condition<'a>>,
) -> String {
    // The session token is in it.
    let document = Zeroizing::new(document(expires_at, conditions));
    aws_smithy_types::base64::encode(document.as_bytes())
}

fn document<'a>(expires_at: SystemTime, conditions: impl IntoIterator<Item = Condition<'a>>) -> String {
    let mut out = String::with_capacity(1024);
    for piece in ["{\"expiration\": \"", &iso8601(expires_at), "\", \"conditions\": ["] {
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
                write_text("", name, out);
                out.push_str(": ");
                write_text("", value, out);
                out.push('}');
            }
            Self::StartsWith(name, text) => {
                out.push_str("[\"starts-with\", ");
                write_text("$", name, out);
                out.push_str(", ");
                write_text("", text, out);
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

/// A string of JSON, in ASCII: whatever is not becomes its UTF-16 code units, as `\uXXXX`.
fn write_text(before: &str, text: &str, out: &mut String) {
    out.push('"');
    for character in before.chars().chain(text.chars()) {
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
    fn a_policy_is_written_as_python_writes_it() {
        let conditions = [
            Condition::Exact("acl", "public-read"),
            Condition::StartsWith("key", "user/é😀\"\\\t\u{7f}"),
            Condition::Length(1, 5 << 30),
        ];
        assert_eq!(
            document(at(1_451_476_800), conditions),
            r#"{"expiration": "2015-12-30T12:00:00Z", "conditions": [{"acl": "public-read"}, "#.to_owned()
                + r#"["starts-with", "$key", "user/\u00e9\ud83d\ude00\"\\\t\u007f"], "#
                + r#"["content-length-range", 1, 5368709120]]}"#
        );
    }

    proptest! {
        #[test]
        fn whatever_a_field_says_the_policy_is_json_in_ascii_that_says_the_same(name in ".*", value in "(?s).*") {
            let conditions = [Condition::Exact(&name, &value), Condition::StartsWith(&name, &value)];
            let text = document(at(0), conditions);
            prop_assert!(text.is_ascii());
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(
                &read["conditions"],
                &serde_json::json!([{name.clone(): value.clone()}, ["starts-with", format!("${name}"), value]])
            );
        }
    }
}
