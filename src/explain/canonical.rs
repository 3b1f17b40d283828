//! The canonical request of a request that came from outside, or of what S3 says that it received.

use std::iter;

use super::{
    MAX_URL_PARTS, Sent,
    authentication::Authentication,
    escapes::{self, Plus},
    url::Url,
};
use crate::presign::{
    canonical::{CanonicalRequest, SignedHeaders, UNSIGNED_PAYLOAD, folded, write_header},
    encode,
};

/// A canonical request in its parts.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Canonical {
    pub(super) method: String,
    /// Encoded.
    pub(super) path: String,
    /// Names and values, encoded; sorted when they are written.
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case, sorted, and values.
    pub(super) headers: Vec<(String, String)>,
    pub(super) signed_headers: String,
    pub(super) payload: String,
}

/// What is put in the place of a value that is nobody's business.
const HIDDEN: &str = "***";

/// Headers and query parameters whose values are secrets: session tokens and the keys of SSE-C. A signature is none in
/// a canonical request, and has no place in an explanation either.
const SECRET: [&str; 7] = [
    "x-amz-security-token",
    "x-amz-s3session-token",
    "x-amz-signature",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "authorization",
    "cookie",
];

/// A value as it may be shown.
pub(super) fn shown_value<'a>(name: &str, value: &'a str) -> &'a str {
    let secret = SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name));
    if secret && !value.is_empty() { HIDDEN } else { value }
}

impl Canonical {
    /// That of a request as it is.
    pub(super) fn of(sent: &Sent, url: &Url, auth: &Authentication, plus_in_path: Plus) -> Self {
        let mut names = auth.signed_headers.clone();
        names.sort_unstable();
        names.dedup();
        let signed_headers = names.join(";");
        let header = |name: String| {
            let value = match name.as_str() {
                "host" => sent.host(url),
                _ => sent.header(&name).unwrap_or_default(),
            };
            (name, folded(value).collect())
        };
        let payload = sent.header("x-amz-content-sha256").map(str::to_owned);
        Self {
            method: sent.method().to_owned(),
            path: escapes::canonical_path(&url.path, plus_in_path),
            query: query(url, Plus::Space),
            headers: names.into_iter().map(header).collect(),
            signed_headers,
            payload: payload
                .or_else(|| url.value("X-Amz-Content-Sha256"))
                .unwrap_or_else(|| UNSIGNED_PAYLOAD.to_owned()),
        }
    }

    /// The same, with every `+` of the URL read otherwise: in the path either way, in the query as a plus.
    pub(super) fn with_other_pluses(&self, url: &Url) -> [Self; 3] {
        let path = |plus| self.with_path(escapes::canonical_path(&url.path, plus));
        let query = Self { query: query(url, Plus::Plus), ..self.clone() };
        [path(Plus::Space), path(Plus::Plus), query]
    }

    /// What S3 says that it received; nothing when it is no canonical request, or has more parts than are looked at.
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

    /// The text that is hashed.
    pub(super) fn text(&self) -> String {
        self.write(|_, value| value)
    }

    /// The text without what is secret in it.
    pub(super) fn shown(&self) -> String {
        self.write(shown_value)
    }

    fn write(&self, value_of: impl for<'a> Fn(&str, &'a str) -> &'a str) -> String {
        let mut pairs: Vec<_> = self.query.iter().collect();
        pairs.sort_unstable();
        let mut query = String::new();
        for (name, value) in pairs {
            let separator = if query.is_empty() { "" } else { "&" };
            query.extend([separator, name, "=", value_of(name, value)]);
        }
        let request = CanonicalRequest {
            method_line: &format!("{}\n", self.method),
            path: &self.path,
            query: &query,
            headers: SentHeaders { request: self, value_of },
        };
        let mut text = String::new();
        request.write_to(&mut |piece| text.push_str(piece));
        text
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same with another value of a header that is there.
    pub(super) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        for (known, old) in &mut other.headers {
            if known == name {
                value.clone_into(old);
            }
        }
        other
    }

    /// The same with a query parameter, in the place of the one of its name; nothing is encoded yet.
    pub(super) fn with_parameter(&self, name: &str, value: &str) -> Self {
        let (mut new_name, mut new_value) = (String::new(), String::new());
        encode::query(name, &mut new_name);
        encode::query(value, &mut new_value);
        let mut other = self.clone();
        other.query.retain(|(known, _)| *known != new_name);
        other.query.push((new_name, new_value));
        other
    }

    pub(super) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.query.iter().any(|(known, _)| known == name)
    }
}

/// The headers of a request from outside, with their values as `value_of` shows them.
struct SentHeaders<'a, F> {
    request: &'a Canonical,
    value_of: F,
}

impl<F: for<'v> Fn(&str, &'v str) -> &'v str> SignedHeaders for SentHeaders<'_, F> {
    fn write_lines(&self, sink: &mut impl FnMut(&str)) {
        for (name, value) in &self.request.headers {
            write_header(name, iter::once((self.value_of)(name, value)), sink);
        }
    }

    fn write_names(&self, sink: &mut impl FnMut(&str)) {
        sink(&self.request.signed_headers);
    }

    fn payload(&self) -> &str {
        &self.request.payload
    }
}

fn query(url: &Url, plus: Plus) -> Vec<(String, String)> {
    let encoded = |raw: &str| escapes::canonical_query(raw, plus);
    let signed = url.query.iter().filter(|parameter| parameter.name() != "X-Amz-Signature");
    signed.map(|parameter| (encoded(&parameter.name), encoded(&parameter.value))).collect()
}
