//! AWS credentials as the core needs them: the secret never leaves, and the signing keys derived from it stay with it.

use std::{fmt, time::SystemTime};

pub use super::secret::Secret;
use super::{keys::SigningKeys, time::whole_seconds};

/// One set of credentials, with the signing keys derived from it so far.
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    expires_at: Option<SystemTime>,
    keys: SigningKeys,
}

impl Credentials {
    /// Credentials as a provider hands them out. Those of an IAM user have no token and no end.
    pub fn new(
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
        expires_at: Option<SystemTime>,
    ) -> Self {
        Self { access_key_id, secret_access_key, session_token, expires_at, keys: SigningKeys::default() }
    }

    /// The same, but with this end.
    #[must_use]
    pub fn ending_at(self, expires_at: Option<SystemTime>) -> Self {
        Self { expires_at, ..self }
    }

    /// The access key ID. It stands in every URL and is not a secret, but it names an account: it is not logged.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// When these credentials end; nothing when they do not.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Access key ID, secret and token, for AWS's own client, which signs with them. For nothing else.
    pub fn expose_to_aws(&self) -> (&str, &str, Option<&str>) {
        let token = self.session_token.as_ref().map(Secret::expose);
        (&self.access_key_id, self.secret_access_key.expose(), token)
    }

    /// Whether these are the same key and token as others: what is signed with either works as long.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.secret_access_key.expose() == other.secret_access_key.expose()
            && self.session_token.as_ref().map(Secret::expose)
                == other.session_token.as_ref().map(Secret::expose)
    }

    /// Whether there is a session token: then the credentials end, whether or not their provider says when.
    pub fn is_temporary(&self) -> bool {
        self.session_token.is_some()
    }

    /// Whether a URL signed at this time would work for a second at least.
    pub fn is_usable_at(&self, now: SystemTime) -> bool {
        let signed_at = whole_seconds(now);
        self.expires_at.is_none_or(|end| end.duration_since(signed_at).is_ok_and(|left| left.as_secs() >= 1))
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
    fn nothing_secret_is_printed() {
        let secret = || Secret::from("canary-secret".to_owned());
        let credentials = Credentials::new("AKIDCANARY".into(), secret(), Some(secret()), None);
        let printed = format!("{credentials:?} {credentials:#?} {:?}", secret());
        assert!(!printed.contains("canary") && !printed.contains("CANARY"), "{printed}");
    }
}
