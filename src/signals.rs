//! Signals of the operator: stop, and reload the configuration.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// A signal by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop. The text is the name of the signal.
    Stop(&'static str),
    /// SIGHUP: reload the configuration.
    Reload,
}

/// How many signals wait for the receiver. Further ones would repeat those.
const QUEUE_LENGTH: usize = 4;

/// Installs the signal handlers. The receiver gets every signal from now on.
///
/// # Errors
/// When a handler cannot be installed.
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
