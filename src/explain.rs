//! Explains why a presigned URL fails: what it says, whether its signature matches, and what was changed if it does not.
//!
//! It is as pure as the core: the request, S3's answer, the credentials and the time are arguments. A signature that is
//! computed here is compared and never shown; of a secret in a request, an explanation says only that it is there.

mod authentication;
mod candidates;
mod compare;
mod diagnose;
mod error_body;
mod redact;
mod report;
mod request;
mod target;

use std::{sync::Arc, time::SystemTime};

use self::{
    authentication::Authentication,
    compare::{CanonicalParts, ParsedRequest},
    diagnose::diagnose,
    redact::Secrets,
    request::Url,
    target::cut_host,
};
pub use self::{
    authentication::AuthenticationParts,
    diagnose::CLOCK_SKEW,
    report::{Change, ComparedPair, Finding, UrlVerdict},
    request::{Flaw, MAX_ERROR_BODY_BYTES, MAX_URL_BYTES, MAX_URL_PARTS, UsedRequest, UsedRequestError},
    target::UrlTarget,
};
use crate::presign::{credentials::Secret, sign, snapshot::Snapshot};

/// What is known of a presigned URL.
pub struct Explanation {
    /// The authentication parameters of the URL.
    pub parts: AuthenticationParts,
    /// The host, with the port if the URL has one.
    pub host: String,
    /// What the URL is for.
    pub target: UrlTarget,
    /// Without secrets; empty when S3 could not read the URL.
    pub canonical_request: String,
    /// Empty when S3 could not read the URL.
    pub string_to_sign: String,
    /// The one verdict.
    pub verdict: UrlVerdict,
    /// What is wrong, the likeliest first; about twenty at most.
    pub findings: Vec<Finding>,
}

/// Explains a request with a presigned URL; `error_body` is what S3 answered, and may be empty. The signers are those that
/// have credentials now.
pub fn explain(
    used: &UsedRequest,
    error_body: &str,
    signers: &[Arc<Snapshot>],
    now: SystemTime,
) -> Explanation {
    let tokens = signers.iter().filter_map(|signer| signer.credentials().session_token());
    let secrets = used.secrets().with(tokens.map(Secret::expose));
    explain_with_secrets(used, error_body, signers, now).without(&secrets)
}

fn explain_with_secrets(
    used: &UsedRequest,
    error_body: &str,
    signers: &[Arc<Snapshot>],
    now: SystemTime,
) -> Explanation {
    let Some(url) = used.url() else {
        return Explanation::malformed(used.copy_damage_or(Flaw::NotAUrl));
    };
    let parts = AuthenticationParts::read(url);
    let rules = signers.iter().map(|signer| &signer.rules().endpoint);
    let endpoints: Vec<_> =
        rules.flat_map(|rules| [rules.url_endpoint(), rules.endpoint.as_ref()]).flatten().collect();
    let target = UrlTarget::find(url, used.host(url), &endpoints);
    let host = cut_host(&url.authority);
    let auth = match read_authentication(used, url, &parts) {
        Ok(auth) => auth,
        Err(flaw) => {
            return Explanation { parts, host, target: target.cut_query(), ..Explanation::malformed(flaw) };
        }
    };
    let request = ParsedRequest { used, url, auth: &auth, target: &target };
    let canonical = CanonicalParts::of(&request);
    let canonical_request = canonical.redacted_text();
    let string_to_sign = sign::string_to_sign(auth.algorithm, &auth.date, auth.scope(), &canonical.text());
    let (verdict, findings) = diagnose(request, canonical, error_body, signers, now);
    Explanation { parts, host, target, canonical_request, string_to_sign, verdict, findings }
}

fn read_authentication(
    used: &UsedRequest,
    url: &Url,
    parts: &AuthenticationParts,
) -> Result<Authentication, Flaw> {
    if let Some(flaw) = used.white_space() {
        return Err(used.copy_damage_or(flaw.clone()));
    }
    if used.header("authorization").is_some() {
        return Err(Flaw::TwoWays);
    }
    Authentication::parse(url, parts).map_err(|flaw| used.copy_damage_or(flaw))
}

