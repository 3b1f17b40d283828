//! From what is known of a request to a verdict, with a finding for each thing that is wrong.

use std::{sync::Arc, time::SystemTime};

use super::{
    CLOCK_SKEW, Request, Verdict,
    canonical::Canonical,
    compare::{differences, first_difference, shortened},
    error_body::{ErrorBody, Refusal},
    escapes::Plus,
    finding::{Change, Finding, Way},
    hypotheses::Search,
};
use crate::presign::{credentials::Credentials, sign::Algorithm, snapshot::Snapshot};

/// Gathers findings. Where several verdicts are due, the first one counts: whether there is a key to check with, then
/// whether the signature is right, then whether it is the time.
pub(super) struct Judge<'a> {
    request: &'a Request<'a>,
    /// The request as it was given.
    given: Canonical,
    /// What S3 received, where it told.
    received: Option<Canonical>,
    signature: Signature,
    verdict: Option<Verdict>,
    findings: Vec<Finding>,
}

/// What the access key IDs of temporary credentials begin with.
///
/// Source: [Unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes).
const TEMPORARY: &str = "ASIA";

/// What is known of the signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signature {
    /// Nobody has the key.
    Unknown,
    Right,
    Wrong,
}

impl<'a> Judge<'a> {
    pub(super) fn new(request: &'a Request<'a>, given: Canonical) -> Self {
        let (received, verdict) = (None, None);
        Self { request, given, received, signature: Signature::Unknown, verdict, findings: Vec::new() }
    }

    /// Reads what S3 answered. What is about another URL is left aside.
    pub(super) fn read(&mut self, text: &str) -> Option<ErrorBody> {
        if text.trim().is_empty() {
            return None;
        }
        let Some(body) = ErrorBody::parse(text) else {
            self.findings.push(Finding::ErrorBodyUnreadable);
            return None;
        };
        let auth = self.request.auth;
        if body.is_of_another(&auth.access_key_id, &auth.signature) {
            self.findings.push(Finding::OtherErrorBody);
            return None;
        }
        self.received = body.received();
        Some(body)
    }

    /// Compares with what S3 received: what differs was changed on the way.
    pub(super) fn compare(&mut self, body: Option<&ErrorBody>) {
        let Some(received) = self.received.as_ref().filter(|_| body.is_some()) else { return };
        let changed = differences(&self.given, received, Way::UsedAndReceived);
        let first = first_difference(received, &self.given);
        self.findings.extend(changed);
        self.findings.extend(first);
    }

    /// Checks the signature with the key that made it, and looks for what was signed when it does not fit.
    pub(super) fn check_signature(&mut self, signers: &[Arc<Snapshot>], now: SystemTime) {
        let auth = self.request.auth;
        for name in &auth.signed_headers {
            let missing = name != "host" && self.request.sent.header(name).is_none();
            // A missing one is as good as an empty one.
            if missing && name != "x-amz-content-sha256" {
                self.findings.push(Finding::SignedHeaderMissing(name.clone()));
            }
        }
        let ours = |signer: &&Arc<Snapshot>| signer.credentials().access_key_id() == auth.access_key_id;
        let signers: Vec<_> = signers.iter().filter(ours).collect();
        let Some(first) = signers.first() else {
            let temporary = auth.access_key_id.starts_with(TEMPORARY);
            if temporary && auth.token.is_none() {
                self.findings.push(Finding::TokenMissing);
            }
            return self.refuse(Verdict::UnknownAccessKey, Finding::UnknownAccessKey { temporary });
        };
        let Request { place, url, .. } = *self.request;
        let searches: Vec<_> = signers.iter().map(|signer| Search::new(auth, signer, place, url)).collect();
        if searches.iter().any(|search| search.fits(&self.given)) {
            self.signature = Signature::Right;
            if self.request.url.path.contains('+') && place.plus() == Plus::Space {
                self.findings.push(Finding::PlusForSpace(shortened(&url.path)));
            }
            self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
            self.check_unsigned_headers();
            self.check_token(first.credentials());
        } else {
            self.signature = Signature::Wrong;
            self.verdict = Some(Verdict::SignatureMismatch);
            let signed = searches.iter().find_map(|search| search.signed(&self.given));
            self.tell_what_was_signed(signed);
        }
        self.check_end(first.credentials(), now);
    }

