//! Where a service under test keeps everything: a directory of its own and, where the tests run on MongoDB, a
//! database of its own on the server that all tests share.

use super::mongodb::{self, Database};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Signs tokens where the service may not make a secret of its own.
const JWT_SECRET: &str = "a secret of 32 bytes for these tests";

/// An engine that the whole of the tests runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test binary runs on one of them")]
pub enum Engine {
    /// Files in the directory.
    Embedded,
    /// A database on a real server.
    MongoDb,
}

/// Gone with its last copy, and all that is in it.
#[derive(Clone)]
pub struct Place {
    directory: Arc<TempDir>,
    database: Option<Arc<Database>>,
}

impl Place {
    /// A new one, on the engine of this test binary.
    pub fn new() -> Self {
        Self::on(crate::ENGINE)
    }

    /// A new one on that engine.
    pub fn on(engine: Engine) -> Self {
        let database = match engine {
            Engine::Embedded => None,
            Engine::MongoDb => Some(Arc::new(Database::new())),
        };
        Self { directory: Arc::new(TempDir::new().unwrap()), database }
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The database, where there is one.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_deref()
    }

    /// The flags that lead the service here.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--data-dir={}", self.data_dir().display())];
        if let Some(database) = self.database() {
            flags.push(format!("--mongo-uri={}", mongodb::uri()));
            flags.push(format!("--master-db={}", database.name()));

            flags.push(format!("--jwt-secret={JWT_SECRET}"));
        }
        flags
    }
}
