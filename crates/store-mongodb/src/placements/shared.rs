//! One set of collections for many organizations: each document has its organization's id, which comes first in every
//! index and, by [`of`] and the layout of documents, in every query.

mod containers;
mod indexes;

use super::strategy::PlacementStrategy;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_build::{IndexBuild, IndexPlan};
use crate::collections::location::{CollectionLocation, CollectionLocator};
use crate::collections::shared_collection::{DROPPED_FIELD, SharedCollection};
use crate::collections::sums::{size_in, sums};
use crate::connection::Connection;
use crate::containers::capacity::ServerCost;
use crate::containers::leftovers::note_leftover;
use crate::documents::layout::DocumentLayout;
use crate::engine_error::EngineResult;
use crate::full_scan::stored_collection::StoredCollection;
use crate::names::{DOCUMENTS, SHARED_DOCUMENTS};
use crate::organization_records::OrganizationRecords;
use crate::quota::claim_age::ClaimAge;
use crate::quota::size::Size;
use crate::record_codec::object_id;
use crate::records::Records;
use async_trait::async_trait;
use containers::SharedContainers;
use indexes::SharedIndexes;
use mongodb::bson::{Bson, Document, doc};
use std::collections::HashMap;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{ContainerId, Location, Organization};
use tenantry_domain::store::{CleanupReport, CollectionInfo, InsertOutcome, NewContainer};
use tenantry_domain::{Error, ErrorCode};

/// See [`self`].
pub(super) struct Shared {
    connection: Connection,
    organizations: OrganizationRecords,
    containers: SharedContainers,
    indexes: SharedIndexes,
    /// The documents of all organizations.
    documents: Records,
}

impl Shared {
    pub(super) fn new(connection: &Connection, organizations: &OrganizationRecords) -> Self {
        let containers = SharedContainers::new(connection);
        Self {
            connection: connection.clone(),
            organizations: organizations.clone(),
            indexes: SharedIndexes::new(connection, containers.clone()),
            documents: Records::new(connection, SHARED_DOCUMENTS),
            containers,
        }
    }

    /// The location of a collection whose entry in the container is `shared`.
    fn location_of(
        &self,
        id: OrganizationId,
        key: String,
        shared: Option<SharedCollection>,
    ) -> CollectionLocation {
        CollectionLocation {
            database: self.connection.database().clone(),
            namespace: SHARED_DOCUMENTS.to_owned(),
            uuid: None,
            layout: DocumentLayout::Shared { organization: object_id(id.as_bytes()), key },
            shared,
        }
    }

    fn stored(&self, id: OrganizationId, key: String) -> StoredCollection {
        StoredCollection::shared(self.documents.collection().clone_with_type(), id, key)
    }

    /// How many documents the organization has in the shared collection.
    async fn count(&self, id: OrganizationId) -> EngineResult<u64> {
        self.connection.call(self.documents.collection().count_documents(of(id))).await
    }

    /// The documents first: while the container exists, it shows that there is still something to do.
    async fn drop_all(&self, id: OrganizationId) -> EngineResult<()> {
        self.documents.delete_all(&of(id)).await?;
        self.indexes.drop_all_of(id).await?;
        self.containers.delete(id).await
    }

    /// Removes the documents of a collection that is no longer listed.
    async fn finish_drop(&self, id: OrganizationId, key: &str) -> EngineResult<()> {
        let documents = doc! { "org_id": object_id(id.as_bytes()), "collection": key };
        self.documents.delete_all(&documents).await?;
        self.containers.forget_dropped(id, key).await
    }

    /// Finishes the drops of a process that died during them.
    async fn finish_drops(&self, id: OrganizationId, container: &Document) -> EngineResult<()> {
        for key in container.get_array(DROPPED_FIELD).into_iter().flatten().filter_map(Bson::as_str) {
            self.finish_drop(id, key).await?;
        }
        Ok(())
    }

