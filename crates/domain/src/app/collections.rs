//! Collections of an organization's documents, and their indexes.

use super::auth::Auth;
use super::clock_and_entropy::ClockAndEntropy;
use super::tenant::{Read, Shape, TenantAccess};
use crate::collection::CollectionName;
use crate::error::{Error, ErrorCode, Result};
use crate::organization::Usage;
use crate::page::{Page, PageLimit};
use crate::store::{self, CollectionInfo, InsertOutcome, SchemaChange, Store};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::SchemaDefinition;
use tracing::Instrument;

/// The state of a requested index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexBuildState {
    /// It was created and is in use.
    New,
    /// An equal index existed already.
    Exists,
    /// It is still being built. It becomes visible when it is done; if the build fails, it never becomes visible.
    Later,
}

/// Collections and indexes of organizations.
pub struct Collections {
    collections: Arc<dyn store::Collections>,
    containers: Arc<dyn store::Containers>,
    expiries: Arc<dyn store::Expiries>,
    auth: Arc<Auth>,
    sources: ClockAndEntropy,
}

impl Collections {
    pub(super) fn new(store: &Store, auth: &Arc<Auth>, sources: &ClockAndEntropy) -> Self {
        Self {
            collections: store.collections.clone(),
            containers: store.containers.clone(),
            expiries: store.expiries.clone(),
            auth: auth.clone(),
            sources: sources.clone(),
        }
    }

