//! A request with a presigned URL, as the client sent it, with its limits.

use thiserror::Error;

use super::{
    redact::Secrets,
    url::Url,
    url_error::{UrlError, find_copy_damage, find_white_space},
};
use crate::presign::parameters::{MAX_PARAMETERS, MAX_VALUE_BYTES, is_token};

/// The longest URL that is explained. One of S3 is far shorter, even with a long session token and key.
pub const MAX_URL_BYTES: usize = 64 * 1024;

/// The longest error body that is read. The error documents of S3 have a few kilobytes.
pub const MAX_ERROR_BODY_BYTES: usize = 256 * 1024;

/// The most query parameters, and the most signed headers, of a URL. presignd signs fewer.
pub const MAX_URL_PARTS: usize = 256;

/// A request with a presigned URL, as the client sent it.
pub struct UsedRequest {
    method: String,
    url: Option<Url>,
    /// White space or control characters in the URL.
    white_space: Option<UrlError>,
    /// How copying damaged the URL. It matters only when S3 could not read the URL.
    copy_damage: Option<UrlError>,
    secrets: Secrets,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

/// Why a request cannot be explained. No sentence contains the URL or the value of a header: they are secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UsedRequestError {
    /// No URL.
    #[error("url is empty: give the whole URL that was used")]
    NoUrl,
    /// A URL of this many bytes.
    #[error("url has {0} bytes: the limit is {MAX_URL_BYTES}")]
    UrlTooLong(usize),
    /// Too many query parameters or signed headers.
    #[error("url has too many query parameters or signed headers: the limit is {MAX_URL_PARTS} of each")]
    TooManyParts,
    /// No method.
    #[error("method is empty: give the HTTP method that was used, such as GET")]
    NoMethod,
    /// Not a method.
    #[error("method is not an HTTP method: give one such as GET or PUT")]
    Method,
    /// Too many headers.
    #[error("headers has too many entries: the limit is {MAX_PARAMETERS}")]
    TooManyHeaders,
    /// This is not a header name.
    #[error("{0:?} is not a header name: header names have letters, digits and !#$%&'*+-.^_`|~")]
    HeaderName(String),
    /// This header has a long name or value.
    #[error("header {0} is too long: the limit is {MAX_VALUE_BYTES} bytes, for its name and for its value")]
    HeaderTooLong(String),
    /// This header occurs more than once.
    #[error("header {0} is given twice: give it once, names are case-insensitive")]
    HeaderTwice(String),
    /// An error body of this many bytes.
    #[error("s3_error_body has {0} bytes: the limit is {MAX_ERROR_BODY_BYTES}")]
    ErrorBodyTooLong(usize),
}

impl UsedRequestError {
    /// The field of `ExplainRequest` that is wrong.
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

impl UsedRequest {
    /// Checks a request. Ignores white space around the URL, and converts the method to capitals.
    ///
    /// # Errors
    /// When the URL or the method is missing, a method or a header name is malformed, or a limit is exceeded. A URL that
    /// S3 could not read is not an error here: the explanation reports it.
    pub fn new<'a>(
        url: &str,
        method: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, UsedRequestError> {
        let url = url.trim();
        match url.len() {
            0 => return Err(UsedRequestError::NoUrl),
            1..=MAX_URL_BYTES => {}
            length => return Err(UsedRequestError::UrlTooLong(length)),
        }
        let parsed = Url::parse(url);
        if parsed.as_ref().is_some_and(has_too_many_parts) {
            return Err(UsedRequestError::TooManyParts);
        }
        if method.is_empty() {
            return Err(UsedRequestError::NoMethod);
        }
        if method.len() > 32 || !method.bytes().all(is_token) {
            return Err(UsedRequestError::Method);
        }
        Ok(Self {
            method: method.to_ascii_uppercase(),
            white_space: find_white_space(url, parsed.as_ref()),
            copy_damage: find_copy_damage(url),
            secrets: Secrets::find(url),
            url: parsed,
            headers: check_headers(headers)?,
        })
    }

    /// The method, in capitals.
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// The URL in its parts; None when it is not a URL.
    pub(super) fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// White space or control characters in the URL.
    pub(super) fn white_space(&self) -> Option<&UrlError> {
        self.white_space.as_ref()
    }

    /// How copying damaged the URL, of which `error` may be only a consequence; `error` when it did not.
    pub(super) fn prefer_copy_damage(&self, error: UrlError) -> UrlError {
        self.copy_damage.clone().unwrap_or(error)
    }

    /// The secrets in the URL.
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

    /// The value of the Host header: as given, else as a client derives it from the URL.
    pub(super) fn host<'a>(&'a self, url: &'a Url) -> &'a str {
        self.header("host").unwrap_or_else(|| url.host())
    }
}

fn has_too_many_parts(url: &Url) -> bool {
    let signed = url.value("X-Amz-SignedHeaders").unwrap_or_default();
    url.query.len() > MAX_URL_PARTS || signed.split(';').count() > MAX_URL_PARTS
}

fn check_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(String, String)>, UsedRequestError> {
    let mut known: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.trim().to_ascii_lowercase();
        let short = || name.chars().take(64).collect();
        if known.len() == MAX_PARAMETERS {
            return Err(UsedRequestError::TooManyHeaders);
        }
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(UsedRequestError::HeaderName(short()));
        }
        if value.len() > MAX_VALUE_BYTES || name.len() > MAX_VALUE_BYTES {
            return Err(UsedRequestError::HeaderTooLong(short()));
        }
        if known.iter().any(|(other, _)| *other == name) {
            return Err(UsedRequestError::HeaderTwice(short()));
        }
        known.push((name, value.trim().to_owned()));
    }
    Ok(known)
}
