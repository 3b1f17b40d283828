//! What a signer signs with at one moment, and what was prepared from it.

use std::{fmt, sync::Arc, time::SystemTime};

use quick_cache::sync::Cache;
use zeroize::Zeroizing;

use super::{
    credentials::Credentials,
    encode,
    endpoint::EndpointRules,
    error::Error,
    expiry::Seconds,
    prepared::{Prepared, Signing},
};

/// How many targets are kept ready. A service uses a handful; a caller who goes through a million names only passes
/// through, since the cache keeps what is asked for again.
const KEPT_TARGETS: usize = 512;

/// What an operator decided for the signer and the server.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where requests go.
    pub endpoint: EndpointRules,
    /// `expiry.default`.
    pub default_expiry: Seconds,
    /// `expiry.max`.
    pub max_expiry: Seconds,
}

/// Credentials and rules that belong together, and stay whole for a call, whatever is renewed meanwhile. What was
/// prepared from them goes with them.
pub struct Snapshot {
    credentials: Credentials,
    rules: Rules,
    /// `&X-Amz-Security-Token=…`, encoded; empty for credentials without a token.
    token: Zeroizing<String>,
    targets: Cache<Box<str>, Arc<Prepared>>,
}

impl Snapshot {
    /// Nothing is prepared yet.
    pub fn new(credentials: Credentials, rules: Rules) -> Self {
        let mut token = Zeroizing::new(String::new());
        if let Some(secret) = credentials.session_token() {
            token.reserve_exact(32 + 3 * secret.expose().len());
            token.push_str("&X-Amz-Security-Token=");
            encode::query(secret.expose(), &mut token);
        }
        Self { credentials, rules, token, targets: Cache::new(KEPT_TARGETS) }
    }

    /// The credentials, and the keys derived from them.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The operator's rules, with the region that the provider found where none was set.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Gets ready to sign for a target at one time. `bucket` is what a request calls it.
    ///
    /// # Errors
    /// When it is no target, or has no endpoint under the rules.
    pub fn signing(self: &Arc<Self>, bucket: &str, now: SystemTime) -> Result<Signing, Error> {
        let prepared = self.prepared(bucket)?;
        Ok(Signing::new(Arc::clone(self), prepared, now))
    }

    fn prepared(&self, bucket: &str) -> Result<Arc<Prepared>, Error> {
        if let Some(kept) = self.targets.get(bucket) {
            return Ok(kept);
        }
        let new = Arc::new(Prepared::new(bucket, &self.rules.endpoint)?);
        self.targets.insert(bucket.into(), Arc::clone(&new));
        Ok(new)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("credentials", &self.credentials)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
