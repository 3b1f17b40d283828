//! The credentials of this process: one snapshot per signer, refreshed in the background, never shown to callers.

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
    sessions::ExpressSessions,
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

/// The settings of one signer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignerSettings {
    /// NAME in `signers.NAME`.
    pub name: String,
    /// The endpoint that its URLs point to, and how long they work.
    pub rules: SigningRules,
    /// The source of its credentials.
    pub source: SourceSettings,
    /// `expiry.refresh_wait`: how long a request waits at most for an early refresh. Zero disables early refreshes.
    pub refresh_wait: Duration,
}

/// One signer: its settings, its current credentials and its metrics.
pub struct Signer {
    settings: SignerSettings,
    /// The current credentials and rules, read by every call; `None` before the first credentials.
    snapshot: ArcSwapOption<Snapshot>,
    /// Everything else that a refresh changes.
    refresh: watch::Sender<RefreshState>,
    /// The monotonic clock of the ages in the refresh state.
    age: Stopwatch,
    /// Sessions for directory buckets.
    sessions: Arc<ExpressSessions>,
    metrics: SignerMetrics,
}

impl Signer {
    /// Creates a signer without credentials.
    pub fn new(settings: SignerSettings, metrics: SignerMetrics, clock: Clock) -> Self {
        Self {
            settings,
            snapshot: ArcSwapOption::empty(),
            refresh: watch::Sender::default(),
            age: Stopwatch::start(),
            sessions: ExpressSessions::new(metrics.clone(), clock),
            metrics,
        }
    }

    /// NAME in `signers.NAME`.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The lifetime of a URL whose request does not set `expires_in`.
    pub fn default_expiry(&self) -> Seconds {
        self.settings.rules.default_expiry
    }

    /// The current credentials and rules; `None` before the first credentials.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// The snapshots that were replaced and are still kept, because URLs that they signed may be in use.
    pub fn previous_snapshots(&self, now: SystemTime) -> Vec<Arc<Snapshot>> {
        self.refresh.borrow().previous(now)
    }

    /// The S3 Express sessions of this signer.
    pub fn sessions(&self) -> &Arc<ExpressSessions> {
        &self.sessions
    }

    /// Subscribes to the refresh state.
    pub fn refresh_states(&self) -> watch::Receiver<RefreshState> {
        self.refresh.subscribe()
    }

    /// A copy of the current refresh state.
    pub fn refresh_state(&self) -> RefreshState {
        self.refresh.borrow().clone()
    }

    /// The metrics of this signer.
    pub fn metrics(&self) -> &SignerMetrics {
        &self.metrics
    }

    /// Replaces the credentials, and the endpoint defaults that were loaded with them.
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
        self.update_gauges();
    }

    /// Updates the refresh state if the credentials have expired or are usable again.
    fn check_expiry(&self, clock: &Clock) {
        let usable = self.snapshot().is_some_and(|now| now.credentials().is_usable_at(clock.now()));
        self.refresh.send_if_modified(|state| state.set_usable(usable));
    }

    /// The time until the credentials expire; `None` without credentials, or if they do not expire.
    fn remaining_lifetime(&self, now: SystemTime) -> Option<Duration> {
        Some(self.snapshot()?.credentials().expires_at()?.duration_since(now).unwrap_or_default())
    }

    /// The lifetime beyond which a request may start an early refresh: the time until the credentials expire. `None`
    /// while an early refresh is not permitted or cannot make a URL work longer.
    pub fn early_refresh_threshold(&self, now: SystemTime) -> Option<Duration> {
        let left = self.remaining_lifetime(now)?;
        let is_permitted = !self.settings.refresh_wait.is_zero()
            && left < self.settings.rules.max_expiry.as_duration()
            && self.refresh.borrow().permits_early_refresh(self.age.elapsed());
        is_permitted.then_some(left)
    }

    /// Starts an early refresh, or joins the running one, if newer credentials would help a request for the lifetime
    /// `requested`. Returns when the attempt has ended, has taken `expiry.refresh_wait`, or `timeout` has passed.
    pub async fn refresh_early(&self, requested: Duration, now: SystemTime, timeout: Option<Duration>) {
        let mut states = self.refresh.subscribe();
        let (attempts, lifetime, running) = {
            let state = states.borrow();
            (state.attempts(), state.lifetime(), state.attempt_duration(self.age.elapsed()))
        };
        let Some((left, lifetime)) = self.early_refresh_threshold(now).zip(lifetime) else { return };
        let requested = requested.min(self.settings.rules.max_expiry.as_duration());
        if !schedule::would_refresh_help(requested, left, lifetime) {
            return;
        }
        self.request_refresh(RefreshRequest::Early);
        let timeout =
            self.settings.refresh_wait.saturating_sub(running).min(timeout.unwrap_or(Duration::MAX));
        let ended = states.wait_for(|state| state.attempts() > attempts);
        // After a timeout the attempt goes on: later requests use its result.
        let _in_time = tokio::time::timeout(timeout, ended).await;
    }

    fn request_refresh(&self, request: RefreshRequest) {
        self.refresh.send_if_modified(|state| state.add_request(request));
    }

    /// Waits until a refresh is requested, and takes the request.
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
            // It fails only when the sender is dropped, and this signer owns the sender.
            let _changed = states.changed().await;
        }
    }

    fn begin_attempt(&self) {
        self.refresh.send_modify(|state| state.begin_attempt(self.age.elapsed()));
    }

    fn end_attempt(&self, result: AttemptResult) -> RefreshOutcome {
        let mut outcome = RefreshOutcome::Renewed;
        self.refresh.send_modify(|state| outcome = state.end_attempt(self.age.elapsed(), result));
        self.update_gauges();
        outcome
    }

    /// Records whether the signer belongs to the current generation.
    fn set_in_service(&self, in_service: bool) {
        self.refresh.send_modify(|state| state.set_in_service(in_service));
        self.update_gauges();
    }

    /// Sets the gauges, but only while the signer is in service: a replaced signer of the same name shares them.
    fn update_gauges(&self) {
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
