//! Where the data of each organization is in the source.

use super::organizations::Candidate;
use super::planner::{OrganizationCollection, Planner};
use crate::adopt::layout::Isolation;
use crate::adopt::report::{Conflict, ConflictKind};
use crate::adopt::values::text;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_store_mongodb::{RECORD_COLLECTIONS, SourceCollection};

/// Prefixes of the names of containers.
const PREFIXES: [&str; 2] = ["org_", "tenant_"];

impl Planner<'_> {
    /// The collections of each organization, in the order of the candidates.
    pub(super) fn containers(&mut self, candidates: &[Candidate]) -> Vec<Vec<OrganizationCollection>> {
        let names: Vec<Option<String>> = candidates
            .iter()
            .map(|each| self.container_of(each.container.as_deref(), each.source_name.as_deref()))
            .collect();
        self.find_shared(candidates, &names);
        let skipped = self.skipped_containers();
        let owners = Owners::new(names.iter().flatten().chain(&skipped), self.layout.isolation);
        self.find_orphans(&names, &owners);
        let mut all = Vec::with_capacity(candidates.len());
        for (candidate, name) in candidates.iter().zip(&names) {
            let stored = name.as_ref().map(|name| self.stored(name, &owners)).unwrap_or_default();
            if stored.is_empty() && candidate.record.is_some() {
                self.note_without_documents(&candidate.label, name.as_deref());
            }
            all.push(stored);
        }
        all
    }

    fn note_without_documents(&mut self, label: &str, name: Option<&str>) {
        let Some(name) = name else {
            return self.notes.push(format!("{label}: it has no documents"));
        };
        let leave = &self.options.rules.leave;
        if self.is_of_records(name) && !leave.contains(name) {
            let path = format!("{}.{name}", self.source);
            let detail = format!(
                "It has the records of the old service, and {label} names it as its own. If that organization has no \
                 documents, leave it where it is (--leave NAME)."
            );
            return self.conflict(ConflictKind::CollectionRefused, [path], detail);
        }
        let why = if !self.exists(name) && !self.is_of_records(name) {
            "does not exist"
        } else if leave.contains(name) {
            "is left where it is"
        } else {
            "has no collection that is adopted"
        };
        self.notes.push(format!("{label}: it has no documents ({name} {why})"));
    }

    /// Whether it is the collection of the organizations or of the accounts.
    fn is_of_records(&self, name: &str) -> bool {
        self.layout.isolation == Isolation::Collections
            && (name == self.layout.registry || name == self.layout.accounts)
    }

    /// The name of its collection or database: as its record says, or as programs of that layout make it of its name.
    fn container_of(&self, container: Option<&str>, source_name: Option<&str>) -> Option<String> {
        if let Some(container) = container {
            return Some(container.to_owned());
        }
        let name = source_name?.to_lowercase();
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let slug = words.collect::<Vec<_>>().join("_");
        let derived = PREFIXES.map(|prefix| format!("{prefix}{slug}"));
        derived.into_iter().find(|name| self.exists(name))
    }

    fn exists(&self, name: &str) -> bool {
        match self.layout.isolation {
            Isolation::Collections => self.layout.collections.iter().any(|each| each.name == name),
            Isolation::Databases => self.layout.databases.iter().any(|each| each == name),
        }
    }

    fn find_shared(&mut self, candidates: &[Candidate], names: &[Option<String>]) {
        let mut by_name: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (candidate, name) in candidates.iter().zip(names) {
            if let Some(name) = name {
                by_name.entry(name).or_default().push(candidate.label.clone());
            }
        }
        for (name, labels) in by_name.into_iter().filter(|(_, labels)| labels.len() > 1) {
            self.conflict(ConflictKind::SharedCollection, labels, format!("All have `{name}`."));
        }
    }

    /// Collections and databases with the prefix of containers that no organization has.
    fn find_orphans(&mut self, names: &[Option<String>], owners: &Owners<'_>) {
        let named: BTreeSet<&str> = names.iter().flatten().map(String::as_str).collect();
        let prefixes: Vec<&str> = PREFIXES.into_iter().chain(common_prefix(&named)).collect();
        let listed: Vec<String> = match self.layout.isolation {
            Isolation::Collections => self.layout.collections.iter().map(|each| each.name.clone()).collect(),
            Isolation::Databases => self.layout.databases.clone(),
        };
        for name in listed {
            if owners.owner_of(&name).is_some()
                || self.options.rules.leave.contains(&name)
                || self.is_ours(&name)
            {
                continue;
            }
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                self.conflict(
                    ConflictKind::CollectionWithoutOrganization,
                    [name],
                    "No organization names it.",
                );
            } else if self.layout.isolation == Isolation::Collections
                && !RECORD_COLLECTIONS.contains(&name.as_str())
            {
                self.notes
                    .push(format!("the collection {name} is not of an organization, and stays where it is"));
            }
        }
    }

    /// Whether it is the database of an organization of this service, of any installation on the server.
    fn is_ours(&self, name: &str) -> bool {
        let id = name.strip_prefix(&self.options.tenant_prefix);
        self.layout.isolation == Isolation::Databases
            && id.is_some_and(|id| id.parse::<OrganizationId>().is_ok())
    }

    /// The containers of organizations that are left out.
    fn skipped_containers(&self) -> Vec<String> {
        let (name, container) = (&self.layout.name, self.layout.container.as_ref());
        let records = self.layout.organization_records.iter().filter(|record| self.is_skipped(record));
        let containers = records.filter_map(|record| {
            let container = container.and_then(|field| text(record.get(&field.name)?));
            self.container_of(container, record.get(&name.name).and_then(text))
        });
        containers.collect()
    }

    fn stored(&mut self, container: &str, owners: &Owners<'_>) -> Vec<OrganizationCollection> {
        let leave = &self.options.rules.leave;
        let mut stored = Vec::new();
        match self.layout.isolation {
            Isolation::Databases => {
                for collection in self.layout.database_collections.get(container).into_iter().flatten() {
                    let is_left = leave.contains(&format!("{container}.{}", collection.name));
                    stored.extend(take(
                        is_left,
                        container,
                        collection,
                        &collection.name,
                        &mut self.conflicts,
                    ));
                }
            }
            Isolation::Collections => {
                // Sorted by name: those that begin with the name of the container are neighbours.
                let collections = &self.layout.collections;
                let first = collections.partition_point(|each| each.name.as_str() < container);
                for collection in
                    collections[first..].iter().take_while(|each| each.name.starts_with(container))
                {
                    // One that another organization names is only that one's, also if its name begins with this one's.
                    if owners.owner_of(&collection.name) != Some(container) {
                        continue;
                    }
                    let own = match collection.name[container.len()..].strip_prefix('.') {
                        Some(own) => own,
                        None if collection.name == container => CollectionName::DEFAULT,
                        None => continue,
                    };
                    let is_left = leave.contains(&collection.name);
                    stored.extend(take(is_left, self.source, collection, own, &mut self.conflicts));
                }
            }
        }
        self.refuse_second_default(container, &mut stored);
        stored
    }

    /// A collection beside the container may have the name that the container itself has within the organization.
    fn refuse_second_default(&mut self, container: &str, stored: &mut Vec<OrganizationCollection>) {
        if stored.iter().filter(|each| each.is_container).count() > 1 {
            let second = format!("{container}.{}", CollectionName::DEFAULT);
            stored.retain(|each| each.name != second);
            let detail = format!("Within the organization `{container}` itself is called so.");
            self.conflict(ConflictKind::CollectionRefused, [second], detail);
        }
    }
}

