//! SigV4 and SigV4A: from a canonical request to a signature. The home of const-hex, and with `keys` of the hash crates.
//!
//! Source: [Create a signed AWS API request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use std::{fmt, sync::Arc, time::SystemTime};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{
    canonical::{CanonicalRequest, SignedHeaders},
    credentials::Credentials,
    keys::{self, EcdsaKey, NoRandomness, Nonces},
    name::Region,
    time::AmzDate,
};

/// How a URL is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// HMAC with a key of one day, one region and one service.
    SigV4,
    /// ECDSA with one key for every region.
    ///
    /// Source: [SigV4A](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html#how-sigv4a-works).
    SigV4A,
}

impl Algorithm {
    /// Both, in the order of their discriminants.
    pub const ALL: [Self; 2] = [Self::SigV4, Self::SigV4A];

    /// The name, in URLs and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SigV4 => "AWS4-HMAC-SHA256",
            Self::SigV4A => "AWS4-ECDSA-P256-SHA256",
        }
    }
}

/// What a signature is for: the credential scope without its date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// Where S3 takes it.
    pub regions: Regions,
    /// `s3` or `s3-outposts`.
    pub service: Box<str>,
}

/// Where a signature is good, which decides how it is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Regions {
    /// In one region, by SigV4.
    One(Region),
    /// In several, by SigV4A: region names, perhaps with `*`, joined by commas.
    Set(Box<str>),
}

impl Scope {
    /// How a URL of this scope is signed.
    pub fn algorithm(&self) -> Algorithm {
        match self.regions {
            Regions::One(_) => Algorithm::SigV4,
            Regions::Set(_) => Algorithm::SigV4A,
        }
    }

    /// Appends the credential scope of a day, with `separator` instead of the slashes.
    pub(super) fn write(&self, date: &AmzDate, separator: &str, out: &mut String) {
        self.on_day_of(date).write(separator, out);
    }

    fn on_day_of<'a>(&'a self, date: &'a AmzDate) -> CredentialScope<'a> {
        let region = match &self.regions {
            Regions::One(region) => Some(region.as_str()),
            Regions::Set(_) => None,
        };
        CredentialScope { day: date.day(), region, service: &self.service }
    }
}

/// What a signature is for: `YYYYMMDD/REGION/SERVICE/aws4_request`.
#[derive(Clone, Copy)]
pub(crate) struct CredentialScope<'a> {
    /// `YYYYMMDD`.
    pub(crate) day: &'a str,
    /// None with SigV4A: a URL has its set of regions in a query parameter.
    pub(crate) region: Option<&'a str>,
    pub(crate) service: &'a str,
}

impl CredentialScope<'_> {
    fn write(&self, separator: &str, out: &mut String) {
        let parts = [Some(self.day), self.region, Some(self.service)];
        for part in parts.into_iter().flatten() {
            out.push_str(part);
            out.push_str(separator);
        }
        out.push_str("aws4_request");
    }
}

impl fmt::Display for CredentialScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write("/", &mut text);
        f.write_str(&text)
    }
}

/// What signs for one scope at one time.
pub(super) struct Pen {
    algorithm: Algorithm,
    ink: Ink,
}

enum Ink {
    /// The HMAC of the signing key, which has taken in as much of the string to sign as is known without a request.
    SigV4(Hmac<Sha256>),
    /// The key, and that much of the string to sign.
    SigV4A(Arc<EcdsaKey>, Nonces, String),
}

