//! Whether a peer has sent as much as an HTTP/2 preface: the handshake timeout is for those that have not.

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

/// The reading side of a connection, which counts the bytes that it reads, up to the length of a preface.
#[derive(Debug)]
pub struct PrefaceReader<S> {
    stream: S,
    progress: PrefaceProgress,
}

/// How many bytes were read, up to the length of a preface.
#[derive(Clone, Debug, Default)]
pub struct PrefaceProgress(Arc<AtomicUsize>);

impl PrefaceProgress {
    /// Whether at least the length of a preface was read.
    pub fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE_BYTES
    }
}

impl<S> PrefaceReader<S> {
    /// A reader, and its progress as the handshake timeout sees it.
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
