//! From what is known of a request to a verdict, with a finding for each thing that is wrong.

mod heed;

use std::{cell::Cell, sync::Arc, time::SystemTime};

use super::{
    CLOCK_SKEW, Request, Verdict,
    canonical::Canonical,
    change::{Change, Way},
    compare::{differences, first_difference, shortened},
    error_body::ErrorBody,
    escapes::Plus,
    finding::Finding,
    hypotheses::Search,
};
use crate::presign::{credentials::Credentials, sign::Algorithm, snapshot::Snapshot};

/// Gathers findings. Where several verdicts are due, the first one counts: whether there is a key to check with, then
/// whether the signature is right, then whether it is the time.
pub(super) struct Judge<'a> {
    request: &'a Request<'a>,
    now: SystemTime,
    /// The request as it was given. Values of headers that were not given are those that arrived at S3, where it told.
    given: Canonical,
    /// What S3 received, where it told.
    received: Option<Canonical>,
    signature: Signature,
    /// The session token is the one of the key that made the signature.
    is_own_token: bool,
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
    /// It is that of what arrived at S3, which is not what was given.
    OfWhatArrived,
    Wrong,
}

/// So many findings are told, the likeliest ones.
const MOST_FINDINGS: usize = 20;

impl<'a> Judge<'a> {
    pub(super) fn new(request: &'a Request<'a>, given: Canonical, now: SystemTime) -> Self {
        Self {
            request,
            now,
            given,
            received: None,
            signature: Signature::Unknown,
            is_own_token: false,
            verdict: None,
            findings: Vec::new(),
        }
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
        self.fill_in_what_was_not_given();
        Some(body)
    }

