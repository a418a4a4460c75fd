//! Load shedding: a bound on the requests that are worked on at once. One more is refused at once instead of waiting, so that
//! those that are served are served in time.
//!
//! A request whose body has not arrived costs no work: while one waits for it, it does not count. Otherwise a few slow senders
//! would shut out everybody else.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// The requests that are worked on.
pub struct LoadLimit {
    max: usize,
    running: Arc<AtomicUsize>,
}

/// A request that is worked on, until the last of its copies is dropped.
#[derive(Clone)]
pub struct LoadSlot(Arc<Slot>);

struct Slot {
    running: Arc<AtomicUsize>,
    /// Whether it counts now.
    counts: AtomicBool,
}

impl LoadLimit {
    /// At most `max` requests at once.
    pub fn new(max: usize) -> Self {
        Self { max, running: Arc::default() }
    }

    /// A slot for a further request; `None` if it is to be refused.
    pub fn begin(&self) -> Option<LoadSlot> {
        // Counted first: two that come at the same moment must not take the last slot both.
        let slot = LoadSlot::new(Arc::clone(&self.running));
        (self.running.load(Ordering::Relaxed) <= self.max).then_some(slot)
    }

    /// How many requests are worked on.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

impl LoadSlot {
    fn new(running: Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Slot { running, counts: AtomicBool::new(true) }))
    }

    /// This body, during whose arrival the request does not count.
    pub fn meter(&self, body: Body) -> Body {
        Body::new(MeteredBody { body, slot: self.clone() })
    }

    fn pause(&self) {
        if self.0.counts.swap(false, Ordering::Relaxed) {
            self.0.running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts it again: what was begun is not refused halfway.
    fn resume(&self) {
        if !self.0.counts.swap(true, Ordering::Relaxed) {
            self.0.running.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if *self.counts.get_mut() {
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

struct MeteredBody {
    body: Body,
    slot: LoadSlot,
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Pending => self.slot.pause(),
            Poll::Ready(_) => self.slot.resume(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        self.slot.resume();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use std::convert::Infallible;

    #[test]
    fn load_limit_refuses_one_more_and_takes_it_later() {
        let limit = LoadLimit::new(2);
        let (first, second) = (limit.begin().unwrap(), limit.begin().unwrap());
        assert!(limit.begin().is_none());
        assert_eq!(limit.running(), 2);
        drop(first);
        let third = limit.begin().unwrap();
        assert!(limit.begin().is_none());
        drop((second, third));
        assert_eq!(limit.running(), 0);
    }

    #[tokio::test]
    async fn request_that_waits_for_its_body_does_not_count() {
        let limit = LoadLimit::new(1);
        let slot = limit.begin().unwrap();
        let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"x"))]).chain(stream::pending());
        let mut body = slot.meter(Body::from_stream(pieces)).into_data_stream();
        body.next().await.unwrap().unwrap();
        assert_eq!(limit.running(), 1);
        assert!(futures_util::poll!(body.next()).is_pending());
        assert_eq!(limit.running(), 0);
        // It goes on, although another one has come.
        let other = limit.begin().unwrap();
        drop(body);
        assert_eq!(limit.running(), 2);
        drop((slot, other));
        assert_eq!(limit.running(), 0);
    }
}
