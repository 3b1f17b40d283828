//! Derives and caches signing keys. The only module that uses aws-sigv4, ring and p256.
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

/// The maximum number of SigV4 signing keys that are cached for one set of credentials. A key is for one day, region and
/// service; a signer needs those of a few regions, for two days around midnight.
const MAX_CACHED_KEYS: usize = 32;

/// The source of the nonce of SigV4A signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nonces {
    /// Random bytes of the operating system: fast, but the signatures of the same request differ.
    Random,
    /// Derived from key and message ([RFC 6979](https://www.rfc-editor.org/rfc/rfc6979)): the same request has the same
    /// signature.
    Deterministic,
}

/// The operating system returned no random bytes for a SigV4A signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the operating system returned no random bytes for the signature: try again shortly")]
pub struct NoRandomness;

/// Derives the signing key for a day, region and service, as an HMAC state.
pub(super) fn derive_signing_key(
    secret: &Secret,
    day: SystemTime,
    region: &str,
    service: &str,
) -> Hmac<Sha256> {
    let key = aws_sigv4::sign::v4::generate_signing_key(secret.expose(), day, region, service);
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    Hmac::<Sha256>::new_from_slice(key.as_ref()).expect("HMAC takes a key of any length")
}

/// The key of SigV4A, which is the same for all days, regions and services.
///
/// ring signs 2.4 times as fast as p256, which aws-sigv4 uses, and is well maintained. But its signatures are random, so
/// p256 signs where the same request must give the same URL. ring does not wipe its copy of the key from memory.
pub(crate) struct EcdsaKey {
    /// Signs with [`Nonces::Random`].
    randomized: EcdsaKeyPair,
    random: SystemRandom,
    /// Signs with [`Nonces::Deterministic`].
    deterministic: SigningKey,
}

impl EcdsaKey {
    #[expect(clippy::expect_used, reason = "the derivation returns a valid private key")]
    fn derive(access_key_id: &str, secret: &Secret) -> Self {
        let private = aws_sigv4::sign::v4a::generate_signing_key(access_key_id, secret.expose());
        let deterministic = SigningKey::from_slice(private.as_ref()).expect("it is a valid private key");
        let public = deterministic.verifying_key().to_sec1_point(false);
        let random = SystemRandom::new();
        let randomized = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            private.as_ref(),
            public.as_bytes(),
            &random,
        )
        .expect("the public key belongs to the private key");
        Self { randomized, random, deterministic }
    }

    /// Signs a string to sign. The signature is in DER, so its length varies.
    pub(super) fn sign(&self, string_to_sign: &str, nonces: Nonces) -> Result<Vec<u8>, NoRandomness> {
        let message = string_to_sign.as_bytes();
        match nonces {
            Nonces::Random => {
                let signature = self.randomized.sign(&self.random, message).map_err(|_| NoRandomness)?;
                Ok(signature.as_ref().to_vec())
            }
            Nonces::Deterministic => {
                let signature: DerSignature =
                    self.deterministic.try_sign(message).map_err(|_| NoRandomness)?;
                Ok(signature.as_bytes().to_vec())
            }
        }
    }

    /// Whether a DER signature is valid for a string to sign.
    pub(super) fn verifies(&self, string_to_sign: &str, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.randomized.public_key());
        public.verify(string_to_sign.as_bytes(), signature).is_ok()
    }
}

/// The cache of the signing keys derived from one secret.
#[derive(Default)]
pub(super) struct SigningKeys {
    /// SigV4 keys, the newest first.
    hmac: ArcSwap<Vec<Arc<CachedKey>>>,
    ecdsa: OnceLock<Arc<EcdsaKey>>,
}

/// The HMAC state of a SigV4 signing key, and what it is for.
struct CachedKey {
    day: Box<str>,
    region: Region,
    service: Box<str>,
    state: Hmac<Sha256>,
}

impl SigningKeys {
    /// The HMAC state of the signing key for this day, region and service. Derived if it is not cached.
    pub(super) fn get_or_derive(
        &self,
        secret: &Secret,
        date: &AmzDate,
        now: SystemTime,
        region: &Region,
        service: &str,
    ) -> Hmac<Sha256> {
        let is_same = |cached: &&Arc<CachedKey>| {
            *cached.day == *date.day() && cached.region == *region && *cached.service == *service
        };
        if let Some(cached) = self.hmac.load().iter().find(is_same) {
            return cached.state.clone();
        }
        let state = derive_signing_key(secret, now, region.as_str(), service);
        let (day, region, service) = (date.day().into(), region.clone(), service.into());
        self.insert(&Arc::new(CachedKey { day, region, service, state: state.clone() }));
        state
    }

    /// Inserts a key at the front and removes the oldest over the limit. Two threads may derive the same key at the
    /// same time; the later one replaces the other.
    fn insert(&self, new: &Arc<CachedKey>) {
        let is_other = |old: &&Arc<CachedKey>| {
            (&old.day, &old.region, &old.service) != (&new.day, &new.region, &new.service)
        };
        self.hmac.rcu(|cached| {
            std::iter::once(new)
                .chain(cached.iter().filter(is_other))
                .take(MAX_CACHED_KEYS)
                .cloned()
                .collect::<Vec<_>>()
        });
    }

    /// The number of cached SigV4 keys.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.hmac.load().len()
    }

    /// The key of SigV4A. Derived if it is not cached.
    pub(super) fn get_or_derive_ecdsa(&self, access_key_id: &str, secret: &Secret) -> Arc<EcdsaKey> {
        let derive = || Arc::new(EcdsaKey::derive(access_key_id, secret));
        Arc::clone(self.ecdsa.get_or_init(derive))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn signing_keys_are_cached_up_to_the_limit() {
        let keys = SigningKeys::default();
        let secret = Secret::from("secret".to_owned());
        let day = |number: u64| SystemTime::UNIX_EPOCH + Duration::from_hours(24 * number);
        let count_after = |number, region: &str| {
            keys.get_or_derive(
                &secret,
                &AmzDate::of(day(number)),
                day(number),
                &region.parse().unwrap(),
                "s3",
            );
            keys.hmac.load().len()
        };
        assert_eq!(
            [
                count_after(1, "us-east-1"),
                count_after(1, "us-east-1"),
                count_after(2, "us-east-1"),
                count_after(2, "eu-west-1")
            ],
            [1, 1, 2, 3]
        );
        for number in 0..100 {
            count_after(number, "us-east-1");
        }
        assert_eq!(keys.count(), MAX_CACHED_KEYS);
    }

    /// The key pair is from AWS's test suite for SigV4A, which is part of aws-sigv4 and aws-c-auth
    /// (`get-vanilla/public-key.json`).
    #[test]
    fn sigv4a_key_matches_the_test_suite_of_aws() {
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
            let derived = key.sign(text, Nonces::Deterministic).unwrap();
            assert_eq!(derived, key.sign(text, Nonces::Deterministic).unwrap());
            let by_ring = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &public);
            by_ring.verify(text.as_bytes(), &derived).unwrap();
            assert!(by_ring.verify(b"another", &derived).is_err());
        }
    }
}
