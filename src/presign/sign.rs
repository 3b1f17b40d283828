//! SigV4: from a canonical request to a signature. The only home of aws-sigv4 and the hash crates.
//!
//! Source: [Create a signed AWS API request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{canonical::CanonicalRequest, credentials::Secret, name::Region, time::AmzDate};

/// The algorithm's name, in URLs and in metrics.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How many signing keys one set of credentials keeps. A key serves one (day, region, service); a signer uses a
/// handful of regions, and both sides of midnight, at most.
const KEPT_KEYS: usize = 32;

/// What a signature is for: the credential scope without its date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The region that S3 verifies the signature for.
    pub region: Region,
    /// `s3` or `s3-outposts`.
    pub service: Box<str>,
}

impl Scope {
    /// Appends `DATE/REGION/SERVICE/aws4_request`.
    pub(super) fn write(&self, date: &AmzDate, out: &mut String) {
        for part in [date.day(), "/", self.region.as_str(), "/", &self.service, "/aws4_request"] {
            out.push_str(part);
        }
    }
}

/// The signing keys derived from one secret, kept for their day.
pub(super) struct SigningKeys(ArcSwap<Vec<Arc<Kept>>>);

struct Kept {
    day: Box<str>,
    scope: Scope,
    state: Hmac<Sha256>,
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Vec::new()))
    }
}

impl SigningKeys {
    /// The HMAC state of the signing key for this day and scope, derived when it is not there yet.
    fn state(&self, secret: &Secret, date: &AmzDate, now: SystemTime, scope: &Scope) -> Hmac<Sha256> {
        let kept = self.0.load();
        if let Some(found) = kept.iter().find(|kept| *kept.day == *date.day() && kept.scope == *scope) {
            return found.state.clone();
        }
        let key = aws_sigv4::sign::v4::generate_signing_key(
            secret.expose(),
            now,
            scope.region.as_str(),
            &scope.service,
        );
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
        let state = Hmac::<Sha256>::new_from_slice(key.as_ref()).expect("HMAC takes a key of any length");
        self.keep(&Arc::new(Kept { day: date.day().into(), scope: scope.clone(), state: state.clone() }));
        state
    }

    /// Keeps a key in front and drops the oldest past the limit. Two callers may derive the same key at once; both
    /// are right, and the later one stays.
    fn keep(&self, new: &Arc<Kept>) {
        self.0.rcu(|kept| {
            let others = kept.iter().filter(|old| old.day != new.day || old.scope != new.scope);
            std::iter::once(new).chain(others).take(KEPT_KEYS).cloned().collect::<Vec<_>>()
        });
    }
}

/// The request's hash, its scope and its time, in the form that is signed.
pub(super) fn string_to_sign(canonical: &CanonicalRequest<'_>, date: &AmzDate, scope: &Scope) -> String {
    let mut hash = Sha256::new();
    canonical.write_to(&mut |text| hash.update(text));
    let mut out = String::with_capacity(160);
    out.push_str(ALGORITHM);
    out.push('\n');
    out.push_str(date.as_str());
    out.push('\n');
    scope.write(date, &mut out);
    out.push('\n');
    write_hex(&hash.finalize(), &mut out);
    out
}

/// Appends the signature of a string to sign, in lower-case hexadecimal.
pub(super) fn write_signature(
    credentials: &super::credentials::Credentials,
    string_to_sign: &str,
    date: &AmzDate,
    now: SystemTime,
    scope: &Scope,
    out: &mut String,
) {
    let mut mac = credentials.keys().state(credentials.secret_access_key(), date, now, scope);
    mac.update(string_to_sign.as_bytes());
    write_hex(&mac.finalize().into_bytes(), out);
}

fn write_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::presign::{credentials::Credentials, operation::Method, parameters::Headers};

    /// 24 May 2013, midnight.
    const EXAMPLE: u64 = 1_369_353_600;

    /// The worked example of
    /// [Authenticating Requests: Using Query Parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html),
    /// step by step.
    #[test]
    fn each_step_of_the_worked_example_of_aws_is_as_published() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(EXAMPLE);
        let date = AmzDate::of(now);
        let scope = Scope { region: "us-east-1".parse().unwrap(), service: "s3".into() };
        let canonical = CanonicalRequest {
            method: Method::Get,
            path: "/test.txt",
            query: "X-Amz-Algorithm=AWS4-HMAC-SHA256\
                &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
            host: "examplebucket.s3.amazonaws.com",
            headers: &Headers::default(),
        };
        let mut text = String::new();
        canonical.write_to(&mut |piece| text.push_str(piece));
        assert_eq!(
            text,
            "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\n\
             host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
        );
        let to_sign = string_to_sign(&canonical, &date, &scope);
        assert_eq!(
            to_sign,
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
             3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
        );
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".into(), secret, None, None);
        let mut signature = String::new();
        write_signature(&credentials, &to_sign, &date, now, &scope, &mut signature);
        assert_eq!(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }

    #[test]
    fn a_signing_key_is_kept_for_its_day_and_scope_and_the_keys_are_bounded() {
        let keys = SigningKeys::default();
        let secret = Secret::from("secret".to_owned());
        let scope = |region: &str| Scope { region: region.parse().unwrap(), service: "s3".into() };
        let day = |number: u64| SystemTime::UNIX_EPOCH + Duration::from_hours(24 * number);
        let ask = |number, region: &str| {
            keys.state(&secret, &AmzDate::of(day(number)), day(number), &scope(region));
            keys.0.load().len()
        };
        assert_eq!(
            [ask(1, "us-east-1"), ask(1, "us-east-1"), ask(2, "us-east-1"), ask(2, "eu-west-1")],
            [1, 1, 2, 3]
        );
        for number in 0..100 {
            ask(number, "us-east-1");
        }
        assert_eq!(keys.0.load().len(), KEPT_KEYS);
    }
}
