//! Each record, field by field. A new field must be read here or it does not compile; if it is read but never
//! written, no record decodes to itself, which the test below notices.

use super::Encode;
use super::bytes::{ByteReader, ByteWriter};
use tenantry_domain::account::{Account, Membership, PasswordHash, Role};
use tenantry_domain::api_key::{ApiKey, ApiKeyHash, ApiKeyMaker, ApiKeyOwner, ReplacedSecret};
use tenantry_domain::audit::AuditChain;
use tenantry_domain::audit::carried::CarriedTrail;
use tenantry_domain::email::{EmailAddress, EmailKey};
use tenantry_domain::identity::{Identity, IdentityOrigin};
use tenantry_domain::ids::{AccountId, ApiKeyId, IdentityId, OperationId, OrganizationId, SessionId};
use tenantry_domain::organization::{ContainerId, Naming, Organization, Placement, Quota, QuotaLimit, State};
use tenantry_domain::permission::{Permission, PermissionSet};
use tenantry_domain::role::{OwnRole, OwnRoles, RoleDescription, RoleName};
use tenantry_domain::session::{Session, UsedToken};

const STATES: [State; 4] = [State::Provisioning, State::Active, State::Deleted, State::Purging];
const PLACEMENTS: [Placement; 3] = [Placement::Collection, Placement::Database, Placement::Shared];
const IDENTITY_ORIGINS: [IdentityOrigin; 3] =
    [IdentityOrigin::Invitation, IdentityOrigin::Address, IdentityOrigin::Account];
const ROLES: [Role; 4] = [Role::Viewer, Role::Member, Role::Admin, Role::Owner];

/// Its index in `all`; out of range if it is not among them, so that the record does not decode to itself.
fn index_of<T: PartialEq>(all: &[T], one: &T) -> u64 {
    all.iter().position(|other| other == one).unwrap_or(all.len()) as u64
}

fn at<T: Copy>(all: &[T], from: &mut ByteReader<'_>) -> Option<T> {
    all.get(from.small::<usize>()?).copied()
}

/// Only for a record without an operation, whose reserved keys follow from its naming: its state between
/// changes.
impl Encode for Organization {
    fn pack(&self, to: &mut ByteWriter) {
        to.bytes(self.id.as_bytes());
        to.text(self.naming.name.as_str());
        to.text(self.naming.identifier.as_str());
        to.text(&self.naming.namespace);
        to.number(index_of(&STATES, &self.state));
        to.flag(self.suspended);
        to.number(index_of(&PLACEMENTS, &self.placement));
        to.option(self.container.as_ref(), |to, container| to.bytes(&container.0));
        to.bytes(self.owner_id.as_bytes());
        // Nearly all have one owner, the account they were created with, no roles of their own, and no trails of an import:
        // the three lowest bits say so.
        let has_usual_owner = self.owners == [self.owner_id];
        let flags = u64::from(self.trails.is_empty()) << 2
            | u64::from(self.roles.is_empty()) << 1
            | u64::from(has_usual_owner);
        to.number(u64::from(self.members) << 3 | flags);
        if !has_usual_owner {
            to.number(self.owners.len() as u64);
            self.owners.iter().for_each(|owner| to.bytes(owner.as_bytes()));
        }
        if !self.roles.is_empty() {
            to.number(self.roles.as_slice().len() as u64);
            self.roles.as_slice().iter().for_each(|role| role.pack(to));
        }
        if !self.trails.is_empty() {
            to.number(self.trails.len() as u64);
            self.trails.iter().for_each(|trail| trail.pack(to));
        }
        // The lowest bit says whether the time of its begin follows, which few have.
        to.number(u64::from(self.token_epoch) << 1 | u64::from(self.token_epoch_since.is_some()));
        if let Some(since) = self.token_epoch_since {
            to.moment(since);
        }
        to.flag(self.delete_protection);
        to.flag(self.legal_hold);
        let Quota { documents, bytes, collections, index_bytes } = self.quota;
        for most in [documents, bytes, collections, index_bytes] {
            to.option(most.map(QuotaLimit::get), ByteWriter::number);
        }
        to.moment(self.created_at);
        to.moment(self.modified_at);
        to.option(self.deleted_at, ByteWriter::moment);
        to.option(self.purge_at, ByteWriter::moment);
        to.number(self.version);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        let id = OrganizationId::from_bytes(from.bytes()?);
        let naming =
            Naming { name: from.parsed()?, identifier: from.parsed()?, namespace: from.text()?.to_owned() };
        let (state, suspended, placement) = (at(&STATES, from)?, from.flag()?, at(&PLACEMENTS, from)?);
        let container = from.option(|from| from.bytes().map(ContainerId))?;
        let owner_id = AccountId::from_bytes(from.bytes()?);
        let (members, flags) = from.number().map(|number| (number >> 3, number & 7))?;
        let owners = if flags & 1 == 1 { vec![owner_id] } else { owners(from)? };
        let roles = if flags & 2 == 2 { OwnRoles::default() } else { own_roles(from)? };
        let trails = if flags & 4 == 4 { Vec::new() } else { trails(from)? };
        let epoch = from.number()?;
        let (token_epoch, has_since) = (u32::try_from(epoch >> 1).ok()?, epoch & 1 == 1);
        Some(Self {
            id,
            reserved: naming.reserved(),
            naming,
            state,
            suspended,
            placement,
            container,
            owner_id,
            owners,
            members: u32::try_from(members).ok()?,
            roles,
            trails,
            token_epoch,
            token_epoch_since: if has_since { Some(from.moment()?) } else { None },
            delete_protection: from.flag()?,
            legal_hold: from.flag()?,
            quota: Quota {
                documents: from.option(limit)?,
                bytes: from.option(limit)?,
                collections: from.option(limit)?,
                index_bytes: from.option(limit)?,
            },
            created_at: from.moment()?,
            modified_at: from.moment()?,
            deleted_at: from.option(ByteReader::moment)?,
            purge_at: from.option(ByteReader::moment)?,
            version: from.number()?,
            operation: None,
        })
    }
}

