//! The engine for more than one machine: the records in one MongoDB database, beside any number of instances
//! of this service.
//!
//! One document per record, and one write per store method, so that a standalone server without transactions
//! keeps every promise. Writes are acknowledged by a majority and from disk; reads see only such writes. What a
//! newcomer gets wrong: nothing here may rest on this process being the only one. What must not be overtaken is
//! in the filter of the write itself.

mod accounts;
mod changes;
mod client;
mod collections;
mod containers;
mod document;
mod documents;
mod engine_error;
mod error;
mod full_scan;
mod idempotency;
mod inspect;
mod installation;
mod operations;
mod organizations;
mod quota;
mod rate_limits;
mod schema;
mod sessions;

pub use client::MongoOptions;
pub use error::OpenError;
pub use inspect::{MongoInspection, Topology, inspect_mongodb};

use changes::Follower;
use client::Server;
use collections::{CachedIndexes, UuidCache};
use document::{decode, integer};
use engine_error::EngineResult;
use mongodb::Collection;
use mongodb::action::Find;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use schema::StartupError;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tenantry_domain::Error;
use tenantry_domain::organization::Placement;
use tenantry_domain::processor::Processor;
use tenantry_domain::store::invalidation::Invalidation;
use tenantry_domain::store::{InsertOutcome, Store, UpdateOutcome};

/// How long until the schema is looked at again, when it could not be at start.
const RETRY: Duration = Duration::from_secs(1);
/// Documents that are removed by one call, so that it ends well within its deadline.
const BATCH: u32 = 1000;

/// The engine; every port is implemented by it, one file per noun.
pub struct MongoDb {
    server: Server,
    /// Set once the schema is what this program needs; until then nothing is read or written.
    ready: OnceLock<()>,
    /// Set where records are kept in memory.
    follower: OnceLock<Follower>,
    organizations: Collection<Document>,
    accounts: Collection<Document>,
    sessions: Collection<Document>,
    operations: Collection<Document>,
    requests: Collection<Document>,
    throttles: Collection<Document>,
    installation: Collection<Document>,
    shared_containers: Collection<Document>,
    shared_documents: Collection<Document>,
    tenant_prefix: String,
    placement: Placement,
    max_namespaces: Option<u64>,
    shared_at_capacity: bool,
    capacity: containers::capacity::Capacity,
    usage: Collection<Document>,
    identities: UuidCache,
    indexes: CachedIndexes,
    quotas: quota::Quotas,
    last_places: idempotency::LastKeyPlaces,
    processor: Arc<Processor>,
    /// Itself, for what goes on when nobody waits for it any more.
    this: OnceLock<Weak<Self>>,
}

impl MongoDb {
    /// Opens the database. A server that cannot be reached now is no reason to refuse: every method answers
    /// `store_unavailable` until it can be.
    ///
    /// # Errors
    /// A sentence for the operator; nothing has been changed then.
    pub async fn open(options: &MongoOptions) -> Result<Arc<Self>, OpenError> {
        let server = Server::new(options).await?;
        let engine = Arc::new(Self {
            ready: OnceLock::new(),
            follower: OnceLock::new(),
            organizations: server.collection(schema::ORGANIZATIONS),
            accounts: server.collection(schema::ACCOUNTS),
            sessions: server.collection(schema::SESSIONS),
            operations: server.collection(schema::OPERATIONS),
            requests: server.collection(schema::REQUESTS),
            throttles: server.collection(schema::THROTTLES),
            installation: server.collection(schema::INSTALLATION),
            shared_containers: server.collection(schema::SHARED_CONTAINERS),
            shared_documents: server.collection(schema::SHARED_DOCUMENTS),
            tenant_prefix: options.tenant_prefix.clone(),
            placement: options.placement,
            max_namespaces: options.max_namespaces,
            shared_at_capacity: options.shared_at_capacity,
            capacity: containers::capacity::Capacity::default(),
            usage: server.collection(schema::USAGE),
            identities: UuidCache::default(),
            indexes: CachedIndexes::default(),
            quotas: quota::Quotas::default(),
            last_places: idempotency::LastKeyPlaces::default(),
            processor: Arc::default(),
            this: OnceLock::new(),
            server,
        });
        let _ = engine.this.set(Arc::downgrade(&engine));
        match engine.get_ready().await {
            Ok(()) => {}
            Err(StartupError::Lasting(refusal)) => return Err(refusal),
            Err(StartupError::Passing(error)) => {
                tracing::error!(%error, "MongoDB cannot be used yet");
                tokio::spawn(keep_getting_ready(Arc::downgrade(&engine)));
            }
        }
        Ok(engine)
    }

    async fn get_ready(&self) -> Result<(), StartupError> {
        schema::upgrade(&self.server).await?;
        self.check_fence().await?;
        // It does not matter whether somebody else was first.
        let _ = self.ready.set(());
        Ok(())
    }

    /// The ports of `engine`, without a cache.
    pub fn store(engine: &Arc<Self>) -> Store {
        Store {
            organizations: engine.clone(),
            accounts: engine.clone(),
            sessions: engine.clone(),
            operations: engine.clone(),
            containers: engine.clone(),
            collections: engine.clone(),
            documents: engine.clone(),
            idempotency_keys: engine.clone(),
            rate_limits: engine.clone(),
            installation: engine.clone(),
        }
    }

