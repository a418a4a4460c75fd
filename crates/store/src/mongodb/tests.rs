//! What this engine does beside the contracts that every engine is held to: how it searches, what two instances
//! do to each other, what a server that cannot be reached means. Against a real server.

mod claims;
mod coherence;
mod data;
mod drops;
mod faults;
pub(super) mod samples;
mod schema;
mod several;

use super::{MongoDb, MongoOptions};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection, Database};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tenantry_domain::store::Store;

/// A database for one test.
pub(super) struct Fixture {
    pub(super) options: MongoOptions,
    /// The test's own connection.
    client: Client,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::at(tenantry_test_mongod::shared_uri()).await
    }

    /// One on another server than the usual.
    async fn at(uri: String) -> Self {
        let name = format!("test_{:016x}", RandomState::new().hash_one(()));
        let client = Client::with_uri_str(&uri).await.unwrap();
        let options = MongoOptions { tenant_prefix: format!("{name}_"), ..MongoOptions::new(uri, name) };
        Self { options, client }
    }

    /// Another instance of the engine.
    pub(super) async fn open(&self) -> Arc<MongoDb> {
        MongoDb::open(&self.options).await.unwrap()
    }

    async fn open_store(&self) -> Store {
        MongoDb::store(&self.open().await)
    }

    fn database(&self) -> Database {
        self.client.database(&self.options.database)
    }

    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.database().collection(name)
    }

    /// Removes the database and those of its organizations.
    pub(super) async fn remove(self) {
        let names = doc! { "name": { "$regex": format!("^{}", self.options.database) } };
        for name in self.client.list_database_names().filter(names).await.unwrap() {
            self.client.database(&name).drop().await.unwrap();
        }
    }
}
