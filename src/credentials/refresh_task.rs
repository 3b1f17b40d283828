//! The task that refreshes the credentials of one signer. Nothing else loads them.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::{
    Signer, SignerDeps,
    files::WatchedFiles,
    refresh_state::{AttemptResult, RefreshRequest},
    schedule::{self, LoadOutcome, RefreshOutcome},
    source::{self, LoadError},
};
use crate::{
    clock::Stopwatch,
    presign::{
        credentials::Credentials,
        endpoint::{self, EndpointDefaults},
    },
};

/// How long an attempt waits for a load.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a load may run before a later attempt aborts it and starts another. An attempt that times out leaves the
/// load running, and the next attempt waits for it: a `credential_process` that hangs is not started twice.
const LOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// How often the files and the system time are checked: files may change, and the time may jump.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Refreshes the credentials of one signer.
pub(super) struct RefreshTask {
    signer: Arc<Signer>,
    deps: SignerDeps,
    /// The credentials of the signer that this one replaces.
    known_credentials: Option<Arc<Credentials>>,
    loading: Option<Loading>,
    /// The files of the source, with their fingerprints from before the last load.
    files: WatchedFiles,
}

/// A running load.
struct Loading {
    task: AbortOnDropHandle<Result<(Credentials, EndpointDefaults), LoadError>>,
    began: Stopwatch,
}

impl RefreshTask {
    pub(super) fn new(signer: Arc<Signer>, deps: SignerDeps) -> Self {
        Self { signer, deps, known_credentials: None, loading: None, files: WatchedFiles::default() }
    }

    pub(super) fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// Sets the credentials of the signer that this one replaces.
    pub(super) fn set_known_credentials(&mut self, known: Arc<Credentials>) {
        self.known_credentials = Some(known);
    }

    /// Runs until it is aborted. `last` is the outcome of an attempt that was made already.
    pub(super) async fn run(mut self, last: Option<RefreshOutcome>) {
        let mut outcome = last;
        loop {
            let outcome = match outcome.take() {
                Some(outcome) => outcome,
                None => Box::pin(self.attempt()).await,
            };
            self.wait_for_next_attempt(outcome).await;
        }
    }

    /// Loads credentials once, and records the result.
    pub(super) async fn attempt(&mut self) -> RefreshOutcome {
        self.signer.begin_attempt();
        let loaded = self.load().await;
        let now = self.deps.clock.now();
        let result = loaded.and_then(|(loaded, defaults)| self.accept(loaded, defaults, now)).unwrap_or_else(
            |error| {
                self.signer.metrics.count_refresh(error.outcome());
                AttemptResult::Failed { problem: error.to_string() }
            },
        );
        self.signer.end_attempt(result)
    }

    /// Loads credentials. If the load takes too long, the next attempt waits for the same load.
    async fn load(&mut self) -> Result<(Credentials, EndpointDefaults), LoadError> {
        let known = self.loading.take().filter(|loading| loading.began.elapsed() < LOAD_TIMEOUT);
        let mut loading = match known {
            Some(loading) => loading,
            None => self.start_loading().await,
        };
        let waited = Stopwatch::start();
        loop {
            tokio::select! {
                loaded = &mut loading.task => {
                    return loaded.unwrap_or_else(|error| Err(LoadError::Provider(error.to_string())));
                }
                () = sleep_if(self.next_check_delay(Some(CHECK_INTERVAL))) => {
                    self.signer.check_expiry(&self.deps.clock);
                }
            }
            if waited.elapsed() >= ATTEMPT_TIMEOUT {
                self.loading = Some(loading);
                return Err(LoadError::TimedOut(ATTEMPT_TIMEOUT));
            }
        }
    }

    async fn start_loading(&mut self) -> Loading {
        let settings = self.signer.settings.source.clone();
        let environment = Arc::clone(&self.deps.environment);
        if let Ok(paths) =
            tokio::time::timeout(CHECK_INTERVAL, source::watched_paths(&settings, &environment)).await
        {
            self.files.watch(paths).await;
        }
        let load = async move { source::load(&settings, &environment).await };
        Loading { task: AbortOnDropHandle::new(tokio::spawn(load)), began: Stopwatch::start() }
    }

