//! What signals do while the server runs: SIGHUP changes the configuration as a whole or not at all, and says which.

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

/// What a reload changes.
pub(super) struct Reloading {
    pub(super) reload: Arc<Reload>,
    pub(super) generations: Arc<Generations>,
    pub(super) signers: Signers,
    pub(super) metrics: Metrics,
}

/// Handles signals until one says stop, also while the configuration is being reloaded.
pub(super) async fn handle_signals(
    mut signals: mpsc::Receiver<Signal>,
    reloading: &Reloading,
) -> &'static str {
    let mut again = false;
    loop {
        let signal = if again { Some(Signal::Reload) } else { signals.recv().await };
        match signal {
            Some(Signal::Stop(name)) => return name,
            None => return "the signal listener ended",
            Some(Signal::Reload) => {
                let mut run = std::pin::pin!(reloading.run());
                again = false;
                loop {
                    tokio::select! {
                        () = &mut run => break,
                        signal = signals.recv() => match signal {
                            Some(Signal::Reload) => again = true,
                            Some(Signal::Stop(name)) => return name,
                            None => return "the signal listener ended",
                        },
                    }
                }
            }
        }
    }
}

impl Reloading {
    async fn run(&self) {
        let began: Vec<_> = NotifyState::monotonic_usec_now().into_iter().collect();
        notify(&[&[NotifyState::Reloading], began.as_slice()].concat());
        match self.change().await {
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

    async fn change(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let reload = Arc::clone(&self.reload);
        // The file may be on a network's file system, which may hang.
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
