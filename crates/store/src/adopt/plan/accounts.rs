//! The records of accounts.

use super::organizations::{Candidate, created_at};
use super::planner::{Planner, identity};
use crate::adopt::lifecycle::{is_absent, is_set, letters};
use crate::adopt::report::ConflictKind;
use crate::adopt::role_fields::{IS_ADMIN, is_of_role};
use crate::adopt::values::{hash, id, shown, text};
use bson::{Bson, Document};
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::account::{Account, Membership, PasswordHash, Role};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::password::hash::{check_readable, decoy};

/// An account of the source, and what is done with it.
pub(crate) struct Person {
    pub(super) label: String,
    pub(super) id: [u8; 12],
    pub(super) email: Option<EmailAddress>,
    hash: String,
    pub(super) organization: Option<Reference>,
    pub(super) role: SourceRole,
    pub(super) memberships: Vec<Membership>,
    pub(super) created_at: jiff::Timestamp,
}

/// An account that is left out, since nobody could sign in with it.
pub(super) struct LeftOut {
    pub(super) id: [u8; 12],
    pub(super) organization: Option<Reference>,
}

/// The organization that the record of an account names.
pub(super) enum Reference {
    Id([u8; 12]),
    Name(String),
}

/// The role that the record of an account says.
pub(super) struct SourceRole {
    /// An admin, if the record says nothing; of several the one that may do least, which an unknown one is, too.
    pub(super) role: Role,
    /// What is not known.
    pub(super) unknown: Option<String>,
}

impl Planner<'_> {
    pub(super) fn accounts(&mut self) -> (Vec<Person>, Vec<LeftOut>) {
        let records = &self.layout.account_records;
        let (mut people, mut left_out) = (Vec::with_capacity(records.len()), Vec::new());
        let (mut ids, mut reasons) = (BTreeSet::new(), BTreeMap::<_, Vec<String>>::new());
        for record in records.iter().filter(|record| !self.options.rules.skip.contains(&identity(record).1)) {
            let (own, label) = identity(record);
            let Some(id) = own else {
                self.conflict(ConflictKind::IdRefused, [label], "It is the id of an account.");
                continue;
            };
            if !ids.insert(id) {
                self.conflict(ConflictKind::IdRefused, [label], "Several accounts have it.");
                continue;
            }
            match self.lifecycle(record, &label).because {
                Some(because) => {
                    reasons.entry(because).or_default().push(label);
                    left_out.push(LeftOut { id, organization: self.reference(record) });
                }
                None => people.push(self.person(record, id, label)),
            }
        }
        for ((field, value), labels) in reasons {
            let accounts = labels.join(", ");
            self.notes.push(format!("accounts that are left out, because `{field}` is {value}: {accounts}"));
        }
        (people, left_out)
    }

    /// The organization of an account: as the operator says, or as the record does.
    fn reference(&self, source: &Document) -> Option<Reference> {
        if let Some(wanted) = self.options.rules.member.get(&shown(source.get("_id"))) {
            return id(&Bson::from(wanted.as_str())).map(Reference::Id);
        }
        let value = source.get(&self.layout.organization.as_ref()?.name)?;
        match id(value) {
            Some(id) => Some(Reference::Id(id)),
            None => text(value).map(|name| Reference::Name(name.to_owned())),
        }
    }

    fn role(&self, source: &Document) -> SourceRole {
        let mut read = SourceRole { role: Role::Admin, unknown: None };
        let mut is_said = false;
        for (name, value) in source.iter().filter(|(name, value)| is_of_role(name) && !is_absent(value)) {
            let (role, unknown) = match self.role_of(name, value) {
                Ok(Some(role)) => (role, None),
                Ok(None) => continue,
                Err(unknown) => (Role::Viewer, Some(unknown)),
            };
            let rank = |role| Role::BUILT_IN.iter().position(|known| *known == role);
            if !is_said || rank(role) > rank(read.role) {
                read.role = role;
            }
            read.unknown = read.unknown.or(unknown);
            is_said = true;
        }
        read
    }

    /// The role that a field says, if it says one; or what is not understood.
    fn role_of(&self, name: &str, value: &Bson) -> Result<Option<Role>, String> {
        let is_flag = letters(name) == IS_ADMIN;
        let said = match value {
            _ if is_flag => format!("{name}: {}", shown(Some(value))),
            Bson::Array(roles) if roles.len() == 1 => shown(roles.first()),
            value => shown(Some(value)),
        };
        let word = said.trim().to_lowercase();
        let given = self.options.rules.role.get(&word).unwrap_or(&word);
        if let Some(role) = Role::BUILT_IN.into_iter().find(|known| known.as_str() == given) {
            return Ok(Some(role));
        }
        if is_flag && is_set(value) == Some(true) { Ok(None) } else { Err(word) }
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
        Person {
            hash: self.hash(source, &label),
            label,
            id: own,
            email,
            organization: self.reference(source),
            role: self.role(source),
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
