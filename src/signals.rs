//! Signals from the operator: to stop, or to read the configuration again.

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

/// Signals that can wait for the receiver. More of them would mean the same again.
const QUEUE_LENGTH: usize = 4;

/// Listens for signals from now on.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // With a handler for SIGPIPE, writing to a closed connection is an error and does not end the process.
    let pipe = signal(SignalKind::pipe())?;
    let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
    tokio::spawn(async move {
        let _pipe = pipe;
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => Signal::Stop("SIGTERM"),
                _ = interrupt.recv() => Signal::Stop("SIGINT"),
                _ = hang_up.recv() => Signal::Reload,
            };
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
