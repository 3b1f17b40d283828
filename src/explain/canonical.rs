//! The canonical request of a request from outside, in its parts.

use std::iter;

use super::{
    authentication::Authentication,
    redact::redact_value,
    request::{MAX_URL_PARTS, UsedRequest},
    target::UrlTarget,
    url::{PlusMeaning, Url, canonicalize_path, canonicalize_query},
};
use crate::presign::{
    canonical::{CanonicalRequest, SignedHeaders, UNSIGNED_PAYLOAD, collapse_spaces, write_header},
    encode,
};

/// A request whose authentication S3 could read.
#[derive(Clone, Copy)]
pub(super) struct ParsedRequest<'a> {
    pub(super) used: &'a UsedRequest,
    pub(super) url: &'a Url,
    pub(super) auth: &'a Authentication,
    pub(super) target: &'a UrlTarget,
}

/// A canonical request in its parts: that of a request from outside, or the one in S3's error document.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct CanonicalParts {
    pub(super) method: String,
    /// Percent-encoded.
    pub(super) path: String,
    /// Names and values, percent-encoded, in any order.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case, sorted, with their values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) signed_headers: String,
    pub(super) payload: String,
}

impl CanonicalParts {
    /// The canonical request of a request. The value of a header that was not sent is empty.
    pub(super) fn from_request(request: &ParsedRequest<'_>) -> Self {
        let ParsedRequest { used, url, auth, target } = *request;
        let mut names = auth.signed_headers.clone();
        names.sort_unstable();
        names.dedup();
        let signed_headers = names.join(";");
        let header = |name: String| {
            let value = match name.as_str() {
                "host" => used.host(url),
                _ => used.header(&name).unwrap_or_default(),
            };
            (name, collapse_spaces(value).collect())
        };
        let payload = used.header("x-amz-content-sha256").map(str::to_owned);
        Self {
            method: used.method().to_owned(),
            path: canonicalize_path(&url.path, target.plus_meaning()),
            query: encode_query(url, PlusMeaning::Space),
            headers: names.into_iter().map(header).collect(),
            signed_headers,
            payload: payload
                .or_else(|| url.value("X-Amz-Content-Sha256"))
                .unwrap_or_else(|| UNSIGNED_PAYLOAD.to_owned()),
        }
    }

    /// Parses the canonical request in S3's error document. None when it is malformed or has too many parts.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.split(['\n', '&']).count() > 2 * MAX_URL_PARTS {
            return None;
        }
        let mut lines = text.lines();
        let (method, path, query) = (lines.next()?, lines.next()?, lines.next()?);
        let headers = lines.by_ref().map_while(|line| (!line.is_empty()).then(|| line.split_once(':')));
        let headers: Option<Vec<_>> = headers.collect();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let query = query.split('&').filter(|pair| !pair.is_empty());
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(|pair| owned(pair.split_once('=').unwrap_or((pair, "")))).collect(),
            headers: headers?.into_iter().map(owned).collect(),
            signed_headers: lines.next()?.to_owned(),
            payload: lines.next()?.to_owned(),
        })
    }

    /// The text that is hashed for the signature.
    pub(super) fn text(&self) -> String {
        self.write(|_, value| value)
    }

    /// The same text, with its secrets replaced.
    pub(super) fn redacted_text(&self) -> String {
        self.write(redact_value)
    }

    /// Writes the text. `show` returns each value of a header or a query parameter as it is to be written.
    fn write(&self, show: impl for<'v> Fn(&str, &'v str) -> &'v str) -> String {
        let mut pairs: Vec<_> = self.query.iter().collect();
        pairs.sort_unstable();
        let mut query = String::new();
        for (name, value) in pairs {
            let separator = if query.is_empty() { "" } else { "&" };
            query.extend([separator, name, "=", show(name, value)]);
        }
        let request = CanonicalRequest {
            method_line: &format!("{}\n", self.method),
            path: &self.path,
            query: &query,
            headers: ShownHeaders { request: self, show },
        };
        let mut text = String::new();
        request.write_to(&mut |piece| text.push_str(piece));
        text
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A copy with another value of a header. A header that is not signed is not added.
    pub(super) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        for (known, old) in &mut other.headers {
            if known == name {
                value.clone_into(old);
            }
        }
        other
    }

    /// A copy with this query parameter, in place of any with the same name. Name and value are not encoded.
    pub(super) fn with_parameter(&self, name: &str, value: &str) -> Self {
        let (mut new_name, mut new_value) = (String::new(), String::new());
        encode::query(name, &mut new_name);
        encode::query(value, &mut new_value);
        let mut other = self.clone();
        other.query.retain(|(known, _)| *known != new_name);
        other.query.push((new_name, new_value));
        other
    }

    /// A copy with this encoded path.
    pub(super) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    /// Copies with other meanings of `+` in the URL: in the path a space or a plus, in the query a plus.
    pub(super) fn with_other_plus_meanings(&self, url: &Url) -> [Self; 3] {
        let path = |plus| self.with_path(canonicalize_path(&url.path, plus));
        let query = Self { query: encode_query(url, PlusMeaning::Plus), ..self.clone() };
        [path(PlusMeaning::Space), path(PlusMeaning::Plus), query]
    }

    /// Whether it has a query parameter with this encoded name.
    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.query.iter().any(|(known, _)| known == name)
    }
}

/// The signed headers of a request from outside, each value as `show` returns it.
struct ShownHeaders<'a, F> {
    request: &'a CanonicalParts,
    show: F,
}

impl<F: for<'v> Fn(&str, &'v str) -> &'v str> SignedHeaders for ShownHeaders<'_, F> {
    fn write_lines(&self, sink: &mut impl FnMut(&str)) {
        for (name, value) in &self.request.headers {
            write_header(name, iter::once((self.show)(name, value)), sink);
        }
    }

    fn write_names(&self, sink: &mut impl FnMut(&str)) {
        sink(&self.request.signed_headers);
    }

    fn payload(&self) -> &str {
        &self.request.payload
    }
}

fn encode_query(url: &Url, plus: PlusMeaning) -> Vec<(String, String)> {
    let encoded = |raw: &str| canonicalize_query(raw, plus);
    let signed = url.query.iter().filter(|parameter| parameter.name() != "X-Amz-Signature");
    signed.map(|parameter| (encoded(&parameter.name), encoded(&parameter.value))).collect()
}
