//! The canonical request of SigV4 for a presigned URL.
//!
//! Source: [Create a canonical request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-canonical-request).

use super::{operation::Method, parameters::Headers};

/// The payload hash of every presigned URL: S3 does not check the body against the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// A request in canonical form, in pieces that lie elsewhere.
pub struct CanonicalRequest<'a> {
    /// The HTTP method.
    pub method: Method<'a>,
    /// The encoded path.
    pub path: &'a str,
    /// The encoded and sorted query, without the signature.
    pub query: &'a str,
    /// Where it goes.
    pub host: &'a Host,
    /// The signed headers beside `host`.
    pub headers: &'a Headers<'a>,
}

/// A host, with the end of the canonical request of whatever signs no header beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    name: String,
    end: String,
}

impl Host {
    /// `name` is the value of the `Host` header.
    pub fn new(name: String) -> Self {
        let mut end = String::new();
        write_end(&Headers::default(), &name, &mut |piece| end.push_str(piece));
        Self { name, end }
    }

    /// The value of the `Host` header.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl CanonicalRequest<'_> {
    /// Hands every piece of the canonical request to `sink`, in order.
    pub fn write_to(&self, sink: &mut impl FnMut(&str)) {
        if let Method::Other(_) = self.method {
            sink(self.method.as_str());
            sink("\n");
        }
        for piece in [self.method.line(), self.path, "\n", self.query] {
            sink(piece);
        }
        if self.headers.is_empty() {
            sink(&self.host.end);
        } else {
            write_end(self.headers, &self.host.name, sink);
        }
    }
}

/// Everything behind the query.
fn write_end(headers: &Headers<'_>, host: &str, sink: &mut impl FnMut(&str)) {
    sink("\n");
    for_each_signed(headers, host, &mut |name, value| {
        sink(name);
        sink(":");
        folded(value).for_each(&mut *sink);
        sink("\n");
    });
    sink("\n");
    write_signed_names(headers, sink);
    sink("\n");
    sink(UNSIGNED_PAYLOAD);
}

/// A header's value in canonical form, in pieces: without spaces around it, and with one where several are in a row.
pub(crate) fn folded(value: &str) -> impl Iterator<Item = &str> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    words.next().into_iter().chain(words.flat_map(|word| [" ", word]))
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
