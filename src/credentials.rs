//! Credentials that the process holds: one snapshot for each signer, renewed in the background, never shown to callers.

mod files;
mod keeper;
pub mod roles;
pub mod schedule;
pub mod sessions;
mod signers;
pub mod source;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};

pub use self::signers::{ReloadError, Signers, Surroundings};
use self::{sessions::Sessions, source::SourceSettings};
use crate::{
    clock::{Clock, Stopwatch},
    metrics::SignerMetrics,
    presign::{
        credentials::Credentials,
        endpoint::Found,
        expiry::Seconds,
        snapshot::{Rules, Snapshot},
    },
};

/// What a signer is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignerSettings {
    /// `signers.NAME`.
    pub name: String,
    /// Where its requests go, and for how long.
    pub rules: Rules,
    /// Where its credentials come from.
    pub source: SourceSettings,
    /// `expiry.refresh_wait`: the longest that a request waits for credentials that are renewed for it.
    pub refresh_wait: Duration,
}

/// One signer: its name, what it signs with now, and its counters.
pub struct Signer {
    settings: SignerSettings,
    current: ArcSwapOption<Snapshot>,
    /// What it signed with before, the last one first: URLs of that time are still in use.
    past: ArcSwap<Vec<Arc<Snapshot>>>,
    /// What was found beside the credentials.
    found: ArcSwap<Found>,
    usable: watch::Sender<bool>,
    progress: watch::Sender<Progress>,
    /// The time on [`Self::age`] from which credentials may be renewed early; 0 while they just are.
    early_from: AtomicU64,
    /// The time on [`Self::age`] at which the last attempt began.
    attempt_began: AtomicU64,
    age: Stopwatch,
    /// Somebody wants newer credentials than those at hand.
    wanted: Notify,
    /// An operator wants them loaded anew.
    nudged: Notify,
    /// For directory buckets.
    sessions: Arc<Sessions>,
    /// Whether callers can name it: until then, and after, its gauges are another's.
    is_public: AtomicBool,
    metrics: SignerMetrics,
}

/// How many sets of credentials a signer remembers that others took the place of.
const MOST_REMEMBERED: usize = 4;

/// How long after their end: they sign nothing any more, and tell that it was they who signed a URL that fails.
const REMEMBERED_AFTER_END: Duration = Duration::from_hours(1);

/// Only what ends by itself: a key of an IAM user that was replaced has no end that could be told, and may be deleted.
fn is_remembered(past: &Snapshot, now: SystemTime) -> bool {
    past.credentials().expires_at().is_some_and(|end| now < end + REMEMBERED_AFTER_END)
}

/// What became of the attempts to load a signer's credentials.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// How many have ended.
    pub attempts: u64,
    /// When credentials were last loaded.
    pub loaded_at: Option<SystemTime>,
    /// How long those that are held had to last when they were first seen.
    pub lifetime: Option<Duration>,
    /// How many failed since.
    pub failures: u32,
    /// Why the last one failed.
    pub problem: Option<String>,
    /// How long until credentials may be renewed early again.
    early_interval: Duration,
}

impl Signer {
    /// A signer without credentials.
    pub fn new(settings: SignerSettings, metrics: SignerMetrics, clock: Clock) -> Self {
        Self {
            settings,
            current: ArcSwapOption::empty(),
            past: ArcSwap::default(),
            found: ArcSwap::default(),
            usable: watch::Sender::new(false),
            progress: watch::Sender::default(),
            early_from: AtomicU64::new(u64::MAX),
            attempt_began: AtomicU64::new(0),
            age: Stopwatch::start(),
            wanted: Notify::new(),
            nudged: Notify::new(),
            sessions: Sessions::new(metrics.clone(), clock),
            is_public: AtomicBool::new(false),
            metrics,
        }
    }

    /// `signers.NAME`.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// How long a URL works when its caller does not say.
    pub fn default_expiry(&self) -> Seconds {
        self.settings.rules.default_expiry
    }

    /// What it signs with now; nothing before the first credentials.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// What it signed with before, as far as it is kept: for whoever wants to know what became of a URL of that time.
    pub fn past(&self, now: SystemTime) -> Vec<Arc<Snapshot>> {
        self.past.load().iter().filter(|past| is_remembered(past, now)).map(Arc::clone).collect()
    }

    /// Tells, now and on each change, whether there are credentials that a URL could be signed with.
    pub fn usable(&self) -> watch::Receiver<bool> {
        self.usable.subscribe()
    }

    /// Its sessions of S3 Express.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// What became of the attempts to load credentials.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// The signer's counters.
    pub fn metrics(&self) -> &SignerMetrics {
        &self.metrics
    }

