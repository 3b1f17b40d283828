//! What a signer signs with at one moment, and what was prepared from it.

use std::{fmt, sync::Arc, time::SystemTime};

use quick_cache::sync::Cache;
use zeroize::Zeroizing;

use super::{
    credentials::Credentials, encode, endpoint::EndpointRules, error::Error, expiry::Seconds,
    prepared::Prepared,
};

/// How many targets are kept ready. A service uses a handful; a caller who goes through a million names only passes
/// through, since the cache keeps what is asked for again.
const KEPT_TARGETS: usize = 512;

/// The parameter of a session token of STS.
const SECURITY_TOKEN: &str = "&X-Amz-Security-Token=";

/// The parameter of the token of an S3 Express session, which has the other one's place in the order.
///
/// Source: [Authorizing Zonal endpoint API operations with CreateSession](https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html).
const SESSION_TOKEN: &str = "&X-Amz-S3session-Token=";

/// What an operator decided for the signer and the server.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    credentials: Arc<Credentials>,
    rules: Rules,
    /// For the credentials of an S3 Express session: when those end that it was made with.
    session: Option<OwnEnd>,
    /// `&X-Amz-Security-Token=…`, encoded; empty for credentials without a token.
    token: Zeroizing<String>,
    targets: Cache<Box<str>, Arc<Prepared>>,
}

/// When the credentials end that an S3 Express session was made with, if they do.
type OwnEnd = Option<SystemTime>;

impl Snapshot {
    /// Nothing is prepared yet.
    pub fn new(credentials: impl Into<Arc<Credentials>>, rules: Rules) -> Self {
        Self::with(credentials.into(), rules, None)
    }

    /// The credentials of an S3 Express session, which sign for its directory bucket; `own_end` is the end of those that it
    /// was made with.
    pub fn of_session(credentials: Credentials, rules: Rules, own_end: Option<SystemTime>) -> Self {
        Self::with(Arc::new(credentials), rules, Some(own_end))
    }

    fn with(credentials: Arc<Credentials>, rules: Rules, session: Option<OwnEnd>) -> Self {
        let mut token = Zeroizing::new(String::new());
        if let Some(secret) = credentials.session_token() {
            token.reserve_exact(32 + 3 * secret.expose().len());
            token.push_str(if session.is_some() { SESSION_TOKEN } else { SECURITY_TOKEN });
            encode::query(secret.expose(), &mut token);
        }
        Self { credentials, rules, session, token, targets: Cache::new(KEPT_TARGETS) }
    }

    /// When the credentials end, and when the session does, if it is one.
    pub(super) fn ends(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        match self.session {
            Some(own_end) => (own_end, self.credentials.expires_at()),
            None => (self.credentials.expires_at(), None),
        }
    }

    /// The credentials, and the keys derived from them.
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// The operator's rules, with the region that the provider found where none was set.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether a bucket is signed for with the credentials of a session, which these are not.
    pub fn needs_session(&self, bucket: &str) -> bool {
        self.prepared(bucket).is_ok_and(|prepared| self.lacks_session_for(&prepared))
    }

    /// Whether a target needs the credentials of a session, which these are not.
    pub(super) fn lacks_session_for(&self, prepared: &Prepared) -> bool {
        self.session.is_none() && prepared.endpoint().needs_session()
    }

    /// Endpoints of targets that were signed for lately.
    pub(crate) fn recent_endpoints(&self) -> impl Iterator<Item = Arc<Prepared>> {
        self.targets.iter().map(|(_, prepared)| prepared)
    }

    /// The target that a request calls `bucket`, and its endpoint; made when it is not there yet.
    pub(super) fn prepared(&self, bucket: &str) -> Result<Arc<Prepared>, Error> {
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
        let rules = Rules { endpoint, default_expiry: seconds(900), max_expiry: seconds(7 * DAY) };
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
        let signing = snapshot.signing(bucket, now).unwrap();
        crate::presign::presign(&request, &signing, &mut url).unwrap();
        url
    }

    proptest! {
        #[test]
        fn whatever_was_prepared_before_a_url_is_as_from_a_fresh_snapshot(
            steps in prop::collection::vec((0..6_usize, 0..4 * DAY, any::<bool>()), 1..12),
        ) {
            let buckets = [
                "plain-bucket", "dotted.bucket", "reports-abc-s3alias", "plain-bucket2",
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports",
                "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/demo",
            ];
            // Rotation is another snapshot: both are in use for a while.
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
    fn a_caller_with_ten_thousand_bucket_names_fills_no_memory_and_evicts_no_target_in_use() {
        let snapshot = snapshot("secret");
        let in_use = snapshot.prepared("in-use").unwrap();
        for number in 0..20 * KEPT_TARGETS {
            snapshot.prepared(&format!("bucket-{number}")).unwrap();
            if number % 100 == 0 {
                snapshot.prepared("in-use").unwrap();
            }
        }
        assert!(snapshot.targets.len() <= KEPT_TARGETS, "{}", snapshot.targets.len());
        assert!(Arc::ptr_eq(&in_use, &snapshot.prepared("in-use").unwrap()));
    }

    #[test]
    fn a_window_that_is_refused_derives_no_signing_key() {
        let snapshot = snapshot("secret");
        let seconds = |number| Seconds::rounded_down(Duration::from_secs(number)).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(400 * DAY);
        for days in 8..100 {
            let window = Some(seconds(days * DAY));
            let refused = snapshot.signing_in_window("bucket", now, window, Some(seconds(7 * DAY))).err();
            assert!(matches!(refused, Some(Error::WindowTooLong { .. })), "{days} days: {refused:?}");
        }
        assert_eq!(snapshot.credentials.keys().kept(), 0);
        snapshot.signing_in_window("bucket", now, Some(seconds(DAY)), Some(seconds(2 * DAY))).unwrap();
        assert_eq!(snapshot.credentials.keys().kept(), 1);
    }

    #[test]
    fn what_is_no_target_is_not_kept() {
        let snapshot = snapshot("secret");
        assert!(snapshot.prepared("arn:aws:s3:::x").is_err());
        assert_eq!(snapshot.targets.len(), 0);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:#?}", snapshot("canary"));
        assert!(!printed.contains("canary"), "{printed}");
    }
}
