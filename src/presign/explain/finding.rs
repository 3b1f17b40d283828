//! What an explanation finds, in plain sentences.

use std::{fmt, time::SystemTime};

use humantime::format_rfc3339_seconds;
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

/// Between which two a change happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Another request was signed than is used: a signature proves it.
    SignedAndUsed,
    /// S3 received another request than was used, by what it says itself.
    UsedAndReceived,
}

impl Way {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedAndUsed => ("was signed", "is used"),
            Self::UsedAndReceived => ("was sent", "arrived at S3"),
        }
    }
}

/// What differs between two requests. What is shown of values is fit to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The HTTP method.
    Method,
    /// `%` became `%25`.
    EncodedTwice,
    /// `%25` became `%`.
    Decoded,
    /// A space became a plus.
    PlusForSpace,
    /// A plus was read as a space.
    PlusReadAsSpace,
    /// Slashes or dot segments were folded.
    PathNormalised,
    /// The path otherwise.
    Path,
    /// The host or its port.
    Host,
    /// A signed header is not there.
    HeaderMissing(String),
    /// A signed header has another value.
    Header(String),
    /// Query parameters were added.
    ParametersAdded,
    /// Query parameters were dropped.
    ParametersDropped,
    /// A query parameter has another value.
    Parameter(String),
    /// Region or service of the credential scope.
    Scope,
    /// The session token is not there.
    TokenMissing,
    /// Another session token.
    Token,
    /// The list of signed headers.
    SignedHeaders,
    /// The hash of the payload.
    Payload,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// S3 could not read it.
    Flaw(Flaw),
    /// The request was changed.
    Changed {
        /// What.
        change: Change,
        /// Between which two.
        way: Way,
        /// How it was, as far as it may be shown.
        before: String,
        /// How it is, as far as it may be shown.
        after: String,
    },
    /// The time of the URL is over.
    Expired(SystemTime),
    /// The credentials ended.
    CredentialsExpired(Option<SystemTime>),
    /// The credentials will end before the URL.
    CredentialsEndFirst(SystemTime),
    /// Signed in the future.
    NotYetValid(SystemTime),
    /// Temporary credentials without their token.
    TokenMissing,
    /// A token of other credentials.
    TokenForeign,
    /// Nobody here has this access key.
    UnknownAccessKey {
        /// It is one of temporary credentials.
        temporary: bool,
    },
    /// S3 does not know the access key.
    UnknownToS3,
    /// The signature has another length.
    SignatureCut {
        /// How many characters it has.
        length: usize,
    },
    /// `x-amz-*` headers that are sent and not signed.
    HeadersNotSigned(Vec<String>),
    /// A signed header is not sent.
    SignedHeaderMissing(String),
    /// The scope's region is not that of the host, or of the bucket.
    WrongRegion {
        /// In the URL.
        scope: String,
        /// Where the host or the bucket is, where that is known.
        right: Option<String>,
    },
    /// The scope's service is not that of the host.
    WrongService {
        /// In the URL.
        scope: String,
        /// That of the host.
        right: &'static str,
    },
    /// The host is neither AWS's nor one of the signers'.
    HostUnknown(String),
    /// Nothing that was tried was signed.
    Unexplained {
        /// Signed headers whose values nobody here can know.
        headers: Vec<String>,
    },
    /// S3 and presignd see the same request, and the signature is right by presignd's key.
    SecretDiffers,
    /// Something stood behind a `#`.
    Fragment,
    /// The first line of the canonical request that differs.
    FirstDifference {
        /// Counted from 1.
        line: usize,
        /// S3's.
        received: String,
        /// That of the request as it was given.
        given: String,
    },
    /// The error body is of another URL.
    OtherErrorBody,
    /// The error body is none.
    ErrorBodyUnreadable,
    /// S3 refuses for another reason.
    OtherError(String),
    /// S3 has no such key, and the key has escapes in it.
    KeyHoldsEscapes(String),
}

impl From<Flaw> for Finding {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |time: &SystemTime| format_rfc3339_seconds(*time);
        match self {
            Self::Flaw(flaw) => flaw.fmt(f),
            Self::Changed { change, way, before, after } => write_change(f, change, *way, before, after),
            Self::Expired(end) => write!(f, "the URL expired at {}: ask for a new one", at(end)),
            Self::CredentialsExpired(Some(end)) => write!(
                f,
                "the credentials that signed the URL expired at {}, before the URL itself: ask for a new URL",
                at(end)
            ),
            Self::CredentialsExpired(None) => f.write_str(
                "the credentials that signed the URL have expired, before the URL itself: ask for a new URL",
            ),
            Self::CredentialsEndFirst(end) => write!(
                f,
                "the credentials that signed the URL end at {}, before the URL itself: it stops working then",
                at(end)
            ),
            Self::NotYetValid(signed) => write!(
                f,
                "the URL is not yet valid: X-Amz-Date is {}, in the future; the clock of the signer is wrong, or \
                 this one's",
                at(signed)
            ),
            Self::FirstDifference { line, received, given } => write!(
                f,
                "line {line} of the canonical request is the first that differs: S3 has {received:?}, the request \
                 as given has {given:?}"
            ),
            other => write_other(f, other),
        }
    }
}

