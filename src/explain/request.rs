//! A request with a presigned URL, as it was used: checked as it comes in, and its URL split into parts.

use percent_encoding::{percent_decode_str, percent_encode_byte};
use thiserror::Error;

use super::redact::Secrets;
use crate::presign::{
    encode,
    parameters::{MAX_PARAMETERS, MAX_VALUE_BYTES, is_token},
};

/// The longest URL that is explained. S3's session tokens and keys leave it far below.
pub const MAX_URL_BYTES: usize = 64 * 1024;

/// The longest answer of S3 that is read. Its error documents have a few kilobytes.
pub const MAX_ERROR_BODY_BYTES: usize = 256 * 1024;

/// The most query parameters that are read, and the most signed headers: more than presignd signs.
pub const MAX_URL_PARTS: usize = 256;

/// A request with a presigned URL, as it was used.
pub struct UsedRequest {
    method: String,
    url: Option<Url>,
    white_space: Option<Flaw>,
    /// How the URL was damaged when it was copied; only of interest when S3 could not read it.
    copy_damage: Option<Flaw>,
    secrets: Secrets,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

/// Why a request cannot be explained. No error repeats the URL or the value of a header: they are secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UsedRequestError {
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

impl UsedRequestError {
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

impl UsedRequest {
    /// Checks a request. White space around the URL is ignored, and the method is written in capitals.
    ///
    /// # Errors
    /// When there is no URL or no method, or something is longer than is read. A URL that S3 could not read is no error
    /// here: the explanation says what is wrong with it.
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
            white_space: white_space(url, parsed.as_ref()),
            copy_damage: find_copy_damage(url),
            secrets: Secrets::find(url),
            url: parsed,
            headers: check_headers(headers)?,
        })
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// None when the text is not a URL.
    pub(super) fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// White space or control characters in the URL.
    pub(super) fn white_space(&self) -> Option<&Flaw> {
        self.white_space.as_ref()
    }

    /// How copying damaged the URL, if it did; else `flaw`, which may only be a consequence.
    pub(super) fn copy_damage_or(&self, flaw: Flaw) -> Flaw {
        self.copy_damage.clone().unwrap_or(flaw)
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

    /// The value of the Host header: the given one, else the one that a client derives from the URL.
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

/// Why a text is no presigned URL that S3 could read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Flaw {
    /// No URL at all.
    #[error("this is not a URL: it must begin with http:// or https:// and have a host")]
    NotAUrl,
    /// White space or a control character.
    #[error("the URL has white space or a line break in it: it was wrapped or cut when it was copied")]
    WhiteSpace,
    /// Spaces in the path, and nowhere else.
    #[error("the URL has a space in its path: a space is written %20")]
    Space,
    /// A URL without a signature.
    #[error(
        "this is not a presigned URL: its query has no X-Amz-Signature and none of the parameters beside it"
    )]
    NotPresigned,
    /// Signature Version 2.
    #[error(
        "this URL is signed with Signature Version 2 (AWSAccessKeyId, Signature, Expires), which S3 takes in old \
         regions at most and S3 on Outposts never: sign it with Signature Version 4"
    )]
    SigV2,
    /// Another service's signed URL.
    #[error("this is a signed URL of {0}, not of S3: presignd cannot explain it")]
    Foreign(&'static str),
    /// Copied with the escapes of a document that it stood in.
    #[error("the URL was copied out of {0}: & is written as {1} in it, write & again")]
    Escaped(&'static str, &'static str),
    /// The query became a part of the path.
    #[error(
        "the ? before the query is written as %3F, so that the query is a part of the key: write ? again"
    )]
    QuestionMark,
    /// Encoded as a whole.
    #[error(
        "the whole URL was encoded twice, as encodeURI does with one that is encoded already: use it as it was signed"
    )]
    EncodedTwice,
    /// Parameters are missing.
    #[error("the URL lacks {}: it was cut, or a proxy dropped a part of its query", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// A parameter is there twice.
    #[error("the URL has {0} twice: something added it to a URL that was signed already")]
    Twice(&'static str),
    /// Signed in the query and in a header.
    #[error(
        "the request has an Authorization header beside the presigned URL: S3 takes one of the two, so leave the header out"
    )]
    TwoWays,
    /// An algorithm that there is not.
    #[error("X-Amz-Algorithm is neither AWS4-HMAC-SHA256 nor AWS4-ECDSA-P256-SHA256")]
    Algorithm,
    /// The credential has another form.
    #[error(
        "X-Amz-Credential does not have the form ACCESS-KEY-ID/YYYYMMDD/REGION/SERVICE/aws4_request \
         (without the region for AWS4-ECDSA-P256-SHA256)"
    )]
    Credential,
    /// The date has another form.
    #[error("X-Amz-Date does not have the form YYYYMMDDTHHMMSSZ, or is no time")]
    Date,
    /// The dates differ.
    #[error("the date in X-Amz-Credential is not that of X-Amz-Date")]
    ScopeDate,
    /// A lifetime that S3 does not grant.
    #[error("X-Amz-Expires is not a number of seconds from 1 to 604800 (7 days)")]
    Expires,
    /// The host is not signed.
    #[error("X-Amz-SignedHeaders does not name host: S3 wants it signed")]
    HostUnsigned,
}

