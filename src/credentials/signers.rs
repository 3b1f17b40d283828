//! Builds the signers of each generation, and owns the tasks that refresh their credentials.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::join_all;
use thiserror::Error;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Signer, SignerSettings, refresh_state::RefreshRequest, refresh_task::RefreshTask,
    schedule::RefreshOutcome,
};
use crate::{clock::Clock, hardening::AwsEnvironment, metrics::Metrics};

/// The dependencies of signers.
#[derive(Clone, Debug)]
pub struct SignerDeps {
    /// The clock of the process.
    pub clock: Clock,
    /// The AWS variables that were taken from the environment.
    pub environment: Arc<AwsEnvironment>,
    /// The metrics of the process.
    pub metrics: Metrics,
}

/// Builds signers, and owns the tasks that refresh their credentials.
pub struct Signers {
    /// The refresh tasks, by the name of the signer. A task ends when its handle is dropped.
    tasks: Mutex<BTreeMap<String, AbortOnDropHandle<()>>>,
    deps: SignerDeps,
}

/// Why a reload of the signers failed: a signer that is new, or has a new source, got no credentials.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("signer {signer} has no credentials: {problem}")]
pub struct ReloadError {
    signer: String,
    problem: String,
}

/// The signers of the next generation. Each has credentials already, unless it replaces a signer without credentials.
pub struct PreparedSigners(Vec<PreparedSigner>);

/// A signer of the next generation.
enum PreparedSigner {
    /// The same settings: the current signer stays in use.
    Unchanged(Arc<Signer>),
    /// Other rules with the same source: a new signer that inherits the credentials of the current one.
    NewRules { signer: Arc<Signer>, current: Arc<Signer> },
    /// A new name or another source: a new signer, and the outcome of its first attempt.
    NewSource(RefreshTask, RefreshOutcome),
}

impl Signers {
    /// Creates it without signers and tasks.
    pub fn new(deps: SignerDeps) -> Self {
        Self { tasks: Mutex::default(), deps }
    }

    /// Builds the signers of the first generation, without credentials.
    pub fn build(&self, settings: Vec<SignerSettings>) -> Vec<Arc<Signer>> {
        let build = |settings| {
            let signer = self.new_signer(settings);
            signer.set_in_service(true);
            signer
        };
        settings.into_iter().map(build).collect()
    }

    fn new_signer(&self, settings: SignerSettings) -> Arc<Signer> {
        let metrics = self.deps.metrics.signer(&settings.name);
        Arc::new(Signer::new(settings, metrics, self.deps.clock.clone()))
    }

    /// Starts the refresh tasks of the signers of the first generation.
    pub fn start_refreshing(&self, signers: &[Arc<Signer>]) {
        for signer in signers {
            self.spawn(RefreshTask::new(Arc::clone(signer), self.deps.clone()), None);
        }
    }

    fn spawn(&self, task: RefreshTask, last: Option<RefreshOutcome>) {
        let name = task.signer().name().to_owned();
        let handle = AbortOnDropHandle::new(tokio::spawn(task.run(last)));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, handle);
    }

    /// Builds the signers of the next generation. A signer that is new, or has another source, loads its credentials
    /// now.
    ///
    /// # Errors
    /// If a signer gets no credentials. The current signers are not changed in any case.
    pub async fn prepare(
        &self,
        current: &[Arc<Signer>],
        settings: Vec<SignerSettings>,
    ) -> Result<PreparedSigners, ReloadError> {
        let prepared =
            join_all(settings.into_iter().map(|settings| self.prepare_signer(current, settings))).await;
        let prepared = prepared.into_iter().collect::<Result<Vec<PreparedSigner>, ReloadError>>()?;
        for next in &prepared {
            if let PreparedSigner::NewRules { signer, current } = next {
                signer.inherit_from(current, &self.deps.clock);
            }
        }
        Ok(PreparedSigners(prepared))
    }

    /// Ends the tasks of the replaced signers, and starts those of the next generation. Call it after the prepared
    /// signers are in use.
    pub fn activate(&self, prepared: PreparedSigners, replaced: &[Arc<Signer>]) {
        self.retire(replaced, &prepared.signers());
        for next in prepared.0 {
            next.signer().set_in_service(true);
            match next {
                PreparedSigner::Unchanged(signer) => signer.request_refresh(RefreshRequest::Now),
                PreparedSigner::NewRules { signer, .. } => {
                    self.spawn(RefreshTask::new(signer, self.deps.clone()), None);
                }
                PreparedSigner::NewSource(task, outcome) => self.spawn(task, Some(outcome)),
            }
        }
    }

    async fn prepare_signer(
        &self,
        current: &[Arc<Signer>],
        settings: SignerSettings,
    ) -> Result<PreparedSigner, ReloadError> {
        let current = current.iter().find(|signer| signer.name() == settings.name);
        if let Some(current) = current.filter(|current| current.settings == settings) {
            return Ok(PreparedSigner::Unchanged(Arc::clone(current)));
        }
        let signer = self.new_signer(settings);
        if let Some(current) = current.filter(|current| current.settings.source == signer.settings.source) {
            return Ok(PreparedSigner::NewRules { signer, current: Arc::clone(current) });
        }
        let mut task = RefreshTask::new(Arc::clone(&signer), self.deps.clone());
        if let Some(snapshot) = current.and_then(|current| current.snapshot()) {
            task.set_known_credentials(Arc::clone(snapshot.credentials()));
        }
        match Box::pin(task.attempt()).await {
            RefreshOutcome::Failed { .. } => Err(ReloadError {
                signer: signer.name().to_owned(),
                problem: signer.refresh_state().problem().unwrap_or_default().to_owned(),
            }),
            outcome => Ok(PreparedSigner::NewSource(task, outcome)),
        }
    }

    /// Ends the tasks of the previous signers that are not among the current ones.
    fn retire(&self, previous: &[Arc<Signer>], current: &[Arc<Signer>]) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for retired in previous.iter().filter(|signer| !current.iter().any(|kept| Arc::ptr_eq(kept, signer)))
        {
            tasks.remove(retired.name());
            retired.set_in_service(false);
            if !current.iter().any(|kept| kept.name() == retired.name()) {
                retired.metrics.set_removed();
            }
        }
    }
}

impl PreparedSigners {
    /// The signers, in the order of their settings.
    pub fn signers(&self) -> Vec<Arc<Signer>> {
        self.0.iter().map(|next| Arc::clone(next.signer())).collect()
    }
}

impl PreparedSigner {
    fn signer(&self) -> &Arc<Signer> {
        match self {
            Self::Unchanged(signer) | Self::NewRules { signer, .. } => signer,
            Self::NewSource(task, _) => task.signer(),
        }
    }
}

impl Signer {
    /// Takes over the credentials and the refresh state of a signer with the same source.
    fn inherit_from(&self, other: &Self, clock: &Clock) {
        if let Some(snapshot) = other.snapshot() {
            let inherited = other.refresh.borrow().inherited();
            let endpoint_defaults = Arc::clone(inherited.endpoint_defaults());
            self.refresh.send_replace(inherited);
            self.replace(Arc::clone(snapshot.credentials()), endpoint_defaults, clock);
        }
    }
}
