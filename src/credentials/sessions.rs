//! S3 Express sessions: URLs for a directory bucket are signed with the credentials of a session, which lasts five
//! minutes.
//!
//! Source: [CreateSession](https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html).

mod create;

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use thiserror::Error;
use tokio::sync::OwnedMutexGuard;

use crate::{
    clock::{Clock, Stopwatch},
    metrics::SignerMetrics,
    presign::snapshot::Snapshot,
};

/// The capacity of the cache, in buckets.
const MAX_BUCKETS: usize = 256;

/// How long a failure is cached: until then calls get the same error without a request to S3.
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);

/// How long a call waits at most for a session.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a session could not be created. The messages have no secrets.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SessionError {
    /// S3 rejected the request with a 4xx status, but not 429.
    #[error(
        "S3 rejected CreateSession for {bucket}: {problem}; allow s3express:CreateSession on this directory bucket to \
         the signer's role, or set disable_session_auth of the signer"
    )]
    Refused {
        /// The directory bucket.
        bucket: String,
        /// The error code of S3, or the status.
        problem: String,
    },
    /// S3 did not answer, failed, or presignd has too many such requests. A retry may succeed.
    #[error("failed to create a session for {bucket}: {problem}")]
    Unavailable {
        /// The directory bucket.
        bucket: String,
        /// The cause.
        problem: String,
    },
}

impl SessionError {
    /// A failure that a retry may resolve.
    pub fn unavailable(bucket: &str, problem: String) -> Self {
        Self::Unavailable { bucket: bucket.to_owned(), problem }
    }
}

/// The S3 Express sessions of one signer.
pub struct ExpressSessions {
    slots: Cache<String, Arc<SessionSlot>>,
    metrics: SignerMetrics,
    clock: Clock,
}

/// The cache entry of one bucket.
#[derive(Default)]
struct SessionSlot {
    current: ArcSwapOption<LiveSession>,
    /// Locked while a task calls `CreateSession`.
    creating: Arc<tokio::sync::Mutex<()>>,
    /// The last failure, and its age.
    failed: Mutex<Option<(Stopwatch, SessionError)>>,
}

struct LiveSession {
    snapshot: Arc<Snapshot>,
    /// When half of its lifetime has passed: from then on a new session is created in the background.
    renew_at: Option<SystemTime>,
}

impl ExpressSessions {
    /// Creates an empty cache.
    pub fn new(metrics: SignerMetrics, clock: Clock) -> Arc<Self> {
        Arc::new(Self { slots: Cache::new(MAX_BUCKETS), metrics, clock })
    }

    /// The cached session of a directory bucket, if it is usable. Once half of its lifetime has passed, this starts to
    /// create a new one in the background.
    pub fn cached(self: &Arc<Self>, signer_snapshot: &Arc<Snapshot>, bucket: &str) -> Option<Arc<Snapshot>> {
        let slot = self.slots.get(bucket)?;
        let now = self.clock.now();
        let live = slot.usable_session(now)?;
        let is_due = live.renew_at.is_some_and(|at| at <= now) && slot.recent_failure().is_none();
        if is_due && let Ok(creating) = Arc::clone(&slot.creating).try_lock_owned() {
            self.spawn_create(&slot, signer_snapshot, bucket, creating);
        }
        Some(Arc::clone(&live.snapshot))
    }

    /// The session of a directory bucket, created if there is none. Concurrent calls for the same bucket share one
    /// request.
    ///
    /// # Errors
    /// If S3 rejects the request, fails, or does not answer within ten seconds.
    pub async fn get_or_create(
        self: &Arc<Self>,
        signer_snapshot: &Arc<Snapshot>,
        bucket: &str,
    ) -> Result<Arc<Snapshot>, SessionError> {
        let entry =
            self.slots.get_or_insert_with(bucket, || Ok::<_, Infallible>(Arc::<SessionSlot>::default()));
        let slot = entry.unwrap_or_else(|never| match never {});
        let waiting = self.create_once(&slot, signer_snapshot, bucket);
        tokio::time::timeout(WAIT_TIMEOUT, waiting).await.unwrap_or_else(|_| {
            let problem = format!("S3 did not answer within {}", humantime::format_duration(WAIT_TIMEOUT));
            Err(SessionError::unavailable(bucket, problem))
        })
    }

    /// The current sessions.
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let live = self.slots.iter().filter_map(|(_, slot)| slot.current.load_full());
        live.map(|live| Arc::clone(&live.snapshot)).collect()
    }

    async fn create_once(
        self: &Arc<Self>,
        slot: &Arc<SessionSlot>,
        signer_snapshot: &Arc<Snapshot>,
        bucket: &str,
    ) -> Result<Arc<Snapshot>, SessionError> {
        let creating = Arc::clone(&slot.creating).lock_owned().await;
        // Another task may have created the session while this one waited for the lock.
        if let Some(live) = slot.usable_session(self.clock.now()) {
            return Ok(Arc::clone(&live.snapshot));
        }
        if let Some(failure) = slot.recent_failure() {
            return Err(failure);
        }
        // The task runs to its end even if the caller disconnects: other calls wait for the result.
        let created = self.spawn_create(slot, signer_snapshot, bucket, creating).await;
        created.unwrap_or_else(|error| Err(SessionError::unavailable(bucket, error.to_string())))
    }

    fn spawn_create(
        self: &Arc<Self>,
        slot: &Arc<SessionSlot>,
        signer_snapshot: &Arc<Snapshot>,
        bucket: &str,
        creating: OwnedMutexGuard<()>,
    ) -> tokio::task::JoinHandle<Result<Arc<Snapshot>, SessionError>> {
        let (sessions, slot, signer_snapshot, bucket) =
            (Arc::clone(self), Arc::clone(slot), Arc::clone(signer_snapshot), bucket.to_owned());
        tokio::spawn(async move {
            let _creating = creating;
            let created = Box::pin(create::create_session(&signer_snapshot, &bucket)).await;
            match created {
                Ok(credentials) => {
                    sessions.metrics.count_session("ok");
                    let (now, expiry) = (sessions.clock.now(), credentials.expires_at());
                    let renew_at =
                        expiry.map(|expiry| now + expiry.duration_since(now).unwrap_or_default() / 2);
                    let signer_expiry = signer_snapshot.credentials().expires_at();
                    let snapshot = Arc::new(Snapshot::of_session(
                        credentials,
                        signer_snapshot.rules().clone(),
                        signer_expiry,
                    ));
                    let live = LiveSession { snapshot: Arc::clone(&snapshot), renew_at };
                    slot.current.store(Some(Arc::new(live)));
                    Ok(snapshot)
                }
                Err(error) => {
                    sessions.metrics.count_session("error");
                    tracing::warn!("{error}");
                    let failed = Some((Stopwatch::start(), error.clone()));
                    *slot.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
                    Err(error)
                }
            }
        })
    }
}

impl SessionSlot {
    fn usable_session(&self, now: SystemTime) -> Option<Arc<LiveSession>> {
        self.current.load_full().filter(|live| live.snapshot.credentials().is_usable_at(now))
    }

    fn recent_failure(&self) -> Option<SessionError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_LIFETIME);
        recent.map(|(_, error)| error.clone())
    }
}

impl fmt::Debug for ExpressSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpressSessions").field("buckets", &self.slots.len()).finish_non_exhaustive()
    }
}