    fn tell_what_was_signed(&mut self, signed: Option<Canonical>) {
        if let Some(signed) = signed {
            let proven = differences(&signed, &self.given, Way::SignedAndUsed);
            self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
            self.findings.splice(0..0, proven);
            return;
        }
        let (auth, url) = (self.request.auth, self.request.url);
        if auth.algorithm == Algorithm::SigV4 && auth.signature.len() != 64 {
            let length = auth.signature.chars().count();
            return self.findings.push(Finding::SignatureCut { length });
        }
        if url.has_fragment {
            self.findings.push(Finding::Fragment);
        }
        self.check_unsigned_headers();
        let other_host = self.request.place.aws.is_none() && self.request.place.bucket.is_empty();
        if other_host {
            self.findings.push(Finding::HostUnknown(shortened(self.request.sent.host(url))));
        }
        let explained = self.findings.iter().any(is_a_cause);
        if !explained {
            let headers = auth.signed_headers.iter().filter(|name| *name != "host").cloned().collect();
            self.findings.push(Finding::Unexplained { headers });
        }
    }

    /// S3 wants every `x-amz-*` header signed.
    ///
    /// Source: `X-Amz-SignedHeaders` in
    /// [Authenticating requests: using query parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
    fn check_unsigned_headers(&mut self) {
        let signed = &self.request.auth.signed_headers;
        let names = self.request.sent.header_names().filter(|name| name.starts_with("x-amz-"));
        let unsigned: Vec<_> =
            names.filter(|name| !signed.iter().any(|known| known == name)).map(str::to_owned).collect();
        if !unsigned.is_empty() {
            self.refuse(Verdict::SignatureMismatch, Finding::HeadersNotSigned(unsigned));
        }
    }

    /// A signature that is right is of no use with the wrong token: S3 knows a temporary access key by both.
    fn check_token(&mut self, credentials: &Credentials) {
        let finding = match (credentials.session_token(), self.request.auth.token.as_deref()) {
            (None, None) => return,
            (Some(own), Some(token)) if own.is(token) => return,
            // A session of S3 Express has a token of its own, which only S3 knows.
            (_, Some(_)) if self.request.url.value("X-Amz-S3session-Token").is_some() => return,
            (Some(_), None) => Finding::TokenMissing,
            (_, Some(_)) => Finding::TokenForeign,
        };
        self.refuse(Verdict::UnknownAccessKey, finding);
    }

    fn check_end(&mut self, credentials: &Credentials, now: SystemTime) {
        let Some(end) = credentials.expires_at() else { return };
        if end <= now {
            self.refuse(Verdict::Expired, Finding::CredentialsExpired(Some(end)));
        } else if end < self.request.auth.expires_at() {
            self.findings.push(Finding::CredentialsEndFirst(end));
        }
    }

    /// Holds the scope against the host: S3 takes it from there which region and service it is.
    pub(super) fn check_scope(&mut self) {
        let (auth, Some(aws)) = (self.request.auth, self.request.place.aws.as_ref()) else { return };
        if self.findings.iter().any(is_about_the_place) {
            return;
        }
        if auth.service != aws.service {
            let (scope, right) = (shortened(&auth.service), aws.service);
            self.refuse(Verdict::SignatureMismatch, Finding::WrongService { scope, right });
        }
        if let Some(region) = &aws.region
            && auth.algorithm == Algorithm::SigV4
            && auth.region != *region
        {
            let (scope, right) = (shortened(&auth.region), Some(region.clone()));
            self.refuse(Verdict::SignatureMismatch, Finding::WrongRegion { scope, right });
        }
    }

    pub(super) fn check_time(&mut self, now: SystemTime) {
        let auth = self.request.auth;
        if now >= auth.expires_at() {
            self.verdict.get_or_insert(Verdict::Expired);
            // What is sure comes before what only cannot be checked.
            let place = if self.signature == Signature::Wrong { self.findings.len() } else { 0 };
            self.findings.insert(place, Finding::Expired(auth.expires_at()));
        } else if auth.signed_at > now + CLOCK_SKEW {
            self.refuse(Verdict::NotYetValid, Finding::NotYetValid(auth.signed_at));
        }
    }

