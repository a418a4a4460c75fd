//! What an adoption makes of the records of the other program, and every conflict in them. Values in, values out.

mod accounts;
mod containers;
mod membership;
mod organizations;
mod planner;

#[cfg(test)]
mod tests;

pub(super) use planner::OrganizationCollection;

use super::layout::Layout;
use super::report::{AdoptError, Conflict, ConflictKind};
use super::rules::AdoptOptions;
use super::values::shown;
use accounts::Person;
use bson::Document;
use organizations::Candidate;
use planner::Planner;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::account::Account;
use tenantry_domain::organization::Organization;

/// An organization that is adopted.
#[derive(Debug, Clone)]
pub(super) struct PlannedOrganization {
    /// Its record, without the location of its data.
    pub(super) record: Organization,
    pub(super) stored: Vec<OrganizationCollection>,
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

/// Everything that is adopted.
pub(super) struct Plan {
    pub(super) organizations: Vec<PlannedOrganization>,
    pub(super) accounts: Vec<Account>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) notes: Vec<String>,
}

/// Makes the plan.
///
/// # Errors
/// `UnknownRecord`, if a rule names one.
pub(super) fn plan(source: &str, layout: &Layout, options: &AdoptOptions) -> Result<Plan, AdoptError> {
    check_rules(layout, options)?;
    let mut planner = Planner::new(source, layout, options);
    let mut candidates = planner.organizations();
    let (mut people, left_out) = planner.accounts();
    planner.join(&mut candidates, &mut people, &left_out);
    planner.find_duplicate_names(&candidates);
    planner.find_duplicate_addresses(&candidates, &people);
    let stored = planner.containers(&candidates);
    planner.report_unknown();
    let Planner { mut conflicts, notes, .. } = planner;
    conflicts.sort_by(|one, other| one.kind.cmp(&other.kind).then(one.records.cmp(&other.records)));
    let accounts = accounts::records(&candidates, people);
    let mut organizations: Vec<PlannedOrganization> = candidates
        .into_iter()
        .zip(stored)
        .filter_map(|(candidate, stored)| {
            Some(PlannedOrganization { record: candidate.record?, stored, documents: 0, bytes: 0 })
        })
        .collect();
    organizations.sort_by_key(|planned| planned.record.id);
    Ok(Plan { organizations, accounts, conflicts, notes })
}

impl Planner<'_> {
    fn find_duplicate_names(&mut self, candidates: &[Candidate]) {
        let mut by_identifier: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
        for candidate in candidates {
            // A deleted one has no name that others may not have.
            if let Some(record) = candidate.record.as_ref().filter(|record| record.is_live()) {
                by_identifier.entry(record.naming.identifier.as_str()).or_default().push(candidate);
            }
        }
        for (identifier, same) in by_identifier.into_iter().filter(|(_, same)| same.len() > 1) {
            let names: BTreeSet<&str> =
                same.iter().filter_map(|each| Some(each.record.as_ref()?.naming.name.as_str())).collect();
            let detail = if names.len() == 1 {
                format!("All are called {:?}.", names.first().unwrap_or(&""))
            } else {
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                format!("{} are one name here: `{identifier}`.", names.join(" and "))
            };
            self.conflict(ConflictKind::DuplicateName, same.iter().map(|each| each.label.clone()), detail);
        }
    }

    fn find_duplicate_addresses(&mut self, candidates: &[Candidate], people: &[Person]) {
        let live: BTreeSet<_> = candidates
            .iter()
            .filter_map(|each| each.record.as_ref())
            .filter(|record| record.is_live())
            .map(|record| record.id)
            .collect();
        let mut by_mailbox: BTreeMap<_, Vec<&Person>> = BTreeMap::new();
        for person in people {
            if person.memberships.iter().any(|membership| live.contains(&membership.organization_id))
                && let Some(email) = &person.email
            {
                by_mailbox.entry(email.key()).or_default().push(person);
            }
        }
        for same in by_mailbox.into_values().filter(|same| same.len() > 1) {
            self.conflict(
                ConflictKind::DuplicateAddress,
                same.iter().map(|person| person.label.clone()),
                "Their addresses are one mailbox.",
            );
        }
    }
}

/// Refuses rules about records that there are not: a mistyped id would silently do nothing.
fn check_rules(layout: &Layout, options: &AdoptOptions) -> Result<(), AdoptError> {
    let labels = |records: &[Document]| -> BTreeSet<String> {
        records.iter().map(|record| shown(record.get("_id"))).collect()
    };
    let (organizations, accounts) = (labels(&layout.organization_records), labels(&layout.account_records));
    let rules = &options.rules;
    let unknown = rules
        .skip
        .iter()
        .find(|id| !organizations.contains(*id) && !accounts.contains(*id))
        .or_else(|| rules.rename.keys().find(|id| !organizations.contains(*id)))
        .or_else(|| rules.member.values().find(|id| !organizations.contains(*id)))
        .or_else(|| {
            rules
                .address
                .keys()
                .chain(rules.member.keys())
                .chain(&rules.without_password)
                .find(|id| !accounts.contains(*id))
        });
    match unknown {
        Some(id) => Err(AdoptError::UnknownRecord { id: id.clone() }),
        None => Ok(()),
    }
}