    /// Headers that were not given, and arrived at S3: the question is often asked with the URL alone.
    fn fill_in_what_was_not_given(&mut self) {
        let Some(received) = &self.received else { return };
        let sent = self.request.sent;
        for (name, value) in &mut self.given.headers {
            if name == "host" || sent.header(name).is_some() {
                continue;
            }
            received.header(name).unwrap_or_default().clone_into(value);
            if name == "x-amz-content-sha256" {
                received.payload.clone_into(&mut self.given.payload);
            }
        }
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
    pub(super) fn check_signature(&mut self, signers: &[Arc<Snapshot>]) {
        self.look_for_missing_headers();
        let Request { auth, place, url, .. } = *self.request;
        let ours = signers.iter().filter(|signer| signer.credentials().access_key_id() == auth.access_key_id);
        let hashed = Cell::new(0);
        let searches: Vec<_> = ours.map(|signer| Search::new(auth, signer, place, url, &hashed)).collect();
        let Some(first) = searches.first() else { return self.nobody_has_the_key() };
        let fitting = |canonical: &Canonical| searches.iter().find(|search| search.fits(canonical));
        let right = fitting(&self.given).map(|search| (search, Signature::Right));
        let arrived = || Some((fitting(self.received.as_ref()?)?, Signature::OfWhatArrived));
        if let Some((search, signature)) = right.or_else(arrived) {
            let credentials = search.snapshot.credentials();
            self.signature = signature;
            if signature == Signature::OfWhatArrived {
                self.verdict = Some(Verdict::SignatureMismatch);
            }
            self.signature_is_right(credentials);
            return self.check_end(credentials);
        }
        self.signature = Signature::Wrong;
        self.verdict = Some(Verdict::SignatureMismatch);
        let signed = searches.iter().find_map(|search| Some((search, self.signed(search)?)));
        let (search, proven) = signed.map_or((first, None), |(search, proven)| (search, Some(proven)));
        self.tell_what_was_signed(proven);
        self.check_end(search.snapshot.credentials());
    }

    fn look_for_missing_headers(&mut self) {
        for (name, value) in &self.given.headers {
            let missing = name != "host" && value.is_empty() && self.request.sent.header(name).is_none();
            // A missing one is as good as an empty one.
            if missing && name != "x-amz-content-sha256" {
                self.findings.push(Finding::SignedHeaderMissing(shortened(name)));
            }
        }
    }

    fn nobody_has_the_key(&mut self) {
        let auth = self.request.auth;
        let temporary = auth.access_key_id.starts_with(TEMPORARY);
        if temporary && auth.token.is_none() {
            self.findings.push(Finding::TokenMissing);
        }
        self.refuse(Verdict::UnknownAccessKey, Finding::UnknownAccessKey { temporary });
    }

    fn signature_is_right(&mut self, credentials: &Credentials) {
        let Request { place, url, .. } = *self.request;
        if url.path.contains('+') && place.plus() == Plus::Space {
            self.findings.push(Finding::PlusForSpace(shortened(&url.path)));
        }
        self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
        self.check_unsigned_headers();
        self.check_token(credentials);
    }

    /// What was signed instead, near to the request as it was given or to the one that arrived: what differs, proven.
    fn signed(&self, search: &Search) -> Option<Vec<Finding>> {
        if let Some(signed) = search.signed(&self.given) {
            return Some(differences(&signed, &self.given, Way::SignedAndUsed));
        }
        let received = self.received.as_ref().filter(|received| received.text() != self.given.text())?;
        Some(differences(&search.signed(received)?, received, Way::SignedAndReceived))
    }

    fn tell_what_was_signed(&mut self, proven: Option<Vec<Finding>>) {
        if let Some(proven) = proven {
            self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
            self.findings.splice(0..0, proven);
            return;
        }
        let (auth, url) = (self.request.auth, self.request.url);
        if auth.algorithm == Algorithm::SigV4 && auth.signature.len() != 64 {
            let length = auth.signature.chars().count();
            let finding = match length {
                ..64 => Finding::SignatureCut { length },
                _ => Finding::SignatureAppended { length },
            };
            return self.findings.push(finding);
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
            let headers = auth.signed_headers.iter().filter(|name| *name != "host");
            let headers = headers.map(|name| shortened(name)).collect();
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
            names.filter(|name| !signed.iter().any(|known| known == name)).map(shortened).collect();
        if !unsigned.is_empty() {
            self.refuse(Verdict::SignatureMismatch, Finding::HeadersNotSigned(unsigned));
        }
    }

    /// A signature that is right is of no use with the wrong token: S3 knows a temporary access key by both.
    fn check_token(&mut self, credentials: &Credentials) {
        let finding = match (credentials.session_token(), self.request.auth.token.as_deref()) {
            (None, None) => return,
            (Some(own), Some(token)) if own.is(token) => {
                self.is_own_token = true;
                return;
            }
            // A session of S3 Express has a token of its own, which only S3 knows.
            (_, Some(_)) if self.request.url.value("X-Amz-S3session-Token").is_some() => return,
            (Some(_), None) => Finding::TokenMissing,
            (_, Some(_)) => Finding::TokenForeign,
        };
        self.refuse(Verdict::UnknownAccessKey, finding);
    }

    fn check_end(&mut self, credentials: &Credentials) {
        let of_url = self.request.auth.expires_at();
        let Some(end) = credentials.expires_at().filter(|end| *end < of_url) else { return };
        if end <= self.now {
            self.refuse(Verdict::Expired, Finding::CredentialsExpired(Some(end)));
        } else {
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

    pub(super) fn check_time(&mut self) {
        let (auth, now) = (self.request.auth, self.now);
        if now >= auth.expires_at() {
            self.verdict.get_or_insert(Verdict::Expired);
            // What is sure comes before what only cannot be checked.
            let place = if self.signature == Signature::Wrong { self.findings.len() } else { 0 };
            self.findings.insert(place, Finding::Expired(auth.expires_at()));
        } else if auth.signed_at > now + CLOCK_SKEW {
            self.refuse(Verdict::NotYetValid, Finding::NotYetValid(auth.signed_at));
        }
    }

    fn refuse(&mut self, verdict: Verdict, finding: Finding) {
        self.verdict.get_or_insert(verdict);
        self.findings.push(finding);
    }

    pub(super) fn end(mut self) -> (Verdict, Vec<Finding>) {
        let more = self.findings.len().saturating_sub(MOST_FINDINGS);
        if more > 0 {
            self.findings.truncate(MOST_FINDINGS);
            self.findings.push(Finding::More(more));
        }
        (self.verdict.unwrap_or(Verdict::Valid), self.findings)
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
