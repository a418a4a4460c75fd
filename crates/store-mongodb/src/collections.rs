//! Collections of an organization and their indexes.
//!
//! In the placements `collection` and `database` they are collections and indexes of the server, and every command on
//! one carries its UUID ([`handle`]). In the placement `shared` the organization's container lists them.
//!
//! # Pitfalls
//! Programs of the organization create and drop collections and indexes too. So where the server can be asked, it is
//! asked: no list of ours is complete.

pub(crate) mod collection_schemas;
pub(crate) mod command;
pub(crate) mod handle;
pub(crate) mod index_build;
pub(crate) mod index_cache;
pub(crate) mod index_definition;
pub(crate) mod indexes;
pub(crate) mod info;
pub(crate) mod location;
pub(crate) mod metadata_document;
pub(crate) mod removal;
pub(crate) mod scan_hint;
pub(crate) mod shared_collection;
pub(crate) mod space;
pub(crate) mod sums;
pub(crate) mod uuid_cache;

use crate::containers::capacity::Capacity;
use crate::engine_error::EngineResult;
use crate::placements::Placements;
use crate::quota::Quotas;
use crate::quota::claim_age::ClaimAge;
use async_trait::async_trait;
use collection_schemas::CollectionSchemas;
use handle::CollectionHandle;
use index_build::IndexPlan;
use index_cache::IndexCache;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::document::EntryBudget;
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::limits::RECENT_READ_MAX_AGE;
use tenantry_domain::organization::{Organization, Usage};
use tenantry_domain::store::{self, CollectionInfo, InsertOutcome, SchemaChange};

/// How often the creation of an index is tried while others change the indexes of the collection.
const MAX_ATTEMPTS: u32 = 5;

/// See [`store::Collections`].
pub(crate) struct Collections {
    placements: Placements,
    capacity: Capacity,
    quotas: Quotas,
    indexes: IndexCache,
    schemas: CollectionSchemas,
}

impl Collections {
    pub(crate) const fn new(
        placements: Placements,
        capacity: Capacity,
        quotas: Quotas,
        indexes: IndexCache,
        schemas: CollectionSchemas,
    ) -> Self {
        Self { placements, capacity, quotas, indexes, schemas }
    }

    /// Claims a collection, and creates it.
    async fn make_claimed(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<InsertOutcome> {
        let Some(creation) = self.quotas.collections.begin(organization, name).await? else {
            return Ok(InsertOutcome::Exists);
        };
        let strategy = self.placements.of(organization);
        let made = match self.capacity.ensure_room(strategy.collection_cost()).await {
            Ok(()) => strategy.make_collection(organization, name, creation.age()).await,
            Err(error) => Err(error.into()),
        };
        self.quotas.collections.end(organization, creation).await;
        made
    }

    async fn make_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
        budget: EntryBudget,
    ) -> Result<InsertOutcome> {
        let mut handle = self.placements.resolve(organization, name).await?;
        let made = self.claim_and_build(&mut handle, index, budget).await;
        self.indexes.invalidate(&handle);
        self.quotas.index_bytes.invalidate(organization);
        Ok(made?)
    }

    async fn claim_and_build(
        &self,
        handle: &mut CollectionHandle<'_>,
        index: &Index,
        budget: EntryBudget,
    ) -> EngineResult<InsertOutcome> {
        let organization = handle.organization();
        let strategy = self.placements.of(organization);
        for _ in 0..MAX_ATTEMPTS {
            let serving = match strategy.plan_index(handle, index).await? {
                IndexPlan::Settled(settled) => return Ok(settled),
                IndexPlan::Retry => continue,
                IndexPlan::Build { serving } => serving,
            };
            self.capacity.ensure_room(strategy.index_cost()).await?;
            let claim = self.quotas.indexes.begin(handle, &serving, index, budget).await?;
            let build = strategy.build_index(handle, index).await;
            self.quotas.indexes.end(organization, claim, build.outcome).await;
            if let Some(outcome) = build.result? {
                return Ok(outcome);
            }
        }
        Err(Error::unavailable("others keep changing the indexes of the collection").into())
    }
}

