//! Credentials that the process holds: one snapshot for each signer, renewed in the background, never shown to callers.

mod files;
mod keeper;
pub mod roles;
pub mod schedule;
mod signers;
pub mod source;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};

pub use self::signers::{ReloadError, Signers, Surroundings};
use self::source::SourceSettings;
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
    /// What was found beside the credentials.
    found: ArcSwap<Found>,
    usable: watch::Sender<bool>,
    progress: watch::Sender<Progress>,
    /// The time on [`Self::age`] from which credentials may be renewed early; 0 while they just are.
    early_from: AtomicU64,
    age: Stopwatch,
    /// Somebody wants newer credentials than those at hand.
    wanted: Notify,
    /// An operator wants them loaded anew.
    nudged: Notify,
    metrics: SignerMetrics,
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
}

impl Signer {
    /// A signer without credentials.
    pub fn new(settings: SignerSettings, metrics: SignerMetrics) -> Self {
        Self {
            settings,
            current: ArcSwapOption::empty(),
            found: ArcSwap::default(),
            usable: watch::Sender::new(false),
            progress: watch::Sender::default(),
            early_from: AtomicU64::new(u64::MAX),
            age: Stopwatch::start(),
            wanted: Notify::new(),
            nudged: Notify::new(),
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

    /// Tells, now and on each change, whether there are credentials that a URL could be signed with.
    pub fn usable(&self) -> watch::Receiver<bool> {
        self.usable.subscribe()
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
        let end = credentials.expires_at();
        self.current.store(Some(Arc::new(Snapshot::new(credentials, rules))));
        self.metrics.expiry(end);
        self.check(clock);
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
    ///
    /// This is asked for every call: it reads two atomic values.
    pub fn renewable_beyond(&self, now: SystemTime) -> Option<Duration> {
        let left = self.time_left(now)?;
        let may = !self.settings.refresh_wait.is_zero()
            && left < self.settings.rules.max_expiry.as_duration()
            && self.early_from.load(Ordering::Acquire) <= self.milliseconds();
        may.then_some(left)
    }

    /// Waits for newer credentials, when they would help a request that asks for so much time: until an attempt to load
    /// them has ended, for `limit` and `expiry.refresh_wait` at most.
    pub async fn renew_for(&self, asked: Duration, now: SystemTime, limit: Option<Duration>) {
        let mut progress = self.progress.subscribe();
        let (before, lifetime) = {
            let seen = progress.borrow_and_update();
            (seen.attempts, seen.lifetime)
        };
        let Some((left, lifetime)) = self.renewable_beyond(now).zip(lifetime) else { return };
        if !schedule::newer_would_help(asked, left, lifetime) {
            return;
        }
        self.wanted.notify_one();
        let limit = self.settings.refresh_wait.min(limit.unwrap_or(Duration::MAX));
        let ended = progress.wait_for(|progress| progress.attempts > before);
        // Later is too late for this request, and good for the next one.
        let _in_time = tokio::time::timeout(limit, ended).await;
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
        if self.early_from.load(Ordering::Acquire) <= self.milliseconds() {
            self.early_from.store(0, Ordering::Release);
        }
    }

    /// An attempt has ended.
    fn attempt_ended(&self, change: impl FnOnce(&mut Progress)) {
        let every = u64::try_from(schedule::EARLY_EVERY.as_millis()).unwrap_or(u64::MAX);
        self.early_from.store(self.milliseconds().saturating_add(every), Ordering::Release);
        self.progress.send_modify(|progress| {
            progress.attempts += 1;
            change(progress);
        });
    }
}
