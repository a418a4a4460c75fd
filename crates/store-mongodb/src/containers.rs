//! Containers: where each organization's own data is, by placement.

pub(crate) mod capacity;
pub(crate) mod cleanup;
pub(crate) mod leftovers;
pub(crate) mod metadata;
pub(crate) mod namespace;
pub(crate) mod uuid_support;

use crate::collections::collection_schemas::CollectionSchemas;
use crate::placements::Placements;
use crate::quota::usage::UsageRecords;
use async_trait::async_trait;
use capacity::Capacity;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::organization::{ContainerId, Location, Organization, Placement};
use tenantry_domain::store::{self, NewContainer};

/// The placement of new organizations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacementPolicy {
    /// For those that ask for no placement.
    pub(crate) usual: Placement,
    /// Whether these go into the shared placement when the server is full, instead of being refused.
    pub(crate) shared_at_capacity: bool,
}

/// See [`store::Containers`].
pub(crate) struct Containers {
    placements: Placements,
    capacity: Capacity,
    policy: PlacementPolicy,
    /// The usage record of an organization is removed with its container.
    usage: UsageRecords,
    schemas: CollectionSchemas,
}

impl Containers {
    pub(crate) const fn new(
        placements: Placements,
        capacity: Capacity,
        policy: PlacementPolicy,
        usage: UsageRecords,
        schemas: CollectionSchemas,
    ) -> Self {
        Self { placements, capacity, policy, usage, schemas }
    }
}

#[async_trait]
impl store::Containers for Containers {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn choose_placement(&self, asked: Option<Placement>) -> Result<Placement> {
        let wanted = asked.unwrap_or(self.policy.usual);
        if self.capacity.has_room(self.placements.get(wanted).container_cost()).await? {
            return Ok(wanted);
        }
        // A caller that asks for a placement gets an error, and not another placement.
        if asked.is_none() && self.policy.shared_at_capacity {
            Ok(Placement::Shared)
        } else {
            Err(ErrorCode::CapacityReached.into())
        }
    }

    fn locate(&self, organization: &Organization) -> Location {
        self.placements.of(organization).location(organization)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %container.organization_id))]
    async fn create_container(&self, container: &NewContainer) -> Result<Option<ContainerId>> {
        Ok(self.placements.get(container.placement).create_container(container).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn count_documents(&self, organization: &Organization) -> Result<u64> {
        Ok(self.placements.of(organization).count_documents(organization).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn drop_container(&self, organization: &Organization) -> Result<()> {
        self.placements.of(organization).drop_container(organization).await?;
        self.schemas.delete_all_of(organization.id).await?;
        self.usage.delete(organization.id).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn disk_bytes(&self, organization: &Organization) -> Result<Option<u64>> {
        Ok(self.placements.of(organization).disk_bytes(organization).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn compact_container(&self, organization: &Organization) -> Result<()> {
        Ok(self.placements.of(organization).compact(organization).await?)
    }

    fn named(&self) -> Option<&dyn store::NamedContainers> {
        Some(self)
    }
}

#[async_trait]
impl store::NamedContainers for Containers {
    #[tracing::instrument(level = "debug", skip_all)]
    async fn is_foreign(&self, placement: Placement, namespace: &str) -> Result<bool> {
        Ok(self.placements.get(placement).is_foreign(namespace).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn rename_container(&self, organization: &Organization, namespace: &str) -> Result<()> {
        Ok(self.placements.of(organization).rename_container(organization, namespace).await?)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.id))]
    async fn settle_container(&self, organization: &Organization) -> Result<()> {
        Ok(self.placements.of(organization).settle_container(organization).await?)
    }
}