fn limit(from: &mut ByteReader<'_>) -> Option<QuotaLimit> {
    from.number().map(QuotaLimit::from_stored)
}

fn owners(from: &mut ByteReader<'_>) -> Option<Vec<AccountId>> {
    (0..from.number()?).map(|_| from.bytes().map(AccountId::from_bytes)).collect()
}

fn own_roles(from: &mut ByteReader<'_>) -> Option<OwnRoles> {
    (0..from.number()?).map(|_| OwnRole::unpack(from)).collect()
}

fn trails(from: &mut ByteReader<'_>) -> Option<Vec<CarriedTrail>> {
    (0..from.number()?).map(|_| CarriedTrail::unpack(from)).collect()
}

impl Encode for CarriedTrail {
    fn pack(&self, to: &mut ByteWriter) {
        to.text(&self.kept_as.to_string());
        to.text(&self.chain.to_string());
        to.number(self.entries);
        to.number(self.last);
        to.bytes(&self.hash);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            kept_as: AuditChain::parse(from.text()?)?,
            chain: AuditChain::parse(from.text()?)?,
            entries: from.number()?,
            last: from.number()?,
            hash: from.bytes()?,
        })
    }
}

/// With the key that follows from its address, or none, or another one, as older accounts may have.
impl Encode for Account {
    fn pack(&self, to: &mut ByteWriter) {
        to.bytes(self.id.as_bytes());
        to.text(self.email.as_str());
        let key_of_today = self.email.key();
        to.flag(self.email_key.as_ref() == Some(&key_of_today));
        to.option(self.email_key.as_ref().filter(|key| **key != key_of_today), |to, key| {
            to.text(key.as_str());
        });
        to.text(&self.password_hash.0);
        // The lowest bit says whether the one of its identities follows, which few have.
        to.number(u64::from(self.credential_epoch) << 1 | u64::from(self.identity_epoch != 0));
        if self.identity_epoch != 0 {
            to.number(self.identity_epoch.into());
        }
        to.option(self.kept_session.as_ref(), |to, session| to.bytes(session.as_bytes()));
        to.option(self.last_organization.as_ref(), |to, organization| to.bytes(organization.as_bytes()));
        to.number(self.memberships.len() as u64);
        self.memberships.iter().for_each(|membership| membership.pack(to));
        to.option(self.last_operation.as_ref(), |to, operation| to.bytes(operation.as_bytes()));
        to.option(self.email_verified_at, ByteWriter::moment);
        to.moment(self.created_at);
        to.moment(self.modified_at);
        to.number(self.version);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        let id = AccountId::from_bytes(from.bytes()?);
        let email = from.parsed::<EmailAddress>()?;
        let has_key_of_today = from.flag()?;
        let key_of_before = from.option(ByteReader::parsed::<EmailKey>)?;
        let password_hash = PasswordHash(from.text()?.to_owned());
        let epoch = from.number()?;
        let identity_epoch = if epoch & 1 == 1 { from.small()? } else { 0 };
        Some(Self {
            id,
            email_key: if has_key_of_today { Some(email.key()) } else { key_of_before },
            email,
            password_hash,
            credential_epoch: u32::try_from(epoch >> 1).ok()?,
            identity_epoch,
            kept_session: from.option(|from| from.bytes().map(SessionId::from_bytes))?,
            last_organization: from.option(|from| from.bytes().map(OrganizationId::from_bytes))?,
            memberships: (0..from.number()?).map(|_| Membership::unpack(from)).collect::<Option<_>>()?,
            last_operation: from.option(|from| from.bytes().map(OperationId::from_bytes))?,
            // One that is being removed is rare, and kept as JSON.
            removing_since: None,
            email_verified_at: from.option(ByteReader::moment)?,
            // So is one with links that nobody has used.
            links: Vec::new(),
            created_at: from.moment()?,
            modified_at: from.moment()?,
            version: from.number()?,
        })
    }
}

