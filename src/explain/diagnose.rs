//! Diagnoses a request: signature, headers, token, scope and time, and then the answer of S3.

mod refusal;
mod signature;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    canonical::{CanonicalParts, ParsedRequest},
    change::ComparedPair,
    compare::{find_changes, find_first_difference},
    error_body::ErrorBody,
    redact::shorten,
    report::{Finding, UrlVerdict},
};
use crate::presign::{credentials::Credentials, sign::Algorithm, snapshot::Snapshot};

/// How far in the future a signing time may be.
///
/// Source: `RequestTimeTooSkewed` in
/// [Error codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList), and
/// [Authenticating requests](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html): within
/// 15 minutes. S3 rejects a URL that is signed for a later time with "Request is not yet valid".
pub const CLOCK_SKEW: Duration = Duration::from_mins(15);

/// The prefix of access key IDs of temporary credentials.
///
/// Source: [Unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes).
const TEMPORARY: &str = "ASIA";

/// The most findings of an explanation. The least likely ones are left out.
const MAX_FINDINGS: usize = 20;

/// Returns the verdict on a request and the findings, the likeliest first. `given` is its canonical request; `error_body`
/// is the answer of S3, empty when it is not known.
pub(super) fn diagnose(
    request: ParsedRequest<'_>,
    given: CanonicalParts,
    error_body: &str,
    signers: &[Arc<Snapshot>],
    now: SystemTime,
) -> (UrlVerdict, Vec<Finding>) {
    let mut diagnosis = Diagnosis {
        request,
        now,
        given,
        received: None,
        signature: SignatureCheck::KeyUnknown,
        has_own_token: false,
        verdict: None,
        findings: Vec::new(),
    };
    let body = diagnosis.read_error_body(error_body);
    diagnosis.compare_with_received();
    diagnosis.check_signature(signers);
    diagnosis.check_scope();
    diagnosis.check_time();
    if let Some(body) = &body {
        diagnosis.apply_error_body(body);
    }
    diagnosis.finish()
}

/// The state of a diagnosis: the checks add their findings.
struct Diagnosis<'a> {
    request: ParsedRequest<'a>,
    now: SystemTime,
    /// The request given to explain. Headers that were not given have the values that S3 received, if they are known.
    given: CanonicalParts,
    /// The request that S3 received, if its error document contains it.
    received: Option<CanonicalParts>,
    signature: SignatureCheck,
    /// The session token belongs to the access key that made the signature.
    has_own_token: bool,
    verdict: Option<UrlVerdict>,
    findings: Vec<Finding>,
}

/// The result of checking the signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SignatureCheck {
    /// No signer has the access key.
    KeyUnknown,
    /// It matches the given request.
    MatchesGiven,
    /// It matches the request that S3 received, which differs from the given one.
    MatchesReceived,
    Mismatch,
}

