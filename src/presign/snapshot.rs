//! The credentials and rules of a signer at one moment, with a cache of resolved targets.

use std::{fmt, sync::Arc, time::SystemTime};

use quick_cache::sync::Cache;
use zeroize::Zeroizing;

use super::{
    credentials::Credentials, encode, endpoint::EndpointRules, error::Error, expiry::Seconds,
    resolved_target::ResolvedTarget,
};

/// The maximum number of resolved targets in the cache. A service uses a few; a caller with a million bucket names does not
/// evict them, since the cache prefers targets that are used again.
const MAX_CACHED_TARGETS: usize = 512;

/// The query parameter of an STS session token.
const SECURITY_TOKEN: &str = "&X-Amz-Security-Token=";

/// The query parameter of the token of an S3 Express session. It replaces the other one, at the same position.
///
/// Source: [Authorizing Zonal endpoint API operations with CreateSession](https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html).
const SESSION_TOKEN: &str = "&X-Amz-S3session-Token=";

/// The configuration of a signer that applies to signing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningRules {
    /// The settings that determine endpoints.
    pub endpoint: EndpointRules,
    /// `expiry.default`.
    pub default_expiry: Seconds,
    /// `expiry.max`.
    pub max_expiry: Seconds,
}

/// The credentials and rules of a signer at one moment. A call uses one snapshot throughout, even if the credentials are
/// refreshed meanwhile.
pub struct Snapshot {
    credentials: Arc<Credentials>,
    rules: SigningRules,
    /// Set if the credentials are those of an S3 Express session.
    session: Option<ParentExpiry>,
    /// `&X-Amz-Security-Token=…` or `&X-Amz-S3session-Token=…`, encoded; empty for credentials without a token.
    token: Zeroizing<String>,
    targets: Cache<Box<str>, Arc<ResolvedTarget>>,
}

/// When the credentials expire with which an S3 Express session was created; none if they do not.
type ParentExpiry = Option<SystemTime>;

impl Snapshot {
    /// A snapshot with an empty cache.
    pub fn new(credentials: impl Into<Arc<Credentials>>, rules: SigningRules) -> Self {
        Self::build(credentials.into(), rules, None)
    }

    /// A snapshot with the credentials of an S3 Express session, which sign for its directory bucket.
    /// `parent_expires_at` is when the credentials expire with which the session was created.
    pub fn of_session(
        credentials: Credentials,
        rules: SigningRules,
        parent_expires_at: Option<SystemTime>,
    ) -> Self {
        Self::build(Arc::new(credentials), rules, Some(parent_expires_at))
    }

    fn build(credentials: Arc<Credentials>, rules: SigningRules, session: Option<ParentExpiry>) -> Self {
        let mut token = Zeroizing::new(String::new());
        if let Some(secret) = credentials.session_token() {
            token.reserve_exact(32 + 3 * secret.expose().len());
            token.push_str(if session.is_some() { SESSION_TOKEN } else { SECURITY_TOKEN });
            encode::query(secret.expose(), &mut token);
        }
        Self { credentials, rules, session, token, targets: Cache::new(MAX_CACHED_TARGETS) }
    }

    /// When the credentials expire, and when the S3 Express session expires, if it is one.
    pub(super) fn expiry_times(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        match self.session {
            Some(parent_expires_at) => (parent_expires_at, self.credentials.expires_at()),
            None => (self.credentials.expires_at(), None),
        }
    }

