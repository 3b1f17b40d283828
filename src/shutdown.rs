//! When to stop.

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};

/// Listens for signals from now on; the future is ready, with the signal's name, on SIGTERM or SIGINT.
///
/// SIGHUP is heard and answered in the log, so that it stops nothing.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return "SIGTERM",
                _ = interrupt.recv() => return "SIGINT",
                _ = hang_up.recv() => tracing::warn!(
                    "SIGHUP: this version reads its configuration at start only; nothing was changed"
                ),
            }
        }
    })
}
