//! Which collections get other names in an adoption in place, and what stands in its way.

use super::names::{ASIDE_ACCOUNTS, ASIDE_REGISTRY, BETWEEN, UNFINISHED};
use crate::adopt::layout::{Isolation, Layout};
use crate::adopt::plan::{Plan, PlannedOrganization};
use crate::adopt::report::{AdoptError, Conflict, ConflictKind};
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::Error;
use tenantry_domain::organization::ContainerId;
use tenantry_store_mongodb::{JournalEntry, RECORD_COLLECTIONS, SourceCollection};

/// Refuses what cannot be done in place; adds conflicts between names.
pub(in crate::adopt) fn check(
    layout: &Layout,
    plan: &mut Plan,
    collections: &[SourceCollection],
    database: &str,
) -> Result<(), AdoptError> {
    let refuse = |reason: String| Err(AdoptError::NotInPlace { reason });
    if layout.isolation == Isolation::Databases {
        return refuse("Each organization has a database, and MongoDB cannot rename databases.".to_owned());
    }
    let is_record = |name: &str| name == layout.registry || name == layout.accounts;
    let taken =
        |each: &&SourceCollection| RECORD_COLLECTIONS.contains(&each.name.as_str()) && !is_record(&each.name);
    if let Some(taken) = collections.iter().find(taken) {
        return refuse(format!(
            "The collection {database}.{} has a name that the service needs.",
            taken.name
        ));
    }
    let entries = entries(layout, &plan.organizations, collections)?;
    plan.conflicts.extend(find_twice(&entries));
    let moved: BTreeSet<&str> = entries.iter().map(|entry| entry.from.as_str()).collect();
    let fresh = fresh(&plan.organizations);
    let targets: BTreeSet<&str> =
        entries.iter().map(|entry| &entry.to).chain(&fresh).map(String::as_str).collect();
    for SourceCollection { name, .. } in collections {
        let is_ours = name.starts_with(BETWEEN) || name.starts_with(UNFINISHED);
        if is_ours || (targets.contains(name.as_str()) && !moved.contains(name.as_str())) {
            let detail = "The adoption would give another collection that name.";
            plan.conflicts.push(Conflict::new(ConflictKind::NameInUse, [name.clone()], detail));
        }
    }
    Ok(())
}

/// A collection that would get two names, and a name that two would get: the journal has each once.
fn find_twice(entries: &[JournalEntry]) -> Vec<Conflict> {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeMap::new());
    let mut conflicts = Vec::new();
    for entry in entries {
        if !ids.insert(entry.id.0) {
            let detail = "Several organizations have it.";
            conflicts.push(Conflict::new(ConflictKind::SharedCollection, [entry.from.clone()], detail));
        } else if let Some(first) = names.insert(&entry.to, &entry.from) {
            let detail = format!("Both would be called `{}`.", entry.to);
            let both = [first.clone(), entry.from.clone()];
            conflicts.push(Conflict::new(ConflictKind::NameInUse, both, detail));
        }
    }
    conflicts
}

/// The names of the containers that have to be created.
pub(super) fn fresh(organizations: &[PlannedOrganization]) -> Vec<String> {
    let without =
        organizations.iter().filter(|planned| !planned.stored.iter().any(|stored| stored.is_container));
    without.map(|planned| planned.record.naming.namespace.clone()).collect()
}

/// The collections that get other names.
pub(super) fn entries(
    layout: &Layout,
    organizations: &[PlannedOrganization],
    collections: &[SourceCollection],
) -> Result<Vec<JournalEntry>, AdoptError> {
    let ids: BTreeMap<&str, Option<ContainerId>> =
        collections.iter().map(|each| (each.name.as_str(), each.id)).collect();
    let entry = |from: &str, to: String| {
        let id = ids.get(from).copied().flatten();
        let id = id.ok_or_else(|| Error::unavailable(format!("the collection {from} has no UUID")))?;
        Ok::<_, AdoptError>(JournalEntry { id, from: from.to_owned(), to, container_of: None, marker: None })
    };
    let mut entries = vec![
        entry(&layout.registry, ASIDE_REGISTRY.to_owned())?,
        entry(&layout.accounts, ASIDE_ACCOUNTS.to_owned())?,
    ];
    for PlannedOrganization { record, stored, .. } in organizations {
        let namespace = &record.naming.namespace;
        for stored in stored {
            let to = if stored.is_container {
                namespace.clone()
            } else {
                format!("{namespace}.{}", stored.target)
            };
            let container_of = stored.is_container.then_some(record.id);
            let marker = stored.marker.clone();
            entries.push(JournalEntry { container_of, marker, ..entry(&stored.name, to)? });
        }
    }
    Ok(entries)
}
