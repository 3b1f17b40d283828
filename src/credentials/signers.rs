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

use super::{Signer, SignerSettings, keeper::Keeper, refresh_state::RefreshRequest, schedule::Event};
use crate::{clock::Clock, hardening::Environment, metrics::Metrics};

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
    /// One with other rules, for that from which it takes the credentials over.
    OtherRules(Arc<Signer>, Arc<Signer>),
    /// A new one, or one with another source, and what its keeper has done already.
    New(Keeper, Event),
}

impl Signers {
    /// Signers without credentials.
    pub fn new(settings: Vec<SignerSettings>, surroundings: Surroundings) -> Self {
        let metrics = &surroundings.metrics;
        let list = settings.into_iter().map(|settings| {
            let of_this_name = metrics.signer(&settings.name);
            let signer = Signer::new(settings, of_this_name, surroundings.clock.clone());
            signer.set_in_service(true);
            Arc::new(signer)
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

    /// Changes to these signers, all of them at once: those that are new, or have another source, once they have
    /// credentials. The others keep theirs, and have them loaded anew.
    ///
    /// # Errors
    /// When a new signer, or one with another source, gets no credentials. Then everything stays as it was.
    pub async fn reload(&self, settings: Vec<SignerSettings>) -> Result<(), ReloadError> {
        let before = self.all();
        let nexts = join_all(settings.into_iter().map(|settings| self.next(&before, settings))).await;
        let nexts = nexts.into_iter().collect::<Result<Vec<Next>, ReloadError>>()?;
        let list: Vec<_> = nexts.iter().map(|next| Arc::clone(next.signer())).collect();
        for next in &nexts {
            if let Next::OtherRules(signer, known) = next {
                signer.take_over_from(known, &self.surroundings.clock);
            }
        }
        self.retire_those_not_in(&before, &list);
        self.list.store(Arc::new(list));
        for next in nexts {
            next.signer().set_in_service(true);
            match next {
                Next::Same(signer) => signer.request(RefreshRequest::Now),
                Next::OtherRules(signer, _) => {
                    self.spawn(Keeper::new(signer, self.surroundings.clone()), None);
                }
                Next::New(keeper, event) => self.spawn(keeper, Some(event)),
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
        let signer = Arc::new(Signer::new(settings, metrics, self.surroundings.clock.clone()));
        if let Some(known) = known.filter(|known| known.settings.source == signer.settings.source) {
            return Ok(Next::OtherRules(signer, Arc::clone(known)));
        }
        let mut keeper = Keeper::new(Arc::clone(&signer), self.surroundings.clone());
        if let Some(snapshot) = known.and_then(|known| known.snapshot()) {
            keeper.follow(Arc::clone(snapshot.credentials()));
        }
        match Box::pin(keeper.attempt()).await {
            Event::Failed { .. } => Err(ReloadError {
                signer: signer.name().to_owned(),
                problem: signer.refresh_state().problem().unwrap_or_default().to_owned(),
            }),
            event => Ok(Next::New(keeper, event)),
        }
    }

    /// Ends the keepers of signers that are not there any more, or have another in their place.
    fn retire_those_not_in(&self, before: &[Arc<Signer>], list: &[Arc<Signer>]) {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in before.iter().filter(|signer| !list.iter().any(|stays| Arc::ptr_eq(stays, signer))) {
            keepers.remove(gone.name());
            gone.set_in_service(false);
            if !list.iter().any(|stays| stays.name() == gone.name()) {
                gone.metrics.gone();
            }
        }
    }
}

impl Next {
    fn signer(&self) -> &Arc<Signer> {
        match self {
            Self::Same(signer) | Self::OtherRules(signer, _) => signer,
            Self::New(keeper, _) => keeper.signer(),
        }
    }
}

impl Signer {
    /// Takes the credentials of one that has the same source.
    fn take_over_from(&self, other: &Self, clock: &Clock) {
        if let Some(snapshot) = other.snapshot() {
            let inherited = other.refresh.borrow().inherited();
            let resolved = Arc::clone(inherited.resolved());
            self.refresh.send_replace(inherited);
            self.replace(Arc::clone(snapshot.credentials()), resolved, clock);
        }
    }
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().iter().map(|signer| signer.name().to_owned())).finish()
    }
}