impl Encode for Membership {
    fn pack(&self, to: &mut ByteWriter) {
        to.bytes(self.organization_id.as_bytes());
        match self.role {
            Role::Own(name) => {
                to.number(ROLES.len() as u64);
                to.text(name.as_str());
            }
            built_in => to.number(index_of(&ROLES, &built_in)),
        }
        to.number(self.epoch.into());
        to.moment(self.since);
        to.option(self.tokens_since, ByteWriter::moment);
        to.number(self.changed_at_version);
        to.option(self.last_operation.as_ref(), |to, operation| to.bytes(operation.as_bytes()));
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            organization_id: OrganizationId::from_bytes(from.bytes()?),
            role: match from.small::<usize>()? {
                index if index == ROLES.len() => Role::Own(from.parsed::<RoleName>()?),
                index => *ROLES.get(index)?,
            },
            epoch: from.small()?,
            since: from.moment()?,
            tokens_since: from.option(ByteReader::moment)?,
            changed_at_version: from.number()?,
            last_operation: from.option(|from| from.bytes().map(OperationId::from_bytes))?,
        })
    }
}

impl Encode for OwnRole {
    fn pack(&self, to: &mut ByteWriter) {
        to.text(self.name.as_str());
        to.text(self.description.as_str());
        pack_permissions(self.permissions, to);
        to.moment(self.created_at);
        to.moment(self.modified_at);
        to.number(self.made_at_version);
        to.number(self.version);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            name: from.parsed()?,
            description: RoleDescription::parse(from.text()?).ok()?,
            permissions: unpack_permissions(from)?,
            created_at: from.moment()?,
            modified_at: from.moment()?,
            made_at_version: from.number()?,
            version: from.number()?,
        })
    }
}

impl Encode for Session {
    fn pack(&self, to: &mut ByteWriter) {
        to.bytes(self.id.as_bytes());
        to.bytes(self.account_id.as_bytes());
        to.bytes(self.organization_id.as_bytes());
        to.number(self.credential_epoch.into());
        to.number(self.membership_epoch.into());
        to.number(self.organization_epoch.into());
        to.moment(self.signed_in_at);
        to.moment(self.expires_at);
        to.moment(self.idle_expires_at);
        to.number(self.generation.into());
        to.bytes(&self.token_hash);
        to.option(self.used.as_ref(), |to, used| {
            to.bytes(&used.hash);
            to.bytes(&used.salt);
            to.moment(used.used_at);
        });
        to.number(self.version);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            id: SessionId::from_bytes(from.bytes()?),
            account_id: AccountId::from_bytes(from.bytes()?),
            organization_id: OrganizationId::from_bytes(from.bytes()?),
            credential_epoch: from.small()?,
            membership_epoch: from.small()?,
            organization_epoch: from.small()?,
            signed_in_at: from.moment()?,
            expires_at: from.moment()?,
            idle_expires_at: from.moment()?,
            generation: from.small()?,
            token_hash: from.bytes()?,
            used: from.option(|from| {
                Some(UsedToken { hash: from.bytes()?, salt: from.bytes()?, used_at: from.moment()? })
            })?,
            version: from.number()?,
        })
    }
}

