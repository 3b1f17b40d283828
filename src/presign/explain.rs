//! Why a presigned URL fails: what it says, whether its signature is right, and what was changed when it is not.
//!
//! It is as pure as the rest of the core: the request, what S3 answered, the credentials and the time are arguments. A
//! signature that was computed here is compared and never told; of what is secret in a request, only that it is there.

mod authentication;
mod canonical;
mod compare;
mod error_body;
mod escapes;
mod finding;
mod flaw;
mod hypotheses;
mod judge;
mod near;
mod place;
mod sent;
mod url;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use self::{authentication::Authentication, canonical::Canonical, judge::Judge, url::Url};
pub use self::{
    authentication::Parts,
    finding::{Change, Finding, Way},
    flaw::Flaw,
    place::Place,
    sent::{MAX_ERROR_BODY_BYTES, MAX_URL_BYTES, Sent, SentError},
};
use super::{sign, snapshot::Snapshot};

/// How far in the future S3 lets a signing time lie.
///
/// Source: `RequestTimeTooSkewed` in
/// [Error codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList), and
/// [Authenticating requests](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html): within
/// 15 minutes. A URL from further in the future is refused with "Request is not yet valid".
pub const CLOCK_SKEW: Duration = Duration::from_mins(15);

/// What S3 would say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The signature is right, and the URL in its time.
    Valid,
    /// The signature is right, and the time of the URL or of its credentials is over.
    Expired,
    /// The signing time lies in the future.
    NotYetValid,
    /// The signature belongs to another request, or to another secret key.
    SignatureMismatch,
    /// No signer has this access key, or S3 does not know it.
    UnknownAccessKey,
    /// Not a presigned URL that S3 could read.
    Malformed,
}

/// What is known of a presigned URL.
pub struct Explanation {
    /// What the URL says of its authentication.
    pub parts: Parts,
    /// The host, with the port where the URL has one.
    pub host: String,
    /// What host and path name.
    pub place: Place,
    /// Without what is secret in it; empty when the URL is malformed.
    pub canonical_request: String,
    /// Empty when the URL is malformed.
    pub string_to_sign: String,
    /// The one verdict.
    pub verdict: Verdict,
    /// What is wrong, the likeliest first.
    pub findings: Vec<Finding>,
}

/// Explains a request with a presigned URL; `error_body` is what S3 answered, and may be empty. The signers are those that
/// have credentials now.
pub fn explain(sent: &Sent, error_body: &str, signers: &[Arc<Snapshot>], now: SystemTime) -> Explanation {
    let Some(url) = sent.url() else {
        return malformed(Parts::default(), Flaw::NotAUrl);
    };
    let parts = Parts::of(url);
    let endpoints: Vec<_> =
        signers.iter().filter_map(|signer| signer.rules().endpoint.endpoint.as_ref()).collect();
    let place = Place::of(url, sent.host(url), &endpoints);
    let auth = if sent.has_white_space() {
        Err(Flaw::WhiteSpace)
    } else if sent.header("authorization").is_some() {
        Err(Flaw::TwoWays)
    } else {
        Authentication::read(url, &parts)
    };
    let host = url.authority.clone();
    match auth {
        Err(flaw) => Explanation { host, place, ..malformed(parts, flaw) },
        Ok(auth) => {
            let request = Request { sent, url, auth: &auth, place: &place };
            let explained = request.explain(error_body, signers, now);
            Explanation { parts, host, place, ..explained }
        }
    }
}

fn malformed(parts: Parts, flaw: Flaw) -> Explanation {
    Explanation {
        parts,
        host: String::new(),
        place: Place::default(),
        canonical_request: String::new(),
        string_to_sign: String::new(),
        verdict: Verdict::Malformed,
        findings: vec![flaw.into()],
    }
}

/// A request with an authentication that S3 could read.
struct Request<'a> {
    sent: &'a Sent,
    url: &'a Url,
    auth: &'a Authentication,
    place: &'a Place,
}

impl Request<'_> {
    fn explain(&self, error_body: &str, signers: &[Arc<Snapshot>], now: SystemTime) -> Explanation {
        let auth = self.auth;
        let canonical = Canonical::of(self.sent, self.url, auth);
        let scope = auth.scope(&auth.region, &auth.service);
        let string_to_sign = sign::string_to_sign(auth.algorithm, &auth.date, &scope, &canonical.text());
        let canonical_request = canonical.shown();
        let mut judge = Judge::new(self, canonical);
        let body = judge.read(error_body);
        judge.compare(body.as_ref());
        judge.check_signature(signers, now);
        judge.check_scope();
        judge.check_time(now);
        judge.heed(body.as_ref());
        let (verdict, findings) = judge.end();
        Explanation {
            canonical_request,
            string_to_sign,
            verdict,
            findings,
            ..malformed(Parts::default(), Flaw::NotAUrl)
        }
    }
}
