//! What the parts of a plan share: what they read, and where conflicts go.

use crate::adopt::layout::Layout;
use crate::adopt::report::{Conflict, ConflictKind};
use crate::adopt::rules::AdoptOptions;
use crate::adopt::values::{id, shown};
use bson::Document;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::ContainerId;

/// A collection of an organization in the source.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::adopt) struct Stored {
    pub(in crate::adopt) database: String,
    pub(in crate::adopt) name: String,
    pub(in crate::adopt) id: Option<ContainerId>,
    /// Its name within the organization.
    pub(in crate::adopt) target: CollectionName,
    /// Whether the organization's documents are in it that have no other collection.
    pub(in crate::adopt) is_container: bool,
    /// The document that only says when the collection was created.
    pub(in crate::adopt) marker: Option<Document>,
}

impl Stored {
    /// The collection as reports show it.
    pub(in crate::adopt) fn path(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }
}

/// What the parts of a plan are made with.
pub(super) struct Planner<'a> {
    /// The name of the database.
    pub(super) source: &'a str,
    pub(super) layout: &'a Layout,
    pub(super) options: &'a AdoptOptions,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) notes: Vec<String>,
}

impl Planner<'_> {
    pub(super) fn conflict(
        &mut self,
        kind: ConflictKind,
        records: impl IntoIterator<Item = String>,
        detail: impl Into<String>,
    ) {
        self.conflicts.push(Conflict::new(kind, records, detail));
    }

    /// Whether the operator leaves that record out.
    pub(super) fn is_skipped(&self, record: &Document) -> bool {
        self.options.rules.skip.contains(&shown(record.get("_id")))
    }
}

/// The id of a record, and how reports show it.
pub(super) fn identity(record: &Document) -> (Option<[u8; 12]>, String) {
    let value = record.get("_id");
    (value.and_then(id), shown(value))
}
