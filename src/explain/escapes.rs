//! Percent-escapes of a URL that came from outside: read, and written again as a signer writes them.

use crate::presign::encode;

/// What a `+` in a URL stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plus {
    /// A plus, as in paths.
    Plus,
    /// A space, as in queries of forms; S3 reads the query so.
    Space,
}

/// The text that an escaped one stands for. What is no escape stands for itself, and what is no UTF-8 is replaced.
pub(super) fn decoded(raw: &str, plus: Plus) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    for piece in Pieces(raw) {
        match piece {
            Piece::Escape(byte) => bytes.push(byte),
            Piece::Text("+") if plus == Plus::Space => bytes.push(b' '),
            Piece::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path in canonical form: decoded and encoded again.
pub(super) fn canonical_path(raw: &str, plus: Plus) -> String {
    canonical(raw, plus, encode::path)
}

/// A name or a value of a query in canonical form.
pub(super) fn canonical_query(raw: &str, plus: Plus) -> String {
    canonical(raw, plus, encode::query)
}

fn canonical(raw: &str, plus: Plus, encode: fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(raw.len() + 16);
    for piece in Pieces(raw) {
        match piece {
            Piece::Escape(byte) if byte.is_ascii() => {
                encode(char::from(byte).encode_utf8(&mut [0; 4]), &mut out);
            }
            // A part of a character, or of what is no UTF-8: both stay escaped.
            Piece::Escape(byte) => out.extend(['%', digit(byte >> 4), digit(byte & 15)]),
            Piece::Text("+") if plus == Plus::Space => out.push_str("%20"),
            Piece::Text(text) => encode(text, &mut out),
        }
    }
    out
}

fn digit(four_bits: u8) -> char {
    char::from_digit(four_bits.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// A text cut into escapes, single pluses and what is between them.
struct Pieces<'a>(&'a str);

enum Piece<'a> {
    Escape(u8),
    Text(&'a str),
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.0.bytes().next()?;
        if let Some(byte) = escape(self.0) {
            self.0 = &self.0[3..];
            return Some(Piece::Escape(byte));
        }
        let end = match first {
            b'+' | b'%' => 1,
            _ => self.0.find(['%', '+']).unwrap_or(self.0.len()),
        };
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Piece::Text(text))
    }
}

/// The byte of the escape that the text begins with.
pub(super) fn escape(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    let both = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| both)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_read_once_and_written_as_a_signer_does() {
        for (raw, text, path, query) in [
            ("", "", "", ""),
            ("a%20b", "a b", "a%20b", "a%20b"),
            ("a+b", "a+b", "a%2Bb", "a%20b"),
            ("%2520", "%20", "%2520", "%2520"),
            ("%7e%41%2f", "~A/", "~A/", "~A%2F"),
            ("100%", "100%", "100%25", "100%25"),
            ("%zz%+1", "%zz%+1", "%25zz%25%2B1", "%25zz%25%201"),
            ("%c3%A9é", "éé", "%C3%A9%C3%A9", "%C3%A9%C3%A9"),
            ("%ff", "\u{fffd}", "%FF", "%FF"),
            ("%é", "%é", "%25%C3%A9", "%25%C3%A9"),
        ] {
            assert_eq!(decoded(raw, Plus::Plus), text, "{raw}");
            assert_eq!(canonical_path(raw, Plus::Plus), path, "{raw}");
            assert_eq!(canonical_query(raw, Plus::Space), query, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn a_text_that_was_encoded_is_read_back_and_its_canonical_form_is_itself(text in any::<String>()) {
            let (mut path, mut query) = (String::new(), String::new());
            encode::path(&text, &mut path);
            encode::query(&text, &mut query);
            prop_assert_eq!(&decoded(&path, Plus::Space), &text);
            prop_assert_eq!(&decoded(&query, Plus::Plus), &text);
            prop_assert_eq!(canonical_path(&path, Plus::Plus), path);
            prop_assert_eq!(canonical_query(&query, Plus::Space), query);
        }
    }
}
