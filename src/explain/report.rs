//! What an explanation reports: findings, and the sentence of each.

use std::{fmt, time::SystemTime};

use humantime::format_rfc3339_seconds;
use thiserror::Error;

use super::request::Flaw;

/// What S3 would answer, as far as it can be known; it documents no order of its checks. Where several verdicts apply, the
/// first one counts: whether the key is known, then the signature, then the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UrlVerdict {
    /// The signature is right, and the URL has not expired.
    Valid,
    /// The signature is right, and the URL or its credentials have expired.
    Expired,
    /// The signing time is in the future.
    NotYetValid,
    /// The signature belongs to another request, or to another secret key.
    SignatureMismatch,
    /// No signer has this access key, or S3 does not know it.
    UnknownAccessKey,
    /// Not a presigned URL that S3 could read.
    Malformed,
}

/// One thing that is wrong, as a sentence.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Finding {
    /// S3 could not read it.
    #[error(transparent)]
    Flaw(#[from] Flaw),
    /// The request was changed.
    #[error("{}", describe_change(change, *pair, before, after))]
    Changed {
        /// What changed.
        change: Change,
        /// Between which two requests.
        pair: ComparedPair,
        /// How it was, as far as it may be shown.
        before: String,
        /// How it is, as far as it may be shown.
        after: String,
    },
    /// The time of the URL is over.
    #[error("the URL expired at {}: ask for a new one", at(*.0))]
    Expired(SystemTime),
    /// The credentials ended.
    #[error(
        "the credentials that signed the URL {}, before the URL itself: ask for a new URL",
        .0.map_or("have expired".to_owned(), |end| format!("expired at {}", at(end)))
    )]
    CredentialsExpired(Option<SystemTime>),
    /// The credentials will end before the URL.
    #[error(
        "the credentials that signed the URL end at {}, before the URL itself: it stops working then",
        at(*.0)
    )]
    CredentialsEndFirst(SystemTime),
    /// Signed in the future.
    #[error(
        "the URL is not yet valid: X-Amz-Date is {}, in the future; the clock of the signer is wrong, or this one's",
        at(*.0)
    )]
    NotYetValid(SystemTime),
    /// Temporary credentials without their token.
    #[error(
        "the session token is missing: the access key is of temporary credentials, which S3 knows only with \
         X-Amz-Security-Token"
    )]
    TokenMissing,
    /// The right token, and S3 does not take it.
    ///
    /// Source: [Managing AWS STS in an AWS Region](https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html).
    #[error(
        "the session token is the one that belongs to the access key, and S3 does not take it: one of STS's global \
         endpoint is good only in regions that need not be enabled (take it from a regional endpoint of STS), and one \
         of another partition or server is good nowhere else"
    )]
    TokenNotTaken,
    /// A token of other credentials.
    #[error("the session token is not the one that belongs to the access key")]
    TokenForeign,
    /// Nobody here has this access key.
    #[error(
        "no signer of this presignd has the access key of the URL, so its signature cannot be checked{}",
        if *temporary { ": it is of temporary credentials, which may have been replaced since" } else { "" }
    )]
    UnknownAccessKey {
        /// It is one of temporary credentials.
        temporary: bool,
    },
    /// S3 does not know the access key.
    #[error("S3 does not know the access key: it was deleted, or is of another partition or server")]
    UnknownToS3,
    /// The signature has another length.
    #[error("X-Amz-Signature has {length} characters and is no whole signature: the URL was cut")]
    SignatureCut {
        /// How many characters it has.
        length: usize,
    },
    /// The signature has more behind it.
    #[error(
        "X-Amz-Signature has {length} characters, more than a signature has: something was appended to the URL"
    )]
    SignatureAppended {
        /// How many characters it has.
        length: usize,
    },
    /// Headers that are sent and not signed; none when S3 does not say which.
    #[error(
        "{} sent but not signed: S3 refuses x-amz-* headers that X-Amz-SignedHeaders does not name",
        if .0.is_empty() { "a header is".to_owned() } else { format!("{} is", list_names(.0)) }
    )]
    HeadersNotSigned(Vec<String>),
    /// A signed header is not sent.
    #[error("the signed header {0} is missing: it must be sent with the value that was signed")]
    SignedHeaderMissing(String),
    /// The scope's region is not that of the host, or of the bucket.
    #[error("the wrong region was signed for: {}", describe_region(scope, right.as_deref()))]
    WrongRegion {
        /// In the URL.
        scope: String,
        /// Where the host or the bucket is, where that is known.
        right: Option<String>,
    },
    /// The scope's service is not that of the host.
    #[error("the wrong service was signed for: the credential scope has {scope}, this host needs {right}")]
    WrongService {
        /// In the URL.
        scope: String,
        /// That of the host.
        right: &'static str,
    },
    /// The host is neither AWS's nor one of the signers'.
    #[error(
        "the host {0} is neither AWS's nor an endpoint of a signer: a URL works at the host that was signed, so a proxy \
         or CDN must send that one as Host"
    )]
    HostUnknown(String),
    /// S3 sends the request elsewhere.
    ///
    /// Source: [Request redirection](https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html).
    #[error(
        "S3 redirects the request to {0}, and the redirect breaks the signature, which is for the host that was signed: \
         sign for the regional host {0}"
    )]
    Redirected(String),
    /// S3 could not read the parameters.
    #[error("S3 does not take the authentication in the query: {0}")]
    ParametersRefused(String),
    /// S3's clock and the one here do not agree.
    #[error(
        "S3's clock says {}, by which the URL {s3}; the clock of presignd says {}, by which it {here}: one of the two is \
         wrong",
        .said.as_deref().unwrap_or("another time"),
        at(*now)
    )]
    OtherClock {
        /// `ServerTime`, where S3 told it.
        said: Option<String>,
        /// What is the matter by S3's clock.
        s3: &'static str,
        /// And by the one here.
        here: &'static str,
        /// The time here.
        now: SystemTime,
    },
    /// Nothing that was tried was signed.
    #[error("{}", describe_unexplained(headers))]
    Unexplained {
        /// Signed headers whose values nobody here can know.
        headers: Vec<String>,
    },
    /// S3 and presignd see the same request, and the signature is right by presignd's key.
    #[error(
        "S3 received what was signed, and the signature is right by presignd's secret key: S3 has another secret for \
         this access key"
    )]
    SecretDiffers,
    /// The signature is right by presignd's key, and S3 does not say what it received.
    #[error(
        "S3 says that the signature does not match, and by presignd's secret key it is right for the request as given: \
         another request arrived at S3 (compare method, path, query and headers with those that were sent), or S3 has \
         another secret for this access key"
    )]
    RightAndRefused,
    /// A plus in the path where a space was signed.
    #[error(
        "a + stands in the place of a space: S3 at AWS takes the one in {0} for a space, other servers do not; write %20"
    )]
    PlusForSpace(String),
    /// Something stood behind a `#`.
    #[error("the URL has a # in it, and what stands behind it is never sent: a # in a key is written %23")]
    Fragment,
    /// The first line of the canonical request that differs.
    #[error(
        "line {line} of the canonical request is the first that differs: S3 has {received:?}, the request as given has \
         {given:?}"
    )]
    FirstDifference {
        /// Counted from 1.
        line: usize,
        /// S3's.
        received: String,
        /// That of the request as it was given.
        given: String,
    },
    /// The error body is of another URL.
    #[error("the error body is about another URL: it was left aside")]
    OtherErrorBody,
    /// The error body is none.
    #[error("the error body is not an error document of S3: it was left aside")]
    ErrorBodyUnreadable,
    /// S3 refuses for another reason.
    #[error("S3 answered {0}, which is not about the signature")]
    OtherError(String),
    /// S3 has no such key, and the key has escapes in it.
    #[error(
        "S3 has no object {0:?}, whose key has percent-escapes in it: it was probably encoded before it was given to the \
         signer, so the object key was encoded twice"
    )]
    KeyHoldsEscapes(String),
    /// So many findings are left out.
    #[error("and {0} more")]
    More(usize),
    /// The sentence of another finding, without a secret that was in it.
    #[error("{0}")]
    Redacted(String),
}

