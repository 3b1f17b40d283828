//! From a request, the signers and what S3 answered to a verdict, with a finding for each thing that is wrong.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    candidates::CandidateSearch,
    compare::{CanonicalParts, ParsedRequest, find_changes, find_first_difference},
    error_body::{ErrorBody, RefusalKind},
    redact::shorten,
    report::{ComparedPair, Finding, UrlVerdict},
    request::{PlusMeaning, has_escape},
    target::find_region,
};
use crate::presign::{credentials::Credentials, sign::Algorithm, snapshot::Snapshot};

/// How far in the future S3 lets a signing time lie.
///
/// Source: `RequestTimeTooSkewed` in
/// [Error codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList), and
/// [Authenticating requests](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html): within
/// 15 minutes. A URL from further in the future is refused with "Request is not yet valid".
pub const CLOCK_SKEW: Duration = Duration::from_mins(15);

/// What the access key IDs of temporary credentials begin with.
///
/// Source: [Unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes).
const TEMPORARY: &str = "ASIA";

/// How many findings are reported, the likeliest ones.
const MAX_FINDINGS: usize = 20;

/// The verdict on a request, and the findings, the likeliest first. `given` is its canonical request; `error_body` is what
/// S3 answered, and may be empty.
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

/// Collects findings.
struct Diagnosis<'a> {
    request: ParsedRequest<'a>,
    now: SystemTime,
    /// The request as it was given. Values of headers that were not given are those that S3 received, if it said so.
    given: CanonicalParts,
    /// What S3 received, if it said so.
    received: Option<CanonicalParts>,
    signature: SignatureCheck,
    /// The session token is the one of the key that made the signature.
    has_own_token: bool,
    verdict: Option<UrlVerdict>,
    findings: Vec<Finding>,
}

/// What is known of the signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SignatureCheck {
    /// No signer has the key.
    KeyUnknown,
    /// It matches the request as given.
    MatchesGiven,
    /// It matches what S3 received, which differs from what was given.
    MatchesReceived,
    Mismatch,
}

