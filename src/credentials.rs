//! Credentials that the process holds: one snapshot for each signer, renewed in the background, never shown to callers.

mod files;
pub mod refresh_state;
mod refresh_task;
pub mod roles;
pub mod schedule;
pub mod sessions;
mod signers;
pub mod source;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

pub use self::{
    refresh_state::RefreshState,
    signers::{PreparedSigners, ReloadError, SignerDeps, Signers},
};
use self::{
    refresh_state::{AttemptResult, RefreshRequest},
    schedule::RefreshOutcome,
    sessions::Sessions,
    source::SourceSettings,
};
use crate::{
    clock::{Clock, Stopwatch},
    metrics::SignerMetrics,
    presign::{
        credentials::Credentials,
        endpoint::EndpointDefaults,
        expiry::Seconds,
        snapshot::{SigningRules, Snapshot},
    },
};

/// What a signer is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignerSettings {
    /// `signers.NAME`.
    pub name: String,
    /// Where its requests go, and for how long.
    pub rules: SigningRules,
    /// Where its credentials come from.
    pub source: SourceSettings,
    /// `expiry.refresh_wait`: the longest that a request waits for credentials that are renewed for it.
    pub refresh_wait: Duration,
}

/// One signer: its name, what it signs with now, and its counters.
pub struct Signer {
    settings: SignerSettings,
    /// What it signs with now. Every call reads it.
    snapshot: ArcSwapOption<Snapshot>,
    /// Everything else that a refresh changes.
    refresh: watch::Sender<RefreshState>,
    /// Measures the ages in the refresh state.
    age: Stopwatch,
    /// For directory buckets.
    sessions: Arc<Sessions>,
    metrics: SignerMetrics,
}

impl Signer {
    /// A signer without credentials.
    pub fn new(settings: SignerSettings, metrics: SignerMetrics, clock: Clock) -> Self {
        Self {
            settings,
            snapshot: ArcSwapOption::empty(),
            refresh: watch::Sender::default(),
            age: Stopwatch::start(),
            sessions: Sessions::new(metrics.clone(), clock),
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
        self.snapshot.load_full()
    }

    /// What it signed with before, as far as it is kept: URLs of that time are still in use.
    pub fn past(&self, now: SystemTime) -> Vec<Arc<Snapshot>> {
        self.refresh.borrow().previous(now)
    }

    /// Its sessions of S3 Express.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// What is known of its refreshes, now and after each change.
    pub fn refresh_states(&self) -> watch::Receiver<RefreshState> {
        self.refresh.subscribe()
    }

    /// What is known of its refreshes now.
    pub fn refresh_state(&self) -> RefreshState {
        self.refresh.borrow().clone()
    }

    /// The signer's counters.
    pub fn metrics(&self) -> &SignerMetrics {
        &self.metrics
    }

    /// Replaces the credentials, and the endpoint defaults that were resolved with them.
    pub fn replace(
        &self,
        credentials: impl Into<Arc<Credentials>>,
        endpoint_defaults: impl Into<Arc<EndpointDefaults>>,
        clock: &Clock,
    ) {
        let endpoint_defaults = endpoint_defaults.into();
        let mut rules = self.settings.rules.clone();
        rules.endpoint = rules.endpoint.with_defaults(&endpoint_defaults);
        let new = Arc::new(Snapshot::new(credentials, rules));
        let old = self.snapshot.swap(Some(Arc::clone(&new)));
        self.refresh.send_modify(|state| state.replace_snapshot(old, &new, endpoint_defaults, clock.now()));
        self.show_gauges();
    }

    /// Checks whether the credentials have expired, so that everybody who follows the state learns of it.
    fn check_expiry(&self, clock: &Clock) {
        let usable = self.snapshot().is_some_and(|now| now.credentials().is_usable_at(clock.now()));
        self.refresh.send_if_modified(|state| state.set_usable(usable));
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
            && self.refresh.borrow().permits_early_refresh(self.age.elapsed());
        may.then_some(left)
    }

    /// Waits for newer credentials, when they would help a request that asks for so much time: until an attempt to load
    /// them has ended, for `limit` at most, and until the attempt has taken `expiry.refresh_wait`.
    pub async fn renew_for(&self, asked: Duration, now: SystemTime, limit: Option<Duration>) {
        let mut states = self.refresh.subscribe();
        let (attempts, lifetime, running) = {
            let state = states.borrow();
            (state.attempts(), state.lifetime(), state.attempt_duration(self.age.elapsed()))
        };
        let Some((left, lifetime)) = self.renewable_beyond(now).zip(lifetime) else { return };
        let asked = asked.min(self.settings.rules.max_expiry.as_duration());
        if !schedule::newer_would_help(asked, left, lifetime) {
            return;
        }
        self.request(RefreshRequest::Early);
        let limit = self.settings.refresh_wait.saturating_sub(running).min(limit.unwrap_or(Duration::MAX));
        let ended = states.wait_for(|state| state.attempts() > attempts);
        // Later is too late for this request, and good for the next one.
        let _in_time = tokio::time::timeout(limit, ended).await;
    }

    fn request(&self, request: RefreshRequest) {
        self.refresh.send_if_modified(|state| state.add_request(request));
    }

    /// Waits for a request for a refresh, and takes it.
    async fn next_request(&self) -> RefreshRequest {
        let mut states = self.refresh.subscribe();
        loop {
            let mut request = None;
            self.refresh.send_if_modified(|state| {
                request = state.take_request();
                false
            });
            if let Some(request) = request {
                return request;
            }
            // It fails only without a sender, which this signer is.
            let _changed = states.changed().await;
        }
    }

    fn begin_attempt(&self) {
        self.refresh.send_modify(|state| state.begin_attempt(self.age.elapsed()));
    }

    fn end_attempt(&self, end: AttemptResult) -> RefreshOutcome {
        let mut outcome = RefreshOutcome::Renewed;
        self.refresh.send_modify(|state| outcome = state.end_attempt(self.age.elapsed(), end));
        self.show_gauges();
        outcome
    }

    /// Notes whether the signer is part of the current generation.
    fn set_in_service(&self, in_service: bool) {
        self.refresh.send_modify(|state| state.set_in_service(in_service));
        self.show_gauges();
    }

    /// Sets the gauges, unless they are those of another signer with the same name.
    fn show_gauges(&self) {
        let state = self.refresh.borrow();
        if !state.is_in_service() {
            return;
        }
        match self.snapshot() {
            Some(snapshot) => self.metrics.set_expiry(snapshot.credentials().expires_at()),
            None => self.metrics.set_no_credentials(),
        }
        if let Some(at) = state.loaded_at() {
            self.metrics.set_last_refresh(at);
        }
    }
}
