//! Signing keys: derived from a secret, and kept. The home of aws-sigv4, ring and p256.
//!
//! Source: [Create a signed AWS API request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit};
use p256::ecdsa::{DerSignature, SigningKey, signature::Signer};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
    },
};
use sha2::Sha256;
use thiserror::Error;

use super::{name::Region, secret::Secret, time::AmzDate};

/// How many signing keys one set of credentials keeps. A key serves one (day, region, service); a signer uses a
/// handful of regions, and both sides of midnight, at most.
const KEPT_KEYS: usize = 32;

/// Where the number comes from that each signature of SigV4A needs for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nonces {
    /// From the system: fast, and the same request has another signature each time.
    Random,
    /// From key and message ([RFC 6979](https://www.rfc-editor.org/rfc/rfc6979)): the same request has the same
    /// signature.
    Derived,
}

/// The system gave no random bytes for a SigV4A signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the operating system returned no random bytes for the signature: try again shortly")]
pub struct NoRandomness;

/// The HMAC state of the signing key of a day, a region and a service.
pub(super) fn signing_key(secret: &Secret, day: SystemTime, region: &str, service: &str) -> Hmac<Sha256> {
    let key = aws_sigv4::sign::v4::generate_signing_key(secret.expose(), day, region, service);
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    Hmac::<Sha256>::new_from_slice(key.as_ref()).expect("HMAC takes a key of any length")
}

/// The key of SigV4A, which serves every day and every region.
///
/// It is ring's, the fastest of those that are well kept: 2.4 times as fast as p256, which is what aws-sigv4 uses.
/// ring adds randomness to each signature, so the same request has another URL each time. ring does not wipe it. Where
/// the same URL is wanted, p256 signs.
pub(crate) struct EcdsaKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    derives: SigningKey,
}

impl EcdsaKey {
    #[expect(clippy::expect_used, reason = "the derivation ends with a number that is a key")]
    fn derive(access_key_id: &str, secret: &Secret) -> Self {
        let private = aws_sigv4::sign::v4a::generate_signing_key(access_key_id, secret.expose());
        let derives = SigningKey::from_slice(private.as_ref()).expect("it is a key");
        let public = derives.verifying_key().to_sec1_point(false);
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            private.as_ref(),
            public.as_bytes(),
            &random,
        )
        .expect("the public key is that of the private one");
        Self { pair, random, derives }
    }

    /// A signature in DER, so that its length varies.
    pub(super) fn sign(&self, string_to_sign: &str, nonces: Nonces) -> Result<Vec<u8>, NoRandomness> {
        let message = string_to_sign.as_bytes();
        match nonces {
            Nonces::Random => {
                let signature = self.pair.sign(&self.random, message).map_err(|_| NoRandomness)?;
                Ok(signature.as_ref().to_vec())
            }
            Nonces::Derived => {
                let signature: DerSignature = self.derives.try_sign(message).map_err(|_| NoRandomness)?;
                Ok(signature.as_bytes().to_vec())
            }
        }
    }

    /// Whether a signature in DER is that of a string to sign.
    pub(super) fn verifies(&self, string_to_sign: &str, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.pair.public_key());
        public.verify(string_to_sign.as_bytes(), signature).is_ok()
    }
}

/// The signing keys derived from one secret: those of SigV4 are kept for their day.
#[derive(Default)]
pub(super) struct SigningKeys {
    days: ArcSwap<Vec<Arc<Kept>>>,
    ecdsa: OnceLock<Arc<EcdsaKey>>,
}

struct Kept {
    day: Box<str>,
    region: Region,
    service: Box<str>,
    state: Hmac<Sha256>,
}

impl SigningKeys {
    /// The HMAC state of the signing key for this day, region and service, derived when it is not there yet.
    pub(super) fn state(
        &self,
        secret: &Secret,
        date: &AmzDate,
        now: SystemTime,
        region: &Region,
        service: &str,
    ) -> Hmac<Sha256> {
        let same = |kept: &&Arc<Kept>| {
            *kept.day == *date.day() && kept.region == *region && *kept.service == *service
        };
        if let Some(found) = self.days.load().iter().find(same) {
            return found.state.clone();
        }
        let state = signing_key(secret, now, region.as_str(), service);
        let (day, region, service) = (date.day().into(), region.clone(), service.into());
        self.keep(&Arc::new(Kept { day, region, service, state: state.clone() }));
        state
    }

    /// Keeps a key in front and drops the oldest past the limit. Two callers may derive the same key at once; both
    /// are right, and the later one stays.
    fn keep(&self, new: &Arc<Kept>) {
        let other =
            |old: &&Arc<Kept>| (&old.day, &old.region, &old.service) != (&new.day, &new.region, &new.service);
        self.days.rcu(|kept| {
            std::iter::once(new).chain(kept.iter().filter(other)).take(KEPT_KEYS).cloned().collect::<Vec<_>>()
        });
    }

    /// How many signing keys are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.days.load().len()
    }

    /// The key of SigV4A, derived when it is not there yet.
    pub(super) fn ecdsa(&self, access_key_id: &str, secret: &Secret) -> Arc<EcdsaKey> {
        let derive = || Arc::new(EcdsaKey::derive(access_key_id, secret));
        Arc::clone(self.ecdsa.get_or_init(derive))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_signing_key_is_kept_for_its_day_and_scope_and_the_keys_are_bounded() {
        let keys = SigningKeys::default();
        let secret = Secret::from("secret".to_owned());
        let day = |number: u64| SystemTime::UNIX_EPOCH + Duration::from_hours(24 * number);
        let ask = |number, region: &str| {
            keys.state(&secret, &AmzDate::of(day(number)), day(number), &region.parse().unwrap(), "s3");
            keys.days.load().len()
        };
        assert_eq!(
            [ask(1, "us-east-1"), ask(1, "us-east-1"), ask(2, "us-east-1"), ask(2, "eu-west-1")],
            [1, 1, 2, 3]
        );
        for number in 0..100 {
            ask(number, "us-east-1");
        }
        assert_eq!(keys.kept(), KEPT_KEYS);
    }

    /// The key pair is that of AWS's own test suite for SigV4A, which aws-sigv4 and aws-c-auth ship
    /// (`get-vanilla/public-key.json`).
    #[test]
    fn the_key_of_sigv4a_is_the_one_that_aws_publishes_and_its_signatures_verify() {
        use p256::ecdsa::{VerifyingKey, signature::Verifier};
        use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        let key = EcdsaKey::derive("AKIDEXAMPLE", &secret);
        let public = const_hex::decode(
            "04b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1\
             865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518",
        )
        .unwrap();
        let verifier = VerifyingKey::from_sec1_bytes(&public).unwrap();
        for text in ["", "AWS4-ECDSA-P256-SHA256\n"] {
            let signature = key.sign(text, Nonces::Random).unwrap();
            assert!(key.verifies(text, &signature) && !key.verifies("another", &signature));
            let signature = DerSignature::from_bytes(&signature).unwrap();
            verifier.verify(text.as_bytes(), &signature).unwrap();
            assert!(verifier.verify(b"another", &signature).is_err());
            let derived = key.sign(text, Nonces::Derived).unwrap();
            assert_eq!(derived, key.sign(text, Nonces::Derived).unwrap());
            let by_ring = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &public);
            by_ring.verify(text.as_bytes(), &derived).unwrap();
            assert!(by_ring.verify(b"another", &derived).is_err());
        }
    }
}