/// Which two requests a change is between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ComparedPair {
    /// Another request was signed than is used: a signature proves it.
    SignedAndUsed,
    /// S3 received another request than was used, by what it says itself.
    UsedAndReceived,
    /// S3 received another request than was signed: a signature proves the one, S3 says the other.
    SignedAndReceived,
}

impl ComparedPair {
    fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedAndUsed => ("was signed", "is used"),
            Self::UsedAndReceived => ("was sent", "arrived at S3"),
            Self::SignedAndReceived => ("was signed", "arrived at S3"),
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
    /// Slashes came into the path.
    SlashAdded,
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

/// The sentence for a change.
fn describe_change(change: &Change, pair: ComparedPair, before: &str, after: &str) -> String {
    let (was, is) = pair.verbs();
    let what = match change {
        Change::Method => "the method differs",
        Change::EncodedTwice => "the object key was encoded twice",
        Change::Decoded => "the path was decoded on the way",
        Change::PlusForSpace => "a + stands in the place of a space (write %20)",
        Change::PlusReadAsSpace => "a + was read as a space (write %2B)",
        Change::PathNormalised => "the path was normalised on the way (// or dot segments)",
        Change::SlashAdded => "a / too many is in the path",
        Change::Path => "the path differs",
        Change::Host => "the host differs",
        Change::Scope => "the credential scope (region or service) differs from the one signed",
        Change::SignedHeaders => "X-Amz-SignedHeaders differs",
        Change::Payload => "the hash of the payload differs",
        Change::HeaderMissing(name) => {
            return format!("the signed header {name} is missing: {name}: {before} {was}");
        }
        Change::Header(name) => {
            return format!("{name} differs from the one signed: {before:?} {was}, {after:?} {is}");
        }
        Change::ParametersAdded => return format!("query parameters were added on the way: {after}"),
        Change::ParametersDropped => return format!("query parameters were dropped on the way: {before}"),
        Change::Parameter(name) => {
            return format!("the query parameter {name} differs: {before:?} {was}, {after:?} {is}");
        }
        Change::TokenMissing => {
            return format!("the session token is missing: the URL {was} with X-Amz-Security-Token");
        }
        Change::Token => return format!("the session token differs from the one that {was}"),
    };
    format!("{what}: {before} {was}, {after} {is}")
}

impl Finding {
    /// Whether it says that the host, or the region and service that go with it, are wrong.
    pub(super) fn is_about_scope(&self) -> bool {
        match self {
            Self::WrongRegion { .. } | Self::WrongService { .. } => true,
            Self::Changed { change, .. } => matches!(change, Change::Scope | Change::Host),
            _ => false,
        }
    }

