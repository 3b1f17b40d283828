//! The canonical request of SigV4: the only code that writes one.
//!
//! Source: [Create a canonical request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-canonical-request).

use std::borrow::Cow;

use super::{operation::HttpMethod, parameters::Headers};

/// The payload hash of every presigned URL: S3 does not check the body against the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of a canonical request, all encoded and borrowed. `H` is a type parameter, so that signing a URL and
/// checking a received request are compiled separately, and signing is as fast as without the other.
pub struct CanonicalRequest<'a, H> {
    /// The HTTP method and a line feed, see [`method_line`].
    pub method_line: &'a str,
    /// The encoded path.
    pub path: &'a str,
    /// The encoded and sorted query, without the signature.
    pub query: &'a str,
    /// The signed headers.
    pub headers: H,
}

/// The signed headers of a canonical request, and the hash of its payload.
pub trait SignedHeaders {
    /// Writes a line for each header to `sink`, sorted by name; see [`write_header`].
    fn write_lines(&self, sink: &mut impl FnMut(&str));

    /// Writes the names to `sink`, sorted and joined by `;`.
    fn write_names(&self, sink: &mut impl FnMut(&str));

    /// The hash of the payload.
    fn payload(&self) -> &str;

    /// What `write_tail` writes for these headers, if it was computed before.
    fn precomputed_tail(&self) -> Option<&str> {
        None
    }
}

impl<H: SignedHeaders> CanonicalRequest<'_, H> {
    /// Writes the canonical request to `sink`, in pieces.
    pub fn write_to(&self, sink: &mut impl FnMut(&str)) {
        for piece in [self.method_line, self.path, "\n", self.query] {
            sink(piece);
        }
        match self.headers.precomputed_tail() {
            Some(tail) => sink(tail),
            None => write_tail(&self.headers, sink),
        }
    }
}

/// Writes everything after the query to `sink`.
#[inline]
fn write_tail(headers: &impl SignedHeaders, sink: &mut impl FnMut(&str)) {
    sink("\n");
    headers.write_lines(sink);
    sink("\n");
    headers.write_names(sink);
    sink("\n");
    sink(headers.payload());
}

/// Writes the line of one header to `sink`. The pieces of the value are in canonical form, see [`collapse_spaces`].
#[inline]
pub fn write_header<'a>(name: &str, value: impl Iterator<Item = &'a str>, sink: &mut impl FnMut(&str)) {
    sink(name);
    sink(":");
    value.for_each(&mut *sink);
    sink("\n");
}

/// A header's value in canonical form, in pieces: without leading or trailing spaces, and with single spaces inside.
#[inline]
pub fn collapse_spaces(value: &str) -> impl Iterator<Item = &str> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    words.next().into_iter().chain(words.flat_map(|word| [" ", word]))
}

/// The first line of the canonical request of a URL.
#[inline]
pub fn method_line(method: HttpMethod<'_>) -> Cow<'static, str> {
    match method {
        HttpMethod::Other(_) => Cow::Owned(format!("{}\n", method.as_str())),
        known => Cow::Borrowed(known.canonical_line()),
    }
}

/// The signed headers of a URL to sign.
pub struct UrlHeaders<'a> {
    /// The host of the URL.
    pub host: &'a Host,
    /// The signed headers other than `host`.
    pub headers: &'a Headers<'a>,
}

impl SignedHeaders for UrlHeaders<'_> {
    #[inline]
    fn write_lines(&self, sink: &mut impl FnMut(&str)) {
        for_each_signed(self.headers, &self.host.name, &mut |name, value| {
            write_header(name, collapse_spaces(value), sink);
        });
    }

    fn write_names(&self, sink: &mut impl FnMut(&str)) {
        write_signed_names(self.headers, sink);
    }

    fn payload(&self) -> &str {
        UNSIGNED_PAYLOAD
    }

    fn precomputed_tail(&self) -> Option<&str> {
        self.headers.is_empty().then_some(self.host.tail.as_str())
    }
}

/// A host, with the precomputed tail of the canonical request of a URL that signs no other header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    name: String,
    tail: String,
}

impl Host {
    /// `name` is the value of the `Host` header.
    pub fn new(name: String) -> Self {
        let mut host = Self { name, tail: String::new() };
        let mut tail = String::new();
        write_tail(&UrlHeaders { host: &host, headers: &Headers::default() }, &mut |piece| {
            tail.push_str(piece);
        });
        host.tail = tail;
        host
    }

    /// The value of the `Host` header.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Writes the names of the signed headers to `sink`, joined by `;`.
pub fn write_signed_names(headers: &Headers<'_>, sink: &mut impl FnMut(&str)) {
    let mut separator = "";
    for_each_signed(headers, "", &mut |name, _| {
        sink(separator);
        sink(name);
        separator = ";";
    });
}

/// Calls `visit` for `host` and the other headers, sorted by name.
#[inline]
fn for_each_signed<'a>(headers: &'a Headers<'_>, host: &'a str, visit: &mut impl FnMut(&'a str, &'a str)) {
    let mut host = Some(host);
    for (name, value) in headers.iter() {
        if name > "host"
            && let Some(host) = host.take()
        {
            visit("host", host);
        }
        visit(name, value);
    }
    if let Some(host) = host {
        visit("host", host);
    }
}
