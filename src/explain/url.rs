//! A URL as it came, taken apart without changing anything in it.

use super::escapes::{self, Plus};

/// An `http` or `https` URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Host and port, as they are written.
    pub(super) authority: String,
    /// The port that goes without saying: that of the scheme.
    pub(super) own_port: &'static str,
    /// Not decoded; it begins with a slash.
    pub(super) path: String,
    /// In their order.
    pub(super) query: Vec<Parameter>,
    /// Something stood behind a `#`: it is never sent.
    pub(super) has_fragment: bool,
}

/// A parameter of a query, as it is written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
}

impl Parameter {
    /// The name, decoded.
    pub(super) fn name(&self) -> String {
        escapes::decoded(&self.name, Plus::Space)
    }

    /// The value, decoded.
    pub(super) fn value(&self) -> String {
        escapes::decoded(&self.value, Plus::Space)
    }
}

impl Url {
    /// The parts of a URL; nothing when it is none that could be sent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let own_port = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => ":443",
            _ if scheme.eq_ignore_ascii_case("http") => ":80",
            _ => return None,
        };
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, after)| (rest, Some(after)));
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path_at = place.find('/').unwrap_or(place.len());
        let (authority, path) = place.split_at(path_at);
        // A user and a password are for the client, and no part of the Host header.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if authority.is_empty() {
            return None;
        }
        Some(Self {
            authority: authority.to_owned(),
            own_port,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query.split('&').filter(|pair| !pair.is_empty()).map(parameter).collect(),
            has_fragment: fragment.is_some(),
        })
    }

    /// What a client sends as the Host header.
    pub(super) fn host(&self) -> &str {
        self.authority.strip_suffix(self.own_port).unwrap_or(&self.authority)
    }

    /// The decoded value of the first parameter of this name.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.query.iter().find(|parameter| parameter.name() == name).map(Parameter::value)
    }

    /// How often a parameter is there.
    pub(super) fn count(&self, name: &str) -> usize {
        self.query.iter().filter(|parameter| parameter.name() == name).count()
    }
}

fn parameter(pair: &str) -> Parameter {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Parameter { name: name.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_nothing_in_it_is_changed() {
        let url = Url::parse("HTTPS://u:p@h.example:443//a/../b%2f?x=1=2&&y&%61=%2B+#?z").unwrap();
        assert_eq!((url.authority.as_str(), url.host()), ("h.example:443", "h.example"));
        assert_eq!(url.path, "//a/../b%2f");
        assert!(url.has_fragment);
        let pairs: Vec<_> = url.query.iter().map(|parameter| (parameter.name(), parameter.value())).collect();
        let expected = [("x", "1=2"), ("y", ""), ("a", "+ ")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(pairs, expected);
    }

    #[test]
    fn what_cannot_be_sent_is_no_url() {
        for text in ["", "bucket/key", "s3://bucket/key", "https://", "https:///key", "https://?x", "://h/"] {
            assert!(Url::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_at(text in any::<String>(), rest in any::<String>()) {
            Url::parse(&text);
            if let Some(url) = Url::parse(&format!("http://{text}/{rest}")) {
                prop_assert!(url.path.starts_with('/'));
                prop_assert!(url.authority.starts_with(url.host()));
            }
        }
    }
}
