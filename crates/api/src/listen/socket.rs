//! The socket of a connection, between the kernel and hyper: refuses heads that hyper would accept, replaces hyper's bare
//! error responses with our own, and closes a connection so that its last response arrives.

use super::chunks::ChunkScan;
use super::head::{HeadCheck, HeadFault, Progress};
use super::malformed::{MalformedHandler, MalformedRequest};
use super::state::{ConnectionState, DISCARD_MAX_BYTES, DISCARD_PAUSE, Phase};
use super::stream::ClientStream;
use hyper::body::Bytes;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that are read at once and discarded.
const DISCARD_BUFFER_BYTES: usize = 16 << 10;

/// The socket of one connection.
pub struct HttpSocket {
    stream: Pin<Box<ClientStream>>,
    state: Arc<ConnectionState>,
    handler: MalformedHandler,
    peer: SocketAddr,
    head: HeadCheck,
    /// Finds the end of a chunked body.
    chunks: ChunkScan,
    /// Bytes of the next request. hyper gets them when it waits for that request, so that no head passes unchecked.
    held: Vec<u8>,
    /// A response of our own, and how much of it has been written.
    refusal: Option<(Bytes, usize)>,
    /// Whether everything that hyper wrote has been sent, so that the next write begins a response.
    is_flushed: bool,
    /// Woken when everything has been sent, so that the next head can be read.
    awaits_flush: Option<Waker>,
    linger: Option<Linger>,
}

impl HttpSocket {
    /// The socket of a connection that was just accepted, of which `held` has been read already.
    pub fn new(
        stream: ClientStream,
        held: Vec<u8>,
        state: Arc<ConnectionState>,
        handler: MalformedHandler,
        peer: SocketAddr,
    ) -> Self {
        Self {
            stream: Box::pin(stream),
            state,
            handler,
            peer,
            head: HeadCheck::default(),
            chunks: ChunkScan::default(),
            held,
            refusal: None,
            is_flushed: true,
            awaits_flush: None,
            linger: None,
        }
    }

