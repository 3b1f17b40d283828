//! Refreshes the credentials of one signer: the only task that loads them.

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

/// How long an attempt to load credentials waits.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a load that no attempt waited for to its end may go on before another one is started beside it: what hangs
/// may be a program, which does not end when nobody waits for it.
const LOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// How often the files are checked for changes, and the time of day, which may jump.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct RefreshTask {
    signer: Arc<Signer>,
    deps: SignerDeps,
    /// What was loaded before this signer was there, by the one in whose place it is.
    before: Option<Arc<Credentials>>,
    loading: Option<Loading>,
    /// As they were before they were read.
    files: WatchedFiles,
}

/// A load under way.
struct Loading {
    task: AbortOnDropHandle<Result<(Credentials, EndpointDefaults), LoadError>>,
    began: Stopwatch,
}

impl RefreshTask {
    pub(super) fn new(signer: Arc<Signer>, deps: SignerDeps) -> Self {
        Self { signer, deps, before: None, loading: None, files: WatchedFiles::default() }
    }

    pub(super) fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// What the signer had that this one follows.
    pub(super) fn follow(&mut self, before: Arc<Credentials>) {
        self.before = Some(before);
    }

    /// Runs for as long as the signer is there. `last` is what an attempt came to that was made before.
    pub(super) async fn run(mut self, last: Option<RefreshOutcome>) {
        let mut outcome = last;
        loop {
            let outcome = match outcome.take() {
                Some(outcome) => outcome,
                None => Box::pin(self.attempt()).await,
            };
            self.wait_after(outcome).await;
        }
    }

    /// Loads credentials once, and notes how that ended.
    pub(super) async fn attempt(&mut self) -> RefreshOutcome {
        self.signer.begin_attempt();
        let loaded = self.loaded().await;
        let now = self.deps.clock.now();
        let end = loaded.and_then(|(loaded, defaults)| self.accept(loaded, defaults, now)).unwrap_or_else(
            |error| {
                self.signer.metrics.count_refresh(error.outcome());
                AttemptResult::Failed { problem: error.to_string() }
            },
        );
        self.signer.end_attempt(end)
    }

    /// What the provider hands out. When it takes too long, the next attempt waits for the same.
    async fn loaded(&mut self) -> Result<(Credentials, EndpointDefaults), LoadError> {
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
                () = pause(self.next_check(Some(CHECK_INTERVAL))) => {
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
        if let Ok(paths) = tokio::time::timeout(CHECK_INTERVAL, source::files(&settings, &environment)).await
        {
            self.files.watch(paths).await;
        }
        let load = async move { source::load(&settings, &environment).await };
        Loading { task: AbortOnDropHandle::new(tokio::spawn(load)), began: Stopwatch::start() }
    }

    /// Takes what is newer, leaves what is not, and refuses what has ended.
    fn accept(
        &self,
        loaded: Credentials,
        defaults: EndpointDefaults,
        now: SystemTime,
    ) -> Result<AttemptResult, LoadError> {
        let snapshot = self.signer.snapshot();
        let current = snapshot.as_ref().map(|snapshot| snapshot.credentials());
        let told = loaded.expires_at();
        let is_at_aws = defaults.endpoint.is_none() && self.signer.settings.rules.endpoint.endpoint.is_none();
        let seen = current.or(self.before.as_ref()).map(|seen| &**seen);
        let end = schedule::presumed_end(seen, &loaded, is_at_aws, now);
        let loaded = loaded.with_expiry(end);
        let outcome = schedule::compare(current.map(|current| &**current), &loaded, now);
        let lifetime = end.map(|end| end.duration_since(now).unwrap_or_default());
        match outcome {
            LoadOutcome::Expired => {
                let ago = end.and_then(|end| now.duration_since(end).ok()).unwrap_or_default();
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
                report(&self.signer, lifetime, end != told);
                Ok(AttemptResult::Newer { at: now, lifetime })
            }
        }
    }

    /// Waits until it is time for the next attempt: by a clock that does not jump, or by the time of day when that jumps
    /// past it; or until there is a reason for one.
    async fn wait_after(&mut self, outcome: RefreshOutcome) {
        let clock = self.deps.clock.clone();
        let now = clock.now();
        let end = self.signer.snapshot().and_then(|snapshot| snapshot.credentials().expires_at());
        let wait = schedule::next_attempt(outcome, end, now, jitter());
        if let (RefreshOutcome::Failed { times }, Some(wait)) = (outcome, wait) {
            let state = self.signer.refresh_state();
            let problem = state.problem().unwrap_or_default();
            let seconds = wait.as_secs_f32();
            warn!(
                signer = self.signer.name(),
                failures = times,
                "credentials could not be loaded, again in {seconds:.1} s: {problem}"
            );
        }
        let due = wait.map(|wait| now + wait);
        let waited = Stopwatch::start();
        loop {
            let left = wait.map(|wait| wait.saturating_sub(waited.elapsed()));
            tokio::select! {
                () = pause(self.next_check(left)) => {}
                request = self.signer.next_request() => {
                    // Of many callers that wanted an early refresh, one may have been served already.
                    let is_due = match request {
                        RefreshRequest::Now => true,
                        RefreshRequest::Early => self.signer.renewable_beyond(clock.now()).is_some(),
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

    /// How long to wait before the next check of anything: until the next attempt, or the end of the credentials.
    fn next_check(&self, until_attempt: Option<Duration>) -> Option<Duration> {
        let until_end = self.signer.time_left(self.deps.clock.now());
        let checks = !self.files.is_empty() || until_attempt.is_some();
        let until_end = until_end.filter(|left| !left.is_zero());
        [until_attempt, until_end, checks.then_some(CHECK_INTERVAL)].into_iter().flatten().min()
    }
}

/// Ready after this time; never when there is none.
async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn report(signer: &Signer, lifetime: Option<Duration>, is_presumed: bool) {
    let Some(snapshot) = signer.snapshot() else { return };
    let end_in = lifetime.map_or("never".to_owned(), |left| {
        humantime::format_duration(Duration::from_secs(left.as_secs())).to_string()
    });
    let name = signer.name();
    let rules = &snapshot.rules().endpoint;
    let region = rules.region.as_ref().map_or("none", |region| region.as_str());
    let endpoint = rules.url_endpoint().map_or("aws".to_owned(), ToString::to_string);
    info!(signer = name, region, endpoint, end_in, "credentials loaded");
    if is_presumed {
        warn!(
            signer = name,
            "the session token ends at a time that nobody told, in 36 hours at most: URLs may stop working before their \
             expires_at; for credentials in the environment, set AWS_CREDENTIAL_EXPIRATION"
        );
    }
    if rules.region.is_none() {
        warn!(
            signer = name,
            "no region is known: only ARNs that name one can be signed for; set signers.{name}.region or AWS_REGION"
        );
    } else if let Err(error) = endpoint::check(rules) {
        warn!(signer = name, "no bucket can be signed for: {error}");
    }
}

/// A number from 0 to 1 that differs between processes and calls. It spreads load; it protects nothing.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_precision_loss, reason = "a spread needs no precision")]
    let fraction = random as f64 / u64::MAX as f64;
    fraction
}
