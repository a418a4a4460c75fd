//! Which accounts belong to which organizations, and who is the owner of each.

use super::accounts::{LeftOut, Person, Reference};
use super::organizations::Candidate;
use super::planner::{Planner, identity};
use crate::adopt::report::ConflictKind;
use crate::adopt::values::{id, text};
use std::collections::{BTreeMap, BTreeSet};
use tenantry_domain::account::{Membership, Role};
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::limits::{MEMBERSHIPS_MAX, OWNERS_MAX};
use tenantry_domain::organization::Organization;

/// An organization of the source, also one that is left out or refused: what accounts may refer to.
struct Referent {
    label: String,
    id: Option<[u8; 12]>,
    admin: Option<[u8; 12]>,
}

/// All of them.
struct Referents {
    ids: BTreeSet<[u8; 12]>,
    admins: BTreeSet<[u8; 12]>,
    by_name: BTreeMap<String, Vec<Referent>>,
}

/// What the name of an organization leads to.
enum MembershipResolution {
    Organization(Option<[u8; 12]>),
    /// Several have that name, and none of them names the account.
    Ambiguous,
}

impl Referents {
    fn new(planner: &Planner<'_>) -> Self {
        let layout = planner.layout;
        let mut all = Self { ids: BTreeSet::new(), admins: BTreeSet::new(), by_name: BTreeMap::new() };
        for record in &layout.organization_records {
            let (own, label) = identity(record);
            let admin = layout.admin.as_ref().and_then(|field| id(record.get(&field.name)?));
            all.ids.extend(own);
            all.admins.extend(admin);
            if let Some(name) = record.get(&layout.name.name).and_then(text) {
                all.by_name.entry(name.to_owned()).or_default().push(Referent { label, id: own, admin });
            }
        }
        all
    }

    /// A name that several organizations have does not say which one is meant: a deleted one and a live one, for
    /// example. Those that name the account itself have it anyhow.
    fn resolve(&self, person: &Person) -> MembershipResolution {
        let name = match &person.organization {
            Some(Reference::Id(id)) => return MembershipResolution::Organization(Some(*id)),
            Some(Reference::Name(name)) => name,
            None => return MembershipResolution::Organization(None),
        };
        match self.by_name.get(name).map_or(&[][..], Vec::as_slice) {
            [] => MembershipResolution::Organization(None),
            [only] => MembershipResolution::Organization(only.id),
            several if several.iter().any(|each| each.admin == Some(person.id)) => {
                MembershipResolution::Organization(None)
            }
            _ => MembershipResolution::Ambiguous,
        }
    }
}

