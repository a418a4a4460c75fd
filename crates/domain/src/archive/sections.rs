//! The order of the sections of an archive, and the bounds and references of the lines of people and trails:
//! roles, members, API keys, collections, audit trails.

use super::people::{ArchivedApiKey, ArchivedMember, ArchivedRole};
use super::trails::{ArchivedEntry, ArchivedTrail, ArchivedTrailEnd};
use crate::account::{PasswordHash, Role};
use crate::audit::chain::ChainVerifier;
use crate::audit::{AuditChain, AuditEntry};
use crate::ids::{AccountId, ApiKeyId};
use crate::limits::{
    ARCHIVE_ENTRIES_MAX, ARCHIVE_EVENT_MAX_BYTES, ARCHIVE_TRAILS_MAX, KEY_NAME_MAX_CHARS, MEMBERS_MAX,
    ORGANIZATION_KEYS_MAX, OWNERS_MAX, ROLES_MAX,
};
use crate::password::hash::check_readable;
use crate::permission::ORGANIZATION_KEY_PERMISSIONS;
use crate::role::{OWN_ROLE_PERMISSIONS, RoleDescription, RoleName};

/// What the lines are about, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Roles,
    Members,
    ApiKeys,
    Collections,
    Trails,
}

/// The sections so far.
pub(super) struct Sections {
    at: Section,
    roles: Vec<RoleName>,
    owner: Option<AccountId>,
    /// Those in the lines and the one in the organization's.
    owners: usize,
    members: u64,
    last_member: Option<AccountId>,
    api_keys: u64,
    last_key: Option<ApiKeyId>,
    entries: u64,
    trails: usize,
    open: Option<(AuditChain, ChainVerifier)>,
}

/// The largest number of an entry: every program that reads JSON has it exactly.
const SEQUENCE_MAX: u64 = 1 << 53;

/// The sentence that says what is wrong with a line.
type Fault = String;

impl Sections {
    pub(super) const fn new() -> Self {
        Self {
            at: Section::Roles,
            roles: Vec::new(),
            owner: None,
            owners: 1,
            members: 0,
            last_member: None,
            api_keys: 0,
            last_key: None,
            entries: 0,
            trails: 0,
            open: None,
        }
    }

    /// Notes the owner in the organization's line.
    pub(super) const fn set_owner(&mut self, owner: AccountId) {
        self.owner = Some(owner);
    }

    /// A line of that section comes.
    pub(super) fn enter(&mut self, section: Section) -> Result<(), Fault> {
        if self.open.is_some() && section != Section::Trails {
            return Err("Comes before the audit trail has ended.".to_owned());
        }
        if section < self.at {
            return Err(
                "Comes too late: roles, members, API keys, collections and audit trails have this order."
                    .to_owned(),
            );
        }
        self.at = section;
        Ok(())
    }

    /// Whether the trail that has begun has ended.
    pub(super) const fn is_trail_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn role(&mut self, role: &ArchivedRole) -> Result<(), Fault> {
        self.enter(Section::Roles)?;
        if self.roles.last().is_some_and(|last| *last >= role.name) {
            return Err("`name`: roles come in the order of their names, each once.".to_owned());
        }
        if self.roles.len() >= ROLES_MAX {
            return Err(format!("An organization has at most {ROLES_MAX} roles of its own."));
        }
        RoleDescription::parse(&role.description).map_err(|rule| format!("`description`: {rule}"))?;
        role.permissions.within(OWN_ROLE_PERMISSIONS)?;
        self.roles.push(role.name);
        Ok(())
    }

    pub(super) fn member(&mut self, member: &ArchivedMember) -> Result<(), Fault> {
        self.enter(Section::Members)?;
        if self.last_member.is_some_and(|last| last >= member.id) || self.owner == Some(member.id) {
            return Err("`id`: members come in the order of their ids, each once, without the owner in the \
                        organization's line."
                .to_owned());
        }
        // The owner is a member, too.
        if self.members + 1 >= u64::from(MEMBERS_MAX) {
            return Err(format!("An organization has at most {MEMBERS_MAX} members."));
        }
        match member.role {
            Role::Owner if self.owners >= OWNERS_MAX => {
                return Err(format!("`role`: an organization has at most {OWNERS_MAX} owners."));
            }
            Role::Owner => self.owners += 1,
            Role::Own(name) if !self.roles.contains(&name) => {
                return Err(format!("`role`: the archive has no role `{name}`."));
            }
            _ => {}
        }
        check_hash(member.password_hash.as_ref())
            .map_err(|reason| format!("The member's `password_hash` cannot be checked. {reason}"))?;
        self.last_member = Some(member.id);
        self.members += 1;
        Ok(())
    }

