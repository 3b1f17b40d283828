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
    /// Escaped for HTML or XML.
    #[error("the URL has &amp; in the place of &: it was copied out of HTML or XML without being unescaped")]
    Html,
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
