//! How Tenantry keeps what it means. [`open`] is the only place that names engines; everybody else sees the
//! ports of [`tenantry_domain::store`].
//!
//! What a newcomer gets wrong: nothing here decides a rule of the service. A store method is one atomic unit
//! on one record; what spans records is an operation, in the domain.

mod cached;
mod error;
mod sqlite;

pub use error::OpenError;
pub use sqlite::containers::Tidied;
pub use sqlite::directory::container_file;
pub use sqlite::inspect::{
    ContainerFiles, Contents, ControlDatabase, ControlState, Inspection, QuickCheck, inspect,
};
pub use sqlite::writer::WriterCounts;

use sqlite::Sqlite;
use std::path::PathBuf;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::clock::Clock;
use tenantry_domain::store::Store;

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
}

impl EmbeddedOptions {
    /// The usual settings for `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { data_dir: data_dir.into(), clock, readers: 4, cache_bytes: 32 << 20 }
    }
}

/// An opened store.
pub struct Opened {
    /// The ports.
    pub store: Store,
    engine: Arc<Sqlite>,
}

/// Opens the embedded engine: takes the data directory for this process alone, brings its schema up to date
/// and starts the writer.
///
/// # Errors
/// A sentence for the operator; nothing has been changed then.
pub async fn open(options: &EmbeddedOptions) -> Result<Opened, OpenError> {
    let engine = Arc::new(Sqlite::open(options).await?);
    let store = cached::decorate(Sqlite::store(&engine), options.cache_bytes);
    Ok(Opened { store, engine })
}

impl Opened {
    /// Removes what a crash has left half made and sets aside containers that no organization refers to. Goes
    /// through all files, so it is for the background, once after start.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<Tidied> {
        self.engine.tidy().await
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn writer_counts(&self) -> WriterCounts {
        self.engine.writer_counts()
    }

    /// Finishes the writes that are queued, refuses others, and lets the data directory go. Afterwards the
    /// store answers `store_unavailable` to all that is not in memory.
    pub async fn close(self) {
        self.engine.close().await;
    }
}
