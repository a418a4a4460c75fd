//! Organizations in memory, by id and by identifier.

use super::{Bounded, Records, bounded};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tenantry_domain::Result;
use tenantry_domain::ids::{OperationId, OrganizationId};
use tenantry_domain::name::Identifier;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{Inserted, OrganizationQuery, Organizations, Written};

/// See [`super`].
pub(super) struct Cached {
    inner: Arc<dyn Organizations>,
    records: Arc<Records<OrganizationId, Organization>>,
    /// Who was called so when it was last asked. Only a hint: whoever uses it looks whether it is still so.
    by_identifier: Bounded<Identifier, OrganizationId>,
}

impl Cached {
    pub(super) fn new(inner: Arc<dyn Organizations>, record_bytes: u64, identifier_bytes: u64) -> Self {
        Self { inner, records: Records::new(record_bytes), by_identifier: bounded(identifier_bytes) }
    }

    /// The organization that was called so when last asked, if it still is.
    async fn find_remembered(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        let Some(id) = self.by_identifier.get(identifier) else { return Ok(None) };
        let found = self.records.get(id, || self.inner.get_organization(id)).await?;
        Ok(found.filter(|found| found.is_live() && found.naming.identifier == *identifier))
    }
}

#[async_trait]
impl Organizations for Cached {
    async fn insert_organization(&self, organization: &Organization) -> Result<Inserted> {
        self.inner.insert_organization(organization).await
    }

    async fn get_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>> {
        self.records.get(id, || self.inner.get_organization(id)).await
    }

    async fn find_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        if let Some(found) = self.find_remembered(identifier).await? {
            return Ok(Some(found));
        }
        let found = self.inner.find_organization(identifier).await?;
        if let Some(found) = &found {
            self.by_identifier.insert(identifier.clone(), found.id);
        }
        Ok(found)
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

    async fn list_organizations_to_purge(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>> {
        self.inner.list_organizations_to_purge(now, limit).await
    }

    async fn update_organization(&self, organization: &Organization) -> Result<Written> {
        let (inner, organization) = (self.inner.clone(), organization.clone());
        let id = organization.id;
        self.records.write_one(id, async move { inner.update_organization(&organization).await }).await
    }

    async fn delete_organization(&self, id: OrganizationId, version: u64) -> Result<Written> {
        let inner = self.inner.clone();
        self.records.write_one(id, async move { inner.delete_organization(id, version).await }).await
    }

    async fn claim_operations(&self, owner: &str, limit: u32) -> Result<Vec<Arc<Organization>>> {
        let (inner, owner) = (self.inner.clone(), owner.to_owned());
        let claim = async move { inner.claim_operations(&owner, limit).await };
        self.records.write_some(claim, |claimed| claimed.iter().map(|record| record.id).collect()).await
    }
}