/// The containers that organizations have, also those that are left out.
struct Owners<'a> {
    names: BTreeSet<&'a str>,
    isolation: Isolation,
}

impl<'a> Owners<'a> {
    fn new(names: impl Iterator<Item = &'a String>, isolation: Isolation) -> Self {
        Self { names: names.map(String::as_str).collect(), isolation }
    }

    /// The container that a collection or database belongs to: itself, or the longest name that it continues after a dot.
    fn owner_of(&self, name: &str) -> Option<&'a str> {
        let find = |name: &str| self.names.get(name).copied();
        let shorter = || name.rmatch_indices('.').find_map(|(end, _)| find(&name[..end]));
        match self.isolation {
            Isolation::Collections => find(name).or_else(shorter),
            Isolation::Databases => find(name),
        }
    }
}

/// What all names begin with, up to an underscore.
fn common_prefix<'a>(names: &BTreeSet<&'a str>) -> Option<&'a str> {
    let (first, last) = (names.first()?, names.last()?);
    // They are sorted, so the first and the last have in common what all have.
    let same = first.char_indices().zip(last.chars()).take_while(|((_, one), other)| one == other);
    let end = same.filter(|((_, c), _)| *c == '_').last().map(|((index, _), _)| index)?;
    Some(&first[..=end])
}

/// A collection under its name within the organization, unless it is left or refused.
fn take(
    is_left: bool,
    database: &str,
    collection: &SourceCollection,
    name: &str,
    conflicts: &mut Vec<Conflict>,
) -> Option<OrganizationCollection> {
    if is_left {
        return None;
    }
    let path = format!("{database}.{}", collection.name);
    let target = match CollectionName::parse(name) {
        _ if !collection.is_plain => Err("It is a view or a time series.".to_owned()),
        Ok(target) => Ok(target),
        Err(rule) => Err(format!("Its name: {rule}")),
    };
    match target {
        Ok(target) => Some(OrganizationCollection {
            database: database.to_owned(),
            is_container: target.is_default(),
            name: collection.name.clone(),
            id: collection.id,
            target,
            options: collection.options.clone(),
            marker: None,
        }),
        Err(detail) => {
            conflicts.push(Conflict::new(ConflictKind::CollectionRefused, [path], detail));
            None
        }
    }
}
