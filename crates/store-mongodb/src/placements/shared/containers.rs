//! The containers of the placement `shared`: a document for each, which lists the organization's collections and their
//! indexes.
//!
//! What a newcomer gets wrong: the list is read for every request. It is the only thing that says whether there is such a
//! collection; nothing of it is remembered. The container of an organization that comes back out of an archive numbers its
//! collections anew: that is why its id rests before (`ID_COOLDOWN`).

use crate::collections::shared_collection::{
    DROPPED, FURTHER, IndexState, LAST, SharedCollection, SharedIndex, field_of, has, has_room_for_index,
    list_in, of,
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

    /// The container of an organization, which must be there.
    pub(super) async fn get(&self, id: OrganizationId) -> EngineResult<Document> {
        let container = self.find(id).await?;
        container.ok_or_else(|| Error::unavailable("the organization has no share").into())
    }

    pub(super) async fn delete(&self, id: OrganizationId) -> EngineResult<()> {
        self.records.call(self.records.collection().delete_one(of(id))).await.map(|_| ())
    }

    /// All containers, one after the other with [`Self::next`].
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
        let further = doc! { "$objectToArray": { "$ifNull": [format!("${FURTHER}"), {}] } };
        let most = integer(most_collections(organization));
        let mut room = of(organization.id);
        room.insert(&field, doc! { "$exists": false });
        // The first one counts, too.
        room.insert("$expr", doc! { "$lt": [{ "$size": further }, most - 1] });
        let next = doc! { "$add": [{ "$ifNull": [format!("${LAST}"), 0_i64] }, 1_i64] };
        let key = doc! { "$concat": [format!("{name}."), { "$toString": format!("${LAST}") }] };
        let update =
            vec![doc! { "$set": { LAST: next } }, doc! { "$set": { &field: { "key": key, "indexes": [] } } }];
        if self.records.call(self.records.collection().update_one(room, update)).await?.matched_count == 1 {
            return Ok(InsertOutcome::New);
        }
        match self.list_collections(organization.id).await?.contains_key(name) {
            true => Ok(InsertOutcome::Exists),
            false => Err(collection_limit_error(organization).into()),
        }
    }

    /// Lists a collection under a key that is its name: documents that come from elsewhere have it. The key it has.
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

    /// Lists a collection no longer, but its key among those that may still have documents; whether it was listed.
    pub(super) async fn drop_collection(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        key: &str,
    ) -> EngineResult<bool> {
        let update = doc! { "$unset": { field_of(name): "" }, "$addToSet": { DROPPED: key } };
        self.update(has(id, name, key), update).await
    }

    /// The documents of a collection that was dropped are gone.
    pub(super) async fn forget_dropped(&self, id: OrganizationId, key: &str) -> EngineResult<()> {
        self.update(of(id), doc! { "$pull": { DROPPED: key } }).await.map(|_| ())
    }

    /// Adds an index to the list of a collection, if it has none of its name or keys; whether it did.
    pub(super) async fn insert_index(
        &self,
        id: OrganizationId,
        name: &CollectionName,
        key: &str,
        entry: &SharedIndex,
    ) -> EngineResult<bool> {
        let list = format!("{}.indexes", field_of(name));
        let mut filter = has(id, name, key);
        let collides =
            doc! { "$or": [{ "name": entry.index.name.as_str() }, { "keys": entry.index.keys_text() }] };
        filter.insert(&list, doc! { "$not": { "$elemMatch": collides } });
        filter.extend(has_room_for_index());
        self.update(filter, doc! { "$push": { &list: entry.write() } }).await
    }

    /// Notes how far an index is, unless it is being dropped; whether it did.
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

    /// Changes the container that `filter` finds; whether it found one.
    async fn update(&self, filter: Document, update: Document) -> EngineResult<bool> {
        let update = self.records.collection().update_one(filter, update);
        Ok(self.records.call(update).await?.matched_count == 1)
    }
}
