//! A collection of the placement `shared`, and its indexes, as the organization's container lists them.
//!
//! It is a key that stands in each of its documents. The first one's key is its name; the key of a further one also has a
//! number that is not used again as long as there is the container, so that a document that is written late into a collection
//! that was dropped cannot appear in another of the same name.

use super::index_definition::{keys, specification};
use crate::names::DOCUMENTS;
use crate::record_codec::object_id;
use aws_lc_rs::digest::{SHA256, digest};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use tenantry_documents::index::{Index, IndexName};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::SHARED_INDEXES_MAX;

/// How the names of indexes begin: of those that are common, and of an organization's own.
pub(crate) const COMMON: &str = "common_";
pub(crate) const OWN: &str = "own_";
/// The field of the container with what it keeps of the first collection; that of the further ones, by their names.
const FIRST: &str = "first";
pub(crate) const FURTHER: &str = "collections";
/// Keys of collections that were dropped and may still have documents.
pub(crate) const DROPPED: &str = "dropped";
/// The number of the last further collection.
pub(crate) const LAST: &str = "last_collection";

/// A collection of a share.
#[derive(Debug, Clone)]
pub(crate) struct SharedCollection {
    /// What stands in each of its documents.
    pub(crate) key: String,
    pub(crate) indexes: Vec<SharedIndex>,
}

/// An index of such a collection.
#[derive(Debug, Clone)]
pub(crate) struct SharedIndex {
    /// Tells it from others that have its name at another time.
    pub(crate) id: ObjectId,
    pub(crate) index: Index,
    pub(crate) state: IndexState,
}

/// How far an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexState {
    /// Its entries are being made.
    Building,
    Serving,
    /// It is not to be any more, but may still be there.
    Dropping,
}

impl IndexState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Serving => "serving",
            Self::Dropping => "dropping",
        }
    }
}

impl SharedCollection {
    /// The indexes that serve.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Index> {
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

    pub(crate) fn write(&self) -> Document {
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
pub(crate) fn field_of(name: &CollectionName) -> String {
    if name.is_default() { FIRST.to_owned() } else { format!("{FURTHER}.{name}") }
}

/// The condition that the container still has the collection.
pub(crate) fn has(organization: OrganizationId, name: &CollectionName, key: &str) -> Document {
    let mut filter = of(organization);
    if !name.is_default() {
        filter.insert(format!("{FURTHER}.{name}.key"), key);
    }
    filter
}

/// The condition that the container lists fewer indexes than an organization may have.
pub(crate) fn has_room_for_index() -> Document {
    let number = |list: String| doc! { "$size": { "$ifNull": [list, []] } };
    let further = doc! { "$objectToArray": { "$ifNull": [format!("${FURTHER}"), {}] } };
    let further = doc! { "$map": { "input": further, "in": number("$$this.v.indexes".to_owned()) } };
    let all = doc! { "$add": [number(format!("${FIRST}.indexes")), { "$sum": further }] };
    doc! { "$expr": { "$lt": [all, i64::from(SHARED_INDEXES_MAX)] } }
}

/// Finds the container of an organization.
pub(crate) fn of(organization: OrganizationId) -> Document {
    doc! { "_id": object_id(organization.as_bytes()) }
}

impl SharedIndex {
    /// Whether all organizations that want it have the same one.
    pub(crate) fn is_common(&self) -> bool {
        !self.index.unique && self.index.keys.len() == 1
    }

    /// What it is called on the server.
    pub(crate) fn physical_name(&self) -> String {
        if !self.is_common() {
            return format!("{OWN}{}", self.id);
        }
        let hash = digest(&SHA256, self.index.keys_text().as_bytes());
        let digits: String = hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{COMMON}{digits}")
    }

    pub(crate) fn specification(&self, organization: OrganizationId, key: &str) -> Document {
        let mut all = doc! { "org_id": 1, "collection": 1 };
        all.extend(keys("document.", &self.index));
        let mut specification = specification(&self.physical_name(), all, self.index.unique);
        if !self.is_common() {
            let own = doc! { "org_id": object_id(organization.as_bytes()), "collection": key };
            specification.insert("partialFilterExpression", own);
        }
        specification
    }
}

/// The collections that a container lists.
pub(crate) fn list_in(container: &Document) -> BTreeMap<CollectionName, SharedCollection> {
    let first = SharedCollection::read(container.get_document(FIRST).ok(), DOCUMENTS);
    let further = container.get_document(FURTHER).into_iter().flatten();
    let further = further.filter_map(|(name, fields)| {
        let fields = fields.as_document();
        let key = fields?.get_str("key").ok()?;
        Some((CollectionName::parse(name).ok()?, SharedCollection::read(fields, key)))
    });
    std::iter::once((CollectionName::default(), first)).chain(further).collect()
}
