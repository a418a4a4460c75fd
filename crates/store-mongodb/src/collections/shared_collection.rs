//! A collection of the placement `shared`, and its indexes, as the organization's container lists them.
//!
//! Each of its documents carries the collection's key. The key of the first collection is its name. The key of any
//! other collection also has a number that is not used again while the container exists. So a document that is
//! written late into a dropped collection cannot appear in another of the same name.

use super::index_definition::{definition, keys};
use crate::names::DOCUMENTS;
use crate::record_codec::object_id;
use aws_lc_rs::digest::{SHA256, digest};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use tenantry_documents::index::{Coverage, Index, IndexName, IndexOptions, PartialFilter};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::SHARED_INDEXES_MAX;

/// Prefixes of index names: of common indexes, of an organization's own, and of those of its own that earlier versions
/// do not know and so must not take for abandoned.
pub(crate) const COMMON_PREFIX: &str = "common_";
pub(crate) const OWN_PREFIX: &str = "own_";
pub(crate) const SPECIAL_PREFIX: &str = "special_";
/// The container's field for the first collection, and the one for the others, by their names.
const FIRST_FIELD: &str = "first";
pub(crate) const EXTRA_FIELD: &str = "collections";
/// Keys of dropped collections that may still have documents.
pub(crate) const DROPPED_FIELD: &str = "dropped";
/// The field of an entry with what earlier versions do not know: without `keys` beside it, they overlook the entry.
const DEFINITION: &str = "definition";
/// The number of the last extra collection.
pub(crate) const LAST_NUMBER_FIELD: &str = "last_collection";

/// A collection of the placement `shared`.
#[derive(Debug, Clone)]
pub(crate) struct SharedCollection {
    /// The key in each of its documents.
    pub(crate) key: String,
    pub(crate) indexes: Vec<SharedIndex>,
}

/// An index of a shared collection.
#[derive(Debug, Clone)]
pub(crate) struct SharedIndex {
    /// Distinguishes it from an index that has the same name at another time.
    pub(crate) id: ObjectId,
    pub(crate) index: Index,
    pub(crate) state: IndexState,
}

/// The state of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexState {
    /// Its entries are being built.
    Building,
    Serving,
    /// It is being dropped, and may still exist.
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
    /// The finished indexes.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Index> {
        let serving = self.indexes.iter().filter(|index| index.state == IndexState::Serving);
        serving.map(|index| &index.index)
    }

    /// The organization's name for an index of the server.
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
        let mut options = IndexOptions::of_all(entry.get_bool("unique").unwrap_or(false));
        let keys = match entry.get_document(DEFINITION).ok() {
            None => entry.get_str("keys").ok()?,
            Some(definition) => {
                options.sparse = definition.get_bool("sparse").unwrap_or(false);
                if let Ok(filter) = definition.get_str("partial_filter") {
                    options.partial_filter = Some(PartialFilter::parse(filter, "").ok()?);
                }
                let seconds = definition.get_i64("expire_after_seconds").ok();
                options.expire_after_seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
                definition.get_str("keys").ok()?
            }
        };
        let states = [IndexState::Building, IndexState::Serving, IndexState::Dropping];
        let state = entry.get_str("state").ok()?;
        Some(Self {
            id: entry.get_object_id("id").ok()?,
            index: Index::parse_with(Some(name), keys, options).ok()?,
            state: states.into_iter().find(|each| each.as_str() == state)?,
        })
    }

    pub(crate) fn write(&self) -> Document {
        let mut entry = doc! {
            "id": self.id,
            "name": self.index.name.as_str(),
            "unique": self.index.unique,
            "state": self.state.as_str(),
        };
        let keys = self.index.keys_text();
        if self.is_plain() {
            entry.insert("keys", keys);
            return entry;
        }
        let mut definition = doc! { "keys": keys };
        match &self.index.coverage {
            Coverage::All => {}
            Coverage::Sparse(_) => _ = definition.insert("sparse", true),
            Coverage::Partial(filter) => _ = definition.insert("partial_filter", filter.text()),
        }
        if let Some(seconds) = self.index.expire_after_seconds {
            definition.insert("expire_after_seconds", i64::from(seconds));
        }
        entry.insert(DEFINITION, definition);
        entry
    }

    /// Whether earlier versions know such an index. They overlook any other: they would use it as one of all documents.
    fn is_plain(&self) -> bool {
        self.index.stored_options().is_plain()
    }
}

