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
use crate::{clock::Clock, hardening::Environment, metrics::Metrics};

/// What signers need of the process around them.
#[derive(Clone, Debug)]
pub struct SignerDeps {
    /// What tells the time.
    pub clock: Clock,
    /// What was in the environment.
    pub environment: Arc<Environment>,
    /// Where they count.
    pub metrics: Metrics,
}

/// Builds signers, and owns the tasks that refresh their credentials.
pub struct Signers {
    /// By the signer's name. A task ends when its handle is dropped.
    tasks: Mutex<BTreeMap<String, AbortOnDropHandle<()>>>,
    deps: SignerDeps,
}

/// Why signers cannot be changed: one that is new, or has another source, has no credentials.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("signer {signer} has no credentials: {problem}")]
pub struct ReloadError {
    signer: String,
    problem: String,
}

/// The signers of the next generation. Each can sign already if the one that it replaces can.
pub struct PreparedSigners(Vec<Next>);

/// A signer of the next generation.
enum Next {
    /// As it was.
    Same(Arc<Signer>),
    /// One with other rules, for that from which it takes the credentials over.
    OtherRules(Arc<Signer>, Arc<Signer>),
    /// A new one, or one with another source, and what its task has done already.
    New(RefreshTask, RefreshOutcome),
}

impl Signers {
    /// Neither signers nor tasks yet.
    pub fn new(deps: SignerDeps) -> Self {
        Self { tasks: Mutex::default(), deps }
    }

    /// The signers of the first generation, without credentials.
    pub fn build(&self, settings: Vec<SignerSettings>) -> Vec<Arc<Signer>> {
        let build = |settings| {
            let signer = self.signer(settings);
            signer.set_in_service(true);
            signer
        };
        settings.into_iter().map(build).collect()
    }

    fn signer(&self, settings: SignerSettings) -> Arc<Signer> {
        let metrics = self.deps.metrics.signer(&settings.name);
        Arc::new(Signer::new(settings, metrics, self.deps.clock.clone()))
    }

    /// Begins to load credentials for the signers of the first generation, and keeps them fresh.
    pub fn keep_fresh(&self, signers: &[Arc<Signer>]) {
        for signer in signers {
            self.spawn(RefreshTask::new(Arc::clone(signer), self.deps.clone()), None);
        }
    }

    fn spawn(&self, task: RefreshTask, last: Option<RefreshOutcome>) {
        let name = task.signer().name().to_owned();
        let handle = AbortOnDropHandle::new(tokio::spawn(task.run(last)));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, handle);
    }

    /// Builds the signers of the next generation. Those that are new, or have another source, load credentials first.
    ///
    /// # Errors
    /// When one of them gets no credentials. The current signers stay as they are in any case.
    pub async fn prepare(
        &self,
        current: &[Arc<Signer>],
        settings: Vec<SignerSettings>,
    ) -> Result<PreparedSigners, ReloadError> {
        let nexts = join_all(settings.into_iter().map(|settings| self.next(current, settings))).await;
        let nexts = nexts.into_iter().collect::<Result<Vec<Next>, ReloadError>>()?;
        for next in &nexts {
            if let Next::OtherRules(signer, known) = next {
                signer.take_over_from(known, &self.deps.clock);
            }
        }
        Ok(PreparedSigners(nexts))
    }

    /// Ends the tasks of the signers that were replaced, and begins those of the next generation. To be called once callers
    /// use the prepared signers.
    pub fn activate(&self, prepared: PreparedSigners, replaced: &[Arc<Signer>]) {
        self.retire(replaced, &prepared.signers());
        for next in prepared.0 {
            next.signer().set_in_service(true);
            match next {
                Next::Same(signer) => signer.request(RefreshRequest::Now),
                Next::OtherRules(signer, _) => {
                    self.spawn(RefreshTask::new(signer, self.deps.clone()), None);
                }
                Next::New(task, outcome) => self.spawn(task, Some(outcome)),
            }
        }
    }

    async fn next(&self, before: &[Arc<Signer>], settings: SignerSettings) -> Result<Next, ReloadError> {
        let known = before.iter().find(|signer| signer.name() == settings.name);
        if let Some(same) = known.filter(|known| known.settings == settings) {
            return Ok(Next::Same(Arc::clone(same)));
        }
        let signer = self.signer(settings);
        if let Some(known) = known.filter(|known| known.settings.source == signer.settings.source) {
            return Ok(Next::OtherRules(signer, Arc::clone(known)));
        }
        let mut task = RefreshTask::new(Arc::clone(&signer), self.deps.clone());
        if let Some(snapshot) = known.and_then(|known| known.snapshot()) {
            task.follow(Arc::clone(snapshot.credentials()));
        }
        match Box::pin(task.attempt()).await {
            RefreshOutcome::Failed { .. } => Err(ReloadError {
                signer: signer.name().to_owned(),
                problem: signer.refresh_state().problem().unwrap_or_default().to_owned(),
            }),
            outcome => Ok(Next::New(task, outcome)),
        }
    }

    /// Ends the tasks of the signers that are not among the current ones.
    fn retire(&self, before: &[Arc<Signer>], current: &[Arc<Signer>]) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for retired in before.iter().filter(|signer| !current.iter().any(|stays| Arc::ptr_eq(stays, signer)))
        {
            tasks.remove(retired.name());
            retired.set_in_service(false);
            if !current.iter().any(|stays| stays.name() == retired.name()) {
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

impl Next {
    fn signer(&self) -> &Arc<Signer> {
        match self {
            Self::Same(signer) | Self::OtherRules(signer, _) => signer,
            Self::New(task, _) => task.signer(),
        }
    }
}

impl Signer {
    /// Takes the credentials of one that has the same source.
    fn take_over_from(&self, other: &Self, clock: &Clock) {
        if let Some(snapshot) = other.snapshot() {
            let inherited = other.refresh.borrow().inherited();
            let endpoint_defaults = Arc::clone(inherited.endpoint_defaults());
            self.refresh.send_replace(inherited);
            self.replace(Arc::clone(snapshot.credentials()), endpoint_defaults, clock);
        }
    }
}
