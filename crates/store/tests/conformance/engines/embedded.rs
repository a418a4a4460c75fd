//! SQLite in a directory of its own, with and without a cache in front.

use super::{Engine, Running};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tenantry_domain::clock::Clock;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::Store;
use tenantry_store::{EmbeddedOptions, OpenStore, StoreOptions, container_file, open};

pub fn engines() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(Embedded { name: "embedded", cache_bytes: 8 << 20 }),
        Box::new(Embedded { name: "embedded, without a cache", cache_bytes: 0 }),
    ]
}

/// A clock that moves only when it is set.
struct SetClock(AtomicI64);

impl Default for SetClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_750_000_000_000))
    }
}

impl SetClock {
    fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

struct Embedded {
    name: &'static str,
    cache_bytes: u64,
}

/// A directory in memory, where there are such: no contract is about the disk, and on one that others use too
/// the fsyncs take forty times as long as all the rest.
fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

struct RunningEmbedded {
    opened: OpenStore,
    clock: Arc<SetClock>,
    directory: TempDir,
}

#[async_trait]
impl Engine for Embedded {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn start(&self) -> Box<dyn Running> {
        let clock = Arc::new(SetClock::default());
        let directory = in_memory();
        let options = EmbeddedOptions::new(directory.path(), clock.clone());
        let opened =
            open(&options, &StoreOptions { cache_bytes: self.cache_bytes, ..StoreOptions::default() })
                .await
                .unwrap();
        Box::new(RunningEmbedded { opened, clock, directory })
    }
}

#[async_trait]
impl Running for RunningEmbedded {
    fn store(&self) -> &Store {
        &self.opened.store
    }

    fn is_one_process(&self) -> bool {
        true
    }

    async fn let_pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    async fn add_documents(&self, organization: &Organization, documents: u32) {
        let file = container_file(self.directory.path(), organization.id);
        let mut connection = Connection::open(file).unwrap();
        let transaction = connection.transaction().unwrap();
        transaction.execute("INSERT OR IGNORE INTO collections (id, name) VALUES (1, 'notes')", []).unwrap();
        let there: u32 =
            transaction.query_row("SELECT count(*) FROM documents", [], |row| row.get(0)).unwrap();
        for number in there + 1..=there + documents {
            transaction
                .execute(
                    "INSERT INTO documents VALUES (?1, 1, ?2, 1, x'0500000000')",
                    (number, number.to_be_bytes()),
                )
                .unwrap();
        }
        transaction.commit().unwrap();
    }

    async fn stop(self: Box<Self>) {
        self.opened.close().await;
    }
}