/// The container's field for that collection.
pub(crate) fn field_of(name: &CollectionName) -> String {
    if name.is_default() { FIRST_FIELD.to_owned() } else { format!("{EXTRA_FIELD}.{name}") }
}

/// The condition that the container still lists the collection.
pub(crate) fn has(organization: OrganizationId, name: &CollectionName, key: &str) -> Document {
    let mut filter = of(organization);
    if !name.is_default() {
        filter.insert(format!("{EXTRA_FIELD}.{name}.key"), key);
    }
    filter
}

/// The condition that the container lists fewer indexes than an organization may have.
pub(crate) fn has_room_for_index() -> Document {
    let number = |list: String| doc! { "$size": { "$ifNull": [list, []] } };
    let extra = doc! { "$objectToArray": { "$ifNull": [format!("${EXTRA_FIELD}"), {}] } };
    let extra = doc! { "$map": { "input": extra, "in": number("$$this.v.indexes".to_owned()) } };
    let all = doc! { "$add": [number(format!("${FIRST_FIELD}.indexes")), { "$sum": extra }] };
    doc! { "$expr": { "$lt": [all, i64::from(SHARED_INDEXES_MAX)] } }
}

/// Matches the container of an organization.
pub(crate) fn of(organization: OrganizationId) -> Document {
    doc! { "_id": object_id(organization.as_bytes()) }
}

impl SharedIndex {
    /// Whether all organizations that want this index use the same one.
    pub(crate) fn is_common(&self) -> bool {
        !self.index.unique && self.index.keys.len() == 1 && self.is_plain()
    }

    /// Its name on the server.
    pub(crate) fn physical_name(&self) -> String {
        if !self.is_common() {
            let prefix = if self.is_plain() { OWN_PREFIX } else { SPECIAL_PREFIX };
            return format!("{prefix}{}", self.id);
        }
        let hash = digest(&SHA256, self.index.keys_text().as_bytes());
        let digits: String = hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{COMMON_PREFIX}{digits}")
    }

    pub(crate) fn specification(&self, organization: OrganizationId, key: &str) -> Document {
        let mut all = doc! { "org_id": 1, "collection": 1 };
        all.extend(keys("document.", &self.index));
        let covered = (!self.is_common()).then(|| {
            let mut own = doc! { "org_id": object_id(organization.as_bytes()), "collection": key };
            own.extend(
                self.index.coverage.filter().map(|filter| filter.to_mongodb("document.")).unwrap_or_default(),
            );
            own
        });
        definition(&self.physical_name(), all, self.index.unique, covered)
    }
}

/// The condition on an entry that it is in the way of `index`, in the terms of [`SharedIndex::write`].
pub(crate) fn is_in_the_way_of(index: &Index) -> Document {
    let of_definition = |name: &str| format!("{DEFINITION}.{name}");
    // Null also where there is none.
    let (sparse, filter) = match &index.coverage {
        Coverage::All => (Bson::Null, Bson::Null),
        Coverage::Sparse(_) => (true.into(), Bson::Null),
        Coverage::Partial(filter) => (Bson::Null, filter.text().into()),
    };
    let keys = index.keys_text();
    let mut ways = vec![
        doc! { "name": index.name.as_str() },
        doc! {
            of_definition("keys"): &keys,
            of_definition("sparse"): sparse,
            of_definition("partial_filter"): filter,
        },
    ];
    if index.coverage == Coverage::All {
        ways.push(doc! { "keys": keys });
    }
    doc! { "$or": ways }
}

/// The collections that a container lists.
pub(crate) fn list_in(container: &Document) -> BTreeMap<CollectionName, SharedCollection> {
    let first = SharedCollection::read(container.get_document(FIRST_FIELD).ok(), DOCUMENTS);
    let extra = container.get_document(EXTRA_FIELD).into_iter().flatten();
    let extra = extra.filter_map(|(name, fields)| {
        let fields = fields.as_document();
        let key = fields?.get_str("key").ok()?;
        Some((CollectionName::parse(name).ok()?, SharedCollection::read(fields, key)))
    });
    std::iter::once((CollectionName::default(), first)).chain(extra).collect()
}
