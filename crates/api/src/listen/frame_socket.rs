//! The socket of an HTTP/2 connection: watches the frames that arrive (`frames.rs`), and ends the connection of a client that
//! is too slow with a head, or sends too many frames that ask for nothing.

use super::frames::{FrameScan, TooManyFrames};
use super::stream::ClientStream;
use crate::metrics::HTTP2_CONNECTIONS_CUT_OFF;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The socket of one connection.
pub struct FrameSocket {
    stream: ClientStream,
    /// Bytes that were read before.
    held: Vec<u8>,
    scan: FrameScan,
    header_timeout: Duration,
    /// Runs while a head is arriving.
    late: Option<Pin<Box<Sleep>>>,
}

impl FrameSocket {
    /// Of `stream`, of which `held` has been read already.
    pub fn new(stream: ClientStream, held: Vec<u8>, header_timeout: Duration) -> Self {
        Self { stream, held, scan: FrameScan::new(Instant::now()), header_timeout, late: None }
    }

    fn poll_fill(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.held.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let fits = self.held.len().min(buffer.remaining());
        buffer.put_slice(&self.held[..fits]);
        self.held.drain(..fits);
        Poll::Ready(Ok(()))
    }

    /// Fails once the head that is arriving is late.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Result<()> {
        let Some(since) = self.scan.head_since() else {
            self.late = None;
            return Ok(());
        };
        let deadline = since + self.header_timeout;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if late.deadline() != deadline {
            late.as_mut().reset(deadline);
        }
        match late.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                metrics::counter!(HTTP2_CONNECTIONS_CUT_OFF, "reason" => "head").increment(1);
                Err(Error::new(ErrorKind::TimedOut, "the head of a request did not arrive in time"))
            }
        }
    }
}

fn refuse(error: TooManyFrames) -> Error {
    metrics::counter!(HTTP2_CONNECTIONS_CUT_OFF, "reason" => "frames").increment(1);
    Error::new(ErrorKind::InvalidData, error)
}

impl AsyncRead for FrameSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let start = buffer.filled().len();
        let read = self.poll_fill(context, buffer)?;
        if read.is_ready() {
            self.scan.follow(&buffer.filled()[start..], Instant::now()).map_err(refuse)?;
        }
        self.poll_late(context)?;
        read.map(Ok)
    }
}

impl AsyncWrite for FrameSocket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
