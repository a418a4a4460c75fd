//! Organizations in memory, by id and by identifier.

use super::memory::Memory;
use super::records::Records;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::name::Identifier;
use tenantry_domain::organization::{Organization, Status};
use tenantry_domain::store::{InsertOutcome, OrganizationQuery, Organizations, UpdateOutcome};

/// See [`super`].
pub(super) struct CachedOrganizations {
    inner: Arc<dyn Organizations>,
    records: Arc<Records<OrganizationId, Organization>>,
    memory: Arc<Memory>,
}

impl CachedOrganizations {
    pub(super) fn new(inner: Arc<dyn Organizations>, memory: &Arc<Memory>) -> Self {
        Self { inner, records: Records::new(memory), memory: memory.clone() }
    }

    /// The organization that had this name at the last lookup, if it still has, or recently had, it.
    async fn find_cached(&self, identifier: &Identifier, recent: bool) -> Result<Option<Arc<Organization>>> {
        let Some(holder) = self.memory.holder(&self.memory.identifier(identifier)) else { return Ok(None) };
        let id = OrganizationId::from_bytes(holder);
        let load = || self.inner.get_organization(id);
        let found = match recent {
            true => self.records.get_recent(id, load).await?,
            false => self.records.get(id, load).await?,
        };
        Ok(found.filter(|found| found.is_live() && found.naming.identifier == *identifier))
    }

    /// The organization of that name, from the engine.
    async fn find_uncached(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        let mark = self.records.mark();
        let found = self.inner.find_organization(identifier).await?;
        if let Some(found) = &found {
            self.records.insert_found(found.id, found, mark);
            self.memory.set_holder(self.memory.identifier(identifier), found.id.as_bytes());
        }
        Ok(found)
    }
}

#[async_trait]
impl Organizations for CachedOrganizations {
    async fn insert_organization(&self, organization: &Organization) -> Result<InsertOutcome> {
        self.inner.insert_organization(organization).await
    }

    async fn get_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>> {
        self.records.get(id, || self.inner.get_organization(id)).await
    }

    async fn get_recent_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>> {
        self.records.get_recent(id, || self.inner.get_organization(id)).await
    }

    async fn find_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        match self.find_cached(identifier, false).await? {
            Some(found) => Ok(Some(found)),
            None => self.find_uncached(identifier).await,
        }
    }

    async fn find_recent_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        match self.find_cached(identifier, true).await? {
            Some(found) => Ok(Some(found)),
            None => self.find_uncached(identifier).await,
        }
    }

    async fn find_organization_of_operation(&self, id: OperationId) -> Result<Option<Arc<Organization>>> {
        self.inner.find_organization_of_operation(id).await
    }

    async fn list_organizations(
        &self,
        query: &OrganizationQuery,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        self.inner.list_organizations(query, limit).await
    }

    async fn count_organizations(&self, status: Status) -> Result<u64> {
        self.inner.count_organizations(status).await
    }

    async fn list_organizations_to_purge(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        self.inner.list_organizations_to_purge(now, limit).await
    }

    async fn update_organization(&self, organization: &Organization) -> Result<UpdateOutcome> {
        let (inner, organization) = (self.inner.clone(), organization.clone());
        let id = organization.id;
        self.records.write_one(id, async move { inner.update_organization(&organization).await }).await
    }

    async fn delete_organization(&self, id: OrganizationId, version: u64) -> Result<UpdateOutcome> {
        let inner = self.inner.clone();
        self.records.write_one(id, async move { inner.delete_organization(id, version).await }).await
    }

    async fn claim_operations(&self, owner: &str, limit: u32) -> Result<Vec<Arc<Organization>>> {
        let (inner, owner) = (self.inner.clone(), owner.to_owned());
        let claim = async move { inner.claim_operations(&owner, limit).await };
        self.records.write_some(claim, |claimed| claimed.iter().map(|record| record.id).collect()).await
    }
}
