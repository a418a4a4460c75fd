//! The tests' own way into MongoDB, for tests that are not asynchronous and those that are.

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Collection};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::mpsc::channel;
use tokio::runtime::{Builder, Runtime};

/// A runtime apart from those of the tests, which end with them.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
static CLIENT: LazyLock<Client> = LazyLock::new(|| run(async { Client::with_uri_str(uri()).await.unwrap() }));

/// The server that all tests share.
pub fn uri() -> String {
    tenantry_mongod::shared_uri()
}

/// Carries out `work` and waits for it, also where nothing may be awaited.
pub fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = channel();
    RUNTIME.spawn(async move {
        let _ = sender.send(work.await);
    });
    receiver.recv().expect("the work has panicked")
}

/// A database of its own; those of its organizations are called by its name, too.
pub struct Database {
    name: String,
}

impl Database {
    /// One that is not there yet.
    pub fn new() -> Self {
        Self { name: format!("test_{:016x}", RandomState::new().hash_one(())) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A collection of it.
    pub fn collection(&self, name: &str) -> Collection<Document> {
        self.beside(&self.name, name)
    }

    /// A collection of another one on the same server.
    pub fn beside(&self, database: &str, name: &str) -> Collection<Document> {
        CLIENT.database(database).collection(name)
    }

    /// Its collections.
    pub fn collections(&self) -> Vec<String> {
        let database = CLIENT.database(&self.name);
        run(async move { database.list_collection_names().await.unwrap() })
    }

    /// Carries out a command on it; the code of the server's refusal, if it refuses.
    pub fn command(&self, command: Document) -> Result<Document, i32> {
        let database = CLIENT.database(&self.name);
        run(async move { database.run_command(command).await.map_err(|error| code(&error)) })
    }

    /// All documents of a collection that `filter` finds, in the order of their ids.
    pub fn find(&self, collection: &str, filter: Document) -> Vec<Document> {
        let collection = self.collection(collection);
        run(async move {
            let mut cursor = collection.find(filter).sort(doc! { "_id": 1 }).await.unwrap();
            let mut found = Vec::new();
            while cursor.advance().await.unwrap() {
                found.push(cursor.deserialize_current().unwrap());
            }
            found
        })
    }
}

/// The code of the server's refusal.
fn code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Command(refusal) => refusal.code,
        _ => panic!("the server did not answer: {error}"),
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let database = CLIENT.database(&self.name);
        run(async move {
            // If the server is gone, so are the databases.
            let organizations = database.collection::<Document>("organizations");
            if let Ok(mut cursor) = organizations.find(doc! { "placement": "database" }).await {
                while cursor.advance().await.unwrap_or(false) {
                    let id = cursor.deserialize_current().unwrap().get_object_id("_id").unwrap();
                    let _ = CLIENT.database(&format!("tenant_{id}")).drop().await;
                }
            }
            let _ = database.drop().await;
        });
    }
}
