//! The request that somebody made with a presigned URL: checked as it comes in.

use thiserror::Error;

use super::{flaw::Flaw, scrub::Secrets, url::Url};
use crate::presign::parameters::{MAX_PARAMETERS, MAX_VALUE_BYTES, is_token};

/// The longest URL that is explained. S3's session tokens and keys leave it far below.
pub const MAX_URL_BYTES: usize = 64 * 1024;

/// The longest answer of S3 that is read. Its error documents have a few kilobytes.
pub const MAX_ERROR_BODY_BYTES: usize = 256 * 1024;

/// The most query parameters that are looked at, and the most signed headers: more than presignd signs.
pub const MAX_URL_PARTS: usize = 256;

/// A request with a presigned URL, as it was used.
pub struct Sent {
    method: String,
    url: Option<Url>,
    white_space: Option<Flaw>,
    /// How it was damaged when it was copied, if it cannot be read.
    copied: Option<Flaw>,
    secrets: Secrets,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

/// Why a request cannot be explained. No error repeats the URL or the value of a header: they are secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SentError {
    /// There is no URL.
    #[error("url is empty: give the whole URL, as it was used")]
    NoUrl,
    /// A long URL.
    #[error("url has {0} bytes: at most {MAX_URL_BYTES} are read")]
    UrlTooLong(usize),
    /// Many query parameters or signed headers.
    #[error("url has more than {MAX_URL_PARTS} query parameters or signed headers")]
    TooManyParts,
    /// There is no method.
    #[error("method is empty: give the HTTP method with which the URL was used, such as GET")]
    NoMethod,
    /// Not a method.
    #[error("method is not an HTTP method: write it as GET or PUT")]
    Method,
    /// Many headers.
    #[error("more than {MAX_PARAMETERS} headers")]
    TooManyHeaders,
    /// Not a header name.
    #[error("{0:?} is not a header name: header names have letters, digits and !#$%&'*+-.^_`|~")]
    HeaderName(String),
    /// A long header.
    #[error("the value of header {0} is longer than {MAX_VALUE_BYTES} bytes")]
    HeaderTooLong(String),
    /// A header twice.
    #[error("header {0} is given twice: names are compared without regard to case")]
    HeaderTwice(String),
    /// A long error body.
    #[error("s3_error_body has {0} bytes: at most {MAX_ERROR_BODY_BYTES} are read")]
    ErrorBodyTooLong(usize),
}

impl SentError {
    /// The field of the contract that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoUrl | Self::UrlTooLong(_) | Self::TooManyParts => "url",
            Self::NoMethod | Self::Method => "method",
            Self::TooManyHeaders | Self::HeaderName(_) | Self::HeaderTooLong(_) | Self::HeaderTwice(_) => {
                "headers"
            }
            Self::ErrorBodyTooLong(_) => "s3_error_body",
        }
    }
}

impl Sent {
    /// A request as it was made. White space around the URL is left aside, and a method is written in capitals.
    ///
    /// # Errors
    /// When there is no URL or no method, or something is longer than is read. A bad URL is no error: it is what is to be
    /// explained.
    pub fn new<'a>(
        url: &str,
        method: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, SentError> {
        let url = url.trim();
        match url.len() {
            0 => return Err(SentError::NoUrl),
            1..=MAX_URL_BYTES => {}
            length => return Err(SentError::UrlTooLong(length)),
        }
        let parsed = Url::parse(url);
        if parsed.as_ref().is_some_and(has_too_many_parts) {
            return Err(SentError::TooManyParts);
        }
        if method.is_empty() {
            return Err(SentError::NoMethod);
        }
        if method.len() > 32 || !method.bytes().all(is_token) {
            return Err(SentError::Method);
        }
        Ok(Self {
            method: method.to_ascii_uppercase(),
            white_space: white_space(url, parsed.as_ref()),
            copied: Flaw::of_copy(url),
            secrets: Secrets::of(url),
            url: parsed,
            headers: checked(headers)?,
        })
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Nothing when it is none.
    pub(super) fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// White space or control characters in the URL.
    pub(super) fn white_space(&self) -> Option<&Flaw> {
        self.white_space.as_ref()
    }

    /// What makes the URL one that cannot be read, where copying did; otherwise the flaw that is given.
    pub(super) fn copied_or(&self, flaw: Flaw) -> Flaw {
        self.copied.clone().unwrap_or(flaw)
    }

    /// What is secret in the URL.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The names of all headers, in lower case.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }

    /// The value of the Host header: the one that was given, or else the one that a client makes of the URL.
    pub(super) fn host<'a>(&'a self, url: &'a Url) -> &'a str {
        self.header("host").unwrap_or_else(|| url.host())
    }
}

fn white_space(text: &str, url: Option<&Url>) -> Option<Flaw> {
    let is_one = |c: char| c.is_whitespace() || c.is_control();
    let count = text.matches(is_one).count();
    let in_path = url.map_or(0, |url| url.path.matches(' ').count());
    match count {
        0 => None,
        _ if count == in_path => Some(Flaw::Space),
        _ => Some(Flaw::WhiteSpace),
    }
}

fn has_too_many_parts(url: &Url) -> bool {
    let signed = url.value("X-Amz-SignedHeaders").unwrap_or_default();
    url.query.len() > MAX_URL_PARTS || signed.split(';').count() > MAX_URL_PARTS
}

fn checked<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(String, String)>, SentError> {
    let mut known: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.trim().to_ascii_lowercase();
        let short = || name.chars().take(64).collect();
        if known.len() == MAX_PARAMETERS {
            return Err(SentError::TooManyHeaders);
        }
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(SentError::HeaderName(short()));
        }
        if value.len() > MAX_VALUE_BYTES || name.len() > MAX_VALUE_BYTES {
            return Err(SentError::HeaderTooLong(short()));
        }
        if known.iter().any(|(other, _)| *other == name) {
            return Err(SentError::HeaderTwice(short()));
        }
        known.push((name, value.trim().to_owned()));
    }
    Ok(known)
}
