//! Whether the server can sign: published to gRPC health clients and to the probes of the admin listener.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt, select_all};
use tokio::sync::watch;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthApi, HealthServer},
    server::HealthReporter,
};

use crate::{credentials::Signer, generation::Generations};

/// The gRPC health services that report whether the server can sign. In addition there is `signer.NAME` for each signer.
const OVERALL: [&str; 3] = ["", "presign.v1.PresignService", "readiness"];
/// The gRPC health service that is SERVING until the server stops.
const LIVENESS: &str = "liveness";

/// The state that the probes report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthState {
    /// Every signer has had usable credentials once.
    pub started: bool,
    /// Some signer has usable credentials now, and the server is not stopping.
    pub ready: bool,
}

/// Publishes the health of the server and of each signer.
pub struct Health {
    reporter: HealthReporter,
    generations: Arc<Generations>,
    state: watch::Sender<HealthState>,
}

impl Health {
    /// Starts with every service NOT_SERVING, except `liveness`.
    pub async fn start(generations: Arc<Generations>) -> (Self, HealthServer<impl HealthApi>) {
        let (reporter, server) = tonic_health::server::health_reporter();
        for name in OVERALL {
            reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
        for signer in generations.current().signers() {
            reporter.set_service_status(service_name(signer), ServingStatus::NotServing).await;
        }
        reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        (Self { reporter, generations, state: watch::Sender::new(HealthState::default()) }, server)
    }

    /// The current state, and a notification of each change.
    pub fn state(&self) -> watch::Receiver<HealthState> {
        self.state.subscribe()
    }

    /// Publishes every change of the signers, also of those that a reload adds or removes. It does not return while the
    /// server runs.
    pub async fn follow_signers(&self) {
        let mut changes = self.generations.changes();
        let mut started = BTreeSet::new();
        let mut published = BTreeSet::new();
        loop {
            changes.borrow_and_update();
            let generation = self.generations.current();
            let signers = generation.signers();
            let names: BTreeSet<String> = signers.iter().map(service_name).collect();
            let mut reporter = self.reporter.clone();
            for removed in published.difference(&names) {
                reporter.set_service_status(removed, ServingStatus::NotServing).await;
                // Drops the sender: watchers still receive NOT_SERVING, and then their streams end.
                reporter.clear_service_status(removed).await;
            }
            published = names;
            tokio::select! {
                () = self.follow_generation(signers, &mut started) => {}
                replaced = changes.changed() => {
                    if replaced.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Publishes every change of these signers. `started` has the services of those that once had usable credentials.
    async fn follow_generation(&self, signers: &[Arc<Signer>], started: &mut BTreeSet<String>) {
        let mut states: Vec<_> = signers.iter().map(|signer| signer.refresh_states()).collect();
        let mut usable: Vec<bool> =
            states.iter_mut().map(|state| state.borrow_and_update().is_usable()).collect();
        loop {
            for (signer, usable) in signers.iter().zip(&usable) {
                let service = service_name(signer);
                self.reporter.set_service_status(&service, to_serving_status(*usable)).await;
                if *usable {
                    started.insert(service);
                }
            }
            let all_started = signers.iter().all(|signer| started.contains(&service_name(signer)))
                || self.state.borrow().started;
            let ready = all_started && usable.contains(&true);
            self.publish(HealthState { started: all_started, ready }).await;
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

    async fn publish(&self, state: HealthState) {
        if !self.state.send_if_modified(|known| std::mem::replace(known, state) != state) {
            return;
        }
        for name in OVERALL {
            self.reporter.set_service_status(name, to_serving_status(state.ready)).await;
        }
        tracing::info!(started = state.started, ready = state.ready, "health changed");
    }

    /// Publishes that the server stops, and ends every watch: an open one would keep its connection from closing.
    pub async fn stop(&self) {
        self.state.send_modify(|state| state.ready = false);
        let generation = self.generations.current();
        let signers = generation.signers().iter().map(service_name);
        let names = OVERALL.iter().chain([&LIVENESS]).map(|name| (*name).to_owned()).chain(signers);
        let mut reporter = self.reporter.clone();
        for name in names {
            reporter.set_service_status(&name, ServingStatus::NotServing).await;
            // Drops the sender: watchers still receive NOT_SERVING, and then their streams end.
            reporter.clear_service_status(&name).await;
        }
    }
}

fn service_name(signer: &Arc<Signer>) -> String {
    format!("signer.{}", signer.name())
}

fn to_serving_status(is_serving: bool) -> ServingStatus {
    if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing }
}
