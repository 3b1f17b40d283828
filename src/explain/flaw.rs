//! Why S3 could not read a URL.

use thiserror::Error;

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

/// Ampersands as other documents write them, with what the documents are; in lower case.
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

impl Flaw {
    /// What went wrong when a URL was copied that cannot be read as it is.
    pub(super) fn of_copy(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let before_one = |sign: &str| {
            let mut behind = lower.match_indices(sign).map(|(at, _)| &lower[at + sign.len()..]);
            behind.any(|rest| PARAMETERS.iter().any(|name| rest.starts_with(name)))
        };
        if let Some((_, document, written)) = ESCAPED.iter().find(|(sign, ..)| before_one(sign)) {
            return Some(Self::Escaped(document, written));
        }
        if ["https%3a%2f%2f", "http%3a%2f%2f"].iter().any(|scheme| lower.starts_with(scheme)) {
            return Some(Self::EncodedTwice);
        }
        before_one("%3f").then_some(Self::QuestionMark)
    }
}
