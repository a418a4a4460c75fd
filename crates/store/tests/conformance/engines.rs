//! The engines under test, each with what the contracts need beside the ports: a clock that is set, and a way
//! to put documents into a container.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::store::Store;
use tenantry_store::{EmbeddedOptions, Opened, container_file, open};

/// A kind of store.
#[async_trait]
trait Engine {
    /// What a failure calls it.
    fn name(&self) -> &'static str;

    /// An empty one.
    async fn start(&self, clock: Arc<SetClock>) -> Box<dyn Running>;
}

/// A store that runs.
#[async_trait]
pub trait Running: Send + Sync {
    /// The ports.
    fn store(&self) -> &Store;

    /// Whether nobody else can have it at the same time.
    fn is_one_process(&self) -> bool;

    /// Puts as many documents into a container, beside those that are there.
    async fn add_documents(&self, id: OrganizationId, documents: u32);

    /// Ends it.
    async fn stop(self: Box<Self>);
}

fn engines() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(Embedded { name: "embedded", cache_bytes: 8 << 20 }),
        Box::new(Embedded { name: "embedded, without a cache", cache_bytes: 0 }),
    ]
}

/// A started engine and its clock.
pub struct Subject {
    /// The ports.
    pub store: Store,
    /// The engine's own clock.
    pub clock: Arc<SetClock>,
    /// The engine.
    pub engine: Box<dyn Running>,
}

/// Runs `test` against an empty store of every engine, on several threads.
pub fn on_every_engine<F>(test: impl Fn(Arc<Subject>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for engine in engines() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(4).enable_all().build().unwrap().block_on(async {
            let clock = Arc::new(SetClock::default());
            let running = engine.start(clock.clone()).await;
            let subject = Arc::new(Subject { store: running.store().clone(), clock, engine: running });
            let outcome = tokio::spawn(test(subject.clone())).await;
            assert!(outcome.is_ok(), "fails on the engine: {}", engine.name());
            let subject = Arc::into_inner(subject).expect("a test waits for all that it has started");
            subject.engine.stop().await;
        });
    }
}

/// Runs as many tasks at the same time; what each came to, in their order.
pub async fn in_parallel<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(task(number))).collect();
    let mut outcomes = Vec::with_capacity(count);
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// A clock that stands until it is moved.
pub struct SetClock(AtomicI64);

impl Default for SetClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_750_000_000_000))
    }
}

impl SetClock {
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// SQLite in a directory of its own.
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
    opened: Opened,
    directory: TempDir,
}

#[async_trait]
impl Engine for Embedded {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn start(&self, clock: Arc<SetClock>) -> Box<dyn Running> {
        let directory = in_memory();
        let options = EmbeddedOptions::new(directory.path(), clock);
        let opened = open(&EmbeddedOptions { cache_bytes: self.cache_bytes, ..options }).await.unwrap();
        Box::new(RunningEmbedded { opened, directory })
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

    async fn add_documents(&self, id: OrganizationId, documents: u32) {
        let file = container_file(self.directory.path(), id);
        let mut connection = Connection::open(file).unwrap();
        let transaction = connection.transaction().unwrap();
        transaction.execute("INSERT OR IGNORE INTO collections VALUES (1, 'notes')", []).unwrap();
        let there: u32 =
            transaction.query_row("SELECT count(*) FROM documents", [], |row| row.get(0)).unwrap();
        for number in there..there + documents {
            transaction
                .execute("INSERT INTO documents VALUES (1, ?1, 1, '{}')", [number.to_string()])
                .unwrap();
        }
        transaction.commit().unwrap();
    }

    async fn stop(self: Box<Self>) {
        self.opened.close().await;
    }
}
