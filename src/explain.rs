//! Explains why a presigned URL fails: its parts, whether its signature matches, and what was changed if it does not.
//!
//! It is as pure as the core: the request, S3's answer, the credentials and the time are arguments. An explanation contains
//! no secret of the request, and no signature that is computed here.

mod authentication;
mod candidates;
mod canonical;
mod change;
mod compare;
mod diagnose;
mod error_body;
mod redact;
mod report;
mod request;
mod target;
mod url;
mod url_error;

use std::{sync::Arc, time::SystemTime};

use self::{
    authentication::Authentication,
    canonical::{CanonicalParts, ParsedRequest},
    diagnose::diagnose,
    redact::Secrets,
    target::cut_host,
    url::Url,
};
pub use self::{
    authentication::AuthenticationParts,
    change::{Change, ComparedPair},
    diagnose::CLOCK_SKEW,
    report::{Finding, UrlVerdict},
    request::{MAX_ERROR_BODY_BYTES, MAX_URL_BYTES, MAX_URL_PARTS, UsedRequest, UsedRequestError},
    target::UrlTarget,
    url_error::UrlError,
};
use crate::presign::{credentials::Secret, sign, snapshot::Snapshot};

/// The explanation of a presigned URL. It contains no secrets.
pub struct Explanation {
    /// The authentication parameters of the URL.
    pub parts: AuthenticationParts,
    /// The host, with the port if the URL has one.
    pub host: String,
    /// The bucket and the key of the URL.
    pub target: UrlTarget,
    /// The canonical request, with its secrets replaced; empty when S3 could not read the URL.
    pub canonical_request: String,
    /// The string to sign; empty when S3 could not read the URL.
    pub string_to_sign: String,
    /// How S3 would answer.
    pub verdict: UrlVerdict,
    /// The problems, the likeliest first; at most 20, and one that counts the others.
    pub findings: Vec<Finding>,
}

/// Explains a request with a presigned URL. `error_body` is the answer of S3, empty when it is not known; `signers` are
/// snapshots of all signers that have credentials, with those that were replaced lately.
pub fn explain(
    used: &UsedRequest,
    error_body: &str,
    signers: &[Arc<Snapshot>],
    now: SystemTime,
) -> Explanation {
    let tokens = signers.iter().filter_map(|signer| signer.credentials().session_token());
    let secrets = used.secrets().with(tokens.map(Secret::expose));
    explain_with_secrets(used, error_body, signers, now).without_secrets(&secrets)
}

fn explain_with_secrets(
    used: &UsedRequest,
    error_body: &str,
    signers: &[Arc<Snapshot>],
    now: SystemTime,
) -> Explanation {
    let Some(url) = used.url() else {
        return Explanation::malformed(used.prefer_copy_damage(UrlError::NotAUrl));
    };
    let parts = AuthenticationParts::read(url);
    let rules = signers.iter().map(|signer| &signer.rules().endpoint);
    let endpoints: Vec<_> =
        rules.flat_map(|rules| [rules.url_endpoint(), rules.endpoint.as_ref()]).flatten().collect();
    let target = UrlTarget::from_url(url, used.host(url), &endpoints);
    let host = cut_host(&url.authority);
    let auth = match read_authentication(used, url, &parts) {
        Ok(auth) => auth,
        Err(error) => {
            return Explanation { parts, host, target: target.cut_query(), ..Explanation::malformed(error) };
        }
    };
    let request = ParsedRequest { used, url, auth: &auth, target: &target };
    let canonical = CanonicalParts::from_request(&request);
    let canonical_request = canonical.redacted_text();
    let string_to_sign = sign::string_to_sign(auth.algorithm, &auth.date, auth.scope(), &canonical.text());
    let (verdict, findings) = diagnose(request, canonical, error_body, signers, now);
    Explanation { parts, host, target, canonical_request, string_to_sign, verdict, findings }
}

