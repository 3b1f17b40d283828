//! Checks the signature, and finds what was changed when it does not match.

use std::{cell::Cell, sync::Arc};

use super::{Diagnosis, SignatureCheck, TEMPORARY};
use crate::{
    explain::{
        candidates::CandidateSearch,
        canonical::{CanonicalParts, ParsedRequest},
        change::ComparedPair,
        compare::find_changes,
        redact::shorten,
        report::{Finding, UrlVerdict},
        url::PlusMeaning,
    },
    presign::{credentials::Credentials, sign::Algorithm, snapshot::Snapshot},
};

impl Diagnosis<'_> {
    /// Checks the signature with the secret key of its access key. Searches for the signed request when it does not match.
    pub(super) fn check_signature(&mut self, signers: &[Arc<Snapshot>]) {
        self.find_missing_headers();
        let request = self.request;
        let access_key_id = &request.auth.access_key_id;
        let with_key = signers.iter().filter(|signer| signer.credentials().access_key_id() == access_key_id);
        let hashed = Cell::new(0);
        let searches: Vec<_> =
            with_key.map(|signer| CandidateSearch::new(request, signer, &hashed)).collect();
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

    /// Checks a request whose signature matches for other mistakes.
    fn check_matching_request(&mut self, credentials: &Credentials) {
        let ParsedRequest { target, url, .. } = self.request;
        if url.path.contains('+') && target.plus_meaning() == PlusMeaning::Space {
            self.findings.push(Finding::PlusForSpace(shorten(&url.path)));
        }
        self.findings.retain(|finding| !matches!(finding, Finding::SignedHeaderMissing(_)));
        self.check_unsigned_headers();
        self.check_token(credentials);
    }

    /// Finds the signed request, similar to the given one or to the one that S3 received, and its differences from it. The
    /// signature proves them.
    fn find_signed_changes(&self, search: &CandidateSearch<'_>) -> Option<Vec<Finding>> {
        if let Some(signed) = search.find(&self.given) {
            return Some(find_changes(&signed, &self.given, ComparedPair::SignedAndUsed));
        }
        let received = self.received.as_ref().filter(|received| received.text() != self.given.text())?;
        Some(find_changes(&search.find(received)?, received, ComparedPair::SignedAndReceived))
    }

    /// Reports the proven changes, or the possible causes if there are no proven changes.
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
                ..64 => Finding::SignatureTooShort { length },
                _ => Finding::SignatureTooLong { length },
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
}
