//! URLs in their parts, decoded and in canonical form. Nothing is normalised: a key may contain `//` or `..`.

use percent_encoding::{percent_decode_str, percent_encode_byte};

use crate::presign::encode;

/// An `http` or `https` URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Host and port, as in the URL.
    pub(super) authority: String,
    /// A colon and the default port of the scheme.
    pub(super) default_port: &'static str,
    /// Not decoded, with its leading slash.
    pub(super) path: String,
    /// In the order of the URL.
    pub(super) query: Vec<Parameter>,
    /// The URL has a `#`. Clients do not send what follows it.
    pub(super) has_fragment: bool,
}

/// A query parameter, not decoded.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
}

impl Parameter {
    fn parse(pair: &str) -> Self {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Self { name: name.to_owned(), value: value.to_owned() }
    }

    /// The name, decoded.
    pub(super) fn name(&self) -> String {
        decode(&self.name, PlusMeaning::Space)
    }

    /// The value, decoded.
    pub(super) fn value(&self) -> String {
        decode(&self.value, PlusMeaning::Space)
    }
}

impl Url {
    /// Splits a URL without changing its parts. None when it is not an `http` or `https` URL with a host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let default_port = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => ":443",
            _ if scheme.eq_ignore_ascii_case("http") => ":80",
            _ => return None,
        };
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, after)| (rest, Some(after)));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // User and password are not part of the Host header.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if authority.is_empty() {
            return None;
        }
        Some(Self {
            authority: authority.to_owned(),
            default_port,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query.split('&').filter(|pair| !pair.is_empty()).map(Parameter::parse).collect(),
            has_fragment: fragment.is_some(),
        })
    }

    /// The Host header that a client derives from the URL: without the default port.
    pub(super) fn host(&self) -> &str {
        self.authority.strip_suffix(self.default_port).unwrap_or(&self.authority)
    }

    /// The decoded value of the first parameter with this name.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.query.iter().find(|parameter| parameter.name() == name).map(Parameter::value)
    }

    /// The number of parameters with this name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.query.iter().filter(|parameter| parameter.name() == name).count()
    }
}

/// The meaning of a `+` in a URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PlusMeaning {
    /// A plus, as in paths.
    Plus,
    /// A space, as in the queries of HTML forms, and as S3 reads queries.
    Space,
}

/// Percent-decodes a text. Invalid escapes are kept, invalid UTF-8 is replaced by U+FFFD.
pub(super) fn decode(raw: &str, plus: PlusMeaning) -> String {
    String::from_utf8_lossy(&decode_bytes(raw, plus)).into_owned()
}

/// The canonical form of a path: decoded once, then encoded as SigV4 requires.
pub(super) fn canonicalize_path(raw: &str, plus: PlusMeaning) -> String {
    reencode(raw, plus, encode::path)
}

/// The canonical form of the name or the value of a query parameter.
pub(super) fn canonicalize_query(raw: &str, plus: PlusMeaning) -> String {
    reencode(raw, plus, encode::query)
}

fn reencode(raw: &str, plus: PlusMeaning, encode: fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(raw.len() + 16);
    for chunk in decode_bytes(raw, plus).utf8_chunks() {
        encode(chunk.valid(), &mut out);
        // Invalid UTF-8 stays escaped.
        out.extend(chunk.invalid().iter().map(|byte| percent_encode_byte(*byte)));
    }
    out
}

fn decode_bytes(raw: &str, plus: PlusMeaning) -> Vec<u8> {
    match plus {
        PlusMeaning::Plus => percent_decode_str(raw).collect(),
        PlusMeaning::Space => percent_decode_str(&raw.replace('+', " ")).collect(),
    }
}

/// Whether a text contains a valid percent-escape.
pub(super) fn has_escape(text: &str) -> bool {
    percent_decode_str(text).count() < text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parsing_a_url_changes_no_part() {
        let url = Url::parse("HTTPS://u:p@h.example:443//a/../b%2f?x=1=2&&y&%61=%2B+#?z").unwrap();
        assert_eq!((url.authority.as_str(), url.host()), ("h.example:443", "h.example"));
        assert_eq!(url.path, "//a/../b%2f");
        assert!(url.has_fragment);
        let pairs: Vec<_> = url.query.iter().map(|parameter| (parameter.name(), parameter.value())).collect();
        let expected = [("x", "1=2"), ("y", ""), ("a", "+ ")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(pairs, expected);
    }

    #[test]
    fn text_without_scheme_or_host_is_not_a_url() {
        for text in ["", "bucket/key", "s3://bucket/key", "https://", "https:///key", "https://?x", "://h/"] {
            assert!(Url::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn escapes_are_decoded_once_and_encoded_canonically() {
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
            ("%c3%zz%A9", "\u{fffd}%zz\u{fffd}", "%C3%25zz%A9", "%C3%25zz%A9"),
        ] {
            assert_eq!(decode(raw, PlusMeaning::Plus), text, "{raw}");
            assert_eq!(canonicalize_path(raw, PlusMeaning::Plus), path, "{raw}");
            assert_eq!(canonicalize_query(raw, PlusMeaning::Space), query, "{raw}");
        }
    }

    #[test]
    fn an_escape_needs_two_hexadecimal_digits() {
        for (text, has) in [("a%20b", true), ("%é%41", true), ("100%", false), ("%zz%2", false), ("", false)]
        {
            assert_eq!(has_escape(text), has, "{text}");
        }
    }

    proptest! {
        #[test]
        fn encoded_text_decodes_and_is_canonical(text in any::<String>()) {
            let (mut path, mut query) = (String::new(), String::new());
            encode::path(&text, &mut path);
            encode::query(&text, &mut query);
            prop_assert_eq!(&decode(&path, PlusMeaning::Space), &text);
            prop_assert_eq!(&decode(&query, PlusMeaning::Plus), &text);
            prop_assert_eq!(canonicalize_path(&path, PlusMeaning::Plus), path);
            prop_assert_eq!(canonicalize_query(&query, PlusMeaning::Space), query);
        }

        #[test]
        fn parsing_any_text_does_not_panic(text in any::<String>(), rest in any::<String>()) {
            Url::parse(&text);
            if let Some(url) = Url::parse(&format!("http://{text}/{rest}")) {
                prop_assert!(url.path.starts_with('/'));
                prop_assert!(url.authority.starts_with(url.host()));
            }
        }
    }
}
