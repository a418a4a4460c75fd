//! What differs from one placement to another. Each has a file of its own, and nothing outside `placements` asks which
//! one an organization has.
//!
//! What is said here once are the collections of the server's that are the organization's own: those of the placements
//! `collection` and `database`, which differ only in where they are.

use crate::collections::handle::CollectionHandle;
use crate::collections::index_build::{IndexBuild, IndexPlan};
use crate::collections::location::CollectionLocator;
use crate::collections::{indexes, info, removal};
use crate::containers::capacity::ServerCost;
use crate::engine_error::EngineResult;
use crate::full_scan::stored_collection::StoredCollection;
use crate::quota::claim_age::ClaimAge;
use async_trait::async_trait;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{ContainerId, Location, Organization};
use tenantry_domain::store::{CleanupReport, CollectionInfo, InsertOutcome, NewContainer};

/// A placement: containers, and the collections in them. Every organization that is named has this placement.
#[async_trait]
pub(crate) trait PlacementStrategy: CollectionLocator {
    /// What a new container costs the server.
    fn container_cost(&self) -> ServerCost;

    /// What a new collection costs it, and a new index.
    fn collection_cost(&self) -> ServerCost {
        ServerCost::COLLECTION
    }

    fn index_cost(&self) -> ServerCost {
        ServerCost::INDEX
    }

    /// Where the container is, for programs of the organization's own.
    fn location(&self, organization: &Organization) -> Location;

    /// Whether something that is none of ours has the visible name. Only a collection has one.
    async fn is_foreign(&self, _namespace: &str) -> EngineResult<bool> {
        Ok(false)
    }

    async fn create_container(&self, container: &NewContainer) -> EngineResult<Option<ContainerId>>;

    /// Brings the container under another visible name. What is named by the organization's id does not move.
    async fn rename_container(&self, _organization: &Organization, _namespace: &str) -> EngineResult<()> {
        Ok(())
    }

    /// Brings the container back to its visible name, if one that came too late has taken it elsewhere.
    async fn settle_container(&self, _organization: &Organization) -> EngineResult<()> {
        Ok(())
    }

    async fn count_documents(&self, organization: &Organization) -> EngineResult<u64>;

    async fn drop_container(&self, organization: &Organization) -> EngineResult<()>;

    /// Removes what a process left that was killed or overtaken.
    async fn tidy(&self, tidied: &mut CleanupReport) -> EngineResult<()>;

    /// The collections that a caller can name, but for the first one, which is always there; in any order.
    async fn list_collections(&self, organization: &Organization) -> EngineResult<Vec<CollectionName>>;

    /// What an organization has beside these, in any order and with other names among them.
    async fn list_unnamed(&self, organization: &Organization) -> EngineResult<Vec<String>>;

    /// What is in these collections.
    async fn describe_collections(
        &self,
        organization: &Organization,
        names: &[CollectionName],
    ) -> EngineResult<Vec<CollectionInfo>>;

    /// What is in one; `None` if it is gone.
    async fn describe(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Option<CollectionInfo>> {
        info::describe(handle).await
    }

    /// Whether a collection that would be one too many is refused by the write that makes it.
    fn limits_collections(&self) -> bool {
        false
    }

    /// Makes an empty collection, while the claim for it lasts.
    async fn make_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
        claim: ClaimAge,
    ) -> EngineResult<InsertOutcome>;

    /// Removes a collection; whether it was there.
    async fn drop_collection(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<bool> {
        let dropped = removal::drop_collection(handle).await;
        self.invalidate_uuid(handle.organization().id, handle.name());
        dropped
    }

    /// The indexes of a collection that serve, in the order of their names.
    async fn list_indexes(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Index>> {
        indexes::list(handle).await
    }

    /// What is to be done for an index that is asked for.
    async fn plan_index(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<IndexPlan> {
        indexes::plan(handle, index).await
    }

    /// Makes an index for which there is room.
    async fn build_index(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> IndexBuild {
        indexes::build(handle, index).await
    }

    /// Removes an index; whether it was there.
    async fn delete_index(&self, handle: &mut CollectionHandle<'_>, name: &IndexName) -> EngineResult<bool> {
        indexes::delete(handle, name).await
    }

    /// Whether the server is making an index of the organization, no matter who asked for it.
    async fn is_building_index(&self, organization: &Organization) -> EngineResult<bool>;

    /// All collections of the organization, for a transfer, under the names they have.
    async fn list_stored(&self, organization: &Organization) -> EngineResult<Vec<String>>;

    /// One of these, to be read.
    async fn find_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection>;

    /// One of these, to be written; it is listed from now on where collections are listed.
    async fn adopt_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection> {
        self.find_stored(organization, name).await
    }
}
