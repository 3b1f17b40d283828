//! What S3 said of a request, beside what is known of it here.

use super::{Judge, Signature, TEMPORARY, is_about_the_place};
use crate::explain::{
    CLOCK_SKEW, Verdict,
    change::Change,
    compare::shortened,
    error_body::{ErrorBody, Refusal},
    escapes,
    finding::Finding,
    place,
};

impl Judge<'_> {
    /// Takes in what S3 said: of the reason of its refusal it knows more than anybody.
    pub(in crate::explain) fn heed(&mut self, body: Option<&ErrorBody>) {
        let Some(body) = body else { return };
        let (verdict, finding) = match body.refusal() {
            Refusal::Signature => (Verdict::SignatureMismatch, self.right_and_refused()),
            Refusal::HeadersNotSigned => (Verdict::SignatureMismatch, self.headers_not_signed(body)),
            Refusal::Region => self.elsewhere(body),
            Refusal::Parameters => (parameters_verdict(body), Some(refused_parameters(body))),
            Refusal::Expired => (Verdict::Expired, self.expired(body)),
            Refusal::TokenExpired => (
                Verdict::Expired,
                self.unless(
                    |told| matches!(told, Finding::CredentialsExpired(_)),
                    Finding::CredentialsExpired(None),
                ),
            ),
            Refusal::NotYetValid => (Verdict::NotYetValid, self.not_yet_valid(body)),
            Refusal::TokenInvalid => (Verdict::UnknownAccessKey, self.token_refused()),
            Refusal::AccessKey => (Verdict::UnknownAccessKey, self.access_key_refused()),
            refusal @ (Refusal::NoSuchKey | Refusal::Other) => return self.heed_another(body, refusal),
        };
        self.verdict = Some(verdict);
        // What S3 says is the likeliest.
        self.findings.splice(0..0, finding);
    }

    /// A finding, unless it was told already.
    fn unless(&self, is_it: fn(&Finding) -> bool, finding: Finding) -> Option<Finding> {
        (!self.findings.iter().any(is_it)).then_some(finding)
    }

    /// S3 says that the signature does not match, and here it does.
    fn right_and_refused(&self) -> Option<Finding> {
        let received = match self.signature {
            Signature::Right => &self.received,
            Signature::OfWhatArrived => return Some(Finding::SecretDiffers),
            Signature::Wrong | Signature::Unknown => return None,
        };
        match received {
            // Not at every server, it seems.
            None if self.findings.iter().any(|told| matches!(told, Finding::PlusForSpace(_))) => None,
            None => Some(Finding::RightAndRefused),
            Some(received) if received.text() == self.given.text() => Some(Finding::SecretDiffers),
            // What differs was told.
            Some(_) => None,
        }
    }

    fn headers_not_signed(&self, body: &ErrorBody) -> Option<Finding> {
        let names = body.headers_not_signed().into_iter().map(shortened).collect();
        self.unless(|told| matches!(told, Finding::HeadersNotSigned(_)), Finding::HeadersNotSigned(names))
    }

    /// The bucket is in another region, or is asked for at another host than its own.
    fn elsewhere(&self, body: &ErrorBody) -> (Verdict, Option<Finding>) {
        let region = self.request.auth.region.as_str();
        let host = body.endpoint();
        let right = body.region.as_deref().map(str::trim).filter(|region| !region.is_empty());
        let right = right.map(shortened).or_else(|| place::region_of(host?));
        let is_same = right.as_deref() == Some(region);
        let finding = match host {
            Some(host) if is_same || (right.is_none() && body.is_temporary_redirect()) => {
                Some(Finding::Redirected(host.to_owned()))
            }
            _ if is_same => Some(refused_parameters(body)),
            _ => {
                let scope = match region {
                    "" => "X-Amz-Region-Set".to_owned(),
                    region => shortened(region),
                };
                self.unless(is_about_the_place, Finding::WrongRegion { scope, right })
            }
        };
        (Verdict::SignatureMismatch, finding)
    }

    fn expired(&self, body: &ErrorBody) -> Option<Finding> {
        let end = self.request.auth.expires_at();
        if self.now < end {
            return Some(self.other_clock(body, "has expired", "has not"));
        }
        self.unless(|told| matches!(told, Finding::Expired(_)), Finding::Expired(end))
    }

    fn not_yet_valid(&self, body: &ErrorBody) -> Option<Finding> {
        let signed_at = self.request.auth.signed_at;
        if signed_at <= self.now + CLOCK_SKEW {
            return Some(self.other_clock(body, "is not yet valid", "is"));
        }
        self.unless(|told| matches!(told, Finding::NotYetValid(_)), Finding::NotYetValid(signed_at))
    }

    fn other_clock(&self, body: &ErrorBody, s3: &'static str, here: &'static str) -> Finding {
        Finding::OtherClock { said: body.server_time().map(str::to_owned), s3, here, now: self.now }
    }

    fn token_refused(&self) -> Option<Finding> {
        let finding = match self.request.auth.token {
            Some(_) if self.is_own_token => return Some(Finding::TokenNotTaken),
            Some(_) => Finding::TokenForeign,
            None => Finding::TokenMissing,
        };
        self.unless(is_about_the_token, finding)
    }

    fn access_key_refused(&self) -> Option<Finding> {
        let auth = self.request.auth;
        if auth.token.is_none() && auth.access_key_id.starts_with(TEMPORARY) {
            return self.unless(is_about_the_token, Finding::TokenMissing);
        }
        Some(Finding::UnknownToS3)
    }

    /// S3 refused for a reason beside the signature, which it had accepted.
    fn heed_another(&mut self, body: &ErrorBody, refusal: Refusal) {
        let key = &self.request.place.key;
        let holds_escapes = key.match_indices('%').any(|(at, _)| escapes::escape(&key[at..]).is_some());
        if refusal == Refusal::NoSuchKey && holds_escapes {
            self.findings.push(Finding::KeyHoldsEscapes(shortened(key)));
        } else {
            self.findings.push(Finding::OtherError(body.shown_code()));
        }
    }
}

/// A scope that does not fit the host is another signature; what else S3 does not take, it could not read.
fn parameters_verdict(body: &ErrorBody) -> Verdict {
    if body.message.contains("service") { Verdict::SignatureMismatch } else { Verdict::Malformed }
}

/// The credential, or another parameter: S3 says which.
fn refused_parameters(body: &ErrorBody) -> Finding {
    Finding::ParametersRefused(match body.message.trim() {
        "" => body.shown_code(),
        message => shortened(message),
    })
}

fn is_about_the_token(finding: &Finding) -> bool {
    match finding {
        Finding::TokenForeign | Finding::TokenMissing => true,
        Finding::Changed { change, .. } => matches!(change, Change::TokenMissing | Change::Token),
        _ => false,
    }
}
