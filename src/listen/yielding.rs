//! Yields to other tasks while a long response is written: copying a response of 1 MB takes half a millisecond, and a call
//! for one URL would wait as long.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

/// How many bytes are written before the writer yields: about 20 µs of copying.
const YIELD_AFTER_BYTES: usize = 64 * 1024;

/// The writing half of a connection, which yields to other tasks after every [`YIELD_AFTER_BYTES`].
#[derive(Debug)]
pub struct YieldingWriter<W> {
    stream: W,
    /// Bytes written since it last yielded.
    written: usize,
}

impl<W> YieldingWriter<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { stream, written: 0 }
    }

    /// Returns `Pending` once after every [`YIELD_AFTER_BYTES`]. tokio polls the sockets before it polls this task again.
    fn poll_yield(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.written < YIELD_AFTER_BYTES {
            return Poll::Ready(());
        }
        self.written = 0;
        pin!(tokio::task::yield_now()).poll(cx)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for YieldingWriter<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_yield(cx));
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.written += written;
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_yield(cx));
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))?;
        this.written += written;
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn long_response_yields_and_arrives_complete() {
        let response: Vec<u8> = (0..=u8::MAX).cycle().take(5 * YIELD_AFTER_BYTES + 7).collect();
        let mut writer = YieldingWriter::new(Vec::new());
        let mut pending = 0;
        let mut write = pin!(async {
            for piece in response.chunks(16 * 1024) {
                writer.write_all(piece).await.unwrap();
            }
        });
        std::future::poll_fn(|cx| {
            let polled = write.as_mut().poll(cx);
            pending += usize::from(polled.is_pending());
            polled
        })
        .await;
        assert_eq!((pending, writer.stream), (5, response));
    }
}
