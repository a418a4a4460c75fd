//! Identities in memory, by id.

use super::memory::Memory;
use super::records::Records;
use async_trait::async_trait;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::audit::AuditEvent;
use tenantry_domain::identity::Identity;
use tenantry_domain::ids::{AccountId, IdentityId};
use tenantry_domain::store::{BoundedInsert, Identities};

/// See [`super`].
pub(super) struct CachedIdentities {
    inner: Arc<dyn Identities>,
    records: Arc<Records<IdentityId, Identity>>,
}

impl CachedIdentities {
    pub(super) fn new(inner: Arc<dyn Identities>, memory: &Arc<Memory>) -> Self {
        Self { inner, records: Records::new(memory) }
    }
}

#[async_trait]
impl Identities for CachedIdentities {
    async fn insert_identity(
        &self,
        identity: &Identity,
        limit: u32,
        event: Option<&AuditEvent>,
    ) -> Result<BoundedInsert> {
        self.inner.insert_identity(identity, limit, event).await
    }

    async fn get_identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>> {
        self.records.get(id, || self.inner.get_identity(id)).await
    }

    async fn get_recent_identity(&self, id: IdentityId) -> Result<Option<Arc<Identity>>> {
        self.records.get_recent(id, || self.inner.get_identity(id)).await
    }

    async fn list_identities(&self, account_id: AccountId, limit: u32) -> Result<Vec<Arc<Identity>>> {
        self.inner.list_identities(account_id, limit).await
    }

    async fn delete_identity(
        &self,
        id: IdentityId,
        account_id: AccountId,
        event: Option<&AuditEvent>,
    ) -> Result<bool> {
        let (inner, event) = (self.inner.clone(), event.cloned());
        let delete = async move { inner.delete_identity(id, account_id, event.as_ref()).await };
        self.records.write_one(id, delete).await
    }
}
