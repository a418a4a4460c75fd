//! The three placements, and which one an organization has. Each has a file; [`strategy`] says how they differ.
//!
//! Every container begins with its metadata document: its `_id` is the organization's id, and it says when the
//! container was created. It is not counted, and it shows which organization the container belongs to.
//!
//! # Pitfalls
//! A process may have been asleep for an hour between any two calls, while others went on without it. So a container
//! is only reached by what never changes hands: the UUIDs of its collections, or in the placement `shared` the
//! organization's id, which is used again there only after a waiting time (`ID_COOLDOWN`).

mod dedicated_collection;
mod dedicated_database;
mod shared;
pub(crate) mod strategy;

use crate::collections::handle::CollectionHandle;
use crate::collections::location::CollectionLocator;
use crate::connection::Connection;
use crate::engine_error::EngineResult;
use crate::organization_records::OrganizationRecords;
use dedicated_collection::DedicatedCollection;
use dedicated_database::DedicatedDatabase;
use shared::Shared;
use std::sync::Arc;
use strategy::PlacementStrategy;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{Organization, Placement};

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Placements {
    dedicated_collection: Arc<DedicatedCollection>,
    dedicated_database: Arc<DedicatedDatabase>,
    shared: Arc<Shared>,
}

impl Placements {
    /// All of them; `tenant_prefix` is the prefix of the names of containers that are collections or databases.
    pub(crate) fn new(
        connection: &Connection,
        organizations: &OrganizationRecords,
        tenant_prefix: &str,
    ) -> Self {
        Self {
            dedicated_collection: Arc::new(DedicatedCollection::new(
                connection,
                organizations,
                tenant_prefix,
            )),
            dedicated_database: Arc::new(DedicatedDatabase::new(connection, organizations, tenant_prefix)),
            shared: Arc::new(Shared::new(connection, organizations)),
        }
    }

    /// The connection that all of them share.
    pub(crate) fn connection(&self) -> &Connection {
        self.shared.connection()
    }

    pub(crate) fn get(&self, placement: Placement) -> &dyn PlacementStrategy {
        match placement {
            Placement::Collection => &*self.dedicated_collection,
            Placement::Database => &*self.dedicated_database,
            Placement::Shared => &*self.shared,
        }
    }

    /// The placement of an organization.
    pub(crate) fn of(&self, organization: &Organization) -> &dyn PlacementStrategy {
        self.get(organization.placement)
    }

    pub(crate) fn all(&self) -> [&dyn PlacementStrategy; 3] {
        Placement::ALL.map(|placement| self.get(placement))
    }

    /// Finds a collection of an organization; `collection_not_found`.
    pub(crate) async fn resolve<'a>(
        &'a self,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> EngineResult<CollectionHandle<'a>> {
        CollectionHandle::resolve(self.of(organization), organization, name).await
    }

    /// The collections of an organization, in the order of their names.
    pub(crate) async fn list_collections(
        &self,
        organization: &Organization,
    ) -> EngineResult<Vec<CollectionName>> {
        let mut names = self.of(organization).list_collections(organization).await?;
        names.push(CollectionName::default());
        names.sort();
        names.dedup();
        Ok(names)
    }
}