    /// The credentials.
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// The rules, with the defaults for unset settings.
    pub fn rules(&self) -> &SigningRules {
        &self.rules
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether signing for a bucket needs the credentials of an S3 Express session, which these are not.
    pub fn needs_session(&self, bucket: &str) -> bool {
        self.resolve(bucket).is_ok_and(|target| self.needs_session_for(&target))
    }

    /// Whether a target needs the credentials of an S3 Express session, which these are not.
    pub(super) fn needs_session_for(&self, target: &ResolvedTarget) -> bool {
        self.session.is_none() && target.endpoint().needs_session()
    }

    /// The cached targets.
    pub(crate) fn recent_targets(&self) -> impl Iterator<Item = Arc<ResolvedTarget>> {
        self.targets.iter().map(|(_, target)| target)
    }

    /// The target that the `bucket` of a request names, with its endpoint. Resolved if it is not cached.
    pub(super) fn resolve(&self, bucket: &str) -> Result<Arc<ResolvedTarget>, Error> {
        if let Some(cached) = self.targets.get(bucket) {
            return Ok(cached);
        }
        let new = Arc::new(ResolvedTarget::new(bucket, &self.rules.endpoint)?);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::presign::{
        Request,
        credentials::Secret,
        name::ObjectKey,
        operation,
        parameters::{Headers, Query},
    };

    const DAY: u64 = 24 * 3_600;

    fn snapshot(secret: &str) -> Arc<Snapshot> {
        let token = Secret::from(format!("token/{secret}"));
        let secret = Secret::from(secret.to_owned());
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".to_owned(), secret, Some(token), None);
        let seconds = |number| Seconds::rounded_down(Duration::from_secs(number)).unwrap();
        let endpoint = EndpointRules { region: Some("us-east-1".parse().unwrap()), ..Default::default() };
        let rules = SigningRules { endpoint, default_expiry: seconds(900), max_expiry: seconds(7 * DAY) };
        Arc::new(Snapshot::new(credentials, rules))
    }

    fn url(snapshot: &Arc<Snapshot>, bucket: &str, at: u64) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let request = Request {
            key: ObjectKey::try_from("a key").unwrap(),
            operation: &operation::GET_OBJECT,
            headers: &Headers::default(),
            query: &Query::default(),
            expires_in: None,
            min_expires_in: None,
        };
        let mut url = String::new();
        let signer = snapshot.target_signer(bucket, now).unwrap();
        crate::presign::presign(request.check().unwrap(), &signer, &mut url).unwrap();
        url
    }

    proptest! {
        #[test]
        fn cached_and_fresh_snapshots_give_the_same_url(
            steps in prop::collection::vec((0..6_usize, 0..4 * DAY, any::<bool>()), 1..12),
        ) {
            let buckets = [
                "plain-bucket", "dotted.bucket", "reports-abc-s3alias", "plain-bucket2",
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports",
                "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/demo",
            ];
            // After a rotation, the old and the new snapshot are both in use for a while.
            let used = [snapshot("old"), snapshot("new")];
            for (bucket, at, rotated) in steps {
                let fresh = snapshot(["old", "new"][usize::from(rotated)]);
                prop_assert_eq!(
                    url(&used[usize::from(rotated)], buckets[bucket], at),
                    url(&fresh, buckets[bucket], at)
                );
            }
        }
    }

    #[test]
    fn many_bucket_names_do_not_evict_targets_in_use() {
        let snapshot = snapshot("secret");
        let in_use = snapshot.resolve("in-use").unwrap();
        for number in 0..20 * MAX_CACHED_TARGETS {
            snapshot.resolve(&format!("bucket-{number}")).unwrap();
            if number % 100 == 0 {
                snapshot.resolve("in-use").unwrap();
            }
        }
        assert!(snapshot.targets.len() <= MAX_CACHED_TARGETS, "{}", snapshot.targets.len());
        assert!(Arc::ptr_eq(&in_use, &snapshot.resolve("in-use").unwrap()));
    }

    #[test]
    fn rejected_window_derives_no_signing_key() {
        let snapshot = snapshot("secret");
        let seconds = |number| Seconds::rounded_down(Duration::from_secs(number)).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(400 * DAY);
        for days in 8..100 {
            let window = Some(seconds(days * DAY));
            let rejected =
                snapshot.target_signer_in_window("bucket", now, window, Some(seconds(7 * DAY))).err();
            assert!(matches!(rejected, Some(Error::WindowTooLong { .. })), "{days} days: {rejected:?}");
        }
        assert_eq!(snapshot.credentials.keys().count(), 0);
        snapshot.target_signer_in_window("bucket", now, Some(seconds(DAY)), Some(seconds(2 * DAY))).unwrap();
        assert_eq!(snapshot.credentials.keys().count(), 1);
    }

    #[test]
    fn invalid_target_is_not_cached() {
        let snapshot = snapshot("secret");
        assert!(snapshot.resolve("arn:aws:s3:::x").is_err());
        assert_eq!(snapshot.targets.len(), 0);
    }

    #[test]
    fn debug_output_contains_no_secrets() {
        let printed = format!("{:#?}", snapshot("canary"));
        assert!(!printed.contains("canary"), "{printed}");
    }
}
