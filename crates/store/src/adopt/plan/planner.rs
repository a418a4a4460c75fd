//! What the parts of a plan share: what they read, and where conflicts go.

use crate::adopt::layout::Layout;
use crate::adopt::lifecycle::Lifecycle;
use crate::adopt::report::{Conflict, ConflictKind};
use crate::adopt::rules::AdoptOptions;
use crate::adopt::values::{id, shown};
use bson::Document;
use std::collections::BTreeMap;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::ContainerId;

/// A collection of an organization in the source.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::adopt) struct OrganizationCollection {
    pub(in crate::adopt) database: String,
    pub(in crate::adopt) name: String,
    pub(in crate::adopt) id: Option<ContainerId>,
    /// Its name within the organization.
    pub(in crate::adopt) target: CollectionName,
    /// Whether the organization's documents are in it that have no other collection.
    pub(in crate::adopt) is_container: bool,
    /// The names of the options that the collection was created with.
    pub(in crate::adopt) options: Vec<String>,
    /// The document that only says when the collection was created.
    pub(in crate::adopt) marker: Option<Document>,
}

impl OrganizationCollection {
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
    /// Fields and values that do not say whether a record is in use, with the records.
    pub(super) unknown_states: BTreeMap<(String, String), Vec<String>>,
    /// Roles that the service does not have, with the accounts.
    pub(super) unknown_roles: BTreeMap<String, Vec<String>>,
}

impl<'a> Planner<'a> {
    pub(super) const fn new(source: &'a str, layout: &'a Layout, options: &'a AdoptOptions) -> Self {
        Self {
            source,
            layout,
            options,
            conflicts: Vec::new(),
            notes: Vec::new(),
            unknown_states: BTreeMap::new(),
            unknown_roles: BTreeMap::new(),
        }
    }

    /// Whether a record is in use. What is not understood becomes a conflict.
    pub(super) fn lifecycle(&mut self, record: &Document, label: &str) -> Lifecycle {
        let lifecycle = Lifecycle::read(record, &self.options.rules.status);
        for unknown in &lifecycle.unknown {
            self.unknown_states.entry(unknown.clone()).or_default().push(label.to_owned());
        }
        lifecycle
    }

    /// Says what was not understood, once for each value.
    pub(super) fn report_unknown(&mut self) {
        for ((field, value), records) in std::mem::take(&mut self.unknown_states) {
            let detail = format!("Whether they are in use is not known: `{field}` is {value:?}.");
            self.conflict(ConflictKind::StatusUnknown, records, detail);
        }
        for (role, accounts) in std::mem::take(&mut self.unknown_roles) {
            self.notes.push(format!(
                "the role {role:?} is not known: it becomes `viewer`, the least (--role {role}=ROLE says otherwise). \
                 Accounts: {}",
                accounts.join(", ")
            ));
        }
    }

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
