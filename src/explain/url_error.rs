//! Why a text is not a presigned URL that S3 could read, and how copying damaged it.

use thiserror::Error;

use super::url::Url;

/// Why a text is not a presigned URL that S3 could read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("this is not a URL: it must begin with http:// or https:// and have a host")]
    NotAUrl,
    /// White space or a control character.
    #[error("the URL contains white space or a line break: it was wrapped or cut, copy it again as one line")]
    WhiteSpace,
    /// Spaces, all of them in the path.
    #[error("the URL has a space in its path: write %20")]
    SpaceInPath,
    /// No authentication parameters of Signature Version 4.
    #[error(
        "this is not a presigned URL, its query has none of X-Amz-Algorithm, X-Amz-Credential and X-Amz-Signature: give \
         the whole URL with its query"
    )]
    NotPresigned,
    /// Signature Version 2.
    #[error(
        "this URL is signed with Signature Version 2 (AWSAccessKeyId, Signature, Expires), which S3 accepts only in old \
         regions and S3 on Outposts never: sign it with Signature Version 4"
    )]
    SigV2,
    /// The signed URL of this other service.
    #[error("this URL is signed for {0}, not for S3: presignd cannot explain it")]
    OtherService(&'static str),
    /// Copied from this kind of document, in which `&` is written so.
    #[error("the URL was copied from {0} with its escapes: replace each {1} with &")]
    CopiedEscapes(&'static str, &'static str),
    /// The query became a part of the path.
    #[error("the ? before the query is written as %3F, so S3 reads the query as part of the key: write ?")]
    QuestionMarkEncoded,
    /// Percent-encoded as a whole.
    #[error("the whole URL was encoded twice, for example by encodeURI: use it exactly as signed")]
    EncodedTwice,
    /// These required parameters are missing.
    #[error("the URL lacks {}: it was cut off, or a proxy removed part of its query; use the whole URL", .0.join(", "))]
    ParametersMissing(Vec<&'static str>),
    /// This parameter occurs more than once.
    #[error("the URL has {0} twice: one was added after signing, use the URL exactly as signed")]
    DuplicateParameter(&'static str),
    /// Authenticated in the query and in a header.
    #[error(
        "the request has an Authorization header in addition to a presigned URL, but S3 accepts only one of them: remove \
         the header"
    )]
    AuthorizationHeader,
    /// An unknown algorithm.
    #[error("X-Amz-Algorithm is neither AWS4-HMAC-SHA256 nor AWS4-ECDSA-P256-SHA256: S3 accepts no other")]
    Algorithm,
    /// A malformed credential.
    #[error(
        "X-Amz-Credential is malformed: it must be ACCESS-KEY-ID/YYYYMMDD/REGION/SERVICE/aws4_request (without the region \
         for AWS4-ECDSA-P256-SHA256)"
    )]
    Credential,
    /// A malformed date, or one that does not exist.
    #[error("X-Amz-Date is malformed: it must be a time as YYYYMMDDTHHMMSSZ")]
    Date,
    /// Two different dates.
    #[error("the date in X-Amz-Credential differs from X-Amz-Date: both must be the day of signing")]
    ScopeDate,
    /// A lifetime that S3 does not accept.
    #[error("X-Amz-Expires is not valid: it must be a number of seconds from 1 to 604800 (7 days)")]
    Expires,
    /// The host is not signed.
    #[error("X-Amz-SignedHeaders does not contain host: S3 requires a signed host")]
    HostUnsigned,
}

/// `&` as documents escape it, in lower case; the kind of document; the escape as the sentence shows it.
const ESCAPES: [(&str, &str, &str); 6] = [
    ("\\u0026", "JSON", "\\u0026"),
    ("&amp;", "HTML or XML", "&amp;"),
    ("&#38;", "HTML or XML", "&#38;"),
    ("&#038;", "HTML or XML", "&#038;"),
    ("&#x26;", "HTML or XML", "&#x26;"),
    ("\\x26", "JavaScript", "\\x26"),
];

/// The beginning of authentication parameters, in lower case.
const PARAMETERS: [&str; 2] = ["x-amz-", "awsaccesskeyid="];

/// Detects a URL that was copied from a document with its escapes, or percent-encoded as a whole.
pub(super) fn find_copy_damage(text: &str) -> Option<UrlError> {
    let lower = text.to_ascii_lowercase();
    let is_before_parameter = |escape: &str| {
        let mut rests = lower.match_indices(escape).map(|(index, _)| &lower[index + escape.len()..]);
        rests.any(|rest| PARAMETERS.iter().any(|name| rest.starts_with(name)))
    };
    if let Some((_, document, shown)) = ESCAPES.iter().find(|(escape, ..)| is_before_parameter(escape)) {
        return Some(UrlError::CopiedEscapes(document, shown));
    }
    if ["https%3a%2f%2f", "http%3a%2f%2f"].iter().any(|scheme| lower.starts_with(scheme)) {
        return Some(UrlError::EncodedTwice);
    }
    is_before_parameter("%3f").then_some(UrlError::QuestionMarkEncoded)
}

/// Detects white space and control characters.
pub(super) fn find_white_space(text: &str, url: Option<&Url>) -> Option<UrlError> {
    let count = text.matches(|c: char| c.is_whitespace() || c.is_control()).count();
    let spaces_in_path = url.map_or(0, |url| url.path.matches(' ').count());
    match count {
        0 => None,
        _ if count == spaces_in_path => Some(UrlError::SpaceInPath),
        _ => Some(UrlError::WhiteSpace),
    }
}
