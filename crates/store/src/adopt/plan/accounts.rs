//! The records of accounts, and which organizations they belong to.

use super::organizations::{Candidate, created_at};
use super::planner::{Planner, identity};
use crate::adopt::report::ConflictKind;
use crate::adopt::values::{hash, id, text};
use bson::Document;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::account::{Account, Membership, PasswordHash, Role};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::limits::{MEMBERSHIPS_MAX, OWNERS_MAX};
use tenantry_domain::organization::Organization;
use tenantry_domain::password::hash::{check_readable, decoy};

/// An account of the source, and what is done with it.
pub(crate) struct Person {
    pub(super) label: String,
    pub(super) id: [u8; 12],
    pub(super) email: Option<EmailAddress>,
    hash: String,
    /// The organization that the record names: by its id or by its name.
    organization: Option<Reference>,
    role: Option<Role>,
    pub(super) memberships: Vec<Membership>,
    created_at: jiff::Timestamp,
}

enum Reference {
    Id([u8; 12]),
    Name(String),
}

impl Planner<'_> {
    pub(super) fn accounts(&mut self) -> Vec<Person> {
        let records = &self.layout.account_records;
        let mut people = Vec::with_capacity(records.len());
        for record in records.iter().filter(|record| !self.options.rules.skip.contains(&identity(record).1)) {
            let (own, label) = identity(record);
            match own {
                Some(id) => people.push(self.person(record, id, label)),
                None => self.conflict(ConflictKind::IdRefused, [label], "It is the id of an account."),
            }
        }
        people
    }

    fn person(&mut self, source: &Document, own: [u8; 12], label: String) -> Person {
        let stored = source.get(&self.layout.address.name).and_then(text);
        let wanted = self.options.rules.address.get(&label).map(String::as_str).or(stored);
        let email = match EmailAddress::parse(wanted.unwrap_or_default()) {
            Ok(email) => Some(email),
            Err(rule) => {
                self.conflict(ConflictKind::AddressRefused, [label.clone()], format!("Its address: {rule}"));
                None
            }
        };
        let organization = self.layout.organization.as_ref().and_then(|field| source.get(&field.name));
        let organization = organization.and_then(|value| match id(value) {
            Some(id) => Some(Reference::Id(id)),
            None => text(value).map(|name| Reference::Name(name.to_owned())),
        });
        let role = source.get("role").and_then(text).map(str::to_lowercase);
        Person {
            hash: self.hash(source, &label),
            label,
            id: own,
            email,
            organization,
            role: role.and_then(|role| Role::BUILT_IN.into_iter().find(|known| known.as_str() == role)),
            memberships: Vec::new(),
            created_at: created_at(source, own),
        }
    }

    /// The stored hash; or one that no password matches, if that is wanted.
    fn hash(&mut self, source: &Document, label: &str) -> String {
        if self.options.rules.without_password.contains(label) {
            return decoy().to_owned();
        }
        let stored = self.layout.hash.as_ref().and_then(|field| hash(source.get(&field.name)?));
        let Some(stored) = stored else {
            self.conflict(ConflictKind::HashUnknown, [label.to_owned()], "It has no password hash.");
            return String::new();
        };
        if let Err(rule) = check_readable(&stored) {
            self.conflict(
                ConflictKind::HashUnknown,
                [label.to_owned()],
                format!("Its password hash: {rule}"),
            );
        }
        stored
    }

    /// Joins accounts and organizations, from both sides.
    pub(super) fn join(&mut self, candidates: &mut [Candidate], people: &mut [Person]) {
        let by_id: BTreeMap<[u8; 12], usize> =
            people.iter().enumerate().map(|(index, person)| (person.id, index)).collect();
        let mut members: BTreeMap<OrganizationId, Vec<usize>> = BTreeMap::new();
        let mut names: BTreeMap<&str, OrganizationId> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for candidate in candidates.iter() {
            let Some(record) = &candidate.record else { continue };
            ids.insert(record.id);
            names.extend(candidate.source_name.as_deref().map(|name| (name, record.id)));
            if let Some(index) = candidate.admin.and_then(|admin| by_id.get(&admin)) {
                members.entry(record.id).or_default().push(*index);
            }
        }
        for (index, person) in people.iter().enumerate() {
            let organization = match &person.organization {
                Some(Reference::Id(id)) => {
                    Some(OrganizationId::from_bytes(*id)).filter(|id| ids.contains(id))
                }
                Some(Reference::Name(name)) => names.get(name.as_str()).copied(),
                None => None,
            };
            if let Some(id) = organization {
                let members = members.entry(id).or_default();
                if !members.contains(&index) {
                    members.push(index);
                }
            }
        }
        for candidate in candidates.iter_mut() {
            let Some(record) = &mut candidate.record else { continue };
            match members.remove(&record.id) {
                Some(members) => set_members(record, &members, people),
                None => {
                    let label = candidate.label.clone();
                    self.conflict(
                        ConflictKind::OrganizationWithoutAccount,
                        [label],
                        "No account belongs to it.",
                    );
                }
            }
        }
        self.find_people_without_organization(people);
    }

    fn find_people_without_organization(&mut self, people: &[Person]) {
        // Those of an organization that is left out or refused are no conflict of their own.
        let records = &self.layout.organization_records;
        let ids: BTreeSet<[u8; 12]> = records.iter().filter_map(|record| id(record.get("_id")?)).collect();
        let name = |record: &Document| Some(text(record.get(&self.layout.name.name)?)?.to_owned());
        let names: BTreeSet<String> = records.iter().filter_map(name).collect();
        let admin = |record: &Document| id(record.get(&self.layout.admin.as_ref()?.name)?);
        let admins: BTreeSet<[u8; 12]> = records.iter().filter_map(admin).collect();
        for person in people {
            if person.memberships.len() > MEMBERSHIPS_MAX {
                let detail = format!("It has more than {MEMBERSHIPS_MAX} organizations.");
                self.conflict(ConflictKind::AccountWithoutOrganization, [person.label.clone()], detail);
            }
            let is_named = match &person.organization {
                Some(Reference::Id(id)) => ids.contains(id),
                Some(Reference::Name(name)) => names.contains(name),
                None => false,
            };
            if person.memberships.is_empty() && !is_named && !admins.contains(&person.id) {
                let detail = "It belongs to no organization of the source.";
                self.conflict(ConflictKind::AccountWithoutOrganization, [person.label.clone()], detail);
            }
        }
    }
}

