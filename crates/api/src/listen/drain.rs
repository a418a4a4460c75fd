//! Ending all connections: each is told once to finish what it is doing, and the last one ends the wait.

use tokio::sync::watch::{Receiver, Sender, channel};

/// All connections.
pub struct Drain(Sender<()>);

/// What one connection learns of the drain.
#[derive(Clone)]
pub struct DrainWatch(Receiver<()>);

impl Drain {
    /// Without a connection.
    pub fn new() -> Self {
        Self(channel(()).0)
    }

    /// For a further connection. It counts as open for as long as this exists.
    pub fn watch(&self) -> DrainWatch {
        DrainWatch(self.0.subscribe())
    }

    /// Tells all connections to finish, and waits until they have ended.
    pub async fn finish(self) {
        self.0.send_replace(());
        self.0.closed().await;
    }
}

impl DrainWatch {
    /// Completes when the connection is to finish.
    pub async fn begins(&mut self) {
        // An error: the accept loop is gone, and with it everything.
        let _ = self.0.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_every_connection_to_end() {
        let drain = Drain::new();
        let mut watches = [drain.watch(), drain.watch()];
        let mut finish = Box::pin(drain.finish());
        assert!(futures_util::poll!(&mut finish).is_pending());
        for watch in &mut watches {
            watch.begins().await;
        }
        let [first, second] = watches;
        drop(first);
        assert!(futures_util::poll!(&mut finish).is_pending());
        drop(second);
        finish.await;
    }

    #[tokio::test]
    async fn drain_without_connections_is_done_at_once() {
        Drain::new().finish().await;
    }
}