    pub(super) fn api_key(&mut self, key: &ArchivedApiKey) -> Result<(), Fault> {
        self.enter(Section::ApiKeys)?;
        if self.last_key.is_some_and(|last| last >= key.id) {
            return Err("`id`: API keys come in the order of their ids, each once.".to_owned());
        }
        if self.api_keys >= u64::from(ORGANIZATION_KEYS_MAX) {
            return Err(format!("An organization has at most {ORGANIZATION_KEYS_MAX} API keys."));
        }
        let name = key.name.as_str();
        let is_plain = name.trim() == name && !name.chars().any(char::is_control);
        if !is_plain || !(1..=KEY_NAME_MAX_CHARS).contains(&name.chars().count()) {
            return Err(format!(
                "`name`: Must have 1 to {KEY_NAME_MAX_CHARS} characters, none of them a control character."
            ));
        }
        key.permissions.within(ORGANIZATION_KEY_PERMISSIONS)?;
        self.last_key = Some(key.id);
        self.api_keys += 1;
        Ok(())
    }

    pub(super) fn trail(&mut self, trail: ArchivedTrail) -> Result<(), Fault> {
        self.enter(Section::Trails)?;
        if self.open.is_some() {
            return Err("An audit trail begins before the previous one has ended.".to_owned());
        }
        if self.trails >= ARCHIVE_TRAILS_MAX {
            return Err(format!("An archive has at most {ARCHIVE_TRAILS_MAX} audit trails."));
        }
        if trail.chain == AuditChain::INSTALLATION {
            return Err("`chain`: must be the id of an organization.".to_owned());
        }
        self.trails += 1;
        self.open = Some((trail.chain, ChainVerifier::new(trail.chain)));
        Ok(())
    }

    pub(super) fn entry(&mut self, entry: ArchivedEntry) -> Result<AuditEntry, Fault> {
        self.enter(Section::Trails)?;
        let Some((chain, verifier)) = &mut self.open else {
            return Err("An entry is outside an audit trail.".to_owned());
        };
        if self.entries >= ARCHIVE_ENTRIES_MAX {
            return Err(format!("An archive has at most {ARCHIVE_ENTRIES_MAX} entries of audit trails."));
        }
        if entry.text.as_ref().is_some_and(|text| text.len() > ARCHIVE_EVENT_MAX_BYTES) {
            return Err(format!("`text`: an event has at most {ARCHIVE_EVENT_MAX_BYTES} bytes."));
        }
        if entry.sequence > SEQUENCE_MAX {
            return Err(format!("`sequence`: must be at most {SEQUENCE_MAX}."));
        }
        // The chain does not say who did it, without the text.
        if entry.text.is_none() && entry.actor.is_some() {
            return Err("`actor`: an entry without its text has none.".to_owned());
        }
        let entry = entry.in_chain(*chain);
        verifier.check(&entry).map_err(|fault| format!("The audit trail was changed: {fault}."))?;
        self.entries += 1;
        Ok(entry)
    }

    pub(super) fn end_trail(&mut self, end: &ArchivedTrailEnd) -> Result<(), Fault> {
        let open = self.open.take();
        if let Some(Err((sequence, fault))) = open.as_ref().map(|(_, verifier)| verifier.finish()) {
            return Err(format!("The audit trail was changed, at entry {sequence}: {fault}."));
        }
        let found = open.and_then(|(chain, verifier)| end_of(chain, &verifier));
        if found.as_ref() == Some(end) {
            return Ok(());
        }
        Err("Chain, count, number or hash do not match the entries before it.".to_owned())
    }
}

/// The last line of a trail with the entries that `verifier` has checked; `None` if it has none.
pub(super) fn end_of(chain: AuditChain, verifier: &ChainVerifier) -> Option<ArchivedTrailEnd> {
    let head = verifier.head()?;
    Some(ArchivedTrailEnd { chain, entries: verifier.entries(), last: head.sequence, hash: head.hash })
}

/// Refuses a hash that nobody could sign in with.
pub(super) fn check_hash(hash: Option<&PasswordHash>) -> Result<(), Fault> {
    hash.map_or(Ok(()), |hash| check_readable(&hash.0))
}