    /// Whether it says that the session token is wrong or missing.
    pub(super) fn is_about_token(&self) -> bool {
        match self {
            Self::TokenForeign | Self::TokenMissing => true,
            Self::Changed { change, .. } => matches!(change, Change::TokenMissing | Change::Token),
            _ => false,
        }
    }

    /// Whether it is enough to explain that a signature does not match.
    pub(super) fn explains_mismatch(&self) -> bool {
        matches!(self, Self::SignedHeaderMissing(_) | Self::HeadersNotSigned(_) | Self::Fragment)
    }
}

/// How many names a sentence lists.
const MAX_LISTED_NAMES: usize = 10;

/// Names, those beyond the tenth counted.
fn list_names(names: &[String]) -> String {
    let first = &names[..names.len().min(MAX_LISTED_NAMES)];
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn at(time: SystemTime) -> impl fmt::Display {
    format_rfc3339_seconds(time)
}

fn describe_region(scope: &str, right: Option<&str>) -> String {
    match right {
        Some(right) => format!("the credential scope has {scope}, it must be {right}"),
        None => format!("the bucket is not in {scope}, the region of the credential scope"),
    }
}

fn describe_unexplained(headers: &[String]) -> String {
    if headers.is_empty() {
        return "the signature belongs to another request and to none that is near to this one: path, query or host were \
                changed after signing, or it was made with another secret key"
            .to_owned();
    }
    format!(
        "the signature belongs to another request; likely a signed header changed: {} must be sent exactly as signed \
         (otherwise path, query or host were changed, or it was made with another secret key)",
        list_names(headers)
    )
}