impl Diagnosis<'_> {
    /// Reads what S3 answered, and ignores an answer to another request.
    fn read_error_body(&mut self, text: &str) -> Option<ErrorBody> {
        if text.trim().is_empty() {
            return None;
        }
        let Some(body) = ErrorBody::parse(text) else {
            self.findings.push(Finding::ErrorBodyUnreadable);
            return None;
        };
        let auth = self.request.auth;
        if body.is_about_other_request(&auth.access_key_id, &auth.signature) {
            self.findings.push(Finding::OtherErrorBody);
            return None;
        }
        self.received = body.received();
        self.fill_in_headers();
        Some(body)
    }

    /// Takes headers that were not given from what S3 received: people often have the URL alone.
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

    /// What S3 received differently was changed on the way.
    fn compare_with_received(&mut self) {
        let Some(received) = &self.received else { return };
        self.findings.extend(find_changes(&self.given, received, ComparedPair::UsedAndReceived));
        self.findings.extend(find_first_difference(received, &self.given));
    }

    /// Checks the signature with the key that made it, and searches for what was signed when it does not match.
    fn check_signature(&mut self, signers: &[Arc<Snapshot>]) {
        self.find_missing_headers();
        let request = self.request;
        let access_key_id = &request.auth.access_key_id;
        let own = signers.iter().filter(|signer| signer.credentials().access_key_id() == access_key_id);
        let hashed = Cell::new(0);
        let searches: Vec<_> = own.map(|signer| CandidateSearch::new(request, signer, &hashed)).collect();
        let Some(first) = searches.first() else { return self.report_unknown_key() };
        let find_match =
            |canonical: &CanonicalParts| searches.iter().find(|search| search.matches(canonical));
        let given = find_match(&self.given).map(|search| (search, SignatureCheck::MatchesGiven));
        let received = || Some((find_match(self.received.as_ref()?)?, SignatureCheck::MatchesReceived));
        if let Some((search, signature)) = given.or_else(received) {
            let credentials = search.snapshot().credentials();
            self.signature = signature;
            if signature == SignatureCheck::MatchesReceived {
                self.verdict = Some(UrlVerdict::SignatureMismatch);
            }
            self.check_matching_request(credentials);
            return self.check_credentials_expiry(credentials);
        }
        self.signature = SignatureCheck::Mismatch;
        self.verdict = Some(UrlVerdict::SignatureMismatch);
        let signed = searches.iter().find_map(|search| Some((search, self.find_signed_changes(search)?)));
        let (search, proven) = signed.map_or((first, None), |(search, proven)| (search, Some(proven)));
        self.report_mismatch(proven);
        self.check_credentials_expiry(search.snapshot().credentials());
    }

    fn find_missing_headers(&mut self) {
        for (name, value) in &self.given.headers {
            let missing = name != "host" && value.is_empty() && self.request.used.header(name).is_none();
            if missing && name != "x-amz-content-sha256" {
                self.findings.push(Finding::SignedHeaderMissing(shorten(name)));
            }
        }
    }

    fn report_unknown_key(&mut self) {
        let auth = self.request.auth;
        let temporary = auth.access_key_id.starts_with(TEMPORARY);
        if temporary && auth.token.is_none() {
            self.findings.push(Finding::TokenMissing);
        }
        self.add(UrlVerdict::UnknownAccessKey, Finding::UnknownAccessKey { temporary });
    }

    /// What can be wrong with a request whose signature matches.
    fn check_matching_request(&mut self, credentials: &Credentials) {
        let ParsedRequest { target, url, .. } = self.request;
        if url.path.contains('+') && target.plus() == PlusMeaning::Space {
            self.findings.push(Finding::PlusForSpace(shorten(&url.path)));
        }
        self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
        self.check_unsigned_headers();
        self.check_token(credentials);
    }

    /// What was signed instead, close to the request as given or to the one that S3 received: the differences, proven by
    /// the signature.
    fn find_signed_changes(&self, search: &CandidateSearch<'_>) -> Option<Vec<Finding>> {
        if let Some(signed) = search.find(&self.given) {
            return Some(find_changes(&signed, &self.given, ComparedPair::SignedAndUsed));
        }
        let received = self.received.as_ref().filter(|received| received.text() != self.given.text())?;
        Some(find_changes(&search.find(received)?, received, ComparedPair::SignedAndReceived))
    }

    /// Reports the proven changes; without them, what may be the cause.
    fn report_mismatch(&mut self, proven: Option<Vec<Finding>>) {
        if let Some(proven) = proven {
            self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
            self.findings.splice(0..0, proven);
            return;
        }
        let ParsedRequest { used, url, auth, target } = self.request;
        if auth.algorithm == Algorithm::SigV4 && auth.signature.len() != 64 {
            let length = auth.signature.chars().count();
            return self.findings.push(match length {
                ..64 => Finding::SignatureCut { length },
                _ => Finding::SignatureAppended { length },
            });
        }
        if url.has_fragment {
            self.findings.push(Finding::Fragment);
        }
        self.check_unsigned_headers();
        if target.aws.is_none() && target.bucket.is_empty() {
            self.findings.push(Finding::HostUnknown(shorten(used.host(url))));
        }
        if !self.findings.iter().any(Finding::explains_mismatch) {
            let headers = auth.signed_headers.iter().filter(|name| *name != "host");
            let headers = headers.map(|name| shorten(name)).collect();
            self.findings.push(Finding::Unexplained { headers });
        }
    }

    /// S3 wants every `x-amz-*` header signed.
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

    /// S3 knows a temporary access key only together with its token, so a matching signature is not enough.
    fn check_token(&mut self, credentials: &Credentials) {
        let finding = match (credentials.session_token(), self.request.auth.token.as_deref()) {
            (None, None) => return,
            (Some(own), Some(token)) if own.equals(token) => {
                self.has_own_token = true;
                return;
            }
            // A session of S3 Express has a token of its own, which only S3 knows.
            (_, Some(_)) if self.request.url.value("X-Amz-S3session-Token").is_some() => return,
            (Some(_), None) => Finding::TokenMissing,
            (_, Some(_)) => Finding::TokenForeign,
        };
        self.add(UrlVerdict::UnknownAccessKey, finding);
    }

    fn check_credentials_expiry(&mut self, credentials: &Credentials) {
        let of_url = self.request.auth.expires_at();
        let Some(end) = credentials.expires_at().filter(|end| *end < of_url) else { return };
        if end <= self.now {
            self.add(UrlVerdict::Expired, Finding::CredentialsExpired(Some(end)));
        } else {
            self.findings.push(Finding::CredentialsEndFirst(end));
        }
    }

    /// Compares the credential scope with the region and service of the host, which S3 expects there.
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
            // It is certain, so it comes before an unknown key, but after what is proven of the signature.
            let index = if self.signature == SignatureCheck::Mismatch { self.findings.len() } else { 0 };
            self.findings.insert(index, Finding::Expired(auth.expires_at()));
        } else if auth.signed_at > now + CLOCK_SKEW {
            self.add(UrlVerdict::NotYetValid, Finding::NotYetValid(auth.signed_at));
        }
    }

    /// Adds a finding, and its verdict unless an earlier one counts.
    fn add(&mut self, verdict: UrlVerdict, finding: Finding) {
        self.verdict.get_or_insert(verdict);
        self.findings.push(finding);
    }

    fn finish(mut self) -> (UrlVerdict, Vec<Finding>) {
        let more = self.findings.len().saturating_sub(MAX_FINDINGS);
        if more > 0 {
            self.findings.truncate(MAX_FINDINGS);
            self.findings.push(Finding::More(more));
        }
        (self.verdict.unwrap_or(UrlVerdict::Valid), self.findings)
    }
}

