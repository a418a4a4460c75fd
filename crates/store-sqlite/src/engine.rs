//! The engine as a whole: how it is opened and closed, and what its ports share. The files of the nouns implement the ports
//! for it.

use super::containers::Files;
use super::directory::Directory;
use super::engine_error::EngineResult;
use super::error::OpenError;
use super::readers::Readers;
use super::writer::{Writer, WriterCounts};
use super::{connection, schema, startup};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::clock::Clock;
use tenantry_domain::processor::Processor;
use tenantry_domain::store::{Store, StoreCall};

/// How the embedded engine is opened.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// The data directory; created if it is missing.
    pub data_dir: PathBuf,
    /// The clock of leases.
    pub clock: Arc<dyn Clock>,
    /// Connections that read at the same time; each may hold some 2 MB of pages.
    pub readers: usize,
}

impl EmbeddedOptions {
    /// The usual settings for `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { data_dir: data_dir.into(), clock, readers: 4 }
    }
}

/// The engine; it implements every port, in one file per noun.
pub struct Sqlite {
    writer: Writer,
    pub(super) readers: Readers,
    pub(super) files: Arc<Files>,
    pub(super) processor: Arc<Processor>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Sqlite {
    /// Takes the data directory for this process alone, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// A sentence for the operator; nothing has been changed then.
    pub async fn open(options: &EmbeddedOptions) -> Result<Self, OpenError> {
        let options = options.clone();
        let directory = options.data_dir.clone();
        tokio::task::spawn_blocking(move || Self::open_blocking(&options))
            .await
            .map_err(|error| OpenError::NotWritable { directory, cause: error.to_string() })?
    }

    fn open_blocking(options: &EmbeddedOptions) -> Result<Self, OpenError> {
        let (directory, mut lock) = Directory::take(&options.data_dir)?;
        let file = directory.control_database();
        let refused = |error: rusqlite::Error| schema::refused(&file, &error);

        let mut connection = connection::open_untouched(&file).map_err(refused)?;
        schema::upgrade(&mut connection, &file)?;
        connection::configure_writer(&connection).map_err(refused)?;
        Directory::record_control(&mut lock).map_err(|error| directory.not_writable(&error))?;
        startup::beat(&connection).map_err(refused)?;
        startup::end_leases(&connection).map_err(refused)?;
        let readers = Readers::open(&file, options.readers).map_err(refused)?;
        let files = Files::open(directory).map_err(|failure| {
            let error = tenantry_domain::Error::from(failure);
            OpenError::NotWritable { directory: options.data_dir.clone(), cause: error.to_string() }
        })?;
        let writer = Writer::start(file.clone(), connection, lock).map_err(|error| {
            OpenError::NotWritable { directory: options.data_dir.clone(), cause: error.to_string() }
        })?;
        let processor = Arc::default();
        Ok(Self { writer, readers, files: Arc::new(files), processor, clock: options.clock.clone() })
    }

    /// The ports of `engine`, without a cache.
    pub fn store(engine: &Arc<Self>) -> Store {
        Store {
            organizations: engine.clone(),
            accounts: engine.clone(),
            sessions: engine.clone(),
            api_keys: engine.clone(),
            invitations: engine.clone(),
            mails: engine.clone(),
            identities: engine.clone(),
            expiries: engine.clone(),
            operations: engine.clone(),
            audit: engine.clone(),
            containers: engine.clone(),
            collections: engine.clone(),
            documents: engine.clone(),
            idempotency_keys: engine.clone(),
            rate_limits: engine.clone(),
            installation: engine.clone(),
        }
    }

    /// Runs `work` in a transaction of the control database and returns its result once that is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> EngineResult<T> + Send + 'static,
    ) -> Result<T> {
        StoreCall::RecordWrite.measure(self.writer.write(work)).await
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn writer_counts(&self) -> WriterCounts {
        self.writer.counts()
    }

    /// Finishes the queued writes, refuses new ones, and closes the database.
    pub async fn close(self: Arc<Self>) {
        // The readers first: the last connection that closes removes the write-ahead log.
        let closing = tokio::task::spawn_blocking(move || {
            self.files.close();
            self.readers.close();
            self.writer.close();
        });
        if closing.await.is_err() {
            tracing::error!("the store could not be closed in order");
        }
    }
}
