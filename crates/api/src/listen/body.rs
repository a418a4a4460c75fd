//! The body of a request, on loan to a handler, and how the unread rest is discarded.
//!
//! Many clients read no response before they have sent all of their request, and lose it if the connection is closed. So
//! the rest is read and discarded, within bounds, and the connection is reused; or the response says that the connection
//! will be closed, and the socket lingers (`socket.rs`).

use super::state::{ConnectionState, DISCARD_MAX_BYTES, DISCARD_PAUSE};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Version};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// The body of a request, as its handler gets it.
pub struct RequestBody {
    /// `None` once it has ended.
    incoming: Option<Incoming>,
    was_read: bool,
    remainder: Arc<Remainder>,
}

/// The rest of a body after its handler has dropped it.
pub struct Remainder {
    connection: Arc<ConnectionState>,
    /// Whether the client wants the connection to be closed after the response.
    asks_close: bool,
    /// Whether the client waits to be told to send the body.
    awaits_continue: bool,
    state: Mutex<BodyState>,
}

/// Who has the body.
enum BodyState {
    /// The handler has it.
    Lent,
    /// Nobody: it is malformed or broke off, and hyper reads no further.
    Broken,
    /// Nobody, and there is no response yet.
    Left {
        /// The body.
        incoming: Incoming,
        /// Whether the handler has read any of it.
        was_read: bool,
    },
    /// The head of the response exists. Dropping the body acts on this.
    Answered {
        /// Whether the connection may be used again.
        keeps: bool,
    },
}

/// Tracks the body of a request.
pub fn lend(request: &Request<Incoming>, connection: &Arc<ConnectionState>) -> Arc<Remainder> {
    let headers = request.headers();
    Arc::new(Remainder {
        connection: Arc::clone(connection),
        asks_close: asks_close(request.version(), headers),
        awaits_continue: headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")),
        state: Mutex::new(BodyState::Lent),
    })
}

fn asks_close(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| {
        let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    says("close") || (version == Version::HTTP_10 && !says("keep-alive"))
}

impl Remainder {
    /// The body as a handler gets it.
    pub fn body(self: &Arc<Self>, incoming: Incoming) -> RequestBody {
        RequestBody { incoming: Some(incoming), was_read: false, remainder: Arc::clone(self) }
    }

    /// Decides how to discard the rest, and announces in the response if the connection will be closed.
    pub fn answer(self: &Arc<Self>, response: &mut Response) {
        let mut state = self.lock();
        let closes = match &*state {
            BodyState::Left { incoming, was_read } => {
                let is_held_back = self.awaits_continue && !was_read;
                let is_too_long = incoming.size_hint().lower() > DISCARD_MAX_BYTES;
                // A client that was too slow already is not waited for.
                let is_too_slow = response.status() == StatusCode::REQUEST_TIMEOUT;
                self.asks_close || is_held_back || is_too_long || is_too_slow
            }
            BodyState::Broken => true,
            BodyState::Lent | BodyState::Answered { .. } => self.asks_close,
        };
        let before = std::mem::replace(&mut *state, BodyState::Answered { keeps: !closes });
        drop(state);
        if closes && !self.asks_close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let BodyState::Left { incoming, .. } = before {
            self.part_with(incoming, !closes);
        }
    }

    /// The body was malformed or incomplete.
    fn fail(&self) {
        self.connection.linger();
        let mut state = self.lock();
        if matches!(*state, BodyState::Lent) {
            *state = BodyState::Broken;
        }
    }

    /// The handler has dropped the body before its end.
    fn leave(self: &Arc<Self>, incoming: Incoming, was_read: bool) {
        let mut state = self.lock();
        match *state {
            BodyState::Answered { keeps } => {
                drop(state);
                self.part_with(incoming, keeps);
            }
            _ => *state = BodyState::Left { incoming, was_read },
        }
    }

    fn part_with(self: &Arc<Self>, incoming: Incoming, keeps: bool) {
        match Handle::try_current() {
            Ok(runtime) if keeps => {
                runtime.spawn(discard(incoming, Arc::clone(&self.connection)));
            }
            // hyper closes the connection, which lingers.
            _ => {
                self.connection.linger();
                drop(incoming);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BodyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads to the end. If one of the bounds comes first, the connection is closed.
async fn discard(mut incoming: Incoming, connection: Arc<ConnectionState>) {
    let began = Instant::now();
    let mut bytes = 0;
    while bytes <= DISCARD_MAX_BYTES && began.elapsed() < connection.discard_timeout() {
        match tokio::time::timeout(DISCARD_PAUSE, incoming.frame()).await {
            Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
            // The body has ended, or the client has hung up.
            Ok(_) => return,
            Err(_) => break,
        }
    }
    connection.linger();
    drop(incoming);
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(context));
        self.was_read = true;
        if matches!(frame, Some(Err(_))) {
            self.remainder.fail();
        }
        if !matches!(frame, Some(Ok(_))) {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) {
            self.remainder.leave(incoming, self.was_read);
        }
    }
}