/// `&` as other documents write it, in lower case; what the documents are; and how the finding writes it.
const ESCAPED: [(&str, &str, &str); 6] = [
    ("\\u0026", "JSON", "\\u0026"),
    ("&amp;", "HTML or XML", "&amp;"),
    ("&#38;", "HTML or XML", "&#38;"),
    ("&#038;", "HTML or XML", "&#038;"),
    ("&#x26;", "HTML or XML", "&#x26;"),
    ("\\x26", "JavaScript", "\\x26"),
];

/// What authentication parameters begin with, in lower case.
const PARAMETERS: [&str; 2] = ["x-amz-", "awsaccesskeyid="];

/// How a URL was damaged when it was copied out of a document or encoded as a whole.
fn find_copy_damage(text: &str) -> Option<Flaw> {
    let lower = text.to_ascii_lowercase();
    let is_before_parameter = |sign: &str| {
        let mut rests = lower.match_indices(sign).map(|(index, _)| &lower[index + sign.len()..]);
        rests.any(|rest| PARAMETERS.iter().any(|name| rest.starts_with(name)))
    };
    if let Some((_, document, written)) = ESCAPED.iter().find(|(sign, ..)| is_before_parameter(sign)) {
        return Some(Flaw::Escaped(document, written));
    }
    if ["https%3a%2f%2f", "http%3a%2f%2f"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Some(Flaw::EncodedTwice);
    }
    is_before_parameter("%3f").then_some(Flaw::QuestionMark)
}

/// An `http` or `https` URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Host and port, as they are written.
    pub(super) authority: String,
    /// The default port of the scheme, after a colon.
    pub(super) default_port: &'static str,
    /// Not decoded; it begins with a slash.
    pub(super) path: String,
    /// In the order of the URL.
    pub(super) query: Vec<Parameter>,
    /// There is a `#`: what follows it is never sent.
    pub(super) has_fragment: bool,
}

/// A parameter of a query, as it is written.
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
    /// Splits a URL and changes nothing in it. None when no request could be sent to it.
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
        // A user and a password are for the client, and no part of the Host header.
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

    /// What a client sends as the Host header.
    pub(super) fn host(&self) -> &str {
        self.authority.strip_suffix(self.default_port).unwrap_or(&self.authority)
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

/// What a `+` in a URL stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PlusMeaning {
    /// A plus, as in paths.
    Plus,
    /// A space, as in queries of forms; S3 reads the query so.
    Space,
}

/// The text that a percent-encoded one stands for. An invalid escape stands for itself; invalid UTF-8 is replaced.
pub(super) fn decode(raw: &str, plus: PlusMeaning) -> String {
    String::from_utf8_lossy(&decode_bytes(raw, plus)).into_owned()
}

/// A path in canonical form: decoded and encoded again.
pub(super) fn canonical_path(raw: &str, plus: PlusMeaning) -> String {
    reencode(raw, plus, encode::path)
}

/// A name or a value of a query in canonical form.
pub(super) fn canonical_query(raw: &str, plus: PlusMeaning) -> String {
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

/// Whether a text has a valid percent-escape in it.
pub(super) fn has_escape(text: &str) -> bool {
    percent_decode_str(text).count() < text.len()
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
            ("%c3%zz%A9", "\u{fffd}%zz\u{fffd}", "%C3%25zz%A9", "%C3%25zz%A9"),
        ] {
            assert_eq!(decode(raw, PlusMeaning::Plus), text, "{raw}");
            assert_eq!(canonical_path(raw, PlusMeaning::Plus), path, "{raw}");
            assert_eq!(canonical_query(raw, PlusMeaning::Space), query, "{raw}");
        }
    }

    #[test]
    fn only_two_hexadecimal_digits_make_an_escape() {
        for (text, has) in [("a%20b", true), ("%é%41", true), ("100%", false), ("%zz%2", false), ("", false)]
        {
            assert_eq!(has_escape(text), has, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_that_was_encoded_is_read_back_and_its_canonical_form_is_itself(text in any::<String>()) {
            let (mut path, mut query) = (String::new(), String::new());
            encode::path(&text, &mut path);
            encode::query(&text, &mut query);
            prop_assert_eq!(&decode(&path, PlusMeaning::Space), &text);
            prop_assert_eq!(&decode(&query, PlusMeaning::Plus), &text);
            prop_assert_eq!(canonical_path(&path, PlusMeaning::Plus), path);
            prop_assert_eq!(canonical_query(&query, PlusMeaning::Space), query);
        }

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
