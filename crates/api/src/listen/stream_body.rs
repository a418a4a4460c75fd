//! The body of a response on HTTP/2. There a client can stop one response and leave the others running, and the socket shows
//! nothing of it: whether the client still takes this response is seen here.

use super::streams::{OpenStream, Streams};
use crate::paced_stream::ReadPace;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// A body up to this size is not watched: the HTTP library takes it at once.
const UNWATCHED_BYTES: u64 = 16 << 10;

/// A response's body, which is dropped once the client has taken none of it for too long.
pub struct StreamBody {
    shared: Arc<Shared>,
    watchdog: Option<JoinHandle<()>>,
    /// The response counts as being answered until this is dropped.
    _open: OpenStream,
}

struct Shared(Mutex<WatchedBody>);

struct WatchedBody {
    /// `None` once it has ended, or the client has stalled it for too long.
    body: Option<Body>,
    /// Since when it is the client's turn to take more; `None` while the body has no more to give.
    ready_since: Option<Instant>,
    has_stalled: bool,
}

impl StreamBody {
    /// The body of a response that began now.
    pub fn new(body: Body, open: OpenStream, pace: ReadPace) -> Self {
        let size = body.size_hint();
        let is_small = size.upper().is_some_and(|bytes| bytes <= UNWATCHED_BYTES);
        let watched = WatchedBody { body: Some(body), ready_since: Some(Instant::now()), has_stalled: false };
        let shared = Arc::new(Shared(Mutex::new(watched)));
        let watchdog =
            (!is_small).then(|| tokio::spawn(watch(Arc::clone(&shared), Arc::clone(open.streams()), pace)));
        Self { shared, watchdog, _open: open }
    }
}

/// Waits until the client has taken nothing for as long as `pace` says, and drops the body then.
async fn watch(shared: Arc<Shared>, streams: Arc<Streams>, pace: ReadPace) {
    loop {
        let limit = pace.limit();
        let since = shared.lock().ready_since.unwrap_or_else(Instant::now);
        sleep_until(since + limit).await;
        let mut watched = shared.lock();
        if watched.ready_since.is_some_and(|since| since.elapsed() >= pace.limit()) {
            pace.run_out();
            watched.has_stalled = true;
            let body = watched.body.take();
            drop(watched);
            drop(body);
            return streams.count_stalled();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, WatchedBody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut watched = self.shared.lock();
        if watched.has_stalled {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the other side reads nothing");
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        let Some(body) = &mut watched.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        watched.ready_since = match &frame {
            Poll::Ready(Some(Ok(_))) => Some(Instant::now()),
            _ => None,
        };
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            watched.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        let watched = self.shared.lock();
        !watched.has_stalled && watched.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let watched = self.shared.lock();
        watched.body.as_ref().map_or_else(SizeHint::new, HttpBody::size_hint)
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.abort();
        }
        // Not when the task of the watchdog is gone at last: what an export holds is free with its response.
        self.shared.lock().body = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::BodyExt;
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::time::sleep;

    /// A body of pieces, each of which needs `pause`; the other side of `dropped` tells when it is gone.
    fn pieces(pause: Duration) -> Body {
        Body::from_stream(stream::unfold((), move |()| async move {
            sleep(pause).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"piece")), ()))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn stream_body_that_nobody_takes_is_dropped() {
        let streams = Arc::new(Streams::default());
        let pace = ReadPace::new(Duration::from_secs(5));
        let mut body = StreamBody::new(pieces(Duration::ZERO), streams.open(), pace.clone());
        for _ in 0..3 {
            body.frame().await.unwrap().unwrap();
            sleep(Duration::from_secs(4)).await;
        }
        assert!(!pace.has_run_out());
        sleep(Duration::from_secs(2)).await;
        assert!(pace.has_run_out() && body.shared.lock().body.is_none());
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn stream_body_that_has_nothing_to_give_is_waited_for() {
        let streams = Arc::new(Streams::default());
        let pace = ReadPace::new(Duration::from_secs(5));
        let mut body = StreamBody::new(pieces(Duration::from_secs(60)), streams.open(), pace.clone());
        for _ in 0..3 {
            body.frame().await.unwrap().unwrap();
        }
        assert!(!pace.has_run_out());
    }
}
