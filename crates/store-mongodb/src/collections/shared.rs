//! The collections of a share, and their indexes, as the organization's container lists them.
//!
//! A collection of a share is a key that stands in each of its documents. The first one's key is its name; the key of a
//! further one also has a number that is not used again as long as there is the share, so that a document that is written late
//! into a collection that was dropped cannot appear in another of the same name. The share of an organization that comes
//! back out of an archive counts anew: that is why its id rests before (`ID_REST`). What a newcomer gets wrong: the list is read for every request.
//! It is the only thing that says whether there is such a collection; nothing of it is remembered.

use super::handle::CollectionHandle;
use crate::MongoDb;
use crate::containers::DOCUMENTS;
use crate::document::{integer, object_id};
use crate::documents::layout::DocumentLayout;
use crate::engine_error::EngineResult;
use crate::names::SHARED_DOCUMENTS;
use crate::quota::limits::{collection_limit_error, most_collections};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::SHARED_INDEXES_MAX;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::InsertOutcome;

/// The field of the container with what it keeps of the first collection; that of the further ones, by their names.
const FIRST: &str = "first";
const FURTHER: &str = "collections";
/// Keys of collections that were dropped and may still have documents.
const DROPPED: &str = "dropped";
/// The number of the last further collection.
const LAST: &str = "last_collection";

/// A collection of a share.
#[derive(Debug, Clone)]
pub(crate) struct SharedCollection {
    /// What stands in each of its documents.
    pub(crate) key: String,
    pub(super) indexes: Vec<SharedIndex>,
}

/// An index of such a collection.
#[derive(Debug, Clone)]
pub(super) struct SharedIndex {
    /// Tells it from others that have its name at another time.
    pub(super) id: ObjectId,
    pub(super) index: Index,
    pub(super) state: IndexState,
}

/// How far an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexState {
    /// Its entries are being made.
    Building,
    Serving,
    /// It is not to be any more, but may still be there.
    Dropping,
}

impl IndexState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Serving => "serving",
            Self::Dropping => "dropping",
        }
    }
}

impl SharedCollection {
    /// The indexes that serve.
    pub(super) fn serving(&self) -> impl Iterator<Item = &Index> {
        let serving = self.indexes.iter().filter(|index| index.state == IndexState::Serving);
        serving.map(|index| &index.index)
    }

    /// What an index of the server's is called, for the organization.
    pub(crate) fn name_of(&self, physical: &str) -> Option<&IndexName> {
        let index = self.indexes.iter().find(|index| index.physical_name() == physical);
        index.map(|index| &index.index.name)
    }

    fn read(fields: Option<&Document>, key: &str) -> Self {
        let indexes = fields.and_then(|fields| fields.get_array("indexes").ok()).into_iter().flatten();
        let indexes = indexes.filter_map(Bson::as_document).filter_map(SharedIndex::read).collect();
        Self { key: key.to_owned(), indexes }
    }
}

impl SharedIndex {
    fn read(entry: &Document) -> Option<Self> {
        let name = IndexName::parse(entry.get_str("name").ok()?).ok()?;
        let unique = entry.get_bool("unique").unwrap_or(false);
        let states = [IndexState::Building, IndexState::Serving, IndexState::Dropping];
        let state = entry.get_str("state").ok()?;
        Some(Self {
            id: entry.get_object_id("id").ok()?,
            index: Index::parse(Some(name), entry.get_str("keys").ok()?, unique).ok()?,
            state: states.into_iter().find(|each| each.as_str() == state)?,
        })
    }

    pub(super) fn write(&self) -> Document {
        doc! {
            "id": self.id,
            "name": self.index.name.as_str(),
            "keys": self.index.keys_text(),
            "unique": self.index.unique,
            "state": self.state.as_str(),
        }
    }
}

/// Where the container keeps what it keeps of that collection.
pub(super) fn field_of(name: &CollectionName) -> String {
    if name.is_default() { FIRST.to_owned() } else { format!("{FURTHER}.{name}") }
}

/// The condition that the container still has the collection.
pub(super) fn has(organization: OrganizationId, name: &CollectionName, key: &str) -> Document {
    let mut filter = of(organization);
    if !name.is_default() {
        filter.insert(format!("{FURTHER}.{name}.key"), key);
    }
    filter
}

/// The condition that the container lists fewer indexes than an organization may have.
pub(super) fn has_room_for_index() -> Document {
    let number = |list: String| doc! { "$size": { "$ifNull": [list, []] } };
    let further = doc! { "$objectToArray": { "$ifNull": [format!("${FURTHER}"), {}] } };
    let further = doc! { "$map": { "input": further, "in": number("$$this.v.indexes".to_owned()) } };
    let all = doc! { "$add": [number(format!("${FIRST}.indexes")), { "$sum": further }] };
    doc! { "$expr": { "$lt": [all, i64::from(SHARED_INDEXES_MAX)] } }
}

fn of(organization: OrganizationId) -> Document {
    doc! { "_id": object_id(organization.as_bytes()) }
}

