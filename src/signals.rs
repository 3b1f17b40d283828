//! What an operator tells the process: to stop, or to read its configuration again.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT, by its name: end.
    Stop(&'static str),
    /// SIGHUP: read the configuration again.
    Reload,
}

/// Signals that wait to be heard. More of them would say nothing new.
const WAITING: usize = 4;

/// Listens for signals from now on.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // A peer that is gone is an error of a write, whatever the signal was set to before us.
    let pipe = signal(SignalKind::pipe())?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let _pipe = pipe;
        loop {
            let heard = tokio::select! {
                _ = terminate.recv() => Signal::Stop("SIGTERM"),
                _ = interrupt.recv() => Signal::Stop("SIGINT"),
                _ = hang_up.recv() => Signal::Reload,
            };
            if sender.send(heard).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
