//! The result of an explanation: the verdict, and the findings with their sentences.

use std::{fmt, time::SystemTime};

use humantime::format_rfc3339_seconds;
use thiserror::Error;

use super::{
    change::{Change, ComparedPair, describe_change},
    url_error::UrlError,
};

/// How S3 would answer, as far as presignd can tell: S3 does not document the order of its checks. Where several verdicts
/// apply, the first counts: unknown access key, then the signature, then the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UrlVerdict {
    /// The signature matches, and the URL has not expired.
    Valid,
    /// The signature matches, but the URL or its credentials have expired.
    Expired,
    /// The signing time is in the future.
    NotYetValid,
    /// The signature is for another request, or was made with another secret key.
    SignatureMismatch,
    /// No signer has the access key, or S3 does not know it.
    UnknownAccessKey,
    /// Not a presigned URL that S3 could read.
    Malformed,
}

/// One thing that is wrong. Its sentence says what differs and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Finding {
    /// S3 could not read the URL.
    #[error(transparent)]
    UrlError(#[from] UrlError),
    /// The request was changed.
    #[error("{}", describe_change(change, *pair, before, after))]
    Changed {
        /// What changed.
        change: Change,
        /// The two versions that were compared.
        pair: ComparedPair,
        /// The value in the first version, shortened and without secrets.
        before: String,
        /// The value in the second version, shortened and without secrets.
        after: String,
    },
    /// The URL expired at this time.
    #[error("the URL expired at {}: request a new one", format_time(*.0))]
    Expired(SystemTime),
    /// The credentials expired before the URL; the time is None when only S3 says so.
    #[error(
        "the credentials that signed the URL {}, before the URL itself: request a new URL",
        .0.map_or("have expired".to_owned(), |end| format!("expired at {}", format_time(end)))
    )]
    CredentialsExpired(Option<SystemTime>),
    /// The credentials will expire at this time, before the URL.
    #[error(
        "the credentials that signed the URL expire at {}, before the URL itself: it stops working then",
        format_time(*.0)
    )]
    CredentialsExpireFirst(SystemTime),
    /// The URL was signed for this time, which is in the future.
    #[error(
        "the URL is not yet valid, X-Amz-Date is {}, in the future: check the clocks of presignd and of the signer",
        format_time(*.0)
    )]
    NotYetValid(SystemTime),
    /// Temporary credentials without their session token.
    #[error(
        "the session token is missing: S3 accepts the temporary access key only with X-Amz-Security-Token, use the whole \
         URL"
    )]
    TokenMissing,
    /// S3 rejects the session token that belongs to the access key.
    ///
    /// Source: [Managing AWS STS in an AWS Region](https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html).
    #[error(
        "the session token belongs to the access key, but S3 rejects it: a token of the global STS endpoint works only \
         in regions that are enabled by default (use a regional STS endpoint), and a token of another partition or \
         server does not work here"
    )]
    TokenRejected,
    /// The session token belongs to other credentials.
    #[error("the session token does not belong to the access key: use the URL exactly as signed")]
    TokenMismatch,
    /// No signer has the access key.
    #[error(
        "no signer of this presignd has the access key of the URL, so its signature cannot be checked: {}another \
         presignd may have signed it",
        if *temporary { "its temporary credentials may have been replaced since, or " } else { "" }
    )]
    UnknownAccessKey {
        /// The access key is one of temporary credentials.
        temporary: bool,
    },
    /// S3 does not know the access key.
    #[error(
        "S3 does not know the access key: it was deleted, or belongs to another partition or server; check the \
         credentials of the signer"
    )]
    AccessKeyUnknownToS3,
    /// The signature is shorter than one of SigV4.
    #[error("X-Amz-Signature has {length} characters instead of 64: the URL was cut off, use the whole URL")]
    SignatureTooShort {
        /// In characters.
        length: usize,
    },
    /// The signature is longer than one of SigV4.
    #[error("X-Amz-Signature has {length} characters instead of 64: remove what was appended to the URL")]
    SignatureTooLong {
        /// In characters.
        length: usize,
    },
    /// These headers are sent but not signed; empty when S3 does not name them.
    #[error(
        "{} sent but not signed: S3 rejects x-amz-* headers that are not in X-Amz-SignedHeaders, remove or sign them",
        match .0.as_slice() {
            [] => "a header is".to_owned(),
            [name] => format!("{name} is"),
            names => format!("{} are", list_names(names)),
        }
    )]
    HeadersNotSigned(Vec<String>),
    /// This signed header is not sent.
    #[error("the signed header {0} is missing: send it with the value that was signed")]
    SignedHeaderMissing(String),
    /// The region of the scope is not that of the host or of the bucket.
    #[error(
        "the URL is signed for the wrong region: {}, correct the region of the signer",
        match right {
            Some(right) => format!("signed {scope}, expected {right}"),
            None => format!("the bucket is not in {scope}"),
        }
    )]
    WrongRegion {
        /// The region in the URL.
        scope: String,
        /// The region of the host or of the bucket; None when it is not known.
        right: Option<String>,
    },
    /// The service of the scope is not that of the host.
    #[error("the URL is signed for the wrong service: signed {scope}, but this host expects {right}")]
    WrongService {
        /// The service in the URL.
        scope: String,
        /// The service of the host.
        right: &'static str,
    },
    /// This host is neither AWS's nor in the settings of a signer.
    #[error(
        "the host {0} is neither an AWS host nor an endpoint of a signer: a proxy or CDN must pass the signed host as Host"
    )]
    HostUnknown(String),
    /// S3 redirects the request to this host.
    ///
    /// Source: [Request redirection](https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html).
    #[error(
        "S3 redirects the request to {0}, but the signature is valid only for the signed host: request a URL for that \
         regional host"
    )]
    Redirected(String),
    /// S3 could not read the authentication parameters, for this reason.
    #[error("S3 rejects the authentication parameters of the URL: {0}")]
    ParametersRejected(String),
    /// The clocks of S3 and of presignd disagree on whether the URL is valid.
    #[error(
        "by S3's clock{} the URL {s3}, by presignd's ({}) it {here}: correct the clock that is wrong",
        .said.as_ref().map_or(String::new(), |said| format!(" ({said})")),
        format_time(*now)
    )]
    ClocksDiffer {
        /// `ServerTime`, when S3 sent it.
        said: Option<String>,
        /// The state of the URL by S3's clock.
        s3: &'static str,
        /// The state of the URL by presignd's clock.
        here: &'static str,
        /// The time of presignd's clock.
        now: SystemTime,
    },
    /// The signature does not match, and no candidate does.
    #[error("{}", describe_unexplained(headers))]
    Unexplained {
        /// Signed headers whose signed values are not known.
        headers: Vec<String>,
    },
    /// S3 received the signed request, and presignd computes the same signature.
    #[error(
        "S3 received the request as signed, and the signature is right for presignd's secret key: S3 has another secret \
         key for this access key, check the credentials of the signer"
    )]
    SecretKeyDiffers,
    /// S3 rejects a signature that matches here, and does not say what it received.
    #[error(
        "S3 rejects the signature, but for this request and presignd's secret key it is right: S3 received another \
         request (compare method, path, query and headers), or has another secret key for this access key"
    )]
    SignatureRejected,
    /// This path has a plus where a space was signed.
    #[error("a + in the path {0} is a space to S3 on AWS, but not to other servers: write %20")]
    PlusForSpace(String),
    /// The URL has a fragment.
    #[error("the URL has a #, and clients do not send what follows it: write %23 for a # in the key")]
    Fragment,
    /// The first line in which the canonical request of S3 differs from the one given to explain.
    #[error(
        "line {line} of the canonical request is the first that differs: S3 received {received:?}, explain was given \
         {given:?}"
    )]
    FirstDifference {
        /// Counted from 1.
        line: usize,
        /// The line of S3, shortened and without secrets.
        received: String,
        /// The line of the given request, shortened and without secrets.
        given: String,
    },
    /// The error body is about another URL.
    #[error("the error body was ignored: it is about another URL")]
    OtherErrorBody,
    /// The error body is not S3's.
    #[error("the error body was ignored: it is not an XML error document of S3")]
    ErrorBodyUnreadable,
    /// S3 rejects the request for another reason, with this code.
    #[error("S3 answered {0}, which is not about the signature")]
    OtherS3Error(String),
    /// S3 has no object with this key, which contains percent-escapes.
    #[error(
        "S3 has no object {0:?}, probably because the object key was encoded twice: pass it as stored, presignd encodes it"
    )]
    KeyHasEscapes(String),
    /// This number of findings is left out.
    #[error("and {0} more")]
    MoreFindings(usize),
    /// The sentence of another finding, with its secrets replaced.
    #[error("{0}")]
    Redacted(String),
}

