//! The streams of one HTTP/2 connection: whether any is being answered, and how many their client has left standing.

use super::state::ConnectionSlots;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The most responses of one connection that their client has stopped taking. Each holds some memory until the connection ends.
const STALLED_MAX: usize = 8;

/// The streams of one connection.
#[derive(Default)]
pub struct Streams {
    open: AtomicUsize,
    stalled: AtomicUsize,
    /// Told when `open` changes to or from 0, and when too many have stalled.
    changed: Notify,
}

/// A stream that is being answered.
pub struct OpenStream(Arc<Streams>);

impl Streams {
    /// A further stream.
    pub fn open(self: &Arc<Self>) -> OpenStream {
        if self.open.fetch_add(1, Ordering::SeqCst) == 0 {
            self.changed.notify_one();
        }
        OpenStream(Arc::clone(self))
    }

    /// Counts a response that its client has stopped taking.
    pub fn count_stalled(&self) {
        self.stalled.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Whether too many responses have stalled.
    pub fn have_stalled(&self) -> bool {
        self.stalled.load(Ordering::SeqCst) >= STALLED_MAX
    }

    /// Completes when the connection should be closed: it has carried no stream for `idle_timeout` (for `header_timeout`, while
    /// others wait for a slot), or too many have stalled.
    pub async fn should_close(
        &self,
        slots: &ConnectionSlots,
        idle_timeout: Duration,
        header_timeout: Duration,
    ) {
        let mut idle_since = Instant::now();
        loop {
            if self.have_stalled() {
                return;
            }
            if self.open.load(Ordering::SeqCst) > 0 {
                self.changed.notified().await;
                idle_since = Instant::now();
                continue;
            }
            let idle_until = idle_since + idle_timeout;
            let next_look = idle_until.min(Instant::now() + header_timeout);
            tokio::select! {
                () = self.changed.notified() => idle_since = Instant::now(),
                () = sleep_until(next_look) => {
                    let is_open = self.open.load(Ordering::SeqCst) > 0;
                    if !is_open && (Instant::now() >= idle_until || slots.is_full()) {
                        return;
                    }
                }
            }
        }
    }
}

impl OpenStream {
    /// All streams of its connection.
    pub const fn streams(&self) -> &Arc<Streams> {
        &self.0
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const IDLE: Duration = Duration::from_secs(75);
    const HEADER: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn connection_closes_once_no_stream_was_open_for_long() {
        let (streams, slots) = (Arc::new(Streams::default()), Arc::new(ConnectionSlots::new(2)));
        let began = Instant::now();
        let held = {
            let streams = Arc::clone(&streams);
            tokio::spawn(async move {
                sleep(Duration::from_secs(70)).await;
                let open = streams.open();
                sleep(Duration::from_secs(300)).await;
                drop(open);
            })
        };
        streams.should_close(&slots, IDLE, HEADER).await;
        assert_eq!(began.elapsed().as_secs(), 70 + 300 + 75);
        held.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_closes_sooner_while_others_wait() {
        let (streams, slots) = (Arc::new(Streams::default()), Arc::new(ConnectionSlots::new(1)));
        let _taken = slots.take().await.unwrap();
        let waiting = {
            let slots = Arc::clone(&slots);
            tokio::spawn(async move { slots.take().await })
        };
        let began = Instant::now();
        streams.should_close(&slots, IDLE, HEADER).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        waiting.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn connection_with_too_many_stalled_streams_closes() {
        let (streams, slots) = (Arc::new(Streams::default()), ConnectionSlots::new(2));
        let _open = streams.open();
        for _ in 0..STALLED_MAX {
            streams.count_stalled();
        }
        streams.should_close(&slots, IDLE, HEADER).await;
    }
}
