//! Indexes of collections of the placement `shared`: they are indexes of the one collection that has all documents.
//!
//! Each begins with the organization and the collection. A non-unique index with one key is common to all
//! organizations that want it. Any other belongs to one organization and covers only the documents of its collection:
//! a unique one must not keep others from writing, and neither must one of several keys, which refuses documents with
//! two arrays.
//!
//! # Pitfalls
//! The name of an organization's own index on the server has the id of its entry in the container, so a late process
//! drops or creates only that index. A common index may be listed at the moment at which it is dropped: the process
//! that drops it checks the lists once more, and creates it again.

use super::containers::SharedContainers;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_build::{BuildOutcome, IndexBuild, IndexPlan};
use crate::collections::index_definition::{INDEX_CONFLICT_CODES, compare, explain_denial};
use crate::collections::indexes::{BUILD_TIMEOUT, INDEX_NOT_FOUND, create};
use crate::collections::shared_collection::{
    COMMON_PREFIX, IndexState, OWN_PREFIX, SPECIAL_PREFIX, SharedCollection, SharedIndex, list_in,
};
use crate::connection::Connection;
use crate::engine_error::{EngineError, EngineResult};
use crate::names::SHARED_DOCUMENTS;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use std::collections::{BTreeMap, BTreeSet};
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::SHARED_INDEXES_MAX;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, ErrorCode};

/// The most indexes of the collection that has all documents. MongoDB allows 64.
const SERVER_INDEXES_MAX: usize = 60;

/// See [`self`].
pub(super) struct SharedIndexes {
    connection: Connection,
    containers: SharedContainers,
}

impl SharedIndexes {
    pub(super) fn new(connection: &Connection, containers: SharedContainers) -> Self {
        Self { connection: connection.clone(), containers }
    }

    /// What a request for an index requires. An index of the same name or keys that is being dropped goes first.
    pub(super) async fn plan(
        &self,
        handle: &mut CollectionHandle<'_>,
        index: &Index,
    ) -> EngineResult<IndexPlan> {
        if let Some(gone) = find_conflict(handle, index) {
            self.drop_entry(handle, &gone).await?;
            handle.refresh().await?;
            return Ok(IndexPlan::Retry);
        }
        let serving: Vec<Index> =
            handle.shared().into_iter().flat_map(SharedCollection::serving).cloned().collect();
        if let Some(settled) = compare(&serving, index)? {
            self.restore_common(handle, index).await?;
            return Ok(IndexPlan::Settled(settled));
        }
        Ok(IndexPlan::Build { serving })
    }

    /// Lists the index and builds it. The result is `None` if another entry has been created meanwhile; the list has
    /// then been read once more.
    pub(super) async fn build(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> IndexBuild {
        let entry = match self.find_or_insert(handle, index).await {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                let refreshed = handle.refresh().await;
                return IndexBuild { outcome: BuildOutcome::NotMade, result: refreshed.map(|()| None) };
            }
            Err(failure) => return IndexBuild { outcome: BuildOutcome::NotMade, result: Err(failure) },
        };
        let built = self.build_entry(handle, &entry).await.map_err(Error::from);
        IndexBuild {
            outcome: BuildOutcome::of(&built),
            result: built.map(|()| Some(InsertOutcome::New)).map_err(EngineError::from),
        }
    }

    /// The entry of an index that is to be built: an earlier process may have died after it added one. `None` if the
    /// list has changed.
    async fn find_or_insert(
        &self,
        handle: &CollectionHandle<'_>,
        index: &Index,
    ) -> EngineResult<Option<SharedIndex>> {
        let Some(shared) = handle.shared() else { return Ok(None) };
        if let Some(begun) = shared.indexes.iter().find(|other| other.index == *index) {
            return Ok(Some(begun.clone()));
        }
        if shared.indexes.iter().any(|other| other.index.is_in_the_way_of(index)) {
            return Err(Error::from(ErrorCode::IndexExists).into());
        }
        let entry = SharedIndex { id: ObjectId::new(), index: index.clone(), state: IndexState::Building };
        let id = handle.organization().id;
        self.check_number_of_own(id).await?;
        self.check_number(&entry).await?;
        let inserted = self.containers.insert_index(id, handle.name(), &shared.key, &entry).await?;
        Ok(inserted.then_some(entry))
    }