/// The first member is the account that the organization names; or else the oldest, unless another one says that it is
/// the owner.
fn set_members(record: &mut Organization, members: &[usize], people: &mut [Person]) {
    let declared = members.iter().copied().find(|index| people[*index].role == Some(Role::Owner));
    let owner = declared.unwrap_or(members[0]);
    for index in members {
        let person = &mut people[*index];
        let role = match person.role {
            _ if *index == owner => Role::Owner,
            // The owner above has a place of its own.
            Some(Role::Owner) if record.owners.len() + 1 >= OWNERS_MAX => Role::Admin,
            role => role.unwrap_or(Role::Admin),
        };
        if role == Role::Owner {
            record.owners.push(AccountId::from_bytes(person.id));
        }
        person.memberships.push(Membership::new(record.id, role, 0, person.created_at));
    }
    record.owner_id = AccountId::from_bytes(people[owner].id);
    record.members = u32::try_from(members.len()).unwrap_or(u32::MAX);
}

/// The accounts of organizations that are adopted.
pub(super) fn records(candidates: &[Candidate], people: Vec<Person>) -> Vec<Account> {
    let live: BTreeSet<OrganizationId> = candidates
        .iter()
        .filter_map(|candidate| candidate.record.as_ref())
        .filter(|record| record.is_live())
        .map(|record| record.id)
        .collect();
    let mut accounts: Vec<Account> = people
        .into_iter()
        .filter(|person| !person.memberships.is_empty())
        .filter_map(|person| {
            let mut account = Account::new(
                AccountId::from_bytes(person.id),
                person.email?,
                PasswordHash(person.hash),
                person.created_at,
            );
            // Whose organizations are all deleted keeps no address from others.
            if !person.memberships.iter().any(|each| live.contains(&each.organization_id)) {
                account.email_key = None;
            }
            account.memberships = person.memberships;
            Some(account)
        })
        .collect();
    accounts.sort_by_key(|account| account.id);
    accounts
}