impl Pen {
    pub(super) fn new(
        credentials: &Credentials,
        date: &AmzDate,
        now: SystemTime,
        scope: &Scope,
        nonces: Nonces,
    ) -> Self {
        let beginning = string_to_sign_before_hash(scope.algorithm(), date.as_str(), scope.on_day_of(date));
        let ink = match &scope.regions {
            Regions::One(region) => {
                let secret = credentials.secret_access_key();
                let mut state = credentials.keys().state(secret, date, now, region, &scope.service);
                state.update(beginning.as_bytes());
                Ink::SigV4(state)
            }
            Regions::Set(_) => Ink::SigV4A(ecdsa_key(credentials), nonces, beginning),
        };
        Self { algorithm: scope.algorithm(), ink }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature of a request.
    pub(super) fn signature(
        &self,
        canonical: &CanonicalRequest<'_, impl SignedHeaders>,
    ) -> Result<Signature, NoRandomness> {
        let hash = hash(canonical);
        match &self.ink {
            Ink::SigV4(state) => {
                let mut mac = state.clone();
                mac.update(hash.as_str().as_bytes());
                Ok(Signature::SigV4(hex(mac.finalize().into_bytes().into())))
            }
            Ink::SigV4A(key, nonces, beginning) => {
                let signature = key.sign(&[beginning, hash.as_str()].concat(), *nonces)?;
                Ok(Signature::SigV4A(const_hex::encode(signature)))
            }
        }
    }
}

/// The signature of a POST policy, which is of its Base64 text and nothing else.
///
/// Source: [Authenticating requests in browser-based uploads using POST](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html).
pub(super) fn policy_signature(
    credentials: &Credentials,
    date: &AmzDate,
    now: SystemTime,
    (region, service): (&Region, &str),
    policy: &str,
) -> String {
    let secret = credentials.secret_access_key();
    let mut mac = credentials.keys().state(secret, date, now, region, service);
    mac.update(policy.as_bytes());
    hex(mac.finalize().into_bytes().into()).as_str().to_owned()
}

/// The string to sign of a canonical request from outside; `date` is its `X-Amz-Date`.
pub(crate) fn string_to_sign(
    algorithm: Algorithm,
    date: &str,
    scope: CredentialScope<'_>,
    canonical: &str,
) -> String {
    let hash = hex(Sha256::digest(canonical).into());
    string_to_sign_before_hash(algorithm, date, scope) + hash.as_str()
}

/// What looks whether signatures from outside are those of one key. It gives none away.
pub(crate) enum Verifier {
    /// The HMAC of the signing key.
    SigV4(Hmac<Sha256>),
    /// The key pair, of which only the public key is used.
    SigV4A(Arc<EcdsaKey>),
}

impl Verifier {
    /// For signatures of one day, region and service; SigV4A has one key for all of them. The key is not kept: what
    /// comes from outside must not drive out the keys that are in use.
    pub(crate) fn new(
        credentials: &Credentials,
        algorithm: Algorithm,
        day: SystemTime,
        region: &str,
        service: &str,
    ) -> Self {
        match algorithm {
            Algorithm::SigV4 => {
                Self::SigV4(keys::signing_key(credentials.secret_access_key(), day, region, service))
            }
            Algorithm::SigV4A => Self::SigV4A(ecdsa_key(credentials)),
        }
    }

    /// Whether a signature, in hexadecimal, is that of a string to sign. It takes as long whether or not it is.
    pub(crate) fn fits(&self, string_to_sign: &str, signature: &str) -> bool {
        // As it is written: S3 compares texts.
        let digits = signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let Some(signature) = const_hex::decode(signature).ok().filter(|_| digits) else { return false };
        match self {
            Self::SigV4(state) => {
                state.clone().chain_update(string_to_sign.as_bytes()).verify_slice(&signature).is_ok()
            }
            Self::SigV4A(key) => key.verifies(string_to_sign, &signature),
        }
    }
}

/// The key of SigV4A for these credentials.
fn ecdsa_key(credentials: &Credentials) -> Arc<EcdsaKey> {
    credentials.keys().ecdsa(credentials.access_key_id(), credentials.secret_access_key())
}

/// A signature in lower-case hexadecimal.
pub(super) enum Signature {
    SigV4(Hex),
    /// In DER, so that its length varies.
    SigV4A(String),
}

impl Signature {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::SigV4(text) => text.as_str(),
            Self::SigV4A(text) => text,
        }
    }
}