    /// Makes sure that a listed index exists: another organization may just have dropped it.
    async fn restore_common(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<()> {
        let entry = handle.shared().into_iter().flat_map(|shared| &shared.indexes);
        let entry = entry.filter(|entry| entry.is_common()).find(|entry| entry.index == *index);
        match entry.cloned() {
            Some(entry) => self.build_entry(handle, &entry).await,
            None => Ok(()),
        }
    }

    /// Refuses an index that would be one too many for the organization.
    async fn check_number_of_own(&self, id: OrganizationId) -> EngineResult<()> {
        let collections = self.containers.list_collections(id).await?;
        let number: usize = collections.values().map(|shared| shared.indexes.len()).sum();
        if number < SHARED_INDEXES_MAX as usize {
            return Ok(());
        }
        let detail = format!(
            "An organization in the placement `shared` may have {SHARED_INDEXES_MAX} indexes in all its collections. \
             Drop one that you do not need, or ask for another placement."
        );
        Err(Error::from(ErrorCode::TooManyIndexes).detail(detail).into())
    }

    /// Refuses an index that would be one too many for the server.
    async fn check_number(&self, entry: &SharedIndex) -> EngineResult<()> {
        let there = self.list_physical().await?;
        if there.len() < SERVER_INDEXES_MAX || there.contains(&entry.physical_name()) {
            return Ok(());
        }
        let detail =
            "The shared collection has as many indexes as MongoDB allows. Ask for another placement.";
        Err(Error::from(ErrorCode::CapacityReached).detail(detail).into())
    }

    async fn list_physical(&self) -> EngineResult<BTreeSet<String>> {
        let documents = self.connection.server().collection(SHARED_DOCUMENTS);
        let names = self.connection.call(documents.list_index_names()).await?;
        Ok(names.into_iter().collect())
    }

    async fn build_entry(&self, handle: &mut CollectionHandle<'_>, entry: &SharedIndex) -> EngineResult<()> {
        let Some(key) = handle.shared().map(|shared| shared.key.clone()) else { return Ok(()) };
        let (id, name) = (handle.organization().id, handle.name());
        match create(handle, &entry.specification(id, &key)).await {
            Ok(_) => {}
            // An older entry has an index of the same keys, which its own drop has not removed yet.
            Err(EngineError::ServerError { code, .. }) if INDEX_CONFLICT_CODES.contains(&code) => {
                self.containers.delete_index(id, name, entry).await?;
                return Err(Error::unavailable("an index of the same keys is still being dropped").into());
            }
            Err(failure) => {
                let refusal = Error::from(explain_denial(failure, &entry.index));
                // After a lost reply the outcome of a build is unknown; the next request for it finds the entry.
                if refusal.code() != ErrorCode::StoreUnavailable {
                    self.containers.delete_index(id, name, entry).await?;
                }
                return Err(refusal.into());
            }
        }
        if !self.containers.update_index(id, name, &key, entry, IndexState::Serving).await? {
            self.drop_index_of(entry).await?;
            return Err(Error::unavailable("the index was dropped while it was made").into());
        }
        Ok(())
    }

    /// Drops an index of a collection; returns whether it existed.
    pub(super) async fn delete(&self, handle: &CollectionHandle<'_>, name: &IndexName) -> EngineResult<bool> {
        let Some(shared) = handle.shared() else { return Ok(false) };
        let Some(entry) = shared.indexes.iter().find(|entry| entry.index.name == *name) else {
            return Ok(false);
        };
        let (id, collection) = (handle.organization().id, handle.name());
        let was_there =
            self.containers.update_index(id, collection, &shared.key, entry, IndexState::Dropping).await?;
        self.drop_entry(handle, entry).await?;
        Ok(was_there)
    }

    /// Finishes the drop of an index in the state [`IndexState::Dropping`].
    async fn drop_entry(&self, handle: &CollectionHandle<'_>, entry: &SharedIndex) -> EngineResult<()> {
        self.drop_own_index(entry).await?;
        self.containers.delete_index(handle.organization().id, handle.name(), entry).await?;
        if entry.is_common() { self.drop_unlisted(&entry.physical_name()).await } else { Ok(()) }
    }

    /// Drops the server's index for an entry that is not listed any more.
    pub(super) async fn drop_index_of(&self, entry: &SharedIndex) -> EngineResult<()> {
        if entry.is_common() {
            return self.drop_unlisted(&entry.physical_name()).await;
        }
        self.drop_own_index(entry).await
    }

    /// Drops the server's index that was created for this entry alone.
    async fn drop_own_index(&self, entry: &SharedIndex) -> EngineResult<()> {
        if entry.is_common() { Ok(()) } else { self.drop_physical(&entry.physical_name()).await }
    }

    /// Drops an index of the server, unless a container lists it. A container that has listed it since may have found
    /// it still in place; it is created again for that one.
    async fn drop_unlisted(&self, name: &str) -> EngineResult<()> {
        if self.list_definitions().await?.contains_key(name) {
            return Ok(());
        }
        self.drop_physical(name).await?;
        match self.list_definitions().await?.remove(name) {
            Some(specification) => self.create_physical(&specification).await,
            None => Ok(()),
        }
    }

    /// The definitions of the indexes that containers list and are not dropping, by their names on the server.
    async fn list_definitions(&self) -> EngineResult<BTreeMap<String, Document>> {
        let mut containers = self.containers.cursor().await?;
        let mut listed = BTreeMap::new();
        while let Some(container) = self.containers.next(&mut containers).await? {
            let Ok(id) = container.get_object_id("_id") else { continue };
            let id = OrganizationId::from_bytes(id.bytes());
            for shared in list_in(&container).values() {
                for entry in shared.indexes.iter().filter(|entry| entry.state != IndexState::Dropping) {
                    listed.insert(entry.physical_name(), entry.specification(id, &shared.key));
                }
            }
        }
        Ok(listed)
    }

    async fn create_physical(&self, specification: &Document) -> EngineResult<()> {
        let create = doc! { "createIndexes": SHARED_DOCUMENTS, "indexes": [specification] };
        let create = self.connection.server().durably(create);
        self.connection
            .call_within(BUILD_TIMEOUT, self.connection.database().run_command(create))
            .await
            .map(|_| ())
    }

    async fn drop_physical(&self, name: &str) -> EngineResult<()> {
        match self.connection.write_command(doc! { "dropIndexes": SHARED_DOCUMENTS, "index": name }).await {
            Ok(()) | Err(EngineError::ServerError { code: INDEX_NOT_FOUND, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Drops an organization's own indexes, before its container is removed.
    pub(super) async fn drop_all_of(&self, id: OrganizationId) -> EngineResult<()> {
        let Some(container) = self.containers.find(id).await? else { return Ok(()) };
        for shared in list_in(&container).values() {
            for entry in &shared.indexes {
                self.drop_own_index(entry).await?;
            }
        }
        Ok(())
    }

    /// Drops the indexes that no organization has any more, and creates missing common ones again. The server's
    /// indexes are listed before the containers: an index is created after its entry.
    pub(super) async fn tidy(&self) -> EngineResult<()> {
        let there = self.list_physical().await?;
        let listed = self.list_definitions().await?;
        let prefixes = [COMMON_PREFIX, OWN_PREFIX, SPECIAL_PREFIX];
        let is_ours = |name: &String| prefixes.iter().any(|prefix| name.starts_with(prefix));
        for name in there.iter().filter(|name| is_ours(name) && !listed.contains_key(*name)) {
            tracing::info!(index = name, "dropping an index that no organization has any more");
            self.drop_unlisted(name).await?;
        }
        for (name, specification) in &listed {
            if name.starts_with(COMMON_PREFIX) && !there.contains(name) {
                self.create_physical(specification).await?;
            }
        }
        Ok(())
    }
}

/// An index of the same name or keys that is being dropped.
fn find_conflict(handle: &CollectionHandle<'_>, index: &Index) -> Option<SharedIndex> {
    let mut all = handle.shared().into_iter().flat_map(|shared| &shared.indexes);
    let dropping =
        all.find(|other| other.state == IndexState::Dropping && other.index.is_in_the_way_of(index));
    dropping.cloned()
}
