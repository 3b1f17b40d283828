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