/// What S3 answered: it knows best why it refused the request.
impl Diagnosis<'_> {
    fn apply_error_body(&mut self, body: &ErrorBody) {
        use UrlVerdict::{Expired, NotYetValid, SignatureMismatch, UnknownAccessKey};
        let (verdict, finding) = match body.refusal() {
            RefusalKind::Signature => (SignatureMismatch, self.find_other_secret()),
            RefusalKind::HeadersNotSigned => (SignatureMismatch, self.find_unsigned_headers(body)),
            RefusalKind::Region => (SignatureMismatch, self.find_wrong_region(body)),
            RefusalKind::Parameters => (find_parameters_verdict(body), Some(describe_refusal(body))),
            RefusalKind::Expired => (Expired, self.find_expiry(body)),
            RefusalKind::TokenExpired => (
                Expired,
                self.unless_reported(
                    |finding| matches!(finding, Finding::CredentialsExpired(_)),
                    Finding::CredentialsExpired(None),
                ),
            ),
            RefusalKind::NotYetValid => (NotYetValid, self.find_early_use(body)),
            RefusalKind::TokenInvalid => (UnknownAccessKey, self.find_refused_token()),
            RefusalKind::AccessKey => (UnknownAccessKey, self.find_refused_key()),
            RefusalKind::NoSuchKey if has_escape(&self.request.target.key) => {
                return self.findings.push(Finding::KeyHoldsEscapes(shorten(&self.request.target.key)));
            }
            RefusalKind::NoSuchKey | RefusalKind::Other => {
                return self.findings.push(Finding::OtherError(body.shown_code()));
            }
        };
        self.verdict = Some(verdict);
        // What S3 says is the likeliest cause.
        self.findings.splice(0..0, finding);
    }

    /// A finding, unless one of its kind is there already.
    fn unless_reported(&self, is_same: fn(&Finding) -> bool, finding: Finding) -> Option<Finding> {
        (!self.findings.iter().any(is_same)).then_some(finding)
    }

    /// Why S3 refuses a signature that matches here.
    fn find_other_secret(&self) -> Option<Finding> {
        let received = match self.signature {
            SignatureCheck::MatchesGiven => &self.received,
            SignatureCheck::MatchesReceived => return Some(Finding::SecretDiffers),
            SignatureCheck::Mismatch | SignatureCheck::KeyUnknown => return None,
        };
        match received {
            // The plus is the likelier cause: not every server reads it as a space.
            None => self.unless_reported(
                |finding| matches!(finding, Finding::PlusForSpace(_)),
                Finding::RightAndRefused,
            ),
            // The differences are reported already.
            Some(received) => (received.text() == self.given.text()).then_some(Finding::SecretDiffers),
        }
    }

    fn find_unsigned_headers(&self, body: &ErrorBody) -> Option<Finding> {
        let names = body.headers_not_signed().into_iter().map(shorten).collect();
        let is_same = |finding: &Finding| matches!(finding, Finding::HeadersNotSigned(_));
        self.unless_reported(is_same, Finding::HeadersNotSigned(names))
    }

    /// The bucket is in another region, or has another host.
    fn find_wrong_region(&self, body: &ErrorBody) -> Option<Finding> {
        let region = self.request.auth.region.as_str();
        let host = body.endpoint();
        let right = body.region.as_deref().map(str::trim).filter(|region| !region.is_empty());
        let right = right.map(shorten).or_else(|| find_region(host?));
        let is_same = right.as_deref() == Some(region);
        match host {
            Some(host) if is_same || (right.is_none() && body.is_temporary_redirect()) => {
                Some(Finding::Redirected(host.to_owned()))
            }
            _ if is_same => Some(describe_refusal(body)),
            _ => {
                let scope = if region.is_empty() { "X-Amz-Region-Set" } else { region };
                let finding = Finding::WrongRegion { scope: shorten(scope), right };
                self.unless_reported(Finding::is_about_scope, finding)
            }
        }
    }

    fn find_expiry(&self, body: &ErrorBody) -> Option<Finding> {
        let end = self.request.auth.expires_at();
        if self.now < end {
            return Some(self.describe_other_clock(body, "has expired", "has not"));
        }
        self.unless_reported(|finding| matches!(finding, Finding::Expired(_)), Finding::Expired(end))
    }

    fn find_early_use(&self, body: &ErrorBody) -> Option<Finding> {
        let signed_at = self.request.auth.signed_at;
        if signed_at <= self.now + CLOCK_SKEW {
            return Some(self.describe_other_clock(body, "is not yet valid", "is"));
        }
        let is_same = |finding: &Finding| matches!(finding, Finding::NotYetValid(_));
        self.unless_reported(is_same, Finding::NotYetValid(signed_at))
    }

    fn describe_other_clock(&self, body: &ErrorBody, s3: &'static str, here: &'static str) -> Finding {
        Finding::OtherClock { said: body.server_time().map(str::to_owned), s3, here, now: self.now }
    }

    fn find_refused_token(&self) -> Option<Finding> {
        let finding = match self.request.auth.token {
            Some(_) if self.has_own_token => return Some(Finding::TokenNotTaken),
            Some(_) => Finding::TokenForeign,
            None => Finding::TokenMissing,
        };
        self.unless_reported(Finding::is_about_token, finding)
    }

    fn find_refused_key(&self) -> Option<Finding> {
        let auth = self.request.auth;
        if auth.token.is_none() && auth.access_key_id.starts_with(TEMPORARY) {
            return self.unless_reported(Finding::is_about_token, Finding::TokenMissing);
        }
        Some(Finding::UnknownToS3)
    }
}

/// A wrong service in the scope is another signature; other parameters that S3 refuses, it could not read.
fn find_parameters_verdict(body: &ErrorBody) -> UrlVerdict {
    if body.message.contains("service") { UrlVerdict::SignatureMismatch } else { UrlVerdict::Malformed }
}

/// S3's own words for the parameter that it refuses.
fn describe_refusal(body: &ErrorBody) -> Finding {
    Finding::ParametersRefused(match body.message.trim() {
        "" => body.shown_code(),
        message => shorten(message),
    })
}