    async fn tidy_containers(&self, tidied: &mut CleanupReport) -> EngineResult<()> {
        let mut containers = self.containers.cursor().await?;
        while let Some(container) = self.containers.next(&mut containers).await? {
            let Ok(id) = container.get_object_id("_id") else { continue };
            let id = OrganizationId::from_bytes(id.bytes());
            if self.organizations.exists(id).await? {
                self.finish_drops(id, &container).await?;
                continue;
            }
            let is_empty = self.count(id).await? == 0;
            // An id is used again in this placement only after a time longer than this cleanup takes (`ID_COOLDOWN`).
            if is_empty {
                self.drop_all(id).await?;
            }
            note_leftover(tidied, is_empty, &format!("the shared container of {id}"));
        }
        Ok(())
    }
}

/// Matches the documents of that organization and no others.
fn of(id: OrganizationId) -> Document {
    doc! { "org_id": object_id(id.as_bytes()) }
}

#[async_trait]
impl CollectionLocator for Shared {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn locate(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Option<CollectionLocation>> {
        let shared = self.containers.list_collections(organization.id).await?.remove(name);
        Ok(shared.map(|shared| self.location_of(organization.id, shared.key.clone(), Some(shared))))
    }

    fn is_called(&self, name: &CollectionName, namespace: &str) -> bool {
        namespace == name.as_str()
    }

    async fn is_current(
        &self,
        organization: &Organization,
        name: &CollectionName,
        location: &CollectionLocation,
    ) -> EngineResult<bool> {
        match &location.shared {
            Some(shared) => self.containers.has_collection(organization.id, name, &shared.key).await,
            None => Ok(true),
        }
    }
}

#[async_trait]
impl PlacementStrategy for Shared {
    fn container_cost(&self) -> ServerCost {
        ServerCost::NOTHING
    }

    fn collection_cost(&self) -> ServerCost {
        ServerCost::NOTHING
    }

    /// There are never more indexes than one collection can have, however many organizations ask for one.
    fn index_cost(&self) -> ServerCost {
        ServerCost::NOTHING
    }

    fn location(&self, _organization: &Organization) -> Location {
        let database = self.connection.database().name().to_owned();
        Location { database, collection: SHARED_DOCUMENTS.to_owned() }
    }

    async fn create_container(&self, container: &NewContainer) -> EngineResult<Option<ContainerId>> {
        self.containers.insert(container).await.map(|()| None)
    }

    async fn count_documents(&self, organization: &Organization) -> EngineResult<u64> {
        self.containers.get(organization.id).await?;
        self.count(organization.id).await
    }

    async fn disk_bytes(&self, _: &Organization) -> EngineResult<Option<u64>> {
        Ok(None)
    }

    async fn compact(&self, _: &Organization) -> EngineResult<()> {
        Err(Error::from(ErrorCode::CompactionUnsupported).into())
    }

    async fn drop_container(&self, organization: &Organization) -> EngineResult<()> {
        self.drop_all(organization.id).await
    }

    async fn tidy(&self, tidied: &mut CleanupReport) -> EngineResult<()> {
        self.tidy_containers(tidied).await?;
        self.indexes.tidy().await
    }

    async fn list_collections(&self, organization: &Organization) -> EngineResult<Vec<CollectionName>> {
        Ok(self.containers.list_collections(organization.id).await?.into_keys().collect())
    }

    async fn list_unnamed(&self, organization: &Organization) -> EngineResult<Vec<String>> {
        self.list_stored(organization).await
    }

