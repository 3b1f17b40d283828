//! SigV4 and SigV4A: computes signatures of canonical requests. The only module that uses const-hex; only it and `keys`
//! use the hash crates.
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

/// A signing algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// HMAC with a key for one day, one region and one service.
    SigV4,
    /// ECDSA with one key for all days, regions and services.
    ///
    /// Source: [SigV4A](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html#how-sigv4a-works).
    SigV4A,
}

impl Algorithm {
    /// Both algorithms, in the order of their discriminants.
    pub const ALL: [Self; 2] = [Self::SigV4, Self::SigV4A];

    /// The name in URLs and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SigV4 => "AWS4-HMAC-SHA256",
            Self::SigV4A => "AWS4-ECDSA-P256-SHA256",
        }
    }
}

/// What a signature is valid for: the credential scope without the date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The region or regions.
    pub regions: Regions,
    /// The service, such as `s3` or `s3-outposts`.
    pub service: Box<str>,
}

/// The regions in which a signature is valid. They determine the algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Regions {
    /// One region, with SigV4.
    One(Region),
    /// A set of regions, with SigV4A: region names, which may contain `*`, joined by commas.
    Set(Box<str>),
}

impl Scope {
    /// The algorithm for signatures of this scope.
    pub fn algorithm(&self) -> Algorithm {
        match self.regions {
            Regions::One(_) => Algorithm::SigV4,
            Regions::Set(_) => Algorithm::SigV4A,
        }
    }

    /// Appends the credential scope for a date, with `separator` instead of slashes.
    pub(super) fn write(&self, date: &AmzDate, separator: &str, out: &mut String) {
        self.with_date(date).write(separator, out);
    }

    fn with_date<'a>(&'a self, date: &'a AmzDate) -> CredentialScope<'a> {
        let region = match &self.regions {
            Regions::One(region) => Some(region.as_str()),
            Regions::Set(_) => None,
        };
        CredentialScope { day: date.day(), region, service: &self.service }
    }
}

/// A credential scope: `YYYYMMDD/REGION/SERVICE/aws4_request`.
#[derive(Clone, Copy)]
pub(crate) struct CredentialScope<'a> {
    /// `YYYYMMDD`.
    pub(crate) day: &'a str,
    /// None with SigV4A, where the set of regions is a query parameter.
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

/// Signs requests for one scope at one time.
pub(super) struct RequestSigner {
    algorithm: Algorithm,
    state: SigningKeyState,
}

/// The signing key, prepared as far as possible without a request.
enum SigningKeyState {
    /// The HMAC state of the signing key, already updated with the string to sign up to the hash of the request.
    SigV4(Hmac<Sha256>),
    /// The key, and the string to sign up to the hash of the request.
    SigV4A(Arc<EcdsaKey>, Nonces, String),
}

