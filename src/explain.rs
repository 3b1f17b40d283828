//! Why a presigned URL fails: what it says, whether its signature is right, and what was changed when it is not.
//!
//! It is as pure as the rest of the core: the request, what S3 answered, the credentials and the time are arguments. A
//! signature that was computed here is compared and never told; of what is secret in a request, only that it is there.

mod authentication;
mod canonical;
mod change;
mod compare;
mod error_body;
mod escapes;
mod finding;
mod flaw;
mod hypotheses;
mod judge;
mod near;
mod place;
mod scrub;
mod sent;
mod url;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use self::{authentication::Authentication, canonical::Canonical, judge::Judge, scrub::Secrets, url::Url};
pub use self::{
    authentication::Parts,
    change::{Change, Way},
    finding::Finding,
    flaw::Flaw,
    place::Place,
    sent::{MAX_ERROR_BODY_BYTES, MAX_URL_BYTES, MAX_URL_PARTS, Sent, SentError},
};
use crate::presign::{credentials::Secret, sign, snapshot::Snapshot};

/// How far in the future S3 lets a signing time lie.
///
/// Source: `RequestTimeTooSkewed` in
/// [Error codes](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList), and
/// [Authenticating requests](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html): within
/// 15 minutes. A URL from further in the future is refused with "Request is not yet valid".
pub const CLOCK_SKEW: Duration = Duration::from_mins(15);

/// What S3 would say, as far as can be known; it documents no order in which it looks at things. Where several are due:
/// whether there is a key to check with, then the signature, then the time.
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
    /// Without what is secret in it; empty when the URL cannot be read.
    pub canonical_request: String,
    /// Empty when the URL cannot be read.
    pub string_to_sign: String,
    /// The one verdict.
    pub verdict: Verdict,
    /// What is wrong, the likeliest first; not more than about twenty.
    pub findings: Vec<Finding>,
}

/// Explains a request with a presigned URL; `error_body` is what S3 answered, and may be empty. The signers are those that
/// have credentials now.
pub fn explain(sent: &Sent, error_body: &str, signers: &[Arc<Snapshot>], now: SystemTime) -> Explanation {
    let tokens = signers.iter().filter_map(|signer| signer.credentials().session_token());
    let secrets = sent.secrets().and(tokens.map(Secret::expose));
    explain_all(sent, error_body, signers, now).without(&secrets)
}

fn explain_all(sent: &Sent, error_body: &str, signers: &[Arc<Snapshot>], now: SystemTime) -> Explanation {
    let Some(url) = sent.url() else {
        return malformed(Parts::default(), sent.copied_or(Flaw::NotAUrl));
    };
    let parts = Parts::of(url);
    let rules = signers.iter().map(|signer| &signer.rules().endpoint);
    let endpoints: Vec<_> =
        rules.flat_map(|rules| [rules.in_url(), rules.endpoint.as_ref()]).flatten().collect();
    let place = Place::of(url, sent.host(url), &endpoints);
    let auth = if let Some(flaw) = sent.white_space() {
        Err(sent.copied_or(flaw.clone()))
    } else if sent.header("authorization").is_some() {
        Err(Flaw::TwoWays)
    } else {
        Authentication::read(url, &parts).map_err(|flaw| sent.copied_or(flaw))
    };
    let host = place::host_in(&url.authority);
    match auth {
        Err(flaw) => Explanation { host, place: place.without_query(), ..malformed(parts, flaw) },
        Ok(auth) => {
            let request = Request { sent, url, auth: &auth, place: &place };
            let explained = request.explain(error_body, signers, now);
            Explanation { parts, host, place, ..explained }
        }
    }
}

impl Explanation {
    /// The same without what is secret, which may have come to stand where nobody looks for it.
    fn without(mut self, secrets: &Secrets) -> Self {
        let Parts { access_key_id, scope_date, scope_region, scope_service, signed_headers, .. } =
            &mut self.parts;
        let parts = [access_key_id, scope_date, scope_region, scope_service];
        let texts = [&mut self.host, &mut self.canonical_request, &mut self.string_to_sign];
        let texts = texts.into_iter().chain([&mut self.place.bucket, &mut self.place.key]);
        for text in parts.into_iter().chain(texts).chain(signed_headers) {
            secrets.hide_in(text);
        }
        for finding in &mut self.findings {
            let mut told = finding.to_string();
            if secrets.are_in(&told) {
                secrets.hide_in(&mut told);
                *finding = Finding::Hidden(told);
            }
        }
        self
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
        let canonical = Canonical::of(self.sent, self.url, auth, self.place.plus());
        let string_to_sign =
            sign::string_to_sign(auth.algorithm, &auth.date, auth.scope(), &canonical.text());
        let canonical_request = canonical.shown();
        let mut judge = Judge::new(self, canonical, now);
        let body = judge.read(error_body);
        judge.compare(body.as_ref());
        judge.check_signature(signers);
        judge.check_scope();
        judge.check_time();
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::presign::{
        credentials::Credentials, endpoint::EndpointRules, expiry::Seconds, snapshot::Rules,
    };

    /// The worked example of
    /// [Authenticating Requests: Using Query Parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
    const EXAMPLE: &str = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

    const NOW: Duration = Duration::from_hours(380_376);

    fn signer(token: Option<&str>) -> Arc<Snapshot> {
        let secret = |text: &str| Secret::from(text.to_owned());
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token.map(secret),
            None,
        );
        let rules = Rules {
            endpoint: EndpointRules::default(),
            default_expiry: Seconds::ONE,
            max_expiry: Seconds::ONE,
        };
        Arc::new(Snapshot::new(credentials, rules))
    }

