//! AWS credentials, together with the signing keys derived from them.

use std::{fmt, time::SystemTime};

pub use super::secret::Secret;
use super::{keys::SigningKeys, time::round_down_to_second};

/// One set of credentials, and the cache of its signing keys.
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    expires_at: Option<SystemTime>,
    keys: SigningKeys,
}

impl Credentials {
    /// Credentials from a provider. Those of an IAM user have no session token and do not expire.
    pub fn new(
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
        expires_at: Option<SystemTime>,
    ) -> Self {
        Self { access_key_id, secret_access_key, session_token, expires_at, keys: SigningKeys::default() }
    }

    /// The same credentials with another expiry time.
    #[must_use]
    pub fn with_expiry(self, expires_at: Option<SystemTime>) -> Self {
        Self { expires_at, ..self }
    }

    /// The access key ID. It is part of every URL and not a secret, but identifies an account, so it is not logged.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// When these credentials expire; none if they do not.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Access key ID, secret access key and session token, only for AWS's client, which signs requests with them.
    pub fn expose_to_aws(&self) -> (&str, &str, Option<&str>) {
        let token = self.session_token.as_ref().map(Secret::expose);
        (&self.access_key_id, self.secret_access_key.expose(), token)
    }

    /// Whether these are the same keys and session token: URLs signed with either are valid for the same time.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.secret_access_key.expose() == other.secret_access_key.expose()
            && self.session_token.as_ref().map(Secret::expose)
                == other.session_token.as_ref().map(Secret::expose)
    }

    /// Whether there is a session token. Such credentials expire, even if their provider does not say when.
    pub fn is_temporary(&self) -> bool {
        self.session_token.is_some()
    }

    /// Whether a URL signed at this time would be valid for at least one second.
    pub fn is_usable_at(&self, now: SystemTime) -> bool {
        let signed_at = round_down_to_second(now);
        self.expires_at
            .is_none_or(|end| end.duration_since(signed_at).is_ok_and(|remaining| remaining.as_secs() >= 1))
    }

    pub(super) fn secret_access_key(&self) -> &Secret {
        &self.secret_access_key
    }

    pub(crate) fn session_token(&self) -> Option<&Secret> {
        self.session_token.as_ref()
    }

    pub(super) fn keys(&self) -> &SigningKeys {
        &self.keys
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_contains_no_secrets() {
        let secret = || Secret::from("canary-secret".to_owned());
        let credentials = Credentials::new("AKIDCANARY".into(), secret(), Some(secret()), None);
        let printed = format!("{credentials:?} {credentials:#?} {:?}", secret());
        assert!(!printed.contains("canary") && !printed.contains("CANARY"), "{printed}");
    }
}