#[async_trait]
impl store::Collections for Collections {
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn list_collections(
        &self,
        organization: &Organization,
        after: Option<&CollectionName>,
        limit: u32,
    ) -> Result<Vec<CollectionInfo>> {
        let mut names = self.placements.list_collections(organization).await?;
        names.retain(|name| after.is_none_or(|after| name > after));
        names.truncate(limit as usize);
        Ok(self.placements.of(organization).describe_collections(organization, &names).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn list_unnamed_collections(&self, organization: &Organization) -> Result<Vec<String>> {
        let mut names = self.placements.of(organization).list_unnamed(organization).await?;
        names.retain(|name| CollectionName::parse(name).is_err());
        names.sort();
        Ok(names)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<CollectionInfo>> {
        let mut handle = match self.placements.resolve(organization, name).await {
            Ok(handle) => handle,
            Err(failure) if failure.is_missing_collection() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        Ok(self.placements.of(organization).describe(&mut handle).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<InsertOutcome> {
        if name.is_default() {
            return Ok(InsertOutcome::Exists);
        }
        let strategy = self.placements.of(organization);
        if strategy.limits_collections() {
            return Ok(strategy.make_collection(organization, name, ClaimAge::new()).await?);
        }
        Ok(self.make_claimed(organization, name).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_collection(&self, organization: &Organization, name: &CollectionName) -> Result<bool> {
        if name.is_default() {
            return Err(ErrorCode::CollectionIsDefault.into());
        }
        let was_there = match self.placements.resolve(organization, name).await {
            Ok(mut handle) => {
                let was_there = self.placements.of(organization).drop_collection(&mut handle).await?;
                // If that fails, the schema stays without a collection, and no other one ever has it.
                if let Err(failure) = self.schemas.delete(&handle).await {
                    let error = Error::from(failure);
                    tracing::warn!(organization = %organization.id, %error, "the schema of a dropped collection stays");
                }
                was_there
            }
            Err(failure) if failure.is_missing_collection() => false,
            Err(failure) => return Err(failure.into()),
        };
        self.quotas.index_bytes.invalidate(organization);
        self.quotas.usage.invalidate(organization).await;
        Ok(was_there)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn list_indexes(&self, organization: &Organization, name: &CollectionName) -> Result<Vec<Index>> {
        let mut handle = self.placements.resolve(organization, name).await?;
        Ok(self.placements.of(organization).list_indexes(&mut handle).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn insert_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        self.make_index(organization, name, index, EntryBudget::of_document()).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn restore_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        self.make_index(organization, name, index, EntryBudget::unbounded()).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn delete_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &IndexName,
    ) -> Result<bool> {
        let mut handle = self.placements.resolve(organization, name).await?;
        let was_there = self.placements.of(organization).delete_index(&mut handle, index).await?;
        self.indexes.invalidate(&handle);
        self.quotas.index_bytes.invalidate(organization);
        if was_there {
            self.quotas.usage.invalidate(organization).await;
        }
        Ok(was_there)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        let mut handle = self.placements.resolve(organization, name).await?;
        handle.look_up_again().await?;
        Ok(self.schemas.get(&mut handle).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_recent_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        match self.schemas.recent(organization.id, name) {
            Some(schema) => Ok(schema),
            // By the UUID that is cached: nothing is refused because of a schema before it was read again.
            None => Ok(self.schemas.get(&mut self.placements.resolve(organization, name).await?).await?),
        }
    }

    fn schema_delay(&self) -> Duration {
        RECENT_READ_MAX_AGE
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn set_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
        schema: Option<&SchemaDefinition>,
        expected: Option<&SchemaDefinition>,
    ) -> Result<SchemaChange> {
        let mut handle = self.placements.resolve(organization, name).await?;
        Ok(self.schemas.set(&mut handle, schema, expected).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn get_usage(&self, organization: &Organization) -> Result<Usage> {
        let collections = self.placements.list_collections(organization).await?.len() as u64;
        let size = self.quotas.meter.measure_documents(organization).await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let index_bytes = self.quotas.index_bytes.get(organization).await?;
        Ok(Usage { documents: count(size.documents), bytes: count(size.bytes), collections, index_bytes })
    }
}
