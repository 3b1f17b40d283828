//! Whether the server can sign, told to gRPC health watchers and to the admin listener's probes.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt, select_all};
use tokio::sync::watch;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthApi, HealthServer},
    server::HealthReporter,
};

use crate::{credentials::Signer, generation::Generations};

/// The names that gRPC health answers to, beside `signer.NAME` for each signer.
const OVERALL: [&str; 3] = ["", "presign.v1.PresignService", "readiness"];
const LIVENESS: &str = "liveness";

/// What the probes ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Every signer has had usable credentials once.
    pub started: bool,
    /// Some signer has usable credentials now, and the server is not stopping.
    pub ready: bool,
}

/// Keeps the answers true.
pub struct Health {
    reporter: HealthReporter,
    generations: Arc<Generations>,
    state: watch::Sender<State>,
}

impl Health {
    /// Everything NOT_SERVING, but for `liveness`.
    pub async fn start(generations: Arc<Generations>) -> (Self, HealthServer<impl HealthApi>) {
        let (reporter, server) = tonic_health::server::health_reporter();
        for name in OVERALL {
            reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
        for signer in generations.current().signers() {
            reporter.set_service_status(service_of(signer), ServingStatus::NotServing).await;
        }
        reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        (Self { reporter, generations, state: watch::Sender::new(State::default()) }, server)
    }

    /// What the probes are told, now and on each change.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Follows the signers for as long as the server runs, whichever there are.
    pub async fn follow(&self) {
        let mut changes = self.generations.changes();
        let mut has_been = BTreeSet::new();
        let mut known = BTreeSet::new();
        loop {
            changes.borrow_and_update();
            let generation = self.generations.current();
            let signers = generation.signers();
            let names: BTreeSet<String> = signers.iter().map(service_of).collect();
            let mut reporter = self.reporter.clone();
            for gone in known.difference(&names) {
                reporter.set_service_status(gone, ServingStatus::NotServing).await;
                // Drops the sender: watchers still hear NOT_SERVING, then their stream ends.
                reporter.clear_service_status(gone).await;
            }
            known = names;
            tokio::select! {
                () = self.follow_these(signers, &mut has_been) => {}
                told = changes.changed() => {
                    if told.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn follow_these(&self, signers: &[Arc<Signer>], has_been: &mut BTreeSet<String>) {
        let mut states: Vec<_> = signers.iter().map(|signer| signer.refresh_states()).collect();
        let mut usable: Vec<bool> =
            states.iter_mut().map(|state| state.borrow_and_update().is_usable()).collect();
        loop {
            for (signer, usable) in signers.iter().zip(&usable) {
                let service = service_of(signer);
                self.reporter.set_service_status(&service, serving(*usable)).await;
                if *usable {
                    has_been.insert(service);
                }
            }
            let every = signers.iter().all(|signer| has_been.contains(&service_of(signer)));
            let started = every || self.state.borrow().started;
            self.tell(State { started, ready: started && usable.contains(&true) }).await;
            let changes = states.iter_mut().zip(&usable).map(|(states, known)| -> BoxFuture<'_, _> {
                async { states.wait_for(|state| state.is_usable() != *known).await.map(|_| ()) }.boxed()
            });
            let (first, ..) = select_all(changes).await;
            if first.is_err() {
                return;
            }
            usable = states.iter_mut().map(|state| state.borrow_and_update().is_usable()).collect();
        }
    }

    async fn tell(&self, state: State) {
        if !self.state.send_if_modified(|known| std::mem::replace(known, state) != state) {
            return;
        }
        for name in OVERALL {
            self.reporter.set_service_status(name, serving(state.ready)).await;
        }
        tracing::info!(started = state.started, ready = state.ready, "health");
    }

    /// Tells everybody that the server stops, and ends every watch: an open one would hold its connection for ever.
    pub async fn stop(&self) {
        self.state.send_modify(|state| state.ready = false);
        let generation = self.generations.current();
        let signers = generation.signers().iter().map(service_of);
        let names = OVERALL.iter().chain([&LIVENESS]).map(|name| (*name).to_owned()).chain(signers);
        let mut reporter = self.reporter.clone();
        for name in names {
            reporter.set_service_status(&name, ServingStatus::NotServing).await;
            // Drops the sender: watchers still hear NOT_SERVING, then their stream ends.
            reporter.clear_service_status(&name).await;
        }
    }
}

fn service_of(signer: &Arc<Signer>) -> String {
    format!("signer.{}", signer.name())
}

fn serving(yes: bool) -> ServingStatus {
    if yes { ServingStatus::Serving } else { ServingStatus::NotServing }
}
