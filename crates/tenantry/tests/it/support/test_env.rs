//! The data of a service under test: a directory of its own and, if the tests run on MongoDB, a
//! database of its own on the server that all tests share.

use super::mongodb::{Database, run};
use mongodb::bson::{DateTime, doc};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Signs tokens where the service may not make a secret of its own.
const JWT_SECRET: &str = "a secret of 32 bytes for these tests";

/// An engine that a run of the tests is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files in the directory.
    Embedded,
    /// A database on a real server.
    MongoDb,
}

/// The stored data of a service, to start it on and to inspect.
pub trait StoredData {
    /// The data directory.
    fn data_dir(&self) -> PathBuf;

    /// The database, where there is one.
    fn database(&self) -> Option<&Database> {
        None
    }

    /// The flags that lead the service there.
    fn flags(&self) -> Vec<String> {
        flags(self)
    }
}

/// A data directory of the embedded engine.
impl StoredData for Path {
    fn data_dir(&self) -> PathBuf {
        self.to_owned()
    }
}

/// A data directory of the embedded engine.
impl StoredData for PathBuf {
    fn data_dir(&self) -> PathBuf {
        self.clone()
    }
}

/// The data directory and database of a test. Removed with its last copy.
#[derive(Clone)]
pub struct TestEnv {
    directory: Arc<TempDir>,
    database: Option<Arc<Database>>,
    more_flags: Vec<String>,
}

impl TestEnv {
    /// A new one, on the engine of this run.
    pub fn new() -> Self {
        Self::on(crate::engine())
    }

    /// A new one on that engine.
    pub fn on(engine: Engine) -> Self {
        match engine {
            Engine::Embedded => Self::with(None),
            Engine::MongoDb => Self::with(Some(Database::new())),
        }
    }

    /// A new one on a MongoDB server of the test's own.
    pub fn at(uri: &str) -> Self {
        Self::with(Some(Database::at(uri)))
    }

    /// The database of that name on a MongoDB server of the test's own.
    pub fn named(uri: &str, database: &str) -> Self {
        Self::with(Some(Database::named(uri, database)))
    }

    fn with(database: Option<Database>) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        Self { directory, database: database.map(Arc::new), more_flags: Vec::new() }
    }

    /// Adds a flag for every service that is started on it.
    pub fn flag(mut self, flag: &str) -> Self {
        self.more_flags.push(flag.to_owned());
        self
    }

    /// A copy of it with all its data. Only while no service runs on it.
    pub fn copy(&self) -> Self {
        let copy = Self::with(self.database().map(Database::copy));
        copy_directory(&self.data_dir(), &copy.data_dir());
        Self { more_flags: self.more_flags.clone(), ..copy }
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
        [flags(self), self.more_flags.clone()].concat()
    }

    /// Ends all leases, of working and of dead processes. If there may be other processes, none counts as
    /// dead before its lease ends.
    pub fn end_leases(&self) {
        let Some(database) = self.database() else { return };
        for collection in ["organizations", "requests"].map(|name| database.collection(name)) {
            run(async move {
                let leased = doc! { "lease_until": { "$exists": true } };
                let ended = doc! { "$set": { "lease_until": DateTime::from_millis(0) } };
                collection.update_many(leased, ended).await.unwrap();
            });
        }
    }
}

impl StoredData for TestEnv {
    fn data_dir(&self) -> PathBuf {
        Self::data_dir(self)
    }

    fn database(&self) -> Option<&Database> {
        Self::database(self)
    }

    fn flags(&self) -> Vec<String> {
        Self::flags(self)
    }
}

/// The flags that every service needs to be led there.
fn flags(kept: &(impl StoredData + ?Sized)) -> Vec<String> {
    let mut flags = vec![format!("--data-dir={}", kept.data_dir().display())];
    if let Some(database) = kept.database() {
        flags.push(format!("--mongo-uri={}", database.uri()));
        flags.push(format!("--master-db={}", database.name()));
        flags.push(format!("--jwt-secret={JWT_SECRET}"));
    }
    flags
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
