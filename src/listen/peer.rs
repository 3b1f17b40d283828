//! Tells whether a peer has begun to speak.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The length of the HTTP/2 preface: [RFC 9113, section 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4).
const PREFACE_BYTES: usize = 24;

/// The reading side of a connection, which counts what it has read, up to the length of a preface.
#[derive(Debug)]
pub struct Peer<S> {
    stream: S,
    heard: Heard,
}

/// What has been read of a peer so far.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<AtomicUsize>);

impl Heard {
    /// Whether as much as a preface has come.
    pub fn preface(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE_BYTES
    }
}

impl<S> Peer<S> {
    /// Listens to a peer.
    pub fn new(stream: S) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { stream, heard: heard.clone() }, heard)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Peer<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if !this.heard.preface() {
            this.heard.0.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        }
        polled
    }
}
