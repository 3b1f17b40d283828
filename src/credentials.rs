//! Credentials that the process holds: one snapshot for each signer, renewed in the background, never shown to callers.

pub mod schedule;
pub mod source;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tracing::{info, warn};

use self::source::Source;
use crate::{
    clock::Clock,
    metrics::{CredentialsExpiry, SignerMetrics},
    presign::snapshot::{Rules, Snapshot},
};

/// The longest that one attempt to load credentials may take.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// One signer: its name, what it signs with now, and its counters.
pub struct Signer {
    name: String,
    current: ArcSwapOption<Snapshot>,
    usable: watch::Sender<bool>,
    metrics: SignerMetrics,
}

/// What a signer is made of.
#[derive(Clone, Debug)]
pub struct SignerSettings {
    /// `signers.NAME`.
    pub name: String,
    /// Where its requests go, and for how long.
    pub rules: Rules,
    /// The profile of the shared AWS files.
    pub profile: Option<String>,
}

impl Signer {
    /// A signer without credentials.
    pub fn new(name: &str, metrics: SignerMetrics) -> Self {
        metrics.credentials(None, CredentialsExpiry::Missing);
        Self {
            name: name.to_owned(),
            current: ArcSwapOption::empty(),
            usable: watch::Sender::new(false),
            metrics,
        }
    }

    /// `signers.NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs with now; nothing before the first credentials.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Tells, now and on each change, whether there are credentials that a URL could be signed with.
    pub fn usable(&self) -> watch::Receiver<bool> {
        self.usable.subscribe()
    }

    /// The signer's counters.
    pub fn metrics(&self) -> &SignerMetrics {
        &self.metrics
    }

    /// Puts new credentials in the place of the old ones.
    pub fn replace(&self, snapshot: Snapshot, clock: &Clock) {
        let end = snapshot.credentials().expires_at();
        self.metrics
            .credentials(Some(clock.now()), end.map_or(CredentialsExpiry::Never, CredentialsExpiry::At));
        self.current.store(Some(Arc::new(snapshot)));
        self.check(clock);
    }

    /// Looks whether the credentials are still good, and tells whoever watches when that changes.
    fn check(&self, clock: &Clock) {
        let usable = self.snapshot().is_some_and(|now| now.credentials().usable_at(clock.now()));
        self.usable.send_if_modified(|known| std::mem::replace(known, usable) != usable);
    }

    /// How long the credentials stay good, as long as they end at all.
    fn time_left(&self, clock: &Clock) -> Option<Duration> {
        let end = self.snapshot()?.credentials().expires_at()?;
        Some(end.duration_since(clock.now()).unwrap_or_default())
    }
}

/// Keeps one signer's credentials fresh, for as long as the process runs.
pub async fn keep_fresh(signer: Arc<Signer>, settings: SignerSettings, clock: Clock) {
    let mut failures = 0;
    let mut source = None;
    loop {
        let wait = match load(&mut source, &settings).await {
            Ok(snapshot) => {
                failures = 0;
                report_success(&signer, &snapshot, &clock);
                let end = snapshot.credentials().expires_at();
                signer.replace(snapshot, &clock);
                schedule::after_success(end, clock.now(), jitter())
            }
            Err(error) => {
                failures += 1;
                source = None;
                signer.metrics.refreshed("error");
                let wait = schedule::after_failure(failures, jitter());
                let seconds = wait.as_secs_f32();
                warn!(signer = signer.name, failures, "no credentials, again in {seconds:.1} s: {error}");
                Some(wait)
            }
        };
        wait_checking(&signer, wait, &clock).await;
    }
}

/// Waits; when the credentials end meanwhile, says so at that moment.
async fn wait_checking(signer: &Signer, wait: Option<Duration>, clock: &Clock) {
    let Some(wait) = wait else { return std::future::pending().await };
    match signer.time_left(clock) {
        Some(left) if left < wait => {
            tokio::time::sleep(left).await;
            signer.check(clock);
            tokio::time::sleep(wait.saturating_sub(left)).await;
        }
        _ => tokio::time::sleep(wait).await,
    }
    signer.check(clock);
}

async fn load(source: &mut Option<Source>, settings: &SignerSettings) -> Result<Snapshot, source::LoadError> {
    let loading = async {
        let region = settings.rules.endpoint.region.as_ref();
        let from = match source.take() {
            Some(known) => known,
            None => Source::default_chain(region, settings.profile.as_deref()).await,
        };
        let credentials = from.load().await?;
        let mut rules = settings.rules.clone();
        rules.endpoint.region = rules.endpoint.region.or_else(|| from.region());
        // A chain that found no region is asked again next time.
        *source = rules.endpoint.region.is_some().then_some(from);
        Ok(Snapshot::new(credentials, rules))
    };
    tokio::time::timeout(LOAD_LIMIT, loading)
        .await
        .unwrap_or_else(|_| Err(source::LoadError::timed_out(LOAD_LIMIT)))
}

fn report_success(signer: &Signer, snapshot: &Snapshot, clock: &Clock) {
    signer.metrics.refreshed("ok");
    let left =
        snapshot.credentials().expires_at().map(|end| end.duration_since(clock.now()).unwrap_or_default());
    let end_in = left.map_or("never".to_owned(), |left| {
        humantime::format_duration(Duration::from_secs(left.as_secs())).to_string()
    });
    let region = snapshot.rules().endpoint.region.as_ref().map_or("none", |region| region.as_str());
    info!(signer = signer.name, region, end_in, "credentials loaded");
    if snapshot.rules().endpoint.region.is_none() {
        warn!(
            signer = signer.name,
            "no region is known: only ARNs that name one can be signed for; set signers.{}.region or AWS_REGION",
            signer.name
        );
    }
}

/// A number from 0 to 1 that differs between processes and calls. It spreads load; it protects nothing.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    #[expect(clippy::cast_precision_loss, reason = "a spread needs no precision")]
    let fraction = random as f64 / u64::MAX as f64;
    fraction
}
