//! Keeps one signer's credentials fresh: the only task that loads them, so that nobody else ever needs to.

use std::{
    collections::hash_map::RandomState,
    future::Future,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tracing::{debug, info, warn};

use super::{
    Signer, Surroundings,
    files::Files,
    schedule::{self, Event, Verdict},
    source::{self, LoadError, Source},
};
use crate::{
    clock::Stopwatch,
    presign::{
        credentials::Credentials,
        endpoint::{self, Found},
    },
};

/// The longest that one attempt to load credentials may take.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// How often the files are looked at, and the time of day, which may jump.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    signer: Arc<Signer>,
    surroundings: Surroundings,
    source: Option<Source>,
    /// As they were before the source read them.
    files: Files,
    last: Event,
}

impl Keeper {
    pub(super) fn new(signer: Arc<Signer>, surroundings: Surroundings) -> Self {
        Self { signer, surroundings, source: None, files: Files::default(), last: Event::Renewed }
    }

    pub(super) fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// Runs for as long as the signer is there. `last` is what an attempt came to that was made before.
    pub(super) async fn run(mut self, last: Option<Event>) {
        let mut event = last;
        loop {
            let event = match event.take() {
                Some(event) => event,
                None => self.attempt().await,
            };
            self.wait_after(event).await;
        }
    }

    /// Loads credentials once, and tells everybody what came of it.
    pub(super) async fn attempt(&mut self) -> Event {
        self.signer.attempt_begins();
        if self.source.is_none() || self.files.changed().await {
            self.source = None;
            let settings = &self.signer.settings.source;
            self.files = Files::look(source::files(settings, &self.surroundings.environment).await).await;
        }
        let loaded = within(LOAD_LIMIT, self.load()).await;
        let now = self.surroundings.clock.now();
        let event = match loaded.and_then(|(loaded, found)| self.judge(loaded, found, now)) {
            Ok(Verdict::Newer) => Event::Renewed,
            Ok(_) => Event::NotNewer {
                times: self.times_before(|last| matches!(last, Event::NotNewer { .. })) + 1,
            },
            Err(error) => self.failed(&error),
        };
        self.last = event;
        event
    }

    /// How many times in a row the same came of it, when it did the last time.
    fn times_before(&self, same: impl Fn(Event) -> bool) -> u32 {
        match self.last {
            Event::NotNewer { times } | Event::Failed { times } if same(self.last) => times,
            _ => 0,
        }
    }

    async fn load(&mut self) -> Result<(Credentials, Found), LoadError> {
        let source = match self.source.take() {
            Some(known) => known,
            None => Source::new(&self.signer.settings.source, &self.surroundings.environment).await,
        };
        let found = source.found()?;
        let loaded = source.load().await?;
        // Where no region was found, it is looked for again the next time.
        self.source = found.region.is_some().then_some(source);
        Ok((loaded, found))
    }

    /// Takes what is newer, leaves what is not, and refuses what has ended.
    fn judge(&self, loaded: Credentials, found: Found, now: SystemTime) -> Result<Verdict, LoadError> {
        let snapshot = self.signer.snapshot();
        let held = snapshot.as_ref().map(|snapshot| &**snapshot.credentials());
        let told = loaded.expires_at();
        let of_another_server =
            found.endpoint.is_some() || self.signer.settings.rules.endpoint.endpoint.is_some();
        let loaded = if of_another_server {
            // How long its sessions last is its own affair.
            loaded
        } else {
            let end = schedule::presumed_end(held, &loaded, now);
            loaded.ending_at(end)
        };
        let end = loaded.expires_at();
        let is_presumed = end != told;
        let verdict = schedule::judge(held, &loaded, now);
        let lifetime = end.map(|end| end.duration_since(now).unwrap_or_default());
        match verdict {
            Verdict::Expired => {
                let ago = end.and_then(|end| now.duration_since(end).ok()).unwrap_or_default();
                return Err(LoadError::Expired(ago));
            }
            Verdict::NotNewer => {
                self.signer.metrics.refreshed("unchanged");
                debug!(signer = self.signer.name(), "the provider has no newer credentials yet");
                if let Some(held) = snapshot.filter(|_| *self.signer.found.load_full() != found) {
                    self.signer.replace(Arc::clone(held.credentials()), found, &self.surroundings.clock);
                }
            }
            Verdict::Newer => {
                self.signer.replace(loaded, found, &self.surroundings.clock);
                self.signer.metrics.refreshed("ok");
                report(&self.signer, lifetime, is_presumed);
            }
        }
        self.signer.metrics.loaded(now);
        self.signer.attempt_ended(|progress| {
            progress.loaded_at = Some(now);
            (progress.failures, progress.problem) = (0, None);
            if verdict == Verdict::Newer {
                progress.lifetime = lifetime;
            }
        });
        Ok(verdict)
    }

    fn failed(&mut self, error: &LoadError) -> Event {
        // Whatever was wrong may have been in what the source remembers.
        self.source = None;
        self.signer.metrics.refreshed(error.outcome());
        let times = self.times_before(|last| matches!(last, Event::Failed { .. })) + 1;
        self.signer.attempt_ended(|progress| {
            (progress.failures, progress.problem) = (times, Some(error.to_string()));
        });
        Event::Failed { times }
    }

    /// Waits until it is time for the next attempt: by a clock that does not jump, or by the time of day when that jumps
    /// past it; or until there is a reason for one.
    async fn wait_after(&self, event: Event) {
        let Surroundings { clock, .. } = &self.surroundings;
        let now = clock.now();
        let end = self.signer.snapshot().and_then(|snapshot| snapshot.credentials().expires_at());
        let wait = schedule::next_attempt(event, end, now, jitter());
        if let (Event::Failed { times }, Some(wait)) = (event, wait) {
            let problem = self.signer.progress().problem.unwrap_or_default();
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
                () = pause(self.next_look(left)) => {}
                () = self.signer.nudged.notified() => return,
                // Of many who want it, one may have been heard already.
                () = self.signer.wanted.notified() => {
                    if self.signer.renewable_beyond(clock.now()).is_some() {
                        return;
                    }
                }
            }
            self.signer.check(clock);
            let is_due = wait.is_some_and(|wait| waited.elapsed() >= wait)
                || due.is_some_and(|due| clock.now() >= due);
            if is_due || self.files.changed().await {
                return;
            }
        }
    }

    /// How long to wait before the next look at anything: until the next attempt, or the end of the credentials.
    fn next_look(&self, until_attempt: Option<Duration>) -> Option<Duration> {
        let until_end = self.signer.time_left(self.surroundings.clock.now());
        let looks = self.files.are_there() || until_attempt.is_some();
        let until_end = until_end.filter(|left| !left.is_zero());
        [until_attempt, until_end, looks.then_some(LOOK_EVERY)].into_iter().flatten().min()
    }
}

async fn within<T>(
    limit: Duration,
    loading: impl Future<Output = Result<T, LoadError>>,
) -> Result<T, LoadError> {
    tokio::time::timeout(limit, loading).await.unwrap_or_else(|_| Err(LoadError::TimedOut(limit)))
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
    let endpoint = rules.in_url().map_or("aws".to_owned(), ToString::to_string);
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
