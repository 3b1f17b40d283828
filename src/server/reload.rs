//! Signals while the server runs: SIGHUP reloads the configuration, as a whole or not at all, and logs the outcome.

use std::{error::Error, sync::Arc};

use sd_notify::NotifyState;
use tokio::sync::mpsc;

use super::notify;
use crate::{
    config::reload::Reload,
    credentials::Signers,
    generation::{Generation, Generations},
    metrics::Metrics,
    signals::Signal,
};

/// Reloads the configuration.
pub(super) struct Reloader {
    pub(super) reload: Arc<Reload>,
    pub(super) generations: Arc<Generations>,
    pub(super) signers: Signers,
    pub(super) metrics: Metrics,
}

/// Handles signals until one stops the server, also while the configuration is being reloaded. Returns the reason to stop.
pub(super) async fn handle_signals(mut signals: mpsc::Receiver<Signal>, reloader: &Reloader) -> &'static str {
    let mut is_requested_again = false;
    loop {
        let signal = if is_requested_again { Some(Signal::Reload) } else { signals.recv().await };
        match signal {
            Some(Signal::Stop(name)) => return name,
            None => return "the signal listener ended",
            Some(Signal::Reload) => {
                let mut reload = std::pin::pin!(reloader.reload());
                is_requested_again = false;
                loop {
                    tokio::select! {
                        () = &mut reload => break,
                        signal = signals.recv() => match signal {
                            Some(Signal::Reload) => is_requested_again = true,
                            Some(Signal::Stop(name)) => return name,
                            None => return "the signal listener ended",
                        },
                    }
                }
            }
        }
    }
}

impl Reloader {
    async fn reload(&self) {
        let started_at: Vec<_> = NotifyState::monotonic_usec_now().into_iter().collect();
        notify(&[&[NotifyState::Reloading], started_at.as_slice()].concat());
        match self.apply().await {
            Ok(signers) => {
                self.metrics.count_reload("ok");
                tracing::info!("SIGHUP: the configuration was reloaded; signers: {signers}");
            }
            Err(error) => {
                self.metrics.count_reload("error");
                tracing::error!(
                    "SIGHUP: the configuration was not reloaded, and nothing was changed: {error}"
                );
            }
        }
        notify(&[NotifyState::Ready]);
    }

    /// Reads the configuration and replaces the generation. Returns the names of the signers.
    async fn apply(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let reload = Arc::clone(&self.reload);
        // The file may be on a network file system that does not respond.
        let settings = tokio::task::spawn_blocking(move || reload.read()).await??;
        let current = self.generations.current();
        let prepared = self.signers.prepare(current.signers(), settings).await?;
        let next = Generation::new(prepared.signers());
        let names = next.names();
        self.generations.replace(next);
        self.signers.activate(prepared, current.signers());
        Ok(names)
    }
}