    fn explained(url: &str, signer: Arc<Snapshot>) -> Explanation {
        let sent = Sent::new(url, "GET", []).unwrap();
        explain(&sent, "", &[signer], SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn the_worked_example_of_aws_is_valid_and_each_step_is_as_published() {
        let known = explained(EXAMPLE, signer(None));
        assert_eq!((known.verdict, known.findings), (Verdict::Valid, vec![]));
        assert_eq!(
            known.canonical_request,
            "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\n\
             host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
        );
        assert_eq!(
            known.string_to_sign,
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
             3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
        );
        assert_eq!((known.place.bucket.as_str(), known.place.key.as_str()), ("examplebucket", "test.txt"));
    }

    #[test]
    fn a_url_that_is_only_written_otherwise_is_valid() {
        let (path, query) = EXAMPLE.split_once('?').unwrap();
        let backwards: Vec<_> = query.split('&').rev().collect();
        for url in [
            format!("{path}?{}", backwards.join("&")),
            EXAMPLE.replace("%2F", "%2f"),
            EXAMPLE.replace("%2F", "/"),
            EXAMPLE.replace("test", "t%65st"),
            EXAMPLE.replace(".com/", ".com:443/"),
            EXAMPLE.replace('?', "?&"),
            format!(" {EXAMPLE}\n"),
        ] {
            let known = explained(&url, signer(None));
            assert_eq!((known.verdict, known.findings), (Verdict::Valid, vec![]), "{url}");
        }
    }

    #[test]
    fn a_signature_that_is_written_otherwise_is_none() {
        let (before, signature) = EXAMPLE.rsplit_once('=').unwrap();
        for other in
            [signature.to_uppercase(), format!("0x{signature}"), format!("{signature} "), String::new()]
        {
            let known = explained(&format!("{before}={}", other.replace(' ', "%20")), signer(None));
            assert_eq!(known.verdict, Verdict::SignatureMismatch, "{other}");
        }
    }

    #[test]
    fn a_signature_that_is_right_is_of_no_use_without_the_token_of_its_credentials() {
        let known = explained(EXAMPLE, signer(Some("token")));
        assert_eq!((known.verdict, known.findings), (Verdict::UnknownAccessKey, vec![Finding::TokenMissing]));
    }

    #[test]
    fn token_and_end_are_those_of_the_credentials_that_fit_where_several_have_the_access_key() {
        let ended = SystemTime::UNIX_EPOCH + NOW - Duration::from_secs(1);
        let secret = |text: &str| Secret::from(text.to_owned());
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret("another"),
            Some(secret("token")),
            Some(ended),
        );
        let other = Arc::new(Snapshot::new(credentials, signer(None).rules().clone()));
        let sent = Sent::new(EXAMPLE, "GET", []).unwrap();
        for signers in [[other.clone(), signer(None)], [signer(None), other]] {
            let known = explain(&sent, "", &signers, SystemTime::UNIX_EPOCH + NOW);
            assert_eq!((known.verdict, known.findings), (Verdict::Valid, vec![]));
        }
    }

    proptest! {
        #[test]
        fn a_url_with_any_byte_changed_is_not_valid_unless_it_says_the_same(
            at in 0..EXAMPLE.len(),
            to in "[ -~]",
        ) {
            let mut url = EXAMPLE.to_owned();
            url.replace_range(at..=at, &to);
            let known = explained(&url, signer(None));
            let same = explained(EXAMPLE, signer(None)).string_to_sign == known.string_to_sign;
            let valid = known.verdict == Verdict::Valid;
            let signature = |url: &str| url.rsplit_once("X-Amz-Signature=").map(|(_, text)| text.to_owned());
            prop_assert!(!valid || (same && signature(&url) == signature(EXAMPLE)), "{}", url);
            prop_assert_eq!(known.findings.is_empty(), valid);
        }
    }
}