    /// Installs loaded credentials if they are newer than the current ones, and rejects expired ones.
    fn accept(
        &self,
        loaded: Credentials,
        defaults: EndpointDefaults,
        now: SystemTime,
    ) -> Result<AttemptResult, LoadError> {
        let snapshot = self.signer.snapshot();
        let current = snapshot.as_ref().map(|snapshot| snapshot.credentials());
        let provider_expiry = loaded.expires_at();
        let is_at_aws = defaults.endpoint.is_none() && self.signer.settings.rules.endpoint.endpoint.is_none();
        let known = current.or(self.known_credentials.as_ref()).map(|known| &**known);
        let expiry = schedule::resolve_expiry(known, &loaded, is_at_aws, now);
        let loaded = loaded.with_expiry(expiry);
        let outcome = schedule::compare(current.map(|current| &**current), &loaded, now);
        let lifetime = expiry.map(|expiry| expiry.duration_since(now).unwrap_or_default());
        match outcome {
            LoadOutcome::Expired => {
                let ago = expiry.and_then(|expiry| now.duration_since(expiry).ok()).unwrap_or_default();
                Err(LoadError::Expired(ago))
            }
            LoadOutcome::NotNewer => {
                self.signer.metrics.count_refresh("unchanged");
                debug!(signer = self.signer.name(), "the provider has no newer credentials yet");
                let known_defaults = Arc::clone(self.signer.refresh.borrow().endpoint_defaults());
                if let Some(current) = current.filter(|_| *known_defaults != defaults) {
                    self.signer.replace(Arc::clone(current), defaults, &self.deps.clock);
                }
                Ok(AttemptResult::NotNewer { at: now })
            }
            LoadOutcome::Newer => {
                self.signer.replace(loaded, defaults, &self.deps.clock);
                self.signer.metrics.count_refresh("ok");
                log_loaded(&self.signer, lifetime, expiry != provider_expiry);
                Ok(AttemptResult::Newer { at: now, lifetime })
            }
        }
    }

    /// Waits until the next attempt is due, by the monotonic clock or by the system time, whichever is first; or until
    /// a refresh is requested or a file changes.
    async fn wait_for_next_attempt(&mut self, outcome: RefreshOutcome) {
        let clock = self.deps.clock.clone();
        let now = clock.now();
        let expiry = self.signer.snapshot().and_then(|snapshot| snapshot.credentials().expires_at());
        let wait = schedule::next_attempt_delay(outcome, expiry, now, jitter());
        if let (RefreshOutcome::Failed { times }, Some(wait)) = (outcome, wait) {
            let state = self.signer.refresh_state();
            let problem = state.problem().unwrap_or_default();
            let seconds = wait.as_secs_f32();
            warn!(
                signer = self.signer.name(),
                failures = times,
                "failed to load credentials, retrying in {seconds:.1} s: {problem}"
            );
        }
        let due = wait.map(|wait| now + wait);
        let waited = Stopwatch::start();
        loop {
            let left = wait.map(|wait| wait.saturating_sub(waited.elapsed()));
            tokio::select! {
                () = sleep_if(self.next_check_delay(left)) => {}
                request = self.signer.next_request() => {
                    // An early refresh may have been made since it was requested.
                    let is_due = match request {
                        RefreshRequest::Now => true,
                        RefreshRequest::Early => self.signer.early_refresh_threshold(clock.now()).is_some(),
                    };
                    if is_due {
                        return;
                    }
                    continue;
                }
            }
            self.signer.check_expiry(&clock);
            let is_due = wait.is_some_and(|wait| waited.elapsed() >= wait)
                || due.is_some_and(|due| clock.now() >= due);
            if is_due || self.files.check_for_change().await {
                return;
            }
        }
    }

    /// The delay before the next check: until the attempt, until the credentials expire, or [`CHECK_INTERVAL`],
    /// whichever is first. `None` if there is nothing to check.
    fn next_check_delay(&self, until_attempt: Option<Duration>) -> Option<Duration> {
        let until_expiry = self.signer.remaining_lifetime(self.deps.clock.now());
        let has_checks = !self.files.is_empty() || until_attempt.is_some();
        let until_expiry = until_expiry.filter(|left| !left.is_zero());
        [until_attempt, until_expiry, has_checks.then_some(CHECK_INTERVAL)].into_iter().flatten().min()
    }
}

/// Sleeps for this time; never returns if it is `None`.
async fn sleep_if(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn log_loaded(signer: &Signer, lifetime: Option<Duration>, is_assumed: bool) {
    let Some(snapshot) = signer.snapshot() else { return };
    let expires_in = lifetime.map_or("never".to_owned(), |left| {
        humantime::format_duration(Duration::from_secs(left.as_secs())).to_string()
    });
    let name = signer.name();
    let rules = &snapshot.rules().endpoint;
    let region = rules.region.as_ref().map_or("none", |region| region.as_str());
    let endpoint = rules.url_endpoint().map_or("aws".to_owned(), ToString::to_string);
    info!(signer = name, region, endpoint, expires_in, "credentials loaded");
    if is_assumed {
        warn!(
            signer = name,
            "the expiry of the session token is unknown, 36 hours are assumed: URLs may stop working before their \
             expires_at; for credentials in the environment, set AWS_CREDENTIAL_EXPIRATION"
        );
    }
    if rules.region.is_none() {
        warn!(
            signer = name,
            "no region is set, so only ARNs with a region can be signed: set signers.{name}.region or AWS_REGION"
        );
    } else if let Err(error) = endpoint::check(rules) {
        warn!(signer = name, "URLs cannot be signed for any bucket: {error}");
    }
}

/// A random number from 0 to 1. It spreads load and is not cryptographically secure.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_precision_loss, reason = "jitter needs no precision")]
    let fraction = random as f64 / u64::MAX as f64;
    fraction
}
