//! A connection whose client must keep reading, within a limit that a request may change.
//!
//! # Pitfalls
//! The limit belongs to the connection, which outlives the request: code that changes it must reset it.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long the client of a connection may read nothing of what is sent.
#[derive(Clone)]
pub struct ReadPace(Arc<Shared>);

struct Shared {
    usual: Duration,
    millis: AtomicU64,
    has_run_out: AtomicBool,
}

impl ReadPace {
    /// A pace with `limit` as its usual limit.
    #[must_use]
    pub fn new(usual: Duration) -> Self {
        let millis = AtomicU64::new(millis(usual));
        Self(Arc::new(Shared { usual, millis, has_run_out: AtomicBool::new(false) }))
    }

    /// Changes the limit.
    pub fn set(&self, limit: Duration) {
        self.0.millis.store(millis(limit), Ordering::Relaxed);
    }

    /// Restores the usual limit.
    pub fn reset(&self) {
        self.set(self.0.usual);
    }

    /// Notes that the client has read nothing for too long.
    pub fn run_out(&self) {
        self.0.has_run_out.store(true, Ordering::Relaxed);
    }

    /// Whether the client has read nothing for too long.
    #[must_use]
    pub fn has_run_out(&self) -> bool {
        self.0.has_run_out.load(Ordering::Relaxed)
    }

    /// The limit as it is now.
    #[must_use]
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.0.millis.load(Ordering::Relaxed))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A stream that fails once its client has read nothing for too long.
pub struct PacedStream<S> {
    stream: S,
    patience: ReadPace,
    /// Runs while bytes wait to be sent.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> PacedStream<S> {
    /// Wraps `stream`; it fails when `patience` runs out.
    pub const fn new(stream: S, patience: ReadPace) -> Self {
        Self { stream, patience, waiting: None }
    }

    /// Watches a write, and turns it into a failure once it has waited for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = &self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience.limit())));
        match waiting.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.patience.run_out();
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the other side reads nothing")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, shut_down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn paced_stream_fails_after_limit_without_reads() {
        let (stream, mut other_side) = duplex(4);
        let patience = ReadPace::new(Duration::from_secs(1));
        let mut stream = PacedStream::new(stream, patience.clone());
        patience.set(Duration::from_secs(60));
        stream.write_all(b"abcd").await.unwrap();
        // A client that reads a little now and then is not cut off.
        let reader = tokio::spawn(async move {
            for _ in 0..4 {
                sleep(Duration::from_secs(50)).await;
                other_side.read_u8().await.unwrap();
            }
            other_side
        });
        stream.write_all(b"efgh").await.unwrap();
        let _other_side = reader.await.unwrap();
        assert!(!patience.has_run_out());
        let began = Instant::now();
        assert_eq!(stream.write_all(b"i").await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!((began.elapsed().as_secs(), patience.has_run_out()), (60, true));
    }

    #[tokio::test(start_paused = true)]
    async fn paced_stream_reset_restores_default_limit() {
        let (stream, _other_side) = duplex(1);
        let patience = ReadPace::new(Duration::from_secs(1));
        let mut stream = PacedStream::new(stream, patience.clone());
        patience.set(Duration::from_secs(60));
        patience.reset();
        let began = Instant::now();
        assert!(stream.write_all(b"ab").await.is_err());
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}