impl MongoDb {
    pub(super) async fn resolve_in_shared<'a>(
        &self,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> EngineResult<Option<CollectionHandle<'a>>> {
        let Some(share) = self.shares(organization).await?.remove(name) else { return Ok(None) };
        let located = self.locate_all_shared(organization, name);
        let organization = object_id(organization.id.as_bytes());
        let form = DocumentLayout::Shared { organization, key: share.key.clone() };
        Ok(Some(CollectionHandle { form, share: Some(share), ..located }))
    }

    /// The collection of the server that all shares are in.
    pub(super) fn locate_all_shared<'a>(
        &self,
        organization: &'a Organization,
        name: &'a CollectionName,
    ) -> CollectionHandle<'a> {
        let form = DocumentLayout::Shared {
            organization: object_id(organization.id.as_bytes()),
            key: DOCUMENTS.to_owned(),
        };
        CollectionHandle {
            organization,
            name,
            database: self.connection.server().database().clone(),
            namespace: SHARED_DOCUMENTS.to_owned(),
            identity: None,
            form,
            share: None,
            again: false,
        }
    }

    /// Whether the collection is still there, with that key: asked after a write that would make it appear.
    pub(crate) async fn is_still_shared(&self, at: &CollectionHandle<'_>) -> EngineResult<bool> {
        let Some(share) = &at.share else { return Ok(true) };
        let find = self.shared_containers.collection().find_one(has(at.organization.id, at.name, &share.key));
        Ok(self.connection.call(find.projection(doc! { "_id": 1 })).await?.is_some())
    }

    /// The collections of an organization, as its container lists them.
    pub(crate) async fn shares(
        &self,
        organization: &Organization,
    ) -> EngineResult<BTreeMap<CollectionName, SharedCollection>> {
        Ok(shares_in(&self.share_of(organization.id).await?))
    }

    async fn share_of(&self, id: OrganizationId) -> EngineResult<Document> {
        let container = self.connection.call(self.shared_containers.collection().find_one(of(id))).await?;
        container.ok_or_else(|| Error::unavailable("the organization has no share").into())
    }

    pub(super) async fn shared_names(
        &self,
        organization: &Organization,
    ) -> EngineResult<Vec<CollectionName>> {
        Ok(self.shares(organization).await?.into_keys().collect())
    }

    pub(super) async fn insert_shared_collection(
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
        if self
            .connection
            .call(self.shared_containers.collection().update_one(room, update))
            .await?
            .matched_count
            == 1
        {
            return Ok(InsertOutcome::New);
        }
        match self.shares(organization).await?.contains_key(name) {
            true => Ok(InsertOutcome::Exists),
            false => Err(collection_limit_error(organization).into()),
        }
    }

    /// Lists a collection under a key that is its name: documents that come from elsewhere have it.
    pub(crate) async fn adopt_shared_collection(
        &self,
        id: OrganizationId,
        name: &CollectionName,
    ) -> EngineResult<String> {
        if !name.is_default() {
            let field = field_of(name);
            let mut missing = of(id);
            missing.insert(&field, doc! { "$exists": false });
            let listed = doc! { "$set": { &field: { "key": name.as_str(), "indexes": [] } } };
            self.connection.call(self.shared_containers.collection().update_one(missing, listed)).await?;
        }
        let share = shares_in(&self.share_of(id).await?).remove(name);
        Ok(share.map_or_else(|| name.to_string(), |share| share.key))
    }

    pub(super) async fn delete_shared_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<bool> {
        let Some(share) = self.shares(organization).await?.remove(name) else { return Ok(false) };
        let update = doc! { "$unset": { field_of(name): "" }, "$addToSet": { DROPPED: &share.key } };
        let filter = has(organization.id, name, &share.key);
        if self
            .connection
            .call(self.shared_containers.collection().update_one(filter, update))
            .await?
            .matched_count
            == 0
        {
            // Somebody else has dropped it.
            return Ok(false);
        }
        for index in &share.indexes {
            self.drop_index_of(index).await?;
        }
        self.finish_drop(organization.id, &share.key).await?;
        Ok(true)
    }

    /// Removes the documents of a collection that is no longer listed.
    async fn finish_drop(&self, id: OrganizationId, key: &str) -> EngineResult<()> {
        let documents = doc! { "org_id": object_id(id.as_bytes()), "collection": key };
        self.shared_documents.delete_all(&documents).await?;
        let update = doc! { "$pull": { DROPPED: key } };
        self.connection.call(self.shared_containers.collection().update_one(of(id), update)).await.map(|_| ())
    }

    /// Finishes what one has begun that died while it dropped collections of a share.
    pub(crate) async fn finish_drops(&self, id: OrganizationId, container: &Document) -> EngineResult<()> {
        for key in container.get_array(DROPPED).into_iter().flatten().filter_map(Bson::as_str) {
            self.finish_drop(id, key).await?;
        }
        Ok(())
    }
}

/// The collections that a container lists.
pub(super) fn shares_in(container: &Document) -> BTreeMap<CollectionName, SharedCollection> {
    let first = SharedCollection::read(container.get_document(FIRST).ok(), DOCUMENTS);
    let further = container.get_document(FURTHER).into_iter().flatten();
    let further = further.filter_map(|(name, fields)| {
        let fields = fields.as_document();
        let key = fields?.get_str("key").ok()?;
        Some((CollectionName::parse(name).ok()?, SharedCollection::read(fields, key)))
    });
    std::iter::once((CollectionName::default(), first)).chain(further).collect()
}
