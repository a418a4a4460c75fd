//! How the placements differ. Each has a file, and nothing outside `placements` asks which one an organization has.
//!
//! The default methods are for collections of the server that are the organization's own: those of the placements
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

/// A placement: containers, and the collections in them. Every organization passed to it has this placement.
#[async_trait]
pub(crate) trait PlacementStrategy: CollectionLocator {
    /// What a new container costs the server.
    fn container_cost(&self) -> ServerCost;

    /// What a new collection costs the server, and a new index.
    fn collection_cost(&self) -> ServerCost {
        ServerCost::COLLECTION
    }

    fn index_cost(&self) -> ServerCost {
        ServerCost::INDEX
    }

    /// Where the container is, for programs of the organization.
    fn location(&self, organization: &Organization) -> Location;

    /// Whether something that is not ours has the container name. Only a collection is found by its name.
    async fn is_foreign(&self, _namespace: &str) -> EngineResult<bool> {
        Ok(false)
    }

    async fn create_container(&self, container: &NewContainer) -> EngineResult<Option<ContainerId>>;

    /// Renames the container. One that is found by the organization's id does not move.
    async fn rename_container(&self, _organization: &Organization, _namespace: &str) -> EngineResult<()> {
        Ok(())
    }

    /// Moves the container back to its name, if a late effect has moved it away.
    async fn settle_container(&self, _organization: &Organization) -> EngineResult<()> {
        Ok(())
    }

    async fn count_documents(&self, organization: &Organization) -> EngineResult<u64>;

    async fn drop_container(&self, organization: &Organization) -> EngineResult<()>;

    /// Removes what a killed or overtaken process left.
    async fn tidy(&self, tidied: &mut CleanupReport) -> EngineResult<()>;

    /// The collections that a caller can name, without the first one, which always exists; in any order.
    async fn list_collections(&self, organization: &Organization) -> EngineResult<Vec<CollectionName>>;

    /// Names of collections that no caller can name; in any order, and others may be among them.
    async fn list_unnamed(&self, organization: &Organization) -> EngineResult<Vec<String>>;

    /// Statistics of these collections.
    async fn describe_collections(
        &self,
        organization: &Organization,
        names: &[CollectionName],
    ) -> EngineResult<Vec<CollectionInfo>>;

    /// Bytes of the container on disk; `None` where other organizations have documents in the same collections.
    async fn disk_bytes(&self, organization: &Organization) -> EngineResult<Option<u64>>;

    /// Gives its free space back.
    async fn compact(&self, organization: &Organization) -> EngineResult<()>;

    /// Statistics of one; `None` if it is gone.
    async fn describe(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Option<CollectionInfo>> {
        info::describe(handle).await
    }

    /// Whether the write that creates a collection refuses one too many.
    fn limits_collections(&self) -> bool {
        false
    }

    /// Creates an empty collection, while the claim for it lasts.
    async fn make_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
        claim: ClaimAge,
    ) -> EngineResult<InsertOutcome>;

    /// Removes a collection; returns whether it existed.
    async fn drop_collection(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<bool> {
        let dropped = removal::drop_collection(handle).await;
        self.invalidate_uuid(handle.organization().id, handle.name());
        dropped
    }

    /// The finished indexes of a collection, in the order of their names.
    async fn list_indexes(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Index>> {
        indexes::list(handle).await
    }

    /// What a request for an index requires.
    async fn plan_index(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<IndexPlan> {
        indexes::plan(handle, index).await
    }

    /// Builds an index for which there is room.
    async fn build_index(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> IndexBuild {
        indexes::build(handle, index).await
    }

    /// Removes an index; returns whether it existed.
    async fn delete_index(&self, handle: &mut CollectionHandle<'_>, name: &IndexName) -> EngineResult<bool> {
        indexes::delete(handle, name).await
    }

    /// Whether the server is building an index of the organization, no matter who asked for it.
    async fn is_building_index(&self, organization: &Organization) -> EngineResult<bool>;

    /// All collections of the organization, for a transfer, under the names they have.
    async fn list_stored(&self, organization: &Organization) -> EngineResult<Vec<String>>;

    /// One of these, to be read.
    async fn find_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection>;

    /// One of these, to be written; from now on it is listed where collections are listed.
    async fn adopt_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection> {
        self.find_stored(organization, name).await
    }
}

/// All collections of the organization that a caller can name, each once: one placement lists the default one among
/// the others, one does not.
pub(crate) async fn all_collections(
    strategy: &dyn PlacementStrategy,
    organization: &Organization,
) -> EngineResult<Vec<CollectionName>> {
    let mut names = strategy.list_collections(organization).await?;
    let default = CollectionName::default();
    if !names.contains(&default) {
        names.insert(0, default);
    }
    Ok(names)
}