    /// A page of collections, ordered by name.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn list_collections(
        &self,
        tenant: &TenantAccess<Read>,
        after: Option<&CollectionName>,
        limit: PageLimit,
    ) -> Result<Page<CollectionInfo, CollectionName>> {
        let listed = self.collections.list_collections(tenant.organization(), after, limit.items() + 1);
        Ok(Page::of(listed.await?, limit, |info| info.name.clone()))
    }

    /// A collection.
    ///
    /// # Errors
    /// `collection_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn get_collection(
        &self,
        tenant: &TenantAccess<Read>,
        name: &CollectionName,
    ) -> Result<CollectionInfo> {
        let found = self.collections.get_collection(tenant.organization(), name).await?;
        found.ok_or_else(|| ErrorCode::CollectionNotFound.into())
    }

    /// Creates an empty collection.
    ///
    /// # Errors
    /// `collection_exists`, `quota_exceeded`, `capacity_reached`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn create_collection(
        &self,
        tenant: &TenantAccess<Shape>,
        name: &CollectionName,
    ) -> Result<CollectionInfo> {
        // The body may have arrived long after the right was proven.
        let tenant = self.auth.renew(tenant).await?;
        match self.collections.insert_collection(tenant.organization(), name).await? {
            InsertOutcome::New => {
                Ok(CollectionInfo { name: name.clone(), documents: 0, bytes: 0, indexes: 0 })
            }
            InsertOutcome::Exists => Err(ErrorCode::CollectionExists.into()),
        }
    }

    /// Removes a collection with all its documents.
    ///
    /// # Errors
    /// `collection_not_found`, `collection_is_default`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn delete_collection(&self, tenant: &TenantAccess<Shape>, name: &CollectionName) -> Result<()> {
        if name.is_default() {
            return Err(ErrorCode::CollectionIsDefault.into());
        }
        match self.collections.delete_collection(tenant.organization(), name).await? {
            true => Ok(()),
            false => Err(ErrorCode::CollectionNotFound.into()),
        }
    }

    /// The indexes of a collection, ordered by name. There are few.
    ///
    /// # Errors
    /// `collection_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn list_indexes(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
    ) -> Result<Vec<Index>> {
        self.collections.list_indexes(tenant.organization(), collection).await
    }

    /// An index of a collection.
    ///
    /// # Errors
    /// `collection_not_found`, `index_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn get_index(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
        name: &IndexName,
    ) -> Result<Index> {
        let indexes = self.list_indexes(tenant, collection).await?;
        indexes.into_iter().find(|index| index.name == *name).ok_or_else(|| ErrorCode::IndexNotFound.into())
    }

    /// Creates an index, and waits up to `patience` for its build.
    ///
    /// # Errors
    /// `collection_not_found`, `index_exists`, `unique_violation`, `too_many_indexes`, `invalid_input`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn create_index(
        &self,
        tenant: &TenantAccess<Shape>,
        collection: &CollectionName,
        index: &Index,
        patience: Duration,
    ) -> Result<IndexBuildState> {
        // As for a collection.
        let tenant = self.auth.renew(tenant).await?;
        let (collections, organization) = (Arc::clone(&self.collections), tenant.organization().clone());
        let (name, index) = (collection.clone(), index.clone());
        // Before the index is there: after a crash in between, its documents must expire all the same.
        if index.expire_after_seconds.is_some() {
            self.expiries.insert_expiry(organization.id, &name, self.sources.now()).await?;
        }
        // In a task of its own: it continues even if the caller goes away.
        let building = async move {
            let built = collections.insert_index(&organization, &name, &index).await;
            if let Err(error) = &built {
                tracing::info!(organization = %organization.id, %error, "an index build failed");
            }
            built
        };
        let building = tokio::spawn(building.in_current_span());
        match tokio::time::timeout(patience, building).await {
            Err(_) => Ok(IndexBuildState::Later),
            Ok(built) => match built.map_err(Error::internal)?? {
                InsertOutcome::New => Ok(IndexBuildState::New),
                InsertOutcome::Exists => Ok(IndexBuildState::Exists),
            },
        }
    }

    /// Removes an index.
    ///
    /// # Errors
    /// `collection_not_found`, `index_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn delete_index(
        &self,
        tenant: &TenantAccess<Shape>,
        collection: &CollectionName,
        name: &IndexName,
    ) -> Result<()> {
        match self.collections.delete_index(tenant.organization(), collection, name).await? {
            true => Ok(()),
            false => Err(ErrorCode::IndexNotFound.into()),
        }
    }

    /// The schema of a collection.
    ///
    /// # Errors
    /// `collection_not_found`, `schema_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn get_schema(
        &self,
        tenant: &TenantAccess<Read>,
        collection: &CollectionName,
    ) -> Result<Arc<SchemaDefinition>> {
        let schema = self.collections.get_schema(tenant.organization(), collection).await?;
        schema.ok_or_else(|| ErrorCode::SchemaNotFound.into())
    }

    /// Gives a collection a schema, in place of `expected` or of any other. Every write that begins after this has
    /// returned is checked by it, on every instance. Returns whether there was one before.
    ///
    /// # Errors
    /// `collection_not_found`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn set_schema(
        &self,
        tenant: &TenantAccess<Shape>,
        collection: &CollectionName,
        schema: &SchemaDefinition,
        expected: Option<&SchemaDefinition>,
    ) -> Result<bool> {
        // As for a collection.
        let tenant = self.auth.renew(tenant).await?;
        self.change_schema(&tenant, collection, Some(schema), expected).await
    }

    /// Removes the schema of a collection.
    ///
    /// # Errors
    /// `collection_not_found`, `schema_not_found`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn delete_schema(
        &self,
        tenant: &TenantAccess<Shape>,
        collection: &CollectionName,
        expected: Option<&SchemaDefinition>,
    ) -> Result<()> {
        match self.change_schema(tenant, collection, None, expected).await? {
            true => Ok(()),
            false => Err(ErrorCode::SchemaNotFound.into()),
        }
    }

    async fn change_schema(
        &self,
        tenant: &TenantAccess<Shape>,
        collection: &CollectionName,
        schema: Option<&SchemaDefinition>,
        expected: Option<&SchemaDefinition>,
    ) -> Result<bool> {
        let organization = tenant.organization();
        match self.collections.set_schema(organization, collection, schema, expected).await? {
            SchemaChange::Stale => Err(ErrorCode::VersionMismatch.into()),
            SchemaChange::Done { was_there } => {
                // Until then, other instances may go by the schema they have read before.
                tokio::time::sleep(self.collections.schema_delay()).await;
                Ok(was_there)
            }
        }
    }

    /// The usage of an organization, for its members.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn get_usage(&self, tenant: &TenantAccess<Read>) -> Result<Usage> {
        self.collections.get_usage(tenant.organization()).await
    }

    /// Bytes that an organization takes on disk, for its members; `None` where its data is in files with that of others.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn get_disk_bytes(&self, tenant: &TenantAccess<Read>) -> Result<Option<u64>> {
        self.containers.disk_bytes(tenant.organization()).await
    }
}
