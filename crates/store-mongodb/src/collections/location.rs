//! Where a collection of an organization is, and the trait by which each placement finds it.

use super::shared_collection::SharedCollection;
use crate::connection::Connection;
use crate::documents::layout::DocumentLayout;
use crate::engine_error::EngineResult;
use async_trait::async_trait;
use mongodb::Database;
use mongodb::bson::oid::ObjectId;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Organization};

/// The last known location of a collection.
#[derive(Debug, Clone)]
pub(crate) struct CollectionLocation {
    pub(crate) database: Database,
    /// The collection of the server that holds its documents.
    pub(crate) namespace: String,
    /// Its UUID; `None` for the collection that many organizations share, which never changes hands.
    pub(crate) uuid: Option<ContainerId>,
    pub(crate) layout: DocumentLayout,
    /// The container's entry for it, in the placement `shared`.
    pub(crate) shared: Option<SharedCollection>,
}

impl CollectionLocation {
    /// The location of a collection of the organization's own; `first` is the `_id` of the container's metadata
    /// document, if it is in this collection.
    pub(crate) fn dedicated(
        database: &Database,
        namespace: String,
        id: ContainerId,
        first: Option<ObjectId>,
    ) -> Self {
        Self {
            database: database.clone(),
            namespace,
            uuid: Some(id),
            layout: DocumentLayout::Plain { first },
            shared: None,
        }
    }
}

/// Finds the collections of organizations of one placement.
#[async_trait]
pub(crate) trait CollectionLocator: Send + Sync {
    fn connection(&self) -> &Connection;

    /// Where the collection is now; `None` if it does not exist.
    async fn locate(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Option<CollectionLocation>>;

    /// Call if the cached UUID of a collection has proved wrong.
    fn invalidate_uuid(&self, _organization: OrganizationId, _name: &CollectionName) {}

    /// Whether the collection of that name is the container itself.
    fn is_container(&self, _name: &CollectionName) -> bool {
        false
    }

    /// Whether the collection whose name on the server is `namespace` still has the name `name` within the
    /// organization. A program may have renamed it.
    fn is_called(&self, name: &CollectionName, namespace: &str) -> bool;

    /// Moves a container back to where its record says, if the server has it at `actual` and no operation is moving
    /// it.
    async fn look_after_container(&self, _organization: &Organization, _actual: &str) {}

    /// Whether the collection is still the one that was located. Ask after a write that would create it.
    async fn is_current(
        &self,
        _organization: &Organization,
        _name: &CollectionName,
        _location: &CollectionLocation,
    ) -> EngineResult<bool> {
        Ok(true)
    }
}