type Hex = const_hex::Buffer<32>;

fn hex(bytes: [u8; 32]) -> Hex {
    let mut text = Hex::new();
    text.format(&bytes);
    text
}

/// The string to sign, up to the hash of the request.
///
/// Source: [Create a string to sign](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-string-to-sign).
fn string_to_sign_before_hash(algorithm: Algorithm, date: &str, scope: CredentialScope<'_>) -> String {
    let mut out = String::with_capacity(96);
    for part in [algorithm.as_str(), "\n", date, "\n"] {
        out.push_str(part);
    }
    scope.write("/", &mut out);
    out.push('\n');
    out
}

/// The hash of the canonical request.
fn hash(canonical: &CanonicalRequest<'_, impl SignedHeaders>) -> Hex {
    let mut hash = Sha256::new();
    canonical.write_to(&mut |text| hash.update(text));
    hex(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::presign::{
        canonical::{Host, UrlHeaders},
        parameters::Headers,
        secret::Secret,
    };

    /// 24 May 2013, midnight.
    const EXAMPLE: u64 = 1_369_353_600;

    /// The worked example of
    /// [Authenticating Requests: Using Query Parameters](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html),
    /// step by step.
    #[test]
    fn each_step_of_the_worked_example_of_aws_is_as_published() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(EXAMPLE);
        let date = AmzDate::of(now);
        let scope = Scope { regions: Regions::One("us-east-1".parse().unwrap()), service: "s3".into() };
        let canonical = CanonicalRequest {
            method_line: "GET\n",
            path: "/test.txt",
            query: "X-Amz-Algorithm=AWS4-HMAC-SHA256\
                &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
            headers: UrlHeaders {
                host: &Host::new("examplebucket.s3.amazonaws.com".to_owned()),
                headers: &Headers::default(),
            },
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
        assert_eq!(
            string_to_sign_before_hash(scope.algorithm(), date.as_str(), scope.on_day_of(&date))
                + hash(&canonical).as_str(),
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
             3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
        );
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".into(), secret, None, None);
        let signature =
            Pen::new(&credentials, &date, now, &scope, Nonces::Random).signature(&canonical).unwrap();
        assert_eq!(signature.as_str(), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }

    /// The worked example of
    /// [Browser-based upload using HTTP POST](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html):
    /// its policy has line ends of its own, so that only its signature can be held against ours.
    #[test]
    fn the_policy_of_the_worked_example_of_aws_has_the_published_signature() {
        let policy = [
            r#"{ "expiration": "2015-12-30T12:00:00.000Z","#,
            r#"  "conditions": ["#,
            r#"    {"bucket": "sigv4examplebucket"},"#,
            r#"    ["starts-with", "$key", "user/user1/"],"#,
            r#"    {"acl": "public-read"},"#,
            r#"    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},"#,
            r#"    ["starts-with", "$Content-Type", "image/"],"#,
            r#"    {"x-amz-meta-uuid": "14365123651274"},"#,
            r#"    {"x-amz-server-side-encryption": "AES256"},"#,
            r#"    ["starts-with", "$x-amz-meta-tag", ""],"#,
            "",
            r#"    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},"#,
            r#"    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},"#,
            r#"    {"x-amz-date": "20151229T000000Z" }"#,
            "  ]",
            "}",
        ]
        .join("\r\n");
        let policy = aws_smithy_types::base64::encode(policy);
        assert!(
            policy
                .starts_with("eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9u")
        );
        assert_eq!(policy.len(), 864);
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".into(), secret, None, None);
        // 29 December 2015, midnight.
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(403_152);
        let region = "us-east-1".parse().unwrap();
        assert_eq!(
            policy_signature(&credentials, &AmzDate::of(now), now, (&region, "s3"), &policy),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }
}
