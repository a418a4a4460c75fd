//! Where a collection of an organization is, and who finds that out: the placement, each in its own way.

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

/// Where a collection was last seen.
#[derive(Debug, Clone)]
pub(crate) struct CollectionLocation {
    pub(crate) database: Database,
    /// The collection of the server that its documents are in.
    pub(crate) namespace: String,
    /// Which one that is; none for the one that many organizations share, which never changes hands.
    pub(crate) uuid: Option<ContainerId>,
    pub(crate) layout: DocumentLayout,
    /// What the container lists of it, where it lists collections.
    pub(crate) shared: Option<SharedCollection>,
}

impl CollectionLocation {
    /// That of a collection of the server's that is the organization's own; `first` is the `_id` of the document that the
    /// container begins with, if it is in this collection.
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

    /// Where the collection is now; `None` if there is no such.
    async fn locate(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Option<CollectionLocation>>;

    /// What is remembered of a collection is wrong.
    fn invalidate_uuid(&self, _organization: OrganizationId, _name: &CollectionName) {}

    /// Whether the collection of that name is the container itself.
    fn is_container(&self, _name: &CollectionName) -> bool {
        false
    }

    /// Whether the collection still has its own name within the organization where the server calls it `namespace`. A
    /// program may have renamed it.
    fn is_called(&self, name: &CollectionName, namespace: &str) -> bool;

    /// Brings a container back to where its record says, if the server has it as `actual` and no operation is moving it.
    async fn look_after_container(&self, _organization: &Organization, _actual: &str) {}

    /// Whether the collection is still what it was when it was located: asked after a write that would make it appear.
    async fn is_current(
        &self,
        _organization: &Organization,
        _name: &CollectionName,
        _location: &CollectionLocation,
    ) -> EngineResult<bool> {
        Ok(true)
    }
}
