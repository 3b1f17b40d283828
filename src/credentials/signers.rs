//! Every signer, and what keeps each fresh; changed as a whole or not at all.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{Signer, SignerSettings, keeper::Keeper, schedule::Event};
use crate::{clock::Clock, metrics::Metrics, shelter::Environment};

/// What signers need of the process around them.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What tells the time.
    pub clock: Clock,
    /// What was in the environment.
    pub environment: Arc<Environment>,
    /// Where they count.
    pub metrics: Metrics,
}

/// The signers that there are. A call takes all of them at once, whatever is reloaded meanwhile.
pub struct Signers {
    list: ArcSwap<Vec<Arc<Signer>>>,
    /// By the signer's name. A keeper ends when its handle is dropped.
    keepers: Mutex<BTreeMap<String, AbortOnDropHandle<()>>>,
    changes: watch::Sender<u64>,
    surroundings: Surroundings,
}

/// Why signers cannot be changed: one that is new, or has another source, has no credentials.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("signer {signer} has no credentials: {problem}")]
pub struct ReloadError {
    signer: String,
    problem: String,
}

/// A signer that is ready to take its place.
enum Next {
    /// As it was.
    Same(Arc<Signer>),
    /// A new one, and what its keeper has done already.
    New(Keeper, Option<Event>),
}

impl Signers {
    /// Signers without credentials.
    pub fn new(settings: Vec<SignerSettings>, surroundings: Surroundings) -> Self {
        let metrics = &surroundings.metrics;
        let list = settings.into_iter().map(|settings| {
            let of_this_name = metrics.signer(&settings.name);
            of_this_name.no_credentials();
            Arc::new(Signer::new(settings, of_this_name))
        });
        Self {
            list: ArcSwap::from_pointee(list.collect()),
            keepers: Mutex::default(),
            changes: watch::Sender::default(),
            surroundings,
        }
    }

    /// All of them, the default one first.
    pub fn all(&self) -> Arc<Vec<Arc<Signer>>> {
        self.list.load_full()
    }

    /// Tells when there are others.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Begins to load credentials, and keeps them fresh.
    pub fn keep_fresh(&self) {
        for signer in self.all().iter() {
            self.spawn(Keeper::new(Arc::clone(signer), self.surroundings.clone()), None);
        }
    }

    fn spawn(&self, keeper: Keeper, last: Option<Event>) {
        let name = keeper.signer().name().to_owned();
        let handle = AbortOnDropHandle::new(tokio::spawn(keeper.run(last)));
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, handle);
    }

    /// Changes to these signers, once each of them has credentials: all of them at once. Those that stay as they are
    /// have their credentials loaded anew; those of which only the rules change keep theirs.
    ///
    /// # Errors
    /// When a new signer, or one with another source, gets no credentials. Then everything stays as it was.
    pub async fn reload(&self, settings: Vec<SignerSettings>) -> Result<(), ReloadError> {
        let before = self.all();
        let nexts = join_all(settings.into_iter().map(|settings| self.next(&before, settings))).await;
        let nexts: Result<Vec<Next>, ReloadError> = nexts.into_iter().collect();
        if let Ok(nexts) = nexts.as_ref() {
            let list: Vec<_> = nexts.iter().map(|next| Arc::clone(next.signer())).collect();
            self.forget_those_not_in(&list);
            self.list.store(Arc::new(list));
        }
        for signer in self.all().iter() {
            signer.tell_metrics();
        }
        for next in nexts? {
            match next {
                Next::Same(signer) => signer.nudge(),
                Next::New(keeper, last) => self.spawn(keeper, last),
            }
        }
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    async fn next(&self, before: &[Arc<Signer>], settings: SignerSettings) -> Result<Next, ReloadError> {
        let known = before.iter().find(|signer| signer.name() == settings.name);
        if let Some(same) = known.filter(|known| known.settings == settings) {
            return Ok(Next::Same(Arc::clone(same)));
        }
        let metrics = self.surroundings.metrics.signer(&settings.name);
        let signer = Arc::new(Signer::new(settings, metrics));
        let mut keeper = Keeper::new(Arc::clone(&signer), self.surroundings.clone());
        if let Some(known) = known.filter(|known| known.settings.source == signer.settings.source) {
            let last = signer.take_over_from(known, &self.surroundings.clock);
            return Ok(Next::New(keeper, last));
        }
        match keeper.attempt().await {
            Event::Failed { .. } => Err(ReloadError {
                signer: signer.name().to_owned(),
                problem: signer.progress().problem.unwrap_or_default(),
            }),
            event => Ok(Next::New(keeper, Some(event))),
        }
    }

    fn forget_those_not_in(&self, list: &[Arc<Signer>]) {
        let stays = |name: &str| list.iter().any(|signer| signer.name() == name);
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| stays(name));
        for gone in self.all().iter().filter(|signer| !stays(signer.name())) {
            gone.metrics.gone();
        }
    }
}

impl Next {
    fn signer(&self) -> &Arc<Signer> {
        match self {
            Self::Same(signer) => signer,
            Self::New(keeper, _) => keeper.signer(),
        }
    }
}

impl Signer {
    /// Takes the credentials of one that has the same source. Without any, there is still everything to do.
    fn take_over_from(&self, other: &Self, clock: &Clock) -> Option<Event> {
        let snapshot = other.snapshot()?;
        self.replace(Arc::clone(snapshot.credentials()), other.found.load_full(), clock);
        self.progress.send_replace(other.progress());
        Some(Event::Renewed)
    }

    /// Says again what the gauges are to show.
    fn tell_metrics(&self) {
        if let Some(snapshot) = self.snapshot() {
            self.metrics.expiry(snapshot.credentials().expires_at());
            if let Some(at) = self.progress.borrow().loaded_at {
                self.metrics.loaded(at);
            }
        }
    }
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().iter().map(|signer| signer.name().to_owned())).finish()
    }
}