fn read_authentication(
    used: &UsedRequest,
    url: &Url,
    parts: &AuthenticationParts,
) -> Result<Authentication, UrlError> {
    if let Some(error) = used.white_space() {
        return Err(used.prefer_copy_damage(error.clone()));
    }
    if used.header("authorization").is_some() {
        return Err(UrlError::AuthorizationHeader);
    }
    Authentication::parse(url, parts).map_err(|error| used.prefer_copy_damage(error))
}

impl Explanation {
    fn malformed(error: UrlError) -> Self {
        Self {
            parts: AuthenticationParts::default(),
            host: String::new(),
            target: UrlTarget::default(),
            canonical_request: String::new(),
            string_to_sign: String::new(),
            verdict: UrlVerdict::Malformed,
            findings: vec![error.into()],
        }
    }

    /// Replaces secrets: in a damaged URL, any part may contain one.
    fn without_secrets(mut self, secrets: &Secrets) -> Self {
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
            secrets.redact(text);
        }
        for finding in &mut self.findings {
            let mut sentence = finding.to_string();
            if secrets.has_match_in(&sentence) {
                secrets.redact(&mut sentence);
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

    fn explain_get(url: &str, signer: Arc<Snapshot>) -> Explanation {
        let used = UsedRequest::new(url, "GET", []).unwrap();
        explain(&used, "", &[signer], SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn worked_example_of_aws_is_valid() {
        let explanation = explain_get(EXAMPLE, signer(None));
        assert_eq!((explanation.verdict, explanation.findings), (UrlVerdict::Valid, vec![]));
        assert_eq!(
            explanation.canonical_request,
            "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\n\
             host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
        );
        assert_eq!(
            explanation.string_to_sign,
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
             3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
        );
        assert_eq!(
            (explanation.target.bucket.as_str(), explanation.target.key.as_str()),
            ("examplebucket", "test.txt")
        );
    }

    #[test]
    fn equivalent_spellings_of_a_url_are_valid() {
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
            let explanation = explain_get(&url, signer(None));
            assert_eq!((explanation.verdict, explanation.findings), (UrlVerdict::Valid, vec![]), "{url}");
        }
    }

    #[test]
    fn other_spellings_of_a_signature_do_not_match() {
        let (before, signature) = EXAMPLE.rsplit_once('=').unwrap();
        for other in
            [signature.to_uppercase(), format!("0x{signature}"), format!("{signature} "), String::new()]
        {
            let explanation = explain_get(&format!("{before}={}", other.replace(' ', "%20")), signer(None));
            assert_eq!(explanation.verdict, UrlVerdict::SignatureMismatch, "{other}");
        }
    }

    #[test]
    fn matching_signature_without_session_token_is_rejected() {
        let explanation = explain_get(EXAMPLE, signer(Some("token")));
        assert_eq!(
            (explanation.verdict, explanation.findings),
            (UrlVerdict::UnknownAccessKey, vec![Finding::TokenMissing])
        );
    }

    #[test]
    fn the_credentials_that_match_decide_about_token_and_expiry() {
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
            let explanation = explain(&used, "", &signers, SystemTime::UNIX_EPOCH + NOW);
            assert_eq!((explanation.verdict, explanation.findings), (UrlVerdict::Valid, vec![]));
        }
    }

    proptest! {
        #[test]
        fn changed_byte_is_valid_only_in_an_equivalent_url(
            index in 0..EXAMPLE.len(),
            byte in "[ -~]",
        ) {
            let mut url = EXAMPLE.to_owned();
            url.replace_range(index..=index, &byte);
            let explanation = explain_get(&url, signer(None));
            let same = explain_get(EXAMPLE, signer(None)).string_to_sign == explanation.string_to_sign;
            let valid = explanation.verdict == UrlVerdict::Valid;
            let signature = |url: &str| url.rsplit_once("X-Amz-Signature=").map(|(_, text)| text.to_owned());
            prop_assert!(!valid || (same && signature(&url) == signature(EXAMPLE)), "{}", url);
            prop_assert_eq!(explanation.findings.is_empty(), valid);
        }
    }
}
