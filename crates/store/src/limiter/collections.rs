//! Collections and indexes, with the concurrency of each organization limited.

use super::tenant::TenantLimiter;
use super::write::Writes;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::SchemaDefinition;
use tenantry_domain::Result;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{Organization, Usage};
use tenantry_domain::store::{CollectionInfo, Collections, InsertOutcome, SchemaChange};

/// See [`super`].
pub(super) struct LimitedCollections {
    inner: Arc<dyn Collections>,
    limiter: Arc<TenantLimiter>,
    writes: Writes,
}

impl LimitedCollections {
    pub(super) fn new(inner: Arc<dyn Collections>, limiter: &Arc<TenantLimiter>, writes: &Writes) -> Self {
        Self { inner, limiter: limiter.clone(), writes: writes.clone() }
    }
}

#[async_trait]
impl Collections for LimitedCollections {
    async fn list_collections(
        &self,
        organization: &Organization,
        after: Option<&CollectionName>,
        limit: u32,
    ) -> Result<Vec<CollectionInfo>> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.list_collections(organization, after, limit).await
    }

    async fn list_unnamed_collections(&self, organization: &Organization) -> Result<Vec<String>> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.list_unnamed_collections(organization).await
    }

    async fn get_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<CollectionInfo>> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.get_collection(organization, name).await
    }

    async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<InsertOutcome> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, name) = (self.inner.clone(), organization.clone(), name.clone());
        self.writes.run(permit, async move { inner.insert_collection(&organization, &name).await }).await
    }

    async fn delete_collection(&self, organization: &Organization, name: &CollectionName) -> Result<bool> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, name) = (self.inner.clone(), organization.clone(), name.clone());
        self.writes.run(permit, async move { inner.delete_collection(&organization, &name).await }).await
    }

    async fn list_indexes(&self, organization: &Organization, name: &CollectionName) -> Result<Vec<Index>> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.list_indexes(organization, name).await
    }

    async fn insert_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        // Without a permit: it may take minutes, and the organization's other calls have to go on.
        self.inner.insert_index(organization, name, index).await
    }

    async fn restore_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &Index,
    ) -> Result<InsertOutcome> {
        self.inner.restore_index(organization, name, index).await
    }

    async fn delete_index(
        &self,
        organization: &Organization,
        name: &CollectionName,
        index: &IndexName,
    ) -> Result<bool> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, name, index) =
            (self.inner.clone(), organization.clone(), name.clone(), index.clone());
        self.writes.run(permit, async move { inner.delete_index(&organization, &name, &index).await }).await
    }

    async fn get_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.get_schema(organization, name).await
    }

    async fn get_recent_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> Result<Option<Arc<SchemaDefinition>>> {
        // Without a permit: it is cached, or one short read; the write that it is for has its own.
        self.inner.get_recent_schema(organization, name).await
    }

    fn schema_delay(&self) -> Duration {
        self.inner.schema_delay()
    }

    async fn set_schema(
        &self,
        organization: &Organization,
        name: &CollectionName,
        schema: Option<&SchemaDefinition>,
        expected: Option<&SchemaDefinition>,
    ) -> Result<SchemaChange> {
        let permit = self.limiter.acquire_write(organization.id).await?;
        let (inner, organization, name) = (self.inner.clone(), organization.clone(), name.clone());
        let (schema, expected) = (schema.cloned(), expected.cloned());
        let set =
            async move { inner.set_schema(&organization, &name, schema.as_ref(), expected.as_ref()).await };
        self.writes.run(permit, set).await
    }

    async fn get_usage(&self, organization: &Organization) -> Result<Usage> {
        let _permit = self.limiter.acquire_read(organization.id).await?;
        self.inner.get_usage(organization).await
    }
}