impl Diagnosis<'_> {
    /// Parses the answer of S3. Ignores an answer to another request.
    fn read_error_body(&mut self, text: &str) -> Option<ErrorBody> {
        if text.trim().is_empty() {
            return None;
        }
        let Some(body) = ErrorBody::parse(text) else {
            self.findings.push(Finding::ErrorBodyUnreadable);
            return None;
        };
        let auth = self.request.auth;
        if body.is_for_other_request(&auth.access_key_id, &auth.signature) {
            self.findings.push(Finding::OtherErrorBody);
            return None;
        }
        self.received = body.received_request();
        self.fill_in_headers();
        Some(body)
    }

    /// Fills in headers that were not given from the request that S3 received: users often know only the URL.
    fn fill_in_headers(&mut self) {
        let Some(received) = &self.received else { return };
        for (name, value) in &mut self.given.headers {
            if name == "host" || self.request.used.header(name).is_some() {
                continue;
            }
            received.header(name).unwrap_or_default().clone_into(value);
            if name == "x-amz-content-sha256" {
                received.payload.clone_into(&mut self.given.payload);
            }
        }
    }

    /// Reports the differences between the given request and the one that S3 received.
    fn compare_with_received(&mut self) {
        let Some(received) = &self.received else { return };
        self.findings.extend(find_changes(&self.given, received, ComparedPair::UsedAndReceived));
        self.findings.extend(find_first_difference(received, &self.given));
    }

    /// Checks that every `x-amz-*` header is signed, as S3 requires.
    ///
    /// Source: `X-Amz-SignedHeaders` in
    /// [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
    fn check_unsigned_headers(&mut self) {
        let signed = &self.request.auth.signed_headers;
        let names = self.request.used.header_names().filter(|name| name.starts_with("x-amz-"));
        let unsigned: Vec<_> =
            names.filter(|name| !signed.iter().any(|known| known == name)).map(shorten).collect();
        if !unsigned.is_empty() {
            self.add(UrlVerdict::SignatureMismatch, Finding::HeadersNotSigned(unsigned));
        }
    }

    /// Checks the session token. S3 accepts a temporary access key only with its token, even if the signature matches.
    fn check_token(&mut self, credentials: &Credentials) {
        let finding = match (credentials.session_token(), self.request.auth.token.as_deref()) {
            (None, None) => return,
            (Some(own), Some(token)) if own.equals(token) => {
                self.has_own_token = true;
                return;
            }
            // Only S3 knows the token of an S3 Express session.
            (_, Some(_)) if self.request.url.value("X-Amz-S3session-Token").is_some() => return,
            (Some(_), None) => Finding::TokenMissing,
            (_, Some(_)) => Finding::TokenMismatch,
        };
        self.add(UrlVerdict::UnknownAccessKey, finding);
    }

    fn check_credentials_expiry(&mut self, credentials: &Credentials) {
        let url_end = self.request.auth.expires_at();
        let Some(end) = credentials.expires_at().filter(|end| *end < url_end) else { return };
        if end <= self.now {
            self.add(UrlVerdict::Expired, Finding::CredentialsExpired(Some(end)));
        } else {
            self.findings.push(Finding::CredentialsExpireFirst(end));
        }
    }

    /// Checks that the credential scope has the region and the service of the host.
    fn check_scope(&mut self) {
        let (auth, Some(aws)) = (self.request.auth, self.request.target.aws.as_ref()) else { return };
        if self.findings.iter().any(Finding::is_about_scope) {
            return;
        }
        if auth.service != aws.service {
            let (scope, right) = (shorten(&auth.service), aws.service);
            self.add(UrlVerdict::SignatureMismatch, Finding::WrongService { scope, right });
        }
        if let Some(region) = &aws.region
            && auth.algorithm == Algorithm::SigV4
            && auth.region != *region
        {
            let (scope, right) = (shorten(&auth.region), Some(region.clone()));
            self.add(UrlVerdict::SignatureMismatch, Finding::WrongRegion { scope, right });
        }
    }

    fn check_time(&mut self) {
        let (auth, now) = (self.request.auth, self.now);
        if now >= auth.expires_at() {
            self.verdict.get_or_insert(UrlVerdict::Expired);
            // Expiry is certain: it precedes an unknown access key, but follows proven changes.
            let index = if self.signature == SignatureCheck::Mismatch { self.findings.len() } else { 0 };
            self.findings.insert(index, Finding::Expired(auth.expires_at()));
        } else if auth.signed_at > now + CLOCK_SKEW {
            self.add(UrlVerdict::NotYetValid, Finding::NotYetValid(auth.signed_at));
        }
    }

    /// Adds a finding, and its verdict unless there is one already.
    fn add(&mut self, verdict: UrlVerdict, finding: Finding) {
        self.verdict.get_or_insert(verdict);
        self.findings.push(finding);
    }

    fn finish(mut self) -> (UrlVerdict, Vec<Finding>) {
        let more = self.findings.len().saturating_sub(MAX_FINDINGS);
        if more > 0 {
            self.findings.truncate(MAX_FINDINGS);
            self.findings.push(Finding::MoreFindings(more));
        }
        (self.verdict.unwrap_or(UrlVerdict::Valid), self.findings)
    }
}
