//! The containers of the placement `shared`: a document for each, which lists the organization's collections and
//! their indexes.
//!
//! # Pitfalls
//! The list is read for every request. Only the list says whether a collection exists, and it is never cached. The
//! container of an organization that comes back from an archive begins to number its collections from 1 again: that
//! is why its id is not used for a while before (`ID_COOLDOWN`).

use crate::collections::shared_collection::{
    DROPPED_FIELD, EXTRA_FIELD, IndexState, LAST_NUMBER_FIELD, SharedCollection, SharedIndex, field_of, has,
    has_room_for_index, is_in_the_way_of, list_in, of,
};
use crate::connection::Connection;
use crate::containers::metadata::metadata;
use crate::engine_error::EngineResult;
use crate::names::SHARED_CONTAINERS;
use crate::quota::limits::{collection_limit_error, most_collections};
use crate::record_codec::integer;
use crate::records::Records;
use mongodb::Cursor;
use mongodb::bson::{Document, doc};
use mongodb::options::Hint;
use std::collections::BTreeMap;
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{InsertOutcome, NewContainer};

/// See [`self`]. Cheap to clone.
#[derive(Clone)]
pub(super) struct SharedContainers {
    records: Records,
}

impl SharedContainers {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { records: Records::new(connection, SHARED_CONTAINERS) }
    }

    pub(super) async fn insert(&self, container: &NewContainer) -> EngineResult<()> {
        let first = metadata(container.organization_id, container.created_at);
        self.records.insert(first).await.map(|_| ())
    }

    pub(super) async fn find(&self, id: OrganizationId) -> EngineResult<Option<Document>> {
        self.records.call(self.records.collection().find_one(of(id))).await
    }

    /// The container of an organization, which must exist.
    pub(super) async fn get(&self, id: OrganizationId) -> EngineResult<Document> {
        let container = self.find(id).await?;
        container.ok_or_else(|| Error::unavailable("the organization has no shared container").into())
    }

    pub(super) async fn delete(&self, id: OrganizationId) -> EngineResult<()> {
        self.records.call(self.records.collection().delete_one(of(id))).await.map(|_| ())
    }

    /// All containers; [`Self::next`] reads one after the other.
    pub(super) async fn cursor(&self) -> EngineResult<Cursor<Document>> {
        let find = self.records.collection().find(doc! {}).hint(Hint::Name("_id_".to_owned()));
        self.records.call(find).await
    }

    pub(super) async fn next(&self, cursor: &mut Cursor<Document>) -> EngineResult<Option<Document>> {
        self.records.next(cursor).await
    }

    /// The collections of an organization, as its container lists them.
    pub(super) async fn list_collections(
        &self,
        id: OrganizationId,
    ) -> EngineResult<BTreeMap<CollectionName, SharedCollection>> {
        Ok(list_in(&self.get(id).await?))
    }

    /// Whether the container still lists the collection with that key.
    pub(super) async fn has_collection(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        key: &str,
    ) -> EngineResult<bool> {
        self.records.exists(has(id, name, key)).await
    }

    pub(super) async fn insert_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<InsertOutcome> {
        let field = field_of(name);
        let extra = doc! { "$objectToArray": { "$ifNull": [format!("${EXTRA_FIELD}"), {}] } };
        let most = integer(most_collections(organization));
        let mut room = of(organization.id);
        room.insert(&field, doc! { "$exists": false });
        // The first collection counts too.
        room.insert("$expr", doc! { "$lt": [{ "$size": extra }, most - 1] });
        let next = doc! { "$add": [{ "$ifNull": [format!("${LAST_NUMBER_FIELD}"), 0_i64] }, 1_i64] };
        let key = doc! { "$concat": [format!("{name}."), { "$toString": format!("${LAST_NUMBER_FIELD}") }] };
        let update = vec![
            doc! { "$set": { LAST_NUMBER_FIELD: next } },
            doc! { "$set": { &field: { "key": key, "indexes": [] } } },
        ];
        if self.records.call(self.records.collection().update_one(room, update)).await?.matched_count == 1 {
            return Ok(InsertOutcome::New);
        }
        match self.list_collections(organization.id).await?.contains_key(name) {
            true => Ok(InsertOutcome::Exists),
            false => Err(collection_limit_error(organization).into()),
        }
    }

    /// Lists a collection under a key that is its name, as documents written by programs have it. Returns its key.
    pub(super) async fn adopt_collection(
        &self,
        id: OrganizationId,
        name: &CollectionName,
    ) -> EngineResult<String> {
        if !name.is_default() {
            let field = field_of(name);
            let mut missing = of(id);
            missing.insert(&field, doc! { "$exists": false });
            let listed = doc! { "$set": { &field: { "key": name.as_str(), "indexes": [] } } };
            self.update(missing, listed).await?;
        }
        let shared = self.list_collections(id).await?.remove(name);
        Ok(shared.map_or_else(|| name.to_string(), |shared| shared.key))
    }

    /// Moves the key of a collection from the list to the dropped keys, which may still have documents; returns
    /// whether it was listed.
    pub(super) async fn drop_collection(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        key: &str,
    ) -> EngineResult<bool> {
        let update = doc! { "$unset": { field_of(name): "" }, "$addToSet": { DROPPED_FIELD: key } };
        self.update(has(id, name, key), update).await
    }

    /// Call when the documents of a dropped collection are gone.
    pub(super) async fn forget_dropped(&self, id: OrganizationId, key: &str) -> EngineResult<()> {
        self.update(of(id), doc! { "$pull": { DROPPED_FIELD: key } }).await.map(|_| ())
    }

    /// Adds an index to the list of a collection, unless another has its name or keys; returns whether it did.
    pub(super) async fn insert_index(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        key: &str,
        entry: &SharedIndex,
    ) -> EngineResult<bool> {
        let list = format!("{}.indexes", field_of(name));
        let mut filter = has(id, name, key);
        filter.insert(&list, doc! { "$not": { "$elemMatch": is_in_the_way_of(&entry.index) } });
        filter.extend(has_room_for_index());
        self.update(filter, doc! { "$push": { &list: entry.write() } }).await
    }

    /// Sets the state of an index, unless it is being dropped; returns whether it did.
    pub(super) async fn update_index(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        key: &str,
        entry: &SharedIndex,
        state: IndexState,
    ) -> EngineResult<bool> {
        let list = format!("{}.indexes", field_of(name));
        let mut filter = has(id, name, key);
        filter.insert(
            &list,
            doc! { "$elemMatch": { "id": entry.id, "state": { "$ne": IndexState::Dropping.as_str() } } },
        );
        let update = doc! { "$set": { format!("{list}.$.state"): state.as_str() } };
        self.update(filter, update).await
    }

    pub(super) async fn delete_index(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        entry: &SharedIndex,
    ) -> EngineResult<()> {
        let list = format!("{}.indexes", field_of(name));
        let mut filter = of(id);
        filter.insert(format!("{list}.id"), entry.id);
        self.update(filter, doc! { "$pull": { list: { "id": entry.id } } }).await.map(|_| ())
    }

    /// Updates the container that `filter` matches; returns whether one matched.
    async fn update(&self, filter: Document, update: Document) -> EngineResult<bool> {
        let update = self.records.collection().update_one(filter, update);
        Ok(self.records.call(update).await?.matched_count == 1)
    }
}