impl Encode for ApiKey {
    fn pack(&self, to: &mut ByteWriter) {
        to.bytes(self.id.as_bytes());
        let owner = match &self.owner {
            ApiKeyOwner::Installation => None,
            ApiKeyOwner::Organization(id) => Some(id),
        };
        to.option(owner, |to, id| to.bytes(id.as_bytes()));
        to.text(&self.name);
        to.bytes(self.hash.as_bytes());
        to.number(self.generation.into());
        to.option(self.replaced.as_ref(), |to, replaced| {
            to.bytes(replaced.hash.as_bytes());
            to.moment(replaced.accepted_until);
        });
        pack_permissions(self.permissions, to);
        to.option(self.organizations.as_ref(), |to, organizations| {
            to.number(organizations.len() as u64);
            organizations.iter().for_each(|id| to.bytes(id.as_bytes()));
        });
        to.option(self.maker.as_ref(), |to, maker| {
            to.bytes(maker.account_id.as_bytes());
            to.number(maker.membership_epoch.into());
        });
        to.moment(self.created_at);
        to.option(self.expires_at, ByteWriter::moment);
        to.option(self.last_used_at, ByteWriter::moment);
        to.number(self.version);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            id: ApiKeyId::from_bytes(from.bytes()?),
            owner: match from.option(organization_id)? {
                None => ApiKeyOwner::Installation,
                Some(id) => ApiKeyOwner::Organization(id),
            },
            name: from.text()?.to_owned(),
            hash: ApiKeyHash::from_bytes(from.bytes()?),
            // One that waits to be confirmed opens nothing, and is kept as JSON.
            unconfirmed: None,
            generation: from.small()?,
            replaced: from.option(|from| {
                let hash = ApiKeyHash::from_bytes(from.bytes()?);
                Some(ReplacedSecret { hash, accepted_until: from.moment()? })
            })?,
            permissions: unpack_permissions(from)?,
            organizations: from
                .option(|from| (0..from.number()?).map(|_| organization_id(from)).collect())?,
            maker: from.option(|from| {
                let account_id = AccountId::from_bytes(from.bytes()?);
                Some(ApiKeyMaker { account_id, membership_epoch: from.small()? })
            })?,
            created_at: from.moment()?,
            expires_at: from.option(ByteReader::moment)?,
            last_used_at: from.option(ByteReader::moment)?,
            version: from.number()?,
        })
    }
}

impl Encode for Identity {
    fn pack(&self, to: &mut ByteWriter) {
        to.bytes(self.id.as_bytes());
        to.text(&self.issuer);
        to.text(&self.subject);
        to.bytes(self.account_id.as_bytes());
        to.number(self.credential_epoch.into());
        to.number(index_of(&IDENTITY_ORIGINS, &self.origin));
        to.moment(self.created_at);
    }

    fn unpack(from: &mut ByteReader<'_>) -> Option<Self> {
        Some(Self {
            id: IdentityId::from_bytes(from.bytes()?),
            issuer: from.text()?.to_owned(),
            subject: from.text()?.to_owned(),
            account_id: AccountId::from_bytes(from.bytes()?),
            credential_epoch: from.small()?,
            origin: at(&IDENTITY_ORIGINS, from)?,
            created_at: from.moment()?,
        })
    }
}

fn organization_id(from: &mut ByteReader<'_>) -> Option<OrganizationId> {
    from.bytes().map(OrganizationId::from_bytes)
}

/// One bit for each permission.
fn pack_permissions(permissions: PermissionSet, to: &mut ByteWriter) {
    to.number(
        permissions.iter().fold(0, |bits, permission| bits | 1 << index_of(&Permission::ALL, &permission)),
    );
}

fn unpack_permissions(from: &mut ByteReader<'_>) -> Option<PermissionSet> {
    let bits = from.number()?;
    let numbered = (0..).zip(Permission::ALL);
    Some(numbered.filter(|(number, _)| bits >> number & 1 == 1).map(|(_, permission)| permission).collect())
}