    /// Reads the held bytes, or else from the stream.
    fn poll_fill(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return self.stream.as_mut().poll_read(context, buffer);
        }
        let fits = self.held.len().min(buffer.remaining());
        buffer.put_slice(&self.held[..fits]);
        self.held.drain(..fits);
        Poll::Ready(Ok(()))
    }

    fn poll_read_head(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // If the body of a request arrived late, hyper asks for the next head while it still has to write the rest of the
        // response. A refusal, from here or from hyper, must not end up in the middle of that response.
        if !self.is_flushed {
            self.awaits_flush = Some(context.waker().clone());
            return Poll::Pending;
        }
        let start = buffer.filled().len();
        ready!(self.poll_fill(context, buffer))?;
        let arrived = &buffer.filled()[start..];
        if arrived.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let progress = self.head.check(arrived);
        // An empty line after a body is not a request that a client awaits a response to.
        if self.head.has_begun() {
            self.state.enter(Phase::Head);
        }
        match progress {
            Progress::Partial => Poll::Ready(Ok(())),
            Progress::Complete(length) => {
                self.hold(buffer, start + length);
                self.chunks = ChunkScan::default();
                Poll::Ready(Ok(()))
            }
            Progress::Faulty(fault) => {
                buffer.set_filled(start);
                self.refuse(fault);
                self.poll_refused(context)
            }
        }
    }

    fn poll_read_body(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.held.is_empty() && (self.state.has_whole_body() || self.chunks.is_end()) {
            // hyper asks whether the client is still connected: it is, and has sent the next request.
            return Poll::Pending;
        }
        let start = buffer.filled().len();
        ready!(self.poll_fill(context, buffer))?;
        let arrived = &buffer.filled()[start..];
        let is_end = arrived.is_empty();
        let of_body = if self.state.is_chunked() {
            self.chunks.take(arrived)
        } else {
            self.state.take_body(arrived.len())
        };
        self.hold(buffer, start + of_body);
        // Reading no bytes would mean the end of the stream. hyper asks again when it has answered this request.
        if of_body == 0 && !is_end { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Moves the bytes after `end` out of the buffer, for later.
    fn hold(&mut self, buffer: &mut ReadBuf<'_>, end: usize) {
        if buffer.filled().len() > end {
            let behind = &buffer.filled()[end..];
            // They come before the bytes that are held already.
            self.held.splice(..0, behind.iter().copied());
            buffer.set_filled(end);
        }
    }

    /// Answers with the problem of `fault`; nothing more is read.
    pub fn refuse(&mut self, fault: HeadFault) {
        self.state.enter(Phase::Refused);
        self.state.linger();
        let request = MalformedRequest {
            fault,
            peer: self.peer,
            origin: self.head.origin(),
            is_head_request: self.head.is_head_request(),
        };
        self.refusal = Some(((self.handler)(&request), 0));
    }

    /// Sends the refusal and waits until it has arrived. After that, there is nothing more to read.
    fn poll_refused(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_refusal(context))?;
        self.poll_linger(context)
    }

    fn poll_send_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((response, written)) = &mut self.refusal {
            if *written == response.len() {
                self.refusal = None;
                break;
            }
            match ready!(self.stream.as_mut().poll_write(context, &response[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        self.stream.as_mut().poll_flush(context)
    }

    /// Writes our own response in place of the one that hyper made because it could not parse a head.
    fn poll_replace(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            let fault = self.fault_of_response(bytes).filter(|_| self.is_flushed)?;
            self.refuse(fault);
        }
        Some(self.poll_send_refusal(context).map_ok(|()| bytes.len()))
    }

    /// Why hyper made this response, if it did. Only called while no request is being answered.
    fn fault_of_response(&self, bytes: &[u8]) -> Option<HeadFault> {
        let line = bytes.strip_prefix(b"HTTP/1.")?;
        if !bytes.ends_with(b"\r\n\r\n") {
            return None;
        }
        match line.get(2..5)? {
            b"400" => Some(HeadFault::Unparsable),
            b"414" => Some(HeadFault::TargetTooLong),
            b"431" if self.head.is_in_request_line() => Some(HeadFault::TargetTooLong),
            b"431" => Some(HeadFault::TooLarge),
            _ => None,
        }
    }

    /// Shuts down our side, and discards what the client still sends until it has shut down its own. Closing the socket
    /// while bytes arrive makes the kernel reset the connection, and a client that has not read the response loses it.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.stream.as_mut().poll_shutdown(context))?;
        }
        let timeout = self.state.discard_timeout();
        let linger = self.linger.get_or_insert_with(Linger::new);
        let mut buffer = [0; DISCARD_BUFFER_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut buffer);
            match self.stream.as_mut().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(()))
                    if !buffer.filled().is_empty() && linger.goes_on(buffer.filled().len(), timeout) => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return linger.poll_end(context).map(Ok),
            }
        }
    }
}

/// For how long, and for how many more bytes, closing a connection is delayed.
struct Linger {
    began: Instant,
    bytes_left: u64,
    pause: Pin<Box<Sleep>>,
}

impl Linger {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, bytes_left: DISCARD_MAX_BYTES, pause: Box::pin(sleep_until(now + DISCARD_PAUSE)) }
    }

    /// Counts `bytes`, and returns whether to keep reading.
    fn goes_on(&mut self, bytes: usize, timeout: Duration) -> bool {
        let now = Instant::now();
        let until = self.began + timeout;
        self.bytes_left = self.bytes_left.saturating_sub(bytes as u64);
        self.pause.as_mut().reset(until.min(now + DISCARD_PAUSE));
        self.bytes_left > 0 && now < until
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.pause.as_mut().poll(context)
    }
}

impl AsyncRead for HttpSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.state.phase() {
            Phase::Idle | Phase::Head => self.poll_read_head(context, buffer),
            Phase::Request => self.poll_read_body(context, buffer),
            Phase::Late => {
                self.refuse(HeadFault::TooSlow);
                self.poll_refused(context)
            }
            Phase::Refused => self.poll_refused(context),
        }
    }
}

impl AsyncWrite for HttpSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.state.phase() != Phase::Request
            && let Some(written) = self.poll_replace(context, bytes)
        {
            return written;
        }
        self.is_flushed = false;
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A response without a body is a single buffer.
        if self.state.phase() != Phase::Request
            && let [part] = parts
            && let Some(written) = self.poll_replace(context, part)
        {
            return written;
        }
        self.is_flushed = false;
        self.stream.as_mut().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.as_mut().poll_flush(context))?;
        // hyper flushes when it has written everything.
        self.is_flushed = true;
        if let Some(waker) = self.awaits_flush.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.lingers() {
            self.poll_linger(context)
        } else {
            self.stream.as_mut().poll_shutdown(context)
        }
    }
}