impl RequestSigner {
    pub(super) fn new(
        credentials: &Credentials,
        date: &AmzDate,
        now: SystemTime,
        scope: &Scope,
        nonces: Nonces,
    ) -> Self {
        let prefix = string_to_sign_prefix(scope.algorithm(), date.as_str(), scope.with_date(date));
        let state = match &scope.regions {
            Regions::One(region) => {
                let secret = credentials.secret_access_key();
                let mut hmac = credentials.keys().get_or_derive(secret, date, now, region, &scope.service);
                hmac.update(prefix.as_bytes());
                SigningKeyState::SigV4(hmac)
            }
            Regions::Set(_) => SigningKeyState::SigV4A(ecdsa_key(credentials), nonces, prefix),
        };
        Self { algorithm: scope.algorithm(), state }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs a canonical request.
    pub(super) fn sign(
        &self,
        canonical: &CanonicalRequest<'_, impl SignedHeaders>,
    ) -> Result<Signature, NoRandomness> {
        let hash = hash_canonical_request(canonical);
        match &self.state {
            SigningKeyState::SigV4(hmac) => {
                let mut mac = hmac.clone();
                mac.update(hash.as_str().as_bytes());
                Ok(Signature::SigV4(encode_hex(mac.finalize().into_bytes().into())))
            }
            SigningKeyState::SigV4A(key, nonces, prefix) => {
                let signature = key.sign(&[prefix, hash.as_str()].concat(), *nonces)?;
                Ok(Signature::SigV4A(const_hex::encode(signature)))
            }
        }
    }
}

/// Signs a POST policy. The string to sign is its Base64 text.
///
/// Source: [Authenticating requests in browser-based uploads using POST](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html).
pub(super) fn sign_policy(
    credentials: &Credentials,
    date: &AmzDate,
    now: SystemTime,
    (region, service): (&Region, &str),
    policy: &str,
) -> String {
    let secret = credentials.secret_access_key();
    let mut mac = credentials.keys().get_or_derive(secret, date, now, region, service);
    mac.update(policy.as_bytes());
    encode_hex(mac.finalize().into_bytes().into()).as_str().to_owned()
}

/// The string to sign of a received request. `date` is its `X-Amz-Date`, `canonical` its canonical request.
pub(crate) fn string_to_sign(
    algorithm: Algorithm,
    date: &str,
    scope: CredentialScope<'_>,
    canonical: &str,
) -> String {
    let hash = encode_hex(Sha256::digest(canonical).into());
    string_to_sign_prefix(algorithm, date, scope) + hash.as_str()
}

/// Checks received signatures against one signing key, without creating signatures.
pub(crate) enum Verifier {
    /// The HMAC state of the signing key.
    SigV4(Hmac<Sha256>),
    /// The key pair. Only the public key is used.
    SigV4A(Arc<EcdsaKey>),
}

impl Verifier {
    /// A verifier for one day, region and service. With SigV4A, one key serves all of them.
    ///
    /// The derived key is not cached: received requests must not evict the keys in use.
    pub(crate) fn new(
        credentials: &Credentials,
        algorithm: Algorithm,
        day: SystemTime,
        region: &str,
        service: &str,
    ) -> Self {
        match algorithm {
            Algorithm::SigV4 => {
                Self::SigV4(keys::derive_signing_key(credentials.secret_access_key(), day, region, service))
            }
            Algorithm::SigV4A => Self::SigV4A(ecdsa_key(credentials)),
        }
    }

    /// Whether a hexadecimal signature is the one of a string to sign, in constant time.
    pub(crate) fn is_valid(&self, string_to_sign: &str, signature: &str) -> bool {
        // S3 compares texts, so capital letters do not match.
        let is_lower_hex = signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let Some(signature) = const_hex::decode(signature).ok().filter(|_| is_lower_hex) else {
            return false;
        };
        match self {
            Self::SigV4(hmac) => {
                hmac.clone().chain_update(string_to_sign.as_bytes()).verify_slice(&signature).is_ok()
            }
            Self::SigV4A(key) => key.verifies(string_to_sign, &signature),
        }
    }
}

/// The cached SigV4A key of these credentials.
fn ecdsa_key(credentials: &Credentials) -> Arc<EcdsaKey> {
    credentials.keys().get_or_derive_ecdsa(credentials.access_key_id(), credentials.secret_access_key())
}

/// A signature in lower-case hexadecimal.
pub(super) enum Signature {
    SigV4(Hex),
    /// In DER, so the length varies.
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

fn encode_hex(bytes: [u8; 32]) -> Hex {
    let mut text = Hex::new();
    text.format(&bytes);
    text
}

/// The string to sign, up to the hash of the request.
///
/// Source: [Create a string to sign](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html#create-string-to-sign).
fn string_to_sign_prefix(algorithm: Algorithm, date: &str, scope: CredentialScope<'_>) -> String {
    let mut out = String::with_capacity(96);
    for part in [algorithm.as_str(), "\n", date, "\n"] {
        out.push_str(part);
    }
    scope.write("/", &mut out);
    out.push('\n');
    out
}

/// Hashes a canonical request.
fn hash_canonical_request(canonical: &CanonicalRequest<'_, impl SignedHeaders>) -> Hex {
    let mut hash = Sha256::new();
    canonical.write_to(&mut |text| hash.update(text));
    encode_hex(hash.finalize().into())
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
    fn aws_example_matches_at_each_step() {
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
            string_to_sign_prefix(scope.algorithm(), date.as_str(), scope.with_date(&date))
                + hash_canonical_request(&canonical).as_str(),
            "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
             3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
        );
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".into(), secret, None, None);
        let signature =
            RequestSigner::new(&credentials, &date, now, &scope, Nonces::Random).sign(&canonical).unwrap();
        assert_eq!(signature.as_str(), "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }

    /// The worked example of
    /// [Browser-based upload using HTTP POST](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html):
    /// its policy has other line breaks than ours, so only the signature can be compared.
    #[test]
    fn aws_example_policy_has_the_published_signature() {
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
            sign_policy(&credentials, &AmzDate::of(now), now, (&region, "s3"), &policy),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }
}