impl Planner<'_> {
    /// Joins accounts and organizations, from both sides.
    pub(super) fn join(&mut self, candidates: &mut [Candidate], people: &mut [Person], left_out: &[LeftOut]) {
        let referents = Referents::new(self);
        let by_id: BTreeMap<[u8; 12], usize> =
            people.iter().enumerate().map(|(index, person)| (person.id, index)).collect();
        let mut members: BTreeMap<[u8; 12], Vec<usize>> = BTreeMap::new();
        for candidate in candidates.iter() {
            let Some(record) = &candidate.record else { continue };
            if let Some(index) = candidate.admin.and_then(|admin| by_id.get(&admin)) {
                members.entry(*record.id.as_bytes()).or_default().push(*index);
            }
        }
        let mut ambiguous: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (index, person) in people.iter().enumerate() {
            match (referents.resolve(person), &person.organization) {
                (MembershipResolution::Organization(Some(id)), _) => {
                    let members = members.entry(id).or_default();
                    if !members.contains(&index) {
                        members.push(index);
                    }
                }
                (MembershipResolution::Ambiguous, Some(Reference::Name(name))) => {
                    ambiguous.entry(name.clone()).or_default().push(person.label.clone());
                }
                _ => {}
            }
        }
        for candidate in candidates.iter_mut() {
            let is_ambiguous =
                candidate.source_name.as_ref().is_some_and(|name| ambiguous.contains_key(name));
            let Some(record) = &mut candidate.record else { continue };
            let detail = match members.remove(record.id.as_bytes()) {
                Some(members) => match self.set_members(record, candidate.admin, &members, people) {
                    Ok(()) => continue,
                    Err(detail) => detail,
                },
                // That is a conflict of its own.
                None if is_ambiguous => continue,
                None => without_account(record.id, candidate, left_out).to_owned(),
            };
            let label = candidate.label.clone();
            self.conflict(ConflictKind::OrganizationWithoutAccount, [label], detail);
        }
        for (name, accounts) in ambiguous {
            let several: Vec<&str> =
                referents.by_name[&name].iter().map(|each| each.label.as_str()).collect();
            let detail =
                format!("Their organization is {name:?}, and several are called so: {}.", several.join(", "));
            self.conflict(ConflictKind::OrganizationAmbiguous, accounts, detail);
        }
        self.find_people_without_organization(people, &referents);
    }

    fn find_people_without_organization(&mut self, people: &[Person], referents: &Referents) {
        for person in people {
            if person.memberships.len() > MEMBERSHIPS_MAX {
                let detail = format!("It has more than {MEMBERSHIPS_MAX} organizations.");
                self.conflict(ConflictKind::AccountWithoutOrganization, [person.label.clone()], detail);
            }
            // Those of an organization that is left out or refused are no conflict of their own.
            let is_named = match &person.organization {
                Some(Reference::Id(id)) => referents.ids.contains(id),
                Some(Reference::Name(name)) => referents.by_name.contains_key(name),
                None => false,
            };
            if person.memberships.is_empty() && !is_named && !referents.admins.contains(&person.id) {
                let detail = "It belongs to no organization of the source.";
                self.conflict(ConflictKind::AccountWithoutOrganization, [person.label.clone()], detail);
            }
        }
    }

    /// The owner is the member that says so; or else the account that the organization names; or else the oldest that is
    /// an admin: nobody who could only read or write documents becomes one.
    fn set_members(
        &mut self,
        record: &mut Organization,
        admin: Option<[u8; 12]>,
        members: &[usize],
        people: &mut [Person],
    ) -> Result<(), String> {
        let find = |is_owner: &dyn Fn(&Person) -> bool| {
            members.iter().copied().find(|index| is_owner(&people[*index]))
        };
        let owner = find(&|person| person.role.role == Role::Owner)
            .or_else(|| find(&|person| Some(person.id) == admin))
            .or_else(|| find(&|person| person.role.role == Role::Admin));
        let Some(owner) = owner else {
            let unknown: BTreeSet<&str> =
                members.iter().filter_map(|index| people[*index].role.unknown.as_deref()).collect();
            let unknown: Vec<String> = unknown
                .iter()
                .map(|role| format!(" The role {role:?} is not known (--role VALUE=owner)."))
                .collect();
            return Err(format!("None of its accounts is an owner or an admin.{}", unknown.concat()));
        };
        for index in members {
            let person = &mut people[*index];
            let role = match person.role.role {
                _ if *index == owner => Role::Owner,
                // The owner above has a place of its own.
                Role::Owner if record.owners.len() + 1 >= OWNERS_MAX => Role::Admin,
                role => role,
            };
            if let Some(unknown) = person.role.unknown.as_ref().filter(|_| *index != owner) {
                self.unknown_roles.entry(unknown.clone()).or_default().push(person.label.clone());
            }
            if role == Role::Owner {
                record.owners.push(AccountId::from_bytes(person.id));
            }
            person.memberships.push(Membership::new(record.id, role, 0, person.created_at));
        }
        record.owner_id = AccountId::from_bytes(people[owner].id);
        record.members = u32::try_from(members.len()).unwrap_or(u32::MAX);
        Ok(())
    }
}

/// Why an organization has no account.
fn without_account(id: OrganizationId, candidate: &Candidate, left_out: &[LeftOut]) -> &'static str {
    let is_of = |account: &LeftOut| match &account.organization {
        _ if candidate.admin == Some(account.id) => true,
        Some(Reference::Id(organization)) => organization == id.as_bytes(),
        Some(Reference::Name(name)) => candidate.source_name.as_ref() == Some(name),
        None => false,
    };
    if left_out.iter().any(is_of) {
        "All its accounts are left out: in the source they are suspended or deleted."
    } else {
        "No account belongs to it."
    }
}