    async fn describe_collections(
        &self,
        organization: &Organization,
        names: &[CollectionName],
    ) -> EngineResult<Vec<CollectionInfo>> {
        let collections = self.containers.list_collections(organization.id).await?;
        let listed: Vec<_> =
            names.iter().filter_map(|name| collections.get(name).map(|shared| (name, shared))).collect();
        let keys: Vec<&str> = listed.iter().map(|(_, shared)| shared.key.as_str()).collect();
        let (any, location) =
            (CollectionName::default(), self.location_of(organization.id, DOCUMENTS.to_owned(), None));
        let mut handle = CollectionHandle::at(self, organization, &any, location);
        let of_these = doc! {
            "org_id": object_id(organization.id.as_bytes()), "collection": { "$in": keys },
        };
        let bytes = handle.layout().bytes();
        let sum = doc! { "_id": "$collection", "documents": { "$sum": 1 }, "bytes": { "$sum": bytes } };
        let sums = sums(&mut handle, &[doc! { "$match": of_these }, doc! { "$group": sum }]).await?;
        let sums: HashMap<&str, Size> =
            sums.iter().filter_map(|sum| Some((sum.get_str("_id").ok()?, size_in(sum)))).collect();
        let info = |(name, shared): (&CollectionName, &SharedCollection)| {
            let size = sums.get(shared.key.as_str()).copied().unwrap_or_default();
            CollectionInfo {
                name: name.clone(),
                documents: size.documents.unsigned_abs(),
                bytes: size.bytes.unsigned_abs(),
                indexes: u32::try_from(shared.serving().count()).unwrap_or(u32::MAX),
            }
        };
        Ok(listed.into_iter().map(info).collect())
    }

    async fn describe(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Option<CollectionInfo>> {
        let name = [handle.name().clone()];
        Ok(self.describe_collections(handle.organization(), &name).await?.pop())
    }

    fn limits_collections(&self) -> bool {
        true
    }

    async fn make_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
        _claim: ClaimAge,
    ) -> EngineResult<InsertOutcome> {
        self.containers.insert_collection(organization, name).await
    }

    async fn drop_collection(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<bool> {
        let Some(shared) = handle.shared() else { return Ok(false) };
        let id = handle.organization().id;
        if !self.containers.drop_collection(id, handle.name(), &shared.key).await? {
            // Another process has dropped it.
            return Ok(false);
        }
        for index in &shared.indexes {
            self.indexes.drop_index_of(index).await?;
        }
        self.finish_drop(id, &shared.key).await?;
        Ok(true)
    }

    /// The container has just been read.
    async fn list_indexes(&self, handle: &mut CollectionHandle<'_>) -> EngineResult<Vec<Index>> {
        let mut indexes: Vec<Index> =
            handle.shared().into_iter().flat_map(SharedCollection::serving).cloned().collect();
        indexes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(indexes)
    }

    async fn plan_index(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> EngineResult<IndexPlan> {
        self.indexes.plan(handle, index).await
    }

    async fn build_index(&self, handle: &mut CollectionHandle<'_>, index: &Index) -> IndexBuild {
        self.indexes.build(handle, index).await
    }

    async fn delete_index(&self, handle: &mut CollectionHandle<'_>, name: &IndexName) -> EngineResult<bool> {
        self.indexes.delete(handle, name).await
    }

    /// An index belongs to the organization only after it is finished.
    async fn is_building_index(&self, _organization: &Organization) -> EngineResult<bool> {
        Ok(false)
    }

    async fn list_stored(&self, organization: &Organization) -> EngineResult<Vec<String>> {
        let id = organization.id;
        let listed = self.containers.list_collections(id).await?;
        let mut names: Vec<String> = listed.keys().map(ToString::to_string).collect();
        let keys = self.connection.call(self.documents.collection().distinct("collection", of(id))).await?;
        // A program may have created a collection. A key with a number belongs to a dropped collection.
        let unlisted = keys.iter().filter_map(Bson::as_str).filter(|key| !key.contains('.'));
        let unlisted = unlisted.filter(|key| listed.values().all(|shared| shared.key != **key));
        names.extend(unlisted.map(str::to_owned));
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn find_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection> {
        let mut key = name.to_owned();
        if let Ok(name) = CollectionName::parse(name)
            && let Some(shared) = self.containers.list_collections(organization.id).await?.remove(&name)
        {
            key = shared.key;
        }
        Ok(self.stored(organization.id, key))
    }

    async fn adopt_stored(&self, organization: &Organization, name: &str) -> EngineResult<StoredCollection> {
        let key = match CollectionName::parse(name) {
            Ok(name) => self.containers.adopt_collection(organization.id, &name).await?,
            Err(_) => name.to_owned(),
        };
        Ok(self.stored(organization.id, key))
    }
}
