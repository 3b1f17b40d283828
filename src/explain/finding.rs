//! What an explanation finds, in plain sentences.

use std::{fmt, time::SystemTime};

use humantime::format_rfc3339_seconds;
use thiserror::Error;

use super::{
    change::{Change, Way, sentence},
    flaw::Flaw,
};

/// One thing that is wrong, as a sentence.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Finding {
    /// S3 could not read it.
    #[error(transparent)]
    Flaw(#[from] Flaw),
    /// The request was changed.
    #[error("{}", sentence(change, *way, before, after))]
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
        if .0.is_empty() { "a header is".to_owned() } else { format!("{} is", listed(.0)) }
    )]
    HeadersNotSigned(Vec<String>),
    /// A signed header is not sent.
    #[error("the signed header {0} is missing: it must be sent with the value that was signed")]
    SignedHeaderMissing(String),
    /// The scope's region is not that of the host, or of the bucket.
    #[error("the wrong region was signed for: {}", regions(scope, right.as_deref()))]
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
    #[error("{}", unexplained(headers))]
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
    /// There are more findings than are told.
    #[error("and {0} more")]
    More(usize),
    /// A sentence from which something secret was taken.
    #[error("{0}")]
    Hidden(String),
}

/// How many names a sentence lists.
const LISTED: usize = 10;

/// Names, those beyond the tenth counted.
fn listed(names: &[String]) -> String {
    let first = &names[..names.len().min(LISTED)];
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn at(time: SystemTime) -> impl fmt::Display {
    format_rfc3339_seconds(time)
}

fn regions(scope: &str, right: Option<&str>) -> String {
    match right {
        Some(right) => format!("the credential scope has {scope}, it must be {right}"),
        None => format!("the bucket is not in {scope}, the region of the credential scope"),
    }
}

fn unexplained(headers: &[String]) -> String {
    if headers.is_empty() {
        return "the signature belongs to another request and to none that is near to this one: path, query or host were \
                changed after signing, or it was made with another secret key"
            .to_owned();
    }
    format!(
        "the signature belongs to another request; likely a signed header changed: {} must be sent exactly as signed \
         (otherwise path, query or host were changed, or it was made with another secret key)",
        listed(headers)
    )
}
