//! API keys in memory, by id.

use super::memory::Memory;
use super::records::Records;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::api_key::{ApiKey, ApiKeyOwner};
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::ids::{ApiKeyId, OrganizationId};
use tenantry_domain::store::{ApiKeys, BoundedInsert, UpdateOutcome};

/// See [`super`].
pub(super) struct CachedApiKeys {
    inner: Arc<dyn ApiKeys>,
    records: Arc<Records<ApiKeyId, ApiKey>>,
}

impl CachedApiKeys {
    pub(super) fn new(inner: Arc<dyn ApiKeys>, memory: &Arc<Memory>) -> Self {
        Self { inner, records: Records::new(memory) }
    }
}

#[async_trait]
impl ApiKeys for CachedApiKeys {
    async fn insert_api_key(
        &self,
        key: &ApiKey,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        self.inner.insert_api_key(key, limit, event).await
    }

    async fn get_api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>> {
        self.records.get(id, || self.inner.get_api_key(id)).await
    }

    async fn get_recent_api_key(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>> {
        self.records.get_recent(id, || self.inner.get_api_key(id)).await
    }

    async fn list_api_keys(
        &self,
        owner: ApiKeyOwner,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<Arc<ApiKey>>> {
        self.inner.list_api_keys(owner, after, limit).await
    }

    async fn update_api_key(&self, key: &ApiKey, event: Option<&AuditEvent>) -> Result<UpdateOutcome> {
        let id = key.id;
        let (inner, key, event) = (self.inner.clone(), key.clone(), event.cloned());
        self.records.write_one(id, async move { inner.update_api_key(&key, event.as_ref()).await }).await
    }

    async fn touch_api_key(&self, id: ApiKeyId, at: Timestamp) -> Result<()> {
        let inner = self.inner.clone();
        self.records.write_one(id, async move { inner.touch_api_key(id, at).await }).await
    }

    async fn delete_api_key(&self, id: ApiKeyId, event: Option<&AuditEvent>) -> Result<bool> {
        let (inner, event) = (self.inner.clone(), event.cloned());
        self.records.write_one(id, async move { inner.delete_api_key(id, event.as_ref()).await }).await
    }

    async fn delete_api_keys_of(&self, organization_id: OrganizationId, limit: u32) -> Result<Vec<ApiKeyId>> {
        let inner = self.inner.clone();
        let delete = async move { inner.delete_api_keys_of(organization_id, limit).await };
        self.records.write_some(delete, Vec::clone).await
    }
}