    /// Puts new credentials in the place of the old ones, with what was found beside them.
    pub fn replace(
        &self,
        credentials: impl Into<Arc<Credentials>>,
        found: impl Into<Arc<Found>>,
        clock: &Clock,
    ) {
        let (credentials, found) = (credentials.into(), found.into());
        let mut rules = self.settings.rules.clone();
        rules.endpoint = rules.endpoint.or(&found);
        self.found.store(found);
        let new = Arc::new(Snapshot::new(credentials, rules));
        let before = self.current.swap(Some(Arc::clone(&new)));
        self.remember(before, &new, clock.now());
        self.tell_metrics();
        self.check(clock);
    }

    /// Keeps what was signed with until now, when another access key is in its place, and forgets what is long over.
    fn remember(&self, before: Option<Arc<Snapshot>>, new: &Snapshot, now: SystemTime) {
        let key = |snapshot: &Snapshot| snapshot.credentials().access_key_id().to_owned();
        let before = before.filter(|before| key(before) != key(new));
        self.past.rcu(|past| {
            let all = before.iter().chain(past.iter()).filter(|past| is_remembered(past, now));
            all.take(MOST_REMEMBERED).map(Arc::clone).collect::<Vec<_>>()
        });
    }

    /// Looks whether the credentials are still good, and tells whoever watches when that changes.
    fn check(&self, clock: &Clock) {
        let usable = self.snapshot().is_some_and(|now| now.credentials().usable_at(clock.now()));
        self.usable.send_if_modified(|known| std::mem::replace(known, usable) != usable);
    }

    /// How long the credentials stay good, as long as they end at all.
    fn time_left(&self, now: SystemTime) -> Option<Duration> {
        Some(self.snapshot()?.credentials().expires_at()?.duration_since(now).unwrap_or_default())
    }

    /// When a request asks for more time than this, newer credentials may be had for it; nothing when they may not.
    pub fn renewable_beyond(&self, now: SystemTime) -> Option<Duration> {
        let left = self.time_left(now)?;
        let may = !self.settings.refresh_wait.is_zero()
            && left < self.settings.rules.max_expiry.as_duration()
            && self.early_from.load(Ordering::Acquire) <= self.milliseconds();
        may.then_some(left)
    }

    /// Waits for newer credentials, when they would help a request that asks for so much time: until an attempt to load
    /// them has ended, for `limit` at most, and until the attempt has taken `expiry.refresh_wait`.
    pub async fn renew_for(&self, asked: Duration, now: SystemTime, limit: Option<Duration>) {
        let mut progress = self.progress.subscribe();
        let (before, lifetime) = {
            let seen = progress.borrow_and_update();
            (seen.attempts, seen.lifetime)
        };
        let Some((left, lifetime)) = self.renewable_beyond(now).zip(lifetime) else { return };
        let asked = asked.min(self.settings.rules.max_expiry.as_duration());
        if !schedule::newer_would_help(asked, left, lifetime) {
            return;
        }
        self.wanted.notify_one();
        let limit = self.patience().min(limit.unwrap_or(Duration::MAX));
        let ended = progress.wait_for(|progress| progress.attempts > before);
        // Later is too late for this request, and good for the next one.
        let _in_time = tokio::time::timeout(limit, ended).await;
    }

    /// How long an attempt is still waited for.
    fn patience(&self) -> Duration {
        let is_running = self.early_from.load(Ordering::Acquire) == 0;
        let began = self.attempt_began.load(Ordering::Acquire);
        let spent = if is_running { self.milliseconds().saturating_sub(began) } else { 0 };
        self.settings.refresh_wait.saturating_sub(Duration::from_millis(spent))
    }

    /// Has the credentials loaded anew, soon.
    fn nudge(&self) {
        self.nudged.notify_one();
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.age.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// An attempt begins: who wants newer credentials waits for it, unless another was made just before.
    fn attempt_begins(&self) {
        let now = self.milliseconds();
        self.attempt_began.store(now, Ordering::Release);
        if self.early_from.load(Ordering::Acquire) <= now {
            self.early_from.store(0, Ordering::Release);
        }
    }

    /// An attempt has ended, with newer credentials or without.
    fn attempt_ended(&self, newer: bool, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(|progress| {
            progress.attempts += 1;
            progress.early_interval = schedule::early_interval(progress.early_interval, newer);
            let interval = u64::try_from(progress.early_interval.as_millis()).unwrap_or(u64::MAX);
            self.early_from.store(self.milliseconds().saturating_add(interval), Ordering::Release);
            change(progress);
        });
        self.tell_metrics();
    }

    /// Callers can name it from now on, or not any more.
    fn publish(&self, is_public: bool) {
        self.is_public.store(is_public, Ordering::Release);
        if is_public {
            self.tell_metrics();
        }
    }

    /// Says what the gauges are to show.
    fn tell_metrics(&self) {
        if !self.is_public.load(Ordering::Acquire) {
            return;
        }
        match self.snapshot() {
            Some(snapshot) => self.metrics.expiry(snapshot.credentials().expires_at()),
            None => self.metrics.no_credentials(),
        }
        if let Some(at) = self.progress.borrow().loaded_at {
            self.metrics.loaded(at);
        }
    }
}
