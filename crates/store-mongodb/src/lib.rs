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
mod connection;
mod containers;
mod document;
mod documents;
mod engine_error;
mod error;
mod full_scan;
mod idempotency;
mod inspect;
mod installation;
mod names;
mod operations;
mod organization_records;
mod organizations;
mod quota;
mod rate_limits;
mod records;
mod schema;
mod sessions;

pub use client::MongoOptions;
pub use error::OpenError;
pub use inspect::{MongoInspection, Topology, inspect_mongodb};

use accounts::Accounts;
use changes::Follower;
use client::Server;
use collections::{CachedIndexes, UuidCache};
use connection::Connection;
use idempotency::IdempotencyKeys;
use installation::Installation;
use operations::Operations;
use organization_records::OrganizationRecords;
use organizations::Organizations;
use quota::usage::UsageRecords;
use rate_limits::RateLimits;
use records::Records;
use schema::StartupError;
use sessions::Sessions;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tenantry_domain::organization::Placement;
use tenantry_domain::processor::Processor;
use tenantry_domain::store::Store;
use tenantry_domain::store::invalidation::Invalidation;

/// How long until the schema is looked at again, when it could not be at start.
const RETRY: Duration = Duration::from_secs(1);

/// The engine.
pub struct MongoDb {
    connection: Connection,
    /// Set where records are kept in memory.
    follower: OnceLock<Follower>,
    organizations: OrganizationRecords,
    accounts: Records,
    sessions: Records,
    operations: Records,
    shared_containers: Records,
    shared_documents: Records,
    tenant_prefix: String,
    placement: Placement,
    max_namespaces: Option<u64>,
    shared_at_capacity: bool,
    capacity: containers::capacity::Capacity,
    usage: UsageRecords,
    identities: UuidCache,
    indexes: CachedIndexes,
    quotas: quota::Quotas,
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
        let connection = Connection::new(Server::new(options).await?);
        let engine = Arc::new(Self {
            follower: OnceLock::new(),
            organizations: OrganizationRecords::new(&connection),
            accounts: Records::new(&connection, names::ACCOUNTS),
            sessions: Records::new(&connection, names::SESSIONS),
            operations: Records::new(&connection, names::OPERATIONS),
            shared_containers: Records::new(&connection, names::SHARED_CONTAINERS),
            shared_documents: Records::new(&connection, names::SHARED_DOCUMENTS),
            tenant_prefix: options.tenant_prefix.clone(),
            placement: options.placement,
            max_namespaces: options.max_namespaces,
            shared_at_capacity: options.shared_at_capacity,
            capacity: containers::capacity::Capacity::default(),
            usage: UsageRecords::new(&connection),
            identities: UuidCache::default(),
            indexes: CachedIndexes::default(),
            quotas: quota::Quotas::default(),
            processor: Arc::default(),
            this: OnceLock::new(),
            connection,
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
        schema::upgrade(self.connection.server()).await?;
        self.check_fence().await?;
        self.connection.set_ready();
        Ok(())
    }

    /// The ports, without a cache.
    #[must_use]
    pub fn store(self: &Arc<Self>) -> Store {
        let connection = &self.connection;
        Store {
            organizations: Arc::new(Organizations::new(self.organizations.clone(), self.usage.clone())),
            accounts: Arc::new(Accounts::new(connection)),
            sessions: Arc::new(Sessions::new(connection)),
            operations: Arc::new(Operations::new(connection)),
            containers: self.clone(),
            collections: self.clone(),
            documents: self.clone(),
            idempotency_keys: Arc::new(IdempotencyKeys::new(connection)),
            rate_limits: Arc::new(RateLimits::new(connection)),
            installation: Arc::new(Installation::new(connection)),
        }
    }

    /// Tells `cache` from now on what other instances change; for the first who asks.
    pub fn follow_changes(&self, cache: Arc<dyn Invalidation>) {
        self.follower.get_or_init(|| Follower::start(self.connection.server().clone(), cache));
    }

    /// Stops following changes and closes the connections.
    pub async fn close(&self) {
        if let Some(follower) = self.follower.get() {
            follower.stop();
        }
        let client = self.connection.database().client().clone();
        if tokio::time::timeout(RETRY, client.shutdown().immediate(true).into_future()).await.is_err() {
            tracing::warn!("the connections to MongoDB could not be closed in order");
        }
    }
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
