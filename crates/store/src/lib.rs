//! The storage of Tenantry. [`open`] is the only place that names engines; all other code sees the ports of
//! [`tenantry_domain::store`].
//!
//! Nothing here decides a rule of the service. A store method is one atomic unit on one record; a change that
//! spans records is an operation, in the domain.

#[cfg(feature = "mongodb")]
mod adopt;
mod adoption_state;
pub mod backup;
mod cached;
mod error;
mod limiter;
#[cfg(feature = "mongodb")]
mod run_lock;
#[cfg(test)]
mod test_records;
#[cfg(feature = "mongodb")]
mod transfer;

#[cfg(feature = "mongodb")]
pub use adopt::{
    AdoptError, AdoptOptions, AdoptProgress, AdoptReport, AdoptRules, AdoptedOrganization, AdoptionTotals,
    Conflict, ConflictKind, RecognizedField, RecognizedLayout, adopt, confirm, rehearse as rehearse_adoption,
    undo,
};
pub use adoption_state::{ADOPTION_MARK, AdoptionStage, AdoptionState};
pub use error::OpenError;
pub use limiter::ConcurrencyLimits;
use limiter::ExpensiveQueries;
pub use tenantry_domain::shared_mailbox::SharedMailbox;
pub use tenantry_domain::store::CleanupReport;
#[cfg(feature = "mongodb")]
pub use tenantry_store_mongodb::{
    MONGODB_SCHEMA_STEPS, MongoInspection, MongoOptions, Topology, has_data as mongodb_has_data,
    inspect_mongodb,
};
#[cfg(feature = "crash-points")]
pub use tenantry_store_sqlite::make_container_file;
pub use tenantry_store_sqlite::{
    CONTAINER_SCHEMA_STEPS, CONTROL_SCHEMA_STEPS, ContainerFiles, Contents, ControlDatabase, ControlState,
    EmbeddedOptions, Inspection, QuickCheck, Rehearsal, RehearsedFile, WriterCounts, container_file,
    ensure_has_data, inspect, rehearse,
};
#[cfg(feature = "mongodb")]
pub use transfer::{Side, TransferError, TransferProgress, TransferReport, transfer};

use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::Result;
use tenantry_domain::store::Store;
#[cfg(feature = "mongodb")]
use tenantry_store_mongodb::MongoDb;
use tenantry_store_sqlite::Sqlite;

/// The value that marks the target of an unfinished transfer, and names its source.
pub const TRANSFER_MARK: &str = "transfer";

/// What the value of [`TRANSFER_MARK`] begins with if a restore fills the target.
const RESTORE_PREFIX: &[u8] = b"restore:";

/// The command that has left that value of [`TRANSFER_MARK`].
#[must_use]
pub fn unfinished_command(mark: &[u8]) -> &'static str {
    if mark.starts_with(RESTORE_PREFIX) { "restore" } else { "transfer" }
}

/// How long a close waits for writes whose callers have gone.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Options of the layers in front of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Memory for the cache of records, in bytes; 0 turns the cache off.
    pub cache_bytes: u64,
    /// The concurrency of each organization beside others.
    pub concurrency: ConcurrencyLimits,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, concurrency: ConcurrencyLimits::default() }
    }
}

/// An opened store.
pub struct OpenStore {
    /// The ports.
    pub store: Store,
    engine: Engine,
    writes: limiter::Writes,
}

/// The engine behind the ports.
enum Engine {
    Embedded(Arc<Sqlite>),
    #[cfg(feature = "mongodb")]
    MongoDb(Arc<MongoDb>),
}

/// Opens the embedded engine: takes the data directory for this process alone, brings its schema up to date
/// and starts the writer.
///
/// # Errors
/// A sentence for the operator; nothing has been changed then.
pub async fn open(engine: &EmbeddedOptions, options: &StoreOptions) -> Result<OpenStore, OpenError> {
    let engine = Arc::new(Sqlite::open(engine).await?);
    let store = cached::decorate(Sqlite::store(&engine), options.cache_bytes);
    let (store, writes) = limiter::decorate(store, options.concurrency, ExpensiveQueries::unlimited(), false);
    Ok(OpenStore { store, engine: Engine::Embedded(engine), writes })
}

/// Opens a database of a MongoDB server, beside any number of other processes, and brings its schema up to
/// date. If the server cannot be reached now, the store waits for it in the background: until then every
/// method returns `store_unavailable`.
///
/// # Errors
/// A sentence for the operator; nothing has been changed then.
#[cfg(feature = "mongodb")]
pub async fn open_mongodb(engine: &MongoOptions, options: &StoreOptions) -> Result<OpenStore, OpenError> {
    let engine = MongoDb::open(engine).await?;
    let store = match options.cache_bytes {
        0 => engine.store(),
        bytes => {
            let (store, upstream) = cached::SharedCache::decorate(engine.store(), bytes);
            engine.follow_changes(Arc::new(upstream));
            store
        }
    };
    let (store, writes) = limiter::decorate(store, options.concurrency, ExpensiveQueries::for_server(), true);
    Ok(OpenStore { store, engine: Engine::MongoDb(engine), writes })
}

impl OpenStore {
    /// Removes unfinished containers that a crash has left and sets aside those that no organization refers
    /// to. It goes through all containers, so run it in the background, once after start.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<CleanupReport> {
        match &self.engine {
            Engine::Embedded(engine) => engine.tidy().await,
            #[cfg(feature = "mongodb")]
            Engine::MongoDb(engine) => engine.tidy().await,
        }
    }

    /// What the embedded engine's writer has done so far.
    #[must_use]
    pub fn writer_counts(&self) -> Option<WriterCounts> {
        match &self.engine {
            Engine::Embedded(engine) => Some(engine.writer_counts()),
            #[cfg(feature = "mongodb")]
            Engine::MongoDb(_) => None,
        }
    }

    /// Waits up to `time` for all running writes, including those whose callers have gone.
    pub async fn finish_writes(&self, time: Duration) {
        self.writes.finish(time).await;
    }

    /// Finishes the queued writes, refuses new ones, and closes the database. Afterwards every call that the
    /// cache does not serve returns `store_unavailable`.
    pub async fn close(self) {
        self.finish_writes(CLOSE_TIMEOUT).await;
        self.engine.close().await;
    }
}

impl Engine {
    async fn close(self) {
        match self {
            Self::Embedded(engine) => engine.close().await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(engine) => engine.close().await,
        }
    }
}
