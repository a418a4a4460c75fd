//! How Tenantry keeps what it means. [`open`] is the only place that names engines; everybody else sees the
//! ports of [`tenantry_domain::store`].
//!
//! What a newcomer gets wrong: nothing here decides a rule of the service. A store method is one atomic unit
//! on one record; what spans records is an operation, in the domain.

mod cached;
mod error;
mod fair;
#[cfg(feature = "mongodb")]
mod mongodb;
mod processor;
mod shared_mailbox;
mod sqlite;
#[cfg(feature = "mongodb")]
mod transfer;

pub use error::OpenError;
#[cfg(feature = "mongodb")]
pub use mongodb::{MongoInspection, MongoOptions, Topology, inspect_mongodb};
pub use shared_mailbox::SharedMailbox;
pub use sqlite::containers::Tidied;
pub use sqlite::directory::container_file;
pub use sqlite::inspect::{
    ContainerFiles, Contents, ControlDatabase, ControlState, Inspection, QuickCheck, inspect,
};
pub use sqlite::writer::WriterCounts;
#[cfg(feature = "mongodb")]
pub use transfer::{MARK as TRANSFER_MARK, Side, Step, TransferError, Transferred, transfer};

#[cfg(feature = "mongodb")]
use mongodb::MongoDb;
use sqlite::Sqlite;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::Result;
use tenantry_domain::clock::Clock;
use tenantry_domain::store::Store;

/// How long writes may take to end whose callers have gone, once the store is to be closed.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// Calls for its own data that an organization has under way while others are at work, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Calls that read.
    pub reads: usize,
    /// Calls that write.
    pub writes: usize,
}

impl Default for Share {
    /// Enough for whoever asks one thing after the other, over a few connections.
    fn default() -> Self {
        Self { reads: 8, writes: 8 }
    }
}

/// How the embedded engine is opened.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Where everything is kept; made where missing.
    pub data_dir: PathBuf,
    /// Where the time of leases comes from.
    pub clock: Arc<dyn Clock>,
    /// Connections that read at the same time; each may hold some 2 MB of pages.
    pub readers: usize,
    /// Memory for records that were read before, in bytes; 0: none are kept.
    pub cache_bytes: u64,
    /// What each organization has beside others.
    pub share: Share,
}

impl EmbeddedOptions {
    /// The usual settings for `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { data_dir: data_dir.into(), clock, readers: 4, cache_bytes: 64 << 20, share: Share::default() }
    }
}

/// An opened store.
pub struct Opened {
    /// The ports.
    pub store: Store,
    engine: Engine,
    writes: fair::Writes,
}

/// What is behind the ports.
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
pub async fn open(options: &EmbeddedOptions) -> Result<Opened, OpenError> {
    let engine = Arc::new(Sqlite::open(options).await?);
    let store = cached::decorate(Sqlite::store(&engine), options.cache_bytes);
    let (store, writes) = fair::decorate(store, options.share);
    Ok(Opened { store, engine: Engine::Embedded(engine), writes })
}

/// Opens a database of a MongoDB server, beside any number of other processes, and brings its schema up to date.
/// A server that cannot be reached now is waited for in the background: until then every method of the store
/// answers `store_unavailable`.
///
/// # Errors
/// A sentence for the operator; nothing has been changed then.
#[cfg(feature = "mongodb")]
pub async fn open_mongodb(options: &MongoOptions) -> Result<Opened, OpenError> {
    let engine = MongoDb::open(options).await?;
    let (store, writes) = fair::decorate(MongoDb::cached_store(&engine, options.cache_bytes), options.share);
    Ok(Opened { store, engine: Engine::MongoDb(engine), writes })
}

impl Opened {
    /// Removes what a crash has left half made and sets aside containers that no organization refers to. Goes
    /// through all containers, so it is for the background, once after start.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<Tidied> {
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

    /// Finishes the writes that are queued, refuses others, and lets the database go. Afterwards the
    /// store answers `store_unavailable` to all that is not in memory.
    pub async fn close(self) {
        self.writes.finish(LAST_WRITES).await;
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
