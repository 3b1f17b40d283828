//! Sessions of S3 Express: a directory bucket is signed for with credentials of its own, which last five minutes.
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

/// How many buckets' sessions are kept.
const MAX_BUCKETS: usize = 256;

/// How long a failure counts: who comes meanwhile is told the same, and S3 is not asked.
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);

/// How long a call waits for a session.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no session. Each says what to change; none repeats anything secret.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SessionError {
    /// S3 does not give one.
    #[error(
        "S3 refuses a session for {bucket}: {problem}; the signer needs s3express:CreateSession for this directory \
         bucket, or the signer's setting disable_session_auth"
    )]
    Refused {
        /// The directory bucket.
        bucket: String,
        /// S3's words.
        problem: String,
    },
    /// S3 cannot be asked.
    #[error("a session for {bucket} could not be had from S3: {problem}")]
    Unavailable {
        /// The directory bucket.
        bucket: String,
        /// What went wrong.
        problem: String,
    },
}

impl SessionError {
    /// S3 cannot be asked, or not now.
    pub fn unavailable(bucket: &str, problem: String) -> Self {
        Self::Unavailable { bucket: bucket.to_owned(), problem }
    }
}

/// The sessions of one signer.
pub struct Sessions {
    slots: Cache<String, Arc<Slot>>,
    metrics: SignerMetrics,
    clock: Clock,
}

/// The session of one bucket, once there is one.
#[derive(Default)]
struct Slot {
    current: ArcSwapOption<LiveSession>,
    /// Locked by the task that asks S3.
    asking: Arc<tokio::sync::Mutex<()>>,
    failed: Mutex<Option<(Stopwatch, SessionError)>>,
}

struct LiveSession {
    snapshot: Arc<Snapshot>,
    /// When half of its time is over: then another one is made.
    renew_at: Option<SystemTime>,
}

impl Sessions {
    /// None yet.
    pub fn new(metrics: SignerMetrics, clock: Clock) -> Arc<Self> {
        Arc::new(Self { slots: Cache::new(MAX_BUCKETS), metrics, clock })
    }

    /// The session of a directory bucket, when there is one that is good. Where half of its time is over, another one is made
    /// in the background.
    pub fn cached(self: &Arc<Self>, own: &Arc<Snapshot>, bucket: &str) -> Option<Arc<Snapshot>> {
        let slot = self.slots.get(bucket)?;
        let now = self.clock.now();
        let live = slot.usable_at(now)?;
        let is_due = live.renew_at.is_some_and(|at| at <= now) && slot.recent_failure().is_none();
        if is_due && let Ok(asking) = Arc::clone(&slot.asking).try_lock_owned() {
            self.ask(&slot, own, bucket, asking);
        }
        Some(Arc::clone(&live.snapshot))
    }

    /// The session of a directory bucket, when S3 has answered: it is asked once, however many want the same.
    ///
    /// # Errors
    /// When S3 gives none, or not in time.
    pub async fn from_s3(
        self: &Arc<Self>,
        own: &Arc<Snapshot>,
        bucket: &str,
    ) -> Result<Arc<Snapshot>, SessionError> {
        let made = self.slots.get_or_insert_with(bucket, || Ok::<_, Infallible>(Arc::<Slot>::default()));
        let slot = made.unwrap_or_else(|never| match never {});
        let waiting = self.get_from_s3(&slot, own, bucket);
        tokio::time::timeout(WAIT_LIMIT, waiting).await.unwrap_or_else(|_| {
            let problem = format!("it did not answer within {}", humantime::format_duration(WAIT_LIMIT));
            Err(SessionError::unavailable(bucket, problem))
        })
    }

    /// Those that there are now.
    pub fn all(&self) -> Vec<Arc<Snapshot>> {
        let live = self.slots.iter().filter_map(|(_, slot)| slot.current.load_full());
        live.map(|live| Arc::clone(&live.snapshot)).collect()
    }

    async fn get_from_s3(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        own: &Arc<Snapshot>,
        bucket: &str,
    ) -> Result<Arc<Snapshot>, SessionError> {
        let asking = Arc::clone(&slot.asking).lock_owned().await;
        // Somebody may have asked while this one waited for its turn.
        if let Some(live) = slot.usable_at(self.clock.now()) {
            return Ok(Arc::clone(&live.snapshot));
        }
        if let Some(failure) = slot.recent_failure() {
            return Err(failure);
        }
        // It is asked to the end, also when the caller goes away: others wait for the answer.
        let asked = self.ask(slot, own, bucket, asking).await;
        asked.unwrap_or_else(|error| Err(SessionError::unavailable(bucket, error.to_string())))
    }

    fn ask(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        own: &Arc<Snapshot>,
        bucket: &str,
        asking: OwnedMutexGuard<()>,
    ) -> tokio::task::JoinHandle<Result<Arc<Snapshot>, SessionError>> {
        let (sessions, slot, own, bucket) =
            (Arc::clone(self), Arc::clone(slot), Arc::clone(own), bucket.to_owned());
        tokio::spawn(async move {
            let _asking = asking;
            let created = Box::pin(create::session(&own, &bucket)).await;
            match created {
                Ok(credentials) => {
                    sessions.metrics.count_session("ok");
                    let (now, end) = (sessions.clock.now(), credentials.expires_at());
                    let renew_at = end.map(|end| now + end.duration_since(now).unwrap_or_default() / 2);
                    let own_end = own.credentials().expires_at();
                    let snapshot = Arc::new(Snapshot::of_session(credentials, own.rules().clone(), own_end));
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

impl Slot {
    fn usable_at(&self, now: SystemTime) -> Option<Arc<LiveSession>> {
        self.current.load_full().filter(|live| live.snapshot.credentials().is_usable_at(now))
    }

    fn recent_failure(&self) -> Option<SessionError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_LIFETIME);
        recent.map(|(_, error)| error.clone())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("kept", &self.slots.len()).finish_non_exhaustive()
    }
}