impl Explanation {
    fn malformed(flaw: Flaw) -> Self {
        Self {
            parts: AuthenticationParts::default(),
            host: String::new(),
            target: UrlTarget::default(),
            canonical_request: String::new(),
            string_to_sign: String::new(),
            verdict: UrlVerdict::Malformed,
            findings: vec![flaw.into()],
        }
    }

    /// The same without secrets: in a damaged URL, any part may contain one.
    fn without(mut self, secrets: &Secrets) -> Self {
        let AuthenticationParts {
            access_key_id,
            scope_date,
            scope_region,
            scope_service,
            signed_headers,
            ..
        } = &mut self.parts;
        let parts = [access_key_id, scope_date, scope_region, scope_service];
        let texts = [&mut self.host, &mut self.canonical_request, &mut self.string_to_sign];
        let texts = texts.into_iter().chain([&mut self.target.bucket, &mut self.target.key]);
        for text in parts.into_iter().chain(texts).chain(signed_headers) {
            secrets.hide_in(text);
        }
        for finding in &mut self.findings {
            let mut sentence = finding.to_string();
            if secrets.are_in(&sentence) {
                secrets.hide_in(&mut sentence);
                *finding = Finding::Redacted(sentence);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::presign::{
        credentials::Credentials, endpoint::EndpointRules, expiry::Seconds, snapshot::SigningRules,
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
        let rules = SigningRules {
            endpoint: EndpointRules::default(),
            default_expiry: Seconds::ONE,
            max_expiry: Seconds::ONE,
        };
        Arc::new(Snapshot::new(credentials, rules))
    }

    fn explained(url: &str, signer: Arc<Snapshot>) -> Explanation {
        let used = UsedRequest::new(url, "GET", []).unwrap();
        explain(&used, "", &[signer], SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn the_worked_example_of_aws_is_valid_and_each_step_is_as_published() {
        let known = explained(EXAMPLE, signer(None));
        assert_eq!((known.verdict, known.findings), (UrlVerdict::Valid, vec![]));
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
        assert_eq!((known.target.bucket.as_str(), known.target.key.as_str()), ("examplebucket", "test.txt"));
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
            assert_eq!((known.verdict, known.findings), (UrlVerdict::Valid, vec![]), "{url}");
        }
    }

    #[test]
    fn a_signature_that_is_written_otherwise_is_none() {
        let (before, signature) = EXAMPLE.rsplit_once('=').unwrap();
        for other in
            [signature.to_uppercase(), format!("0x{signature}"), format!("{signature} "), String::new()]
        {
            let known = explained(&format!("{before}={}", other.replace(' ', "%20")), signer(None));
            assert_eq!(known.verdict, UrlVerdict::SignatureMismatch, "{other}");
        }
    }

    #[test]
    fn a_signature_that_is_right_is_of_no_use_without_the_token_of_its_credentials() {
        let known = explained(EXAMPLE, signer(Some("token")));
        assert_eq!(
            (known.verdict, known.findings),
            (UrlVerdict::UnknownAccessKey, vec![Finding::TokenMissing])
        );
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
        let used = UsedRequest::new(EXAMPLE, "GET", []).unwrap();
        for signers in [[other.clone(), signer(None)], [signer(None), other]] {
            let known = explain(&used, "", &signers, SystemTime::UNIX_EPOCH + NOW);
            assert_eq!((known.verdict, known.findings), (UrlVerdict::Valid, vec![]));
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
            let valid = known.verdict == UrlVerdict::Valid;
            let signature = |url: &str| url.rsplit_once("X-Amz-Signature=").map(|(_, text)| text.to_owned());
            prop_assert!(!valid || (same && signature(&url) == signature(EXAMPLE)), "{}", url);
            prop_assert_eq!(known.findings.is_empty(), valid);
        }
    }
}
