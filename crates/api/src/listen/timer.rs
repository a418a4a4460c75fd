//! The timer of a connection that waits for a request: how long it may be idle, and how long a head may take.
//!
//! hyper has one timeout for both, which starts when the previous request has been answered. It gets its sleeps from this
//! timer, whose timeout for the head starts with the first byte.

use super::state::{ConnectionState, Phase};
use hyper::rt::{Sleep, Timer};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep as TokioSleep, sleep_until};

/// Provides the sleeps of one connection. hyper asks for one each time it starts to wait for a head, and at no other
/// time.
pub struct HeadTimer {
    /// What the connection is doing.
    pub state: Arc<ConnectionState>,
    /// For a head to arrive, from its first byte.
    pub header_timeout: Duration,
    /// For the first byte to arrive; while other clients wait for a slot, it is `header_timeout`.
    pub idle_timeout: Duration,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(std::time::Instant::now() + duration)
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.state.enter(Phase::Idle);
        let now = Instant::now();
        Box::pin(HeadSleep {
            state: Arc::clone(&self.state),
            header_timeout: self.header_timeout,
            idle_until: now + self.idle_timeout,
            next_look: now + self.header_timeout.min(self.idle_timeout),
            head_until: None,
            sleep: None,
        })
    }
}

/// Completes when the client has run out of time.
struct HeadSleep {
    state: Arc<ConnectionState>,
    header_timeout: Duration,
    idle_until: Instant,
    /// When to check next whether others need the slot of an idle connection.
    next_look: Instant,
    /// Known from the first byte on.
    head_until: Option<Instant>,
    sleep: Option<Pin<Box<TokioSleep>>>,
}

impl HeadSleep {
    fn poll_until(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let spare = || self.state.take_sleep().unwrap_or_else(|| Box::pin(sleep_until(deadline)));
        let sleep = self.sleep.get_or_insert_with(spare);
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context)
    }

    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.poll_until(self.next_look, context));
            let now = Instant::now();
            if now >= self.idle_until || self.state.slots.is_full() {
                return Poll::Ready(());
            }
            self.next_look = self.idle_until.min(now + self.header_timeout);
        }
    }
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.state.phase() {
            Phase::Idle => self.poll_idle(context),
            Phase::Head => {
                let timeout = self.header_timeout;
                let deadline = *self.head_until.get_or_insert_with(|| Instant::now() + timeout);
                ready!(self.poll_until(deadline, context));
                // hyper would only close the connection. It reads once more instead, and the socket refuses the head.
                self.state.enter(Phase::Late);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            // The refusal is being sent, with a timeout of its own.
            Phase::Request | Phase::Late | Phase::Refused => Poll::Pending,
        }
    }
}

impl Sleep for HeadSleep {}

impl Drop for HeadSleep {
    fn drop(&mut self) {
        if let Some(sleep) = self.sleep.take() {
            self.state.keep_sleep(sleep);
        }
    }
}