impl Finding {
    /// Whether it says that the host, its region or its service is wrong.
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
            Self::TokenMismatch | Self::TokenMissing => true,
            Self::Changed { change, .. } => matches!(
                change,
                Change::TokenMissing
                    | Change::TokenEncodedTwice
                    | Change::TokenPlusReadAsSpace
                    | Change::Token
            ),
            _ => false,
        }
    }

    /// Whether it is enough to explain that a signature does not match.
    pub(super) fn explains_mismatch(&self) -> bool {
        matches!(self, Self::SignedHeaderMissing(_) | Self::HeadersNotSigned(_) | Self::Fragment)
    }
}

/// The most names in one sentence.
const MAX_LISTED_NAMES: usize = 10;

/// Joins names, and counts those above the limit.
fn list_names(names: &[String]) -> String {
    let first = &names[..names.len().min(MAX_LISTED_NAMES)];
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn format_time(time: SystemTime) -> impl fmt::Display {
    format_rfc3339_seconds(time)
}

fn describe_unexplained(headers: &[String]) -> String {
    if headers.is_empty() {
        return "the signature does not match this request or any similar one: path, query or host were changed after \
                signing, or another secret key was used; compare the URL with the one that presignd returned"
            .to_owned();
    }
    format!(
        "the signature does not match, probably because a signed header differs: send {} exactly as signed (otherwise \
         path, query or host were changed after signing, or another secret key was used)",
        list_names(headers)
    )
}
