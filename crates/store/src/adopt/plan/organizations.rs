//! The records of organizations.

use super::planner::{Planner, identity};
use crate::adopt::lifecycle::{Life, Lifecycle};
use crate::adopt::report::ConflictKind;
use crate::adopt::values::{first, text, time};
use bson::Document;
use jiff::Timestamp;
use std::collections::BTreeSet;
use tenantry_domain::clock::{after, to_millisecond};
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Naming, Organization, Placement, Quota, State};

const CREATED: [&str; 4] = ["created_at", "createdAt", "created", "created_on"];
const MODIFIED: [&str; 6] =
    ["modified_at", "updated_at", "updatedAt", "modifiedAt", "modified", "last_modified"];

/// A record of the source, and what is done with it.
pub(crate) struct Candidate {
    /// Its id, as reports show it.
    pub(super) label: String,
    /// The name by which accounts may refer to it.
    pub(super) source_name: Option<String>,
    /// The name of its collection or database, if the record says.
    pub(super) container: Option<String>,
    /// The account that the record names.
    pub(super) admin: Option<[u8; 12]>,
    /// `None` if it cannot be adopted as it is.
    pub(super) record: Option<Organization>,
}

impl Planner<'_> {
    pub(super) fn organizations(&mut self) -> Vec<Candidate> {
        let (layout, rules) = (self.layout, &self.options.rules);
        let records = layout.organization_records.iter();
        let kept = records.filter(|record| !rules.skip.contains(&identity(record).1));
        let mut ids = BTreeSet::new();
        let mut candidates = Vec::new();
        for record in kept {
            let mut candidate = self.candidate(record);
            // An ObjectId and its digits as a text are one id here.
            if candidate.record.as_ref().is_some_and(|record| !ids.insert(record.id)) {
                candidate.record = None;
                let label = candidate.label.clone();
                self.conflict(ConflictKind::IdRefused, [label], "Several organizations have it.");
            }
            candidates.push(candidate);
        }
        candidates
    }

    fn candidate(&mut self, source: &Document) -> Candidate {
        let (id, label) = identity(source);
        let source_name = source.get(&self.layout.name.name).and_then(text).map(str::to_owned);
        let field =
            |field: Option<&crate::adopt::layout::Field>| field.and_then(|field| source.get(&field.name));
        let container = field(self.layout.container.as_ref()).and_then(text).map(str::to_owned);
        let admin = field(self.layout.admin.as_ref()).and_then(crate::adopt::values::id);
        if id.is_none() {
            self.conflict(ConflictKind::IdRefused, [label.clone()], "It is the id of an organization.");
        }
        let wanted = self.options.rules.rename.get(&label).or(source_name.as_ref()).cloned();
        let name = match OrganizationName::parse(wanted.as_deref().unwrap_or_default()) {
            Ok(name) => Some(name),
            Err(rule) => {
                self.conflict(ConflictKind::NameRefused, [label.clone()], format!("Its name: {rule}"));
                None
            }
        };
        let lifecycle = self.lifecycle(source, &label);
        let record = id
            .zip(name)
            .map(|(id, name)| self.record(OrganizationId::from_bytes(id), name, &lifecycle, source));
        Candidate { label, source_name, container, admin, record }
    }

    fn record(
        &self,
        id: OrganizationId,
        name: OrganizationName,
        lifecycle: &Lifecycle,
        source: &Document,
    ) -> Organization {
        let now = to_millisecond(self.options.now);
        let state = if lifecycle.life == Life::Deleted { State::Deleted } else { State::Active };
        let created_at = first(source, &CREATED, time).unwrap_or_else(|| made_at(*id.as_bytes()));
        let deleted_at = (state == State::Deleted)
            .then(|| lifecycle.deleted_at.or_else(|| first(source, &MODIFIED, time)).unwrap_or(now));
        let owner_id = AccountId::from_bytes([0; 12]);
        let mut record = Organization {
            id,
            naming: Naming::new(name, &self.options.tenant_prefix),
            reserved: Vec::new(),
            state,
            suspended: lifecycle.life == Life::Suspended,
            placement: Placement::Collection,
            container: None,
            owner_id,
            owners: Vec::new(),
            members: 0,
            roles: tenantry_domain::role::OwnRoles::default(),
            trails: Vec::new(),
            token_epoch: 0,
            token_epoch_since: Some(now),
            delete_protection: false,
            legal_hold: false,
            quota: Quota::default(),
            created_at,
            modified_at: first(source, &MODIFIED, time).unwrap_or(created_at),
            deleted_at,
            // What was deleted long ago could otherwise be purged at the first start.
            purge_at: deleted_at.map(|_| after(now, self.options.retention)),
            version: 1,
            operation: None,
        };
        if record.is_live() {
            record.reserved = record.naming.reserved();
        } else {
            record.naming.namespace = record.trash_namespace();
        }
        record
    }
}

/// The second in which an ObjectId was made.
pub(super) fn made_at(id: [u8; 12]) -> Timestamp {
    let [a, b, c, d, ..] = id;
    Timestamp::from_second(i64::from(u32::from_be_bytes([a, b, c, d]))).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// When a record was created.
pub(super) fn created_at(source: &Document, id: [u8; 12]) -> Timestamp {
    first(source, &CREATED, time).unwrap_or_else(|| made_at(id))
}