    /// Takes in what S3 said: of the reason of its refusal it knows more than anybody.
    pub(super) fn heed(&mut self, body: Option<&ErrorBody>) {
        let Some(body) = body else { return };
        let auth = self.request.auth;
        let refusal = body.refusal();
        let verdict = match refusal {
            Refusal::Signature | Refusal::HeadersNotSigned | Refusal::Region => Verdict::SignatureMismatch,
            Refusal::Expired | Refusal::TokenExpired => Verdict::Expired,
            Refusal::NotYetValid => Verdict::NotYetValid,
            Refusal::TokenInvalid | Refusal::AccessKey => Verdict::UnknownAccessKey,
            Refusal::NoSuchKey | Refusal::Other => return self.heed_another(body, refusal),
        };
        self.verdict = Some(verdict);
        let temporary = auth.access_key_id.starts_with(TEMPORARY);
        let finding = match refusal {
            Refusal::Signature => self.right_and_refused(),
            Refusal::Expired => {
                self.unless(|told| matches!(told, Finding::Expired(_)), Finding::Expired(auth.expires_at()))
            }
            Refusal::TokenExpired => self.unless(
                |told| matches!(told, Finding::CredentialsExpired(_)),
                Finding::CredentialsExpired(None),
            ),
            Refusal::NotYetValid => self
                .unless(|told| matches!(told, Finding::NotYetValid(_)), Finding::NotYetValid(auth.signed_at)),
            Refusal::TokenInvalid if auth.token.is_some() => {
                self.unless(is_about_the_token, Finding::TokenForeign)
            }
            Refusal::TokenInvalid => self.unless(is_about_the_token, Finding::TokenMissing),
            Refusal::AccessKey if auth.token.is_none() && temporary => {
                self.unless(is_about_the_token, Finding::TokenMissing)
            }
            Refusal::AccessKey => Some(Finding::UnknownToS3),
            Refusal::Region => {
                let right = body.region.as_deref().map(shortened);
                let scope = shortened(&auth.region);
                self.unless(is_about_the_place, Finding::WrongRegion { scope, right })
            }
            Refusal::HeadersNotSigned | Refusal::NoSuchKey | Refusal::Other => None,
        };
        // What S3 says is the likeliest.
        self.findings.splice(0..0, finding);
    }

    /// A finding, unless it was told already.
    fn unless(&self, is_it: fn(&Finding) -> bool, finding: Finding) -> Option<Finding> {
        (!self.findings.iter().any(is_it)).then_some(finding)
    }

    /// S3 says that the signature does not match, and here it does.
    fn right_and_refused(&self) -> Option<Finding> {
        let same = self.received.as_ref().is_some_and(|received| received.text() == self.given.text());
        (same && self.signature == Signature::Right).then_some(Finding::SecretDiffers)
    }

    /// S3 refused for a reason beside the signature, which it had accepted.
    fn heed_another(&mut self, body: &ErrorBody, refusal: Refusal) {
        let key = &self.request.place.key;
        let holds_escapes =
            key.match_indices('%').any(|(at, _)| super::escapes::escape(&key[at..]).is_some());
        if refusal == Refusal::NoSuchKey && holds_escapes {
            self.findings.push(Finding::KeyHoldsEscapes(shortened(key)));
        } else {
            self.findings.push(Finding::OtherError(body.shown_code()));
        }
    }

    fn refuse(&mut self, verdict: Verdict, finding: Finding) {
        self.verdict.get_or_insert(verdict);
        self.findings.push(finding);
    }

    pub(super) fn end(self) -> (Verdict, Vec<Finding>) {
        (self.verdict.unwrap_or(Verdict::Valid), self.findings)
    }
}

fn is_about_the_token(finding: &Finding) -> bool {
    match finding {
        Finding::TokenForeign | Finding::TokenMissing => true,
        Finding::Changed { change, .. } => matches!(change, Change::TokenMissing | Change::Token),
        _ => false,
    }
}

/// The host, or the region and service that go with it.
fn is_about_the_place(finding: &Finding) -> bool {
    match finding {
        Finding::WrongRegion { .. } | Finding::WrongService { .. } => true,
        Finding::Changed { change, .. } => matches!(change, Change::Scope | Change::Host),
        _ => false,
    }
}

/// Whether a finding alone explains that a signature does not match.
fn is_a_cause(finding: &Finding) -> bool {
    matches!(finding, Finding::SignedHeaderMissing(_) | Finding::HeadersNotSigned(_) | Finding::Fragment)
}
