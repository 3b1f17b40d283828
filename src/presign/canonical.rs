//! The canonical request of SigV4, and its one layout in this program.
//!
//! Source: [Create a canonical request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-canonical-request).

use std::borrow::Cow;

use super::{operation::Method, parameters::Headers};

/// The payload hash of every presigned URL: S3 does not check the body against the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// A request in canonical form, whose pieces are borrowed. `H` differs between URLs that are signed here and requests
/// from outside; each is compiled for itself, so that signing pays nothing for the other.
pub struct CanonicalRequest<'a, H> {
    /// The HTTP method and a line feed: one piece, see [`method_line`].
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
    /// Hands a line for each header to `sink`, sorted by name; see [`write_header`].
    fn write_lines(&self, sink: &mut impl FnMut(&str));

    /// Hands the names to `sink`, sorted and joined by `;`.
    fn write_names(&self, sink: &mut impl FnMut(&str));

    /// The hash of the payload.
    fn payload(&self) -> &str;

    /// What [`write_end`] writes for these headers, where it was written before.
    fn prepared_end(&self) -> Option<&str> {
        None
    }
}

impl<H: SignedHeaders> CanonicalRequest<'_, H> {
    /// Hands every piece of the canonical request to `sink`, in order.
    pub fn write_to(&self, sink: &mut impl FnMut(&str)) {
        for piece in [self.method_line, self.path, "\n", self.query] {
            sink(piece);
        }
        match self.headers.prepared_end() {
            Some(end) => sink(end),
            None => write_end(&self.headers, sink),
        }
    }
}

/// Hands everything after the query to `sink`.
fn write_end(headers: &impl SignedHeaders, sink: &mut impl FnMut(&str)) {
    sink("\n");
    headers.write_lines(sink);
    sink("\n");
    headers.write_names(sink);
    sink("\n");
    sink(headers.payload());
}

/// Hands the line of one header to `sink`. The pieces of the value are in canonical form, see [`folded`].
pub fn write_header<'a>(name: &str, value: impl Iterator<Item = &'a str>, sink: &mut impl FnMut(&str)) {
    sink(name);
    sink(":");
    value.for_each(&mut *sink);
    sink("\n");
}

/// A header's value in canonical form, in pieces: without spaces around it, and with one where several are in a row.
pub fn folded(value: &str) -> impl Iterator<Item = &str> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    words.next().into_iter().chain(words.flat_map(|word| [" ", word]))
}

/// The first line of the canonical request of a URL that is signed here.
pub fn method_line(method: Method<'_>) -> Cow<'static, str> {
    match method {
        Method::Other(_) => Cow::Owned(format!("{}\n", method.as_str())),
        known => Cow::Borrowed(known.line()),
    }
}

/// The headers of a URL that is signed here.
pub struct UrlHeaders<'a> {
    /// Where the URL goes.
    pub host: &'a Host,
    /// The signed headers other than `host`.
    pub headers: &'a Headers<'a>,
}

impl SignedHeaders for UrlHeaders<'_> {
    fn write_lines(&self, sink: &mut impl FnMut(&str)) {
        for_each_signed(self.headers, &self.host.name, &mut |name, value| {
            write_header(name, folded(value), sink);
        });
    }

    fn write_names(&self, sink: &mut impl FnMut(&str)) {
        write_signed_names(self.headers, sink);
    }

    fn payload(&self) -> &str {
        UNSIGNED_PAYLOAD
    }

    fn prepared_end(&self) -> Option<&str> {
        self.headers.is_empty().then_some(self.host.end.as_str())
    }
}

/// A host, with the end of the canonical request of a URL that signs no other header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    name: String,
    end: String,
}

impl Host {
    /// `name` is the value of the `Host` header.
    pub fn new(name: String) -> Self {
        let mut host = Self { name, end: String::new() };
        let mut end = String::new();
        write_end(&UrlHeaders { host: &host, headers: &Headers::default() }, &mut |piece| {
            end.push_str(piece);
        });
        host.end = end;
        host
    }

    /// The value of the `Host` header.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Hands the names of the signed headers to `sink`, joined by `;`.
pub fn write_signed_names(headers: &Headers<'_>, sink: &mut impl FnMut(&str)) {
    let mut separator = "";
    for_each_signed(headers, "", &mut |name, _| {
        sink(separator);
        sink(name);
        separator = ";";
    });
}

/// Visits `host` and the other headers, sorted by name.
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
