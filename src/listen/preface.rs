//! Counts the first bytes of a peer: the handshake timeout closes connections that have not sent an HTTP/2 preface.

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

/// The length of the HTTP/2 preface, in bytes: [RFC 9113, section 3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4).
const PREFACE_BYTES: usize = 24;

/// The reading half of a connection, which counts bytes until a preface is complete.
#[derive(Debug)]
pub struct PrefaceReader<S> {
    stream: S,
    progress: PrefaceProgress,
}

/// The number of bytes read so far; not counted further once a preface is complete.
#[derive(Clone, Debug, Default)]
pub struct PrefaceProgress(Arc<AtomicUsize>);

impl PrefaceProgress {
    /// Whether at least as many bytes as a preface has were read.
    pub fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE_BYTES
    }
}

impl<S> PrefaceReader<S> {
    /// The reader, and its progress for the handshake timeout.
    pub fn new(stream: S) -> (Self, PrefaceProgress) {
        let progress = PrefaceProgress::default();
        (Self { stream, progress: progress.clone() }, progress)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PrefaceReader<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if !this.progress.is_complete() {
            this.progress.0.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        }
        polled
    }
}