/// The sentences without a time in them.
fn write_other(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    match finding {
        Finding::TokenMissing => f.write_str(
            "the session token is missing: the access key is of temporary credentials, which S3 knows only with \
             X-Amz-Security-Token",
        ),
        Finding::TokenForeign => f.write_str("the session token is not the one that belongs to the access key"),
        Finding::UnknownAccessKey { temporary } => {
            f.write_str("no signer of this presignd has the access key of the URL, so its signature cannot be checked")?;
            let hint = if *temporary { ": it is of temporary credentials, which may have been replaced since" } else { "" };
            f.write_str(hint)
        }
        Finding::UnknownToS3 => f.write_str("S3 does not know the access key: it was deleted, or is of another partition or server"),
        Finding::SignatureCut { length } => {
            write!(f, "X-Amz-Signature has {length} characters and is no whole signature: the URL was cut")
        }
        Finding::HeadersNotSigned(names) => write!(
            f,
            "{} is sent but not signed: S3 refuses x-amz-* headers that X-Amz-SignedHeaders does not name",
            names.join(", ")
        ),
        Finding::SignedHeaderMissing(name) => {
            write!(f, "the signed header {name} is missing: it must be sent with the value that was signed")
        }
        Finding::WrongRegion { scope, right: Some(right) } => {
            write!(f, "the wrong region was signed for: the credential scope has {scope}, it must be {right}")
        }
        Finding::WrongRegion { scope, right: None } => {
            write!(f, "the wrong region was signed for: the bucket is not in {scope}, the region of the credential scope")
        }
        Finding::WrongService { scope, right } => write!(
            f,
            "the wrong service was signed for: the credential scope has {scope}, this host needs {right}"
        ),
        Finding::HostUnknown(host) => write!(
            f,
            "the host {host} is neither AWS's nor an endpoint of a signer: a URL works at the host that was signed, so a \
             proxy or CDN must send that one as Host"
        ),
        Finding::Unexplained { headers } if headers.is_empty() => f.write_str(
            "the signature belongs to another request and to none that is near to this one: path, query or host were \
             changed after signing, or it was made with another secret key",
        ),
        Finding::Unexplained { headers } => write!(
            f,
            "the signature belongs to another request; likely a signed header changed: {} must be sent exactly as \
             signed (otherwise path, query or host were changed, or it was made with another secret key)",
            headers.join(", ")
        ),
        Finding::SecretDiffers => f.write_str(
            "S3 received what was signed, and the signature is right by presignd's secret key: S3 has another secret for \
             this access key",
        ),
        Finding::Fragment => f.write_str(
            "the URL has a # in it, and what stands behind it is never sent: a # in a key is written %23",
        ),
        Finding::OtherErrorBody => f.write_str("the error body is about another URL: it was left aside"),
        Finding::ErrorBodyUnreadable => f.write_str("the error body is not an error document of S3: it was left aside"),
        Finding::OtherError(code) => write!(f, "S3 answered {code}, which is not about the signature"),
        Finding::KeyHoldsEscapes(key) => write!(
            f,
            "S3 has no object {key:?}, whose key has percent-escapes in it: it was probably encoded before it was given \
             to the signer, so the object key was encoded twice"
        ),
        // The others have their sentences above.
        _ => Ok(()),
    }
}

fn write_change(
    f: &mut fmt::Formatter<'_>,
    change: &Change,
    way: Way,
    before: &str,
    after: &str,
) -> fmt::Result {
    let (was, is) = way.words();
    let what = match change {
        Change::Method => "the method differs",
        Change::EncodedTwice => "the object key was encoded twice",
        Change::Decoded => "the path was decoded on the way",
        Change::PlusForSpace => "a + stands in the place of a space (write %20)",
        Change::PlusReadAsSpace => "a + was read as a space (write %2B)",
        Change::PathNormalised => "the path was normalised on the way (// or dot segments)",
        Change::Path => "the path differs",
        Change::Host => "the host differs",
        Change::Scope => "the credential scope (region or service) differs from the one signed",
        Change::SignedHeaders => "X-Amz-SignedHeaders differs",
        Change::Payload => "the hash of the payload differs",
        Change::HeaderMissing(name) => {
            return write!(f, "the signed header {name} is missing: {name}: {before} {was}");
        }
        Change::Header(name) => {
            return write!(f, "{name} differs from the one signed: {before:?} {was}, {after:?} {is}");
        }
        Change::ParametersAdded => return write!(f, "query parameters were added on the way: {after}"),
        Change::ParametersDropped => return write!(f, "query parameters were dropped on the way: {before}"),
        Change::Parameter(name) => {
            return write!(f, "the query parameter {name} differs: {before:?} {was}, {after:?} {is}");
        }
        Change::TokenMissing => {
            return write!(f, "the session token is missing: the URL {was} with X-Amz-Security-Token");
        }
        Change::Token => return write!(f, "the session token differs from the one that {was}"),
    };
    write!(f, "{what}: {before} {was}, {after} {is}")
}
