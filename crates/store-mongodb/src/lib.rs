//! The engine for more than one machine: the records in one MongoDB database, beside any number of instances of this
//! service.
//!
//! One document per record, and one write per store method, so that a standalone server without transactions keeps
//! every promise; only a batch that a caller has asked for is a transaction (`documents/batch.rs`). Writes are acknowledged
//! by a majority and from disk; reads return only such writes.
//!
//! # Pitfalls
//! Nothing may rely on this process being the only one. A condition that others must not invalidate goes into the
//! filter of the write itself.

mod accounts;
mod adoption;
mod api_keys;
mod audit;
mod changes;
mod client;
mod collections;
mod connection;
mod containers;
mod documents;
mod engine_error;
mod error;
mod expiries;
mod full_scan;
mod idempotency;
mod identities;
mod inspect;
mod installation;
mod invitations;
mod mails;
mod names;
mod operations;
mod organization_records;
mod organizations;
mod placements;
mod quota;
mod rate_limits;
mod record_codec;
mod records;
mod schema;
mod sessions;
mod slots;

pub use adoption::{
    Journal, JournalEntry, LockPlace, RECORD_COLLECTIONS, RunLock, SourceCollection, SourceDatabase,
    SourceIndexes, is_marker,
};
pub use client::MongoOptions;
pub use error::OpenError;
pub use inspect::{MongoInspection, Topology, has_data, inspect_mongodb};

/// What each step of the schema changes, from version to version.
pub const MONGODB_SCHEMA_STEPS: &[&str] = &schema::STEP_TEXTS;

use accounts::Accounts;
use api_keys::ApiKeys;
use audit::Audit;
use client::Server;
use collections::Collections;
use collections::collection_schemas::CollectionSchemas;
use collections::index_cache::IndexCache;
use connection::{Connection, WeakConnection};
use containers::capacity::Capacity;
use containers::cleanup::Cleanup;
use containers::uuid_support::require_uuid_support;
use containers::{Containers, PlacementPolicy};
use documents::Documents;
use expiries::Expiries;
use full_scan::FullScan;
use idempotency::IdempotencyKeys;
use identities::Identities;
use installation::Installation;
use invitations::Invitations;
use mails::Mails;
use operations::Operations;
use organization_records::OrganizationRecords;
use organizations::Organizations;
use placements::Placements;
use quota::Quotas;
use quota::usage::UsageRecords;
use rate_limits::RateLimits;
use schema::StartupError;
use sessions::Sessions;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::Result;
use tenantry_domain::organization::Placement;
use tenantry_domain::store::invalidation::Invalidation;
use tenantry_domain::store::{CleanupReport, Store, full_scan as port};

/// The delay before the schema is checked again, if that failed.
const SCHEMA_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The engine: it connects, owns the connection, and hands out the ports.
pub struct MongoDb {
    connection: Connection,
    store: Store,
    full_scan: Arc<FullScan>,
    cleanup: Cleanup,
}

impl MongoDb {
    /// Opens the database. A server that cannot be reached now is no error: every method returns `store_unavailable`
    /// until it can be reached.
    ///
    /// # Errors
    /// A sentence for the operator; nothing has been changed then.
    pub async fn open(options: &MongoOptions) -> Result<Arc<Self>, OpenError> {
        let connection = Connection::new(Server::new(options).await?);
        match get_ready(&connection, options.placement).await {
            Ok(()) => {}
            Err(StartupError::Lasting(refusal)) => return Err(refusal),
            Err(StartupError::Passing(error)) => {
                tracing::error!(%error, "MongoDB cannot be used yet");
                tokio::spawn(keep_getting_ready(connection.downgrade(), options.placement));
            }
        }
        Ok(Arc::new(Self::new(connection, options)))
    }

    fn new(connection: Connection, options: &MongoOptions) -> Self {
        let organizations = OrganizationRecords::new(&connection);
        let usage = UsageRecords::new(&connection);
        let placements = Placements::new(&connection, &organizations, &options.tenant_prefix);
        let quotas = Quotas::new(usage.clone(), &placements);
        let indexes = IndexCache::new(placements.clone());
        let schemas = CollectionSchemas::new(&connection);
        let capacity = Capacity::new(connection.server(), options.max_namespaces);
        let policy =
            PlacementPolicy { usual: options.placement, shared_at_capacity: options.shared_at_capacity };
        let documents = Documents::new(placements.clone(), &quotas, indexes.clone());
        let containers =
            Containers::new(placements.clone(), capacity.clone(), policy, usage.clone(), schemas.clone());
        let store = Store {
            organizations: Arc::new(Organizations::new(organizations.clone(), usage.clone())),
            accounts: Arc::new(Accounts::new(&connection)),
            sessions: Arc::new(Sessions::new(&connection)),
            api_keys: Arc::new(ApiKeys::new(&connection)),
            invitations: Arc::new(Invitations::new(&connection)),
            mails: Arc::new(Mails::new(&connection)),
            identities: Arc::new(Identities::new(&connection)),
            expiries: Arc::new(Expiries::new(&connection)),
            operations: Arc::new(Operations::new(&connection)),
            audit: Arc::new(Audit::new(&connection)),
            containers: Arc::new(containers),
            collections: Arc::new(Collections::new(placements.clone(), capacity, quotas, indexes, schemas)),
            documents: Arc::new(documents),
            idempotency_keys: Arc::new(IdempotencyKeys::new(&connection)),
            rate_limits: Arc::new(RateLimits::new(&connection)),
            installation: Arc::new(Installation::new(&connection)),
        };
        Self {
            store,
            full_scan: Arc::new(FullScan::new(&connection, placements.clone())),
            cleanup: Cleanup::new(placements, organizations, usage),
            connection,
        }
    }

    /// The ports, without a cache.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Everything that it keeps, for a transfer.
    #[must_use]
    pub fn full_scan(&self) -> Arc<dyn port::FullScan> {
        self.full_scan.clone()
    }

    /// Removes what a crash has left half done, and counts containers that no organization refers to.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn tidy(&self) -> Result<CleanupReport> {
        self.cleanup.tidy().await
    }

    /// From now on, invalidates `cache` when other instances write. Only the first call has an effect.
    pub fn follow_changes(&self, cache: Arc<dyn Invalidation>) {
        self.connection.follow_changes(cache);
    }

    /// Stops following changes and closes the connections.
    pub async fn close(&self) {
        self.connection.stop_following();
        let client = self.connection.database().client().clone();
        if tokio::time::timeout(SCHEMA_RETRY_DELAY, client.shutdown().immediate(true).into_future())
            .await
            .is_err()
        {
            tracing::warn!("the connections to MongoDB could not be closed in order");
        }
    }
}

/// Allows calls once the schema is up to date.
async fn get_ready(connection: &Connection, placement: Placement) -> Result<(), StartupError> {
    schema::upgrade(connection.server()).await?;
    require_uuid_support(connection.server(), placement).await?;
    connection.set_ready();
    Ok(())
}

/// Checks the schema again and again, until it is up to date or the engine is dropped.
async fn keep_getting_ready(connection: WeakConnection, placement: Placement) {
    loop {
        tokio::time::sleep(SCHEMA_RETRY_DELAY).await;
        let Some(connection) = connection.upgrade() else { return };
        match get_ready(&connection, placement).await {
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
