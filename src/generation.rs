//! The part of the configuration that a reload replaces, as a whole.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::credentials::Signer;

/// One generation of the configuration; immutable. A call uses the generation with which it started, even if a reload
/// replaces it meanwhile.
///
/// It has the signers, and is meant for everything else that a reload changes (callers, rules), so that no call combines
/// old and new settings.
pub struct Generation {
    signers: Vec<Arc<Signer>>,
}

impl Generation {
    /// A generation with these signers. The default signer is the first.
    pub fn new(signers: Vec<Arc<Signer>>) -> Self {
        Self { signers }
    }

    /// All signers. The default signer is the first.
    pub fn signers(&self) -> &[Arc<Signer>] {
        &self.signers
    }

    /// The index of the signer with this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.signers.iter().position(|signer| signer.name() == name)
    }

    /// The names of all signers in their order, separated by commas.
    pub fn names(&self) -> String {
        self.signers.iter().map(|signer| signer.name()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("signers", &self.names()).finish()
    }
}

/// The current generation, and notifications when a reload replaces it.
#[derive(Debug)]
pub struct Generations {
    current: ArcSwap<Generation>,
    changes: watch::Sender<()>,
}

impl Generations {
    /// Starts with this generation.
    pub fn new(first: Generation) -> Self {
        Self { current: ArcSwap::from_pointee(first), changes: watch::Sender::default() }
    }

    /// The current generation. A call reads it once and keeps it.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// A receiver that is notified after each replacement.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Replaces the current generation.
    pub fn replace(&self, next: Generation) {
        self.current.store(Arc::new(next));
        self.changes.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        config::{Config, layers::Layers},
        metrics::Metrics,
    };

    fn generation(variables: &[(&str, &str)]) -> Generation {
        let variables: Vec<_> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut layers = Layers::defaults();
        layers.apply_environment(&variables).unwrap();
        let settings = Config::from_layers(&layers).unwrap().signers;
        let signer = |settings: crate::credentials::SignerSettings| {
            let metrics = Metrics::default().signer(&settings.name);
            Arc::new(Signer::new(settings, metrics, Clock::system()))
        };
        Generation::new(settings.into_iter().map(signer).collect())
    }

    #[test]
    fn a_call_keeps_its_generation_after_a_reload() {
        let generations = Generations::new(generation(&[("PRESIGND_SIGNERS_PARTNER_REGION", "eu-west-1")]));
        let mut changes = generations.changes();
        let kept = generations.current();
        assert!(!changes.has_changed().unwrap());
        generations.replace(generation(&[]));
        assert!(changes.has_changed().unwrap());
        changes.borrow_and_update();
        assert_eq!((kept.names().as_str(), kept.index_of("partner")), ("default, partner", Some(1)));
        let current = generations.current();
        assert_eq!((current.names().as_str(), current.index_of("partner")), ("default", None));
        assert_eq!((current.signers().len(), current.index_of("default")), (1, Some(0)));
    }
}