    /// Tells `cache` from now on what other instances change; for the first who asks.
    pub fn follow_changes(&self, cache: Arc<dyn Invalidation>) {
        self.follower.get_or_init(|| Follower::start(self.server.clone(), cache));
    }

    /// Stops following changes and closes the connections.
    pub async fn close(&self) {
        if let Some(follower) = self.follower.get() {
            follower.stop();
        }
        let client = self.server.database().client().clone();
        if tokio::time::timeout(RETRY, client.shutdown().immediate(true).into_future()).await.is_err() {
            tracing::warn!("the connections to MongoDB could not be closed in order");
        }
    }

    /// Carries out a call, within the deadline, if the schema is what it should be.
    async fn call<T>(&self, call: impl IntoFuture<Output = mongodb::error::Result<T>>) -> EngineResult<T> {
        self.call_within(self.server.deadline(), call).await
    }

    /// The same within another deadline.
    async fn call_within<T>(
        &self,
        time: Duration,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        if self.ready.get().is_none() {
            return Err(Error::unavailable("MongoDB could not be used since the start").into());
        }
        self.server.within_time(time, call).await
    }

    /// The record that `filter` finds, if any.
    async fn find_one<T: DeserializeOwned>(
        &self,
        collection: &Collection<Document>,
        filter: Document,
    ) -> EngineResult<Option<T>> {
        self.call(collection.find_one(filter)).await?.map(decode).transpose()
    }

    /// Up to `limit` records, as `find` says.
    async fn list<T: DeserializeOwned>(&self, find: Find<'_, Document>, limit: u32) -> EngineResult<Vec<T>> {
        self.documents(find, limit).await?.into_iter().map(decode).collect()
    }

    /// Up to `limit` documents, as `find` says, in one answer.
    async fn documents(&self, find: Find<'_, Document>, limit: u32) -> EngineResult<Vec<Document>> {
        // To MongoDB it would mean "all".
        if limit == 0 {
            return Ok(Vec::new());
        }
        let find = find.limit(i64::from(limit)).batch_size(limit);
        self.call(async {
            let mut cursor = find.await?;
            let mut documents = Vec::new();
            while cursor.advance().await? {
                documents.push(cursor.deserialize_current()?);
            }
            Ok(documents)
        })
        .await
    }

    /// Adds a document; one of the same `_id` is not an error.
    async fn insert(
        &self,
        collection: &Collection<Document>,
        document: Document,
    ) -> EngineResult<InsertOutcome> {
        match self.call(collection.insert_one(document)).await {
            Ok(_) => Ok(InsertOutcome::New),
            Err(failure) if failure.is_same_id() => Ok(InsertOutcome::Exists),
            Err(failure) => Err(failure),
        }
    }

    /// Puts `document` in place of the version before it.
    async fn replace(
        &self,
        collection: &Collection<Document>,
        version: u64,
        document: Document,
    ) -> EngineResult<UpdateOutcome> {
        let filter = doc! { "_id": document.get("_id").cloned(), "version": integer(version) - 1 };
        let result = self.call(collection.replace_one(filter, document)).await?;
        Ok(written(result.matched_count))
    }

    /// Removes a document if it still has that version.
    async fn delete(
        &self,
        collection: &Collection<Document>,
        id: ObjectId,
        version: u64,
    ) -> EngineResult<UpdateOutcome> {
        let filter = doc! { "_id": id, "version": integer(version) };
        Ok(written(self.call(collection.delete_one(filter)).await?.deleted_count))
    }

    /// Removes up to `limit` documents that `filter` finds, also at the moment they are removed; how many it
    /// was, and which were found.
    async fn delete_some(
        &self,
        collection: &Collection<Document>,
        mut filter: Document,
        limit: u32,
    ) -> EngineResult<(u32, Vec<Bson>)> {
        let find = collection.find(filter.clone()).projection(doc! { "_id": 1 });
        let found = self.documents(find, limit).await?;
        let ids: Vec<Bson> = found.into_iter().filter_map(|mut document| document.remove("_id")).collect();
        if ids.is_empty() {
            return Ok((0, ids));
        }
        filter.insert("_id", doc! { "$in": &ids });
        let deleted = self.call(collection.delete_many(filter)).await?.deleted_count;
        Ok((u32::try_from(deleted).unwrap_or(u32::MAX), ids))
    }

    /// Removes all that `filter` finds. Others may do the same at the same time and remove a part of what was found
    /// here, so the end is where nothing is found.
    async fn delete_all(&self, collection: &Collection<Document>, filter: &Document) -> EngineResult<()> {
        while !self.delete_some(collection, filter.clone(), BATCH).await?.1.is_empty() {}
        Ok(())
    }
}

/// What a compare-and-set that met so many documents came to.
fn written(met: u64) -> UpdateOutcome {
    if met == 0 { UpdateOutcome::Stale } else { UpdateOutcome::Done }
}

/// Looks at the schema again and again, until it is what it should be or the engine is gone.
async fn keep_getting_ready(engine: Weak<MongoDb>) {
    loop {
        tokio::time::sleep(RETRY).await;
        let Some(engine) = engine.upgrade() else { return };
        match engine.get_ready().await {
            Ok(()) => {
                tracing::info!("MongoDB can be used");
                return;
            }
            Err(StartupError::Lasting(refusal)) => tracing::error!(%refusal, "MongoDB cannot be used"),
            Err(StartupError::Passing(error)) => tracing::debug!(%error, "MongoDB cannot be used yet"),
        }
    }
}

#[cfg(test)]
mod tests;
