//! Applies the answer of S3, which knows best why it rejected the request.

use super::{CLOCK_SKEW, Diagnosis, SignatureCheck, TEMPORARY};
use crate::explain::{
    error_body::{ErrorBody, RefusalKind},
    redact::shorten,
    report::{Finding, UrlVerdict},
    target::find_region,
    url::has_escape,
};

impl Diagnosis<'_> {
    /// Replaces the verdict by S3's, and puts its finding first unless it is reported already.
    pub(super) fn apply_error_body(&mut self, body: &ErrorBody) {
        use UrlVerdict::{Expired, NotYetValid, SignatureMismatch, UnknownAccessKey};
        let (verdict, finding) = match body.refusal_kind() {
            RefusalKind::Signature => (SignatureMismatch, self.find_signature_cause()),
            RefusalKind::HeadersNotSigned => (SignatureMismatch, self.find_unsigned_headers(body)),
            RefusalKind::Region => (SignatureMismatch, self.find_wrong_region(body)),
            RefusalKind::Parameters => (find_parameters_verdict(body), Some(describe_refusal(body))),
            RefusalKind::Expired => (Expired, self.find_expiry(body)),
            RefusalKind::TokenExpired => (
                Expired,
                self.skip_if_reported(
                    |finding| matches!(finding, Finding::CredentialsExpired(_)),
                    Finding::CredentialsExpired(None),
                ),
            ),
            RefusalKind::NotYetValid => (NotYetValid, self.find_early_use(body)),
            RefusalKind::TokenInvalid => (UnknownAccessKey, self.find_refused_token()),
            RefusalKind::AccessKey => (UnknownAccessKey, self.find_refused_key()),
            RefusalKind::NoSuchKey if has_escape(&self.request.target.key) => {
                return self.findings.push(Finding::KeyHasEscapes(shorten(&self.request.target.key)));
            }
            RefusalKind::NoSuchKey | RefusalKind::Other => {
                return self.findings.push(Finding::OtherS3Error(body.printable_code()));
            }
        };
        self.verdict = Some(verdict);
        // The reason that S3 gives is the likeliest cause.
        self.findings.splice(0..0, finding);
    }

    /// A finding, unless one of the same kind is reported already.
    fn skip_if_reported(&self, is_same: fn(&Finding) -> bool, finding: Finding) -> Option<Finding> {
        (!self.findings.iter().any(is_same)).then_some(finding)
    }

    /// Why S3 rejects a signature that matches here.
    fn find_signature_cause(&self) -> Option<Finding> {
        let received = match self.signature {
            SignatureCheck::MatchesGiven => &self.received,
            SignatureCheck::MatchesReceived => return Some(Finding::SecretKeyDiffers),
            SignatureCheck::Mismatch | SignatureCheck::KeyUnknown => return None,
        };
        match received {
            // A + is the likelier cause: not every server reads it as a space.
            None => self.skip_if_reported(
                |finding| matches!(finding, Finding::PlusForSpace(_)),
                Finding::SignatureRejected,
            ),
            // The differences are reported already.
            Some(received) => (received.text() == self.given.text()).then_some(Finding::SecretKeyDiffers),
        }
    }

    fn find_unsigned_headers(&self, body: &ErrorBody) -> Option<Finding> {
        let names = body.headers_not_signed().into_iter().map(shorten).collect();
        let is_same = |finding: &Finding| matches!(finding, Finding::HeadersNotSigned(_));
        self.skip_if_reported(is_same, Finding::HeadersNotSigned(names))
    }

    /// The region or the host that S3 expects instead.
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
                self.skip_if_reported(Finding::is_about_scope, finding)
            }
        }
    }

    fn find_expiry(&self, body: &ErrorBody) -> Option<Finding> {
        let end = self.request.auth.expires_at();
        if self.now < end {
            return Some(self.describe_other_clock(body, "has expired", "has not"));
        }
        self.skip_if_reported(|finding| matches!(finding, Finding::Expired(_)), Finding::Expired(end))
    }

    fn find_early_use(&self, body: &ErrorBody) -> Option<Finding> {
        let signed_at = self.request.auth.signed_at;
        if signed_at <= self.now + CLOCK_SKEW {
            return Some(self.describe_other_clock(body, "is not yet valid", "is"));
        }
        let is_same = |finding: &Finding| matches!(finding, Finding::NotYetValid(_));
        self.skip_if_reported(is_same, Finding::NotYetValid(signed_at))
    }

    fn describe_other_clock(&self, body: &ErrorBody, s3: &'static str, here: &'static str) -> Finding {
        Finding::ClocksDiffer { said: body.server_time().map(str::to_owned), s3, here, now: self.now }
    }

    fn find_refused_token(&self) -> Option<Finding> {
        let finding = match self.request.auth.token {
            Some(_) if self.has_own_token => return Some(Finding::TokenRejected),
            Some(_) => Finding::TokenMismatch,
            None => Finding::TokenMissing,
        };
        self.skip_if_reported(Finding::is_about_token, finding)
    }

    fn find_refused_key(&self) -> Option<Finding> {
        let auth = self.request.auth;
        if auth.token.is_none() && auth.access_key_id.starts_with(TEMPORARY) {
            return self.skip_if_reported(Finding::is_about_token, Finding::TokenMissing);
        }
        Some(Finding::AccessKeyUnknownToS3)
    }
}

/// The verdict for parameters that S3 rejects: a wrong service in the scope is a signature for another request, anything
/// else is malformed.
fn find_parameters_verdict(body: &ErrorBody) -> UrlVerdict {
    if body.message.contains("service") { UrlVerdict::SignatureMismatch } else { UrlVerdict::Malformed }
}

/// The message of S3 for the parameter that it rejects, or its code.
fn describe_refusal(body: &ErrorBody) -> Finding {
    Finding::ParametersRejected(match body.message.trim() {
        "" => body.printable_code(),
        message => shorten(message),
    })
}
