//! Archives of organizations: written while they are read, read while they are put back.
//!
//! An export is no snapshot: each document is whole, and what changes meanwhile may or may not be in it. An import is
//! an operation ([`crate::operation`]): nobody sees the organization before its last line has been read and fits, and
//! whatever goes wrong before, all of it is undone. What a newcomer gets wrong: neither holds more in memory than a
//! page of documents, so neither may collect anything.

mod export;
mod source;

pub use export::Export;
pub use source::ArchiveStream;
pub(super) use source::Source;

use super::App;
use super::auth::{Authorization, Operator, OrganizationRef, Principal};
use super::operations::Outcome;
use crate::account::{Account, Membership, PasswordHash, Role};
use crate::archive::{ArchivedOrganization, ArchivedOwner};
use crate::clock::after;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, Entropy, OperationId, OrganizationId, random};
use crate::limits::ID_REST;
use crate::name::OrganizationName;
use crate::operation::{Actor, OperationArguments, Settings};
use crate::organization::{Naming, Organization, Placement, Quota, State};
use jiff::Timestamp;
use std::sync::Arc;

/// Proof that the caller may have an organization's archive.
pub struct Exportable {
    organization: Arc<Organization>,
    authority: Authorization,
}

impl Exportable {
    /// The organization as it was when the right was proven.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }
}

/// Which id an imported organization has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImportedId {
    /// That of the archive.
    #[default]
    Keep,
    /// Another one.
    New,
}

/// What is to be different from what the archive says.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Another name.
    pub name: Option<OrganizationName>,
    /// Whether another id.
    pub id: ImportedId,
    /// Where its data goes, if not where the settings say.
    pub placement: Option<Placement>,
    /// Another address of its owner.
    pub owner_email: Option<EmailAddress>,
}

impl App {
    /// The right to an organization's archive: the operator's to any, a deleted one too; an owner's to their own. Not
    /// an admin's: the hash of the owner's password is in it.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`;
    /// `organization_not_active` for one that is being made or removed.
    pub async fn allow_export(&self, caller: &Principal, which: &OrganizationRef) -> Result<Exportable> {
        let organization = self.visible(caller, which).await?;
        let authority = match caller {
            Principal::Operator(_) => Authorization::Operator,
            Principal::Member(member) if member.role == Role::Owner => Authorization::Member(member.clone()),
            Principal::Member(_) => return Err(ErrorCode::RoleInsufficient.into()),
        };
        require_whole(&organization)?;
        Ok(Exportable { organization, authority })
    }

    /// The archive of an organization, to be written piece by piece.
    #[must_use]
    pub fn export_organization(self: &Arc<Self>, right: Exportable) -> Export {
        Export::new(Arc::clone(self), right)
    }

    /// Makes an organization out of an archive, with its owner, its settings and all its data. It is there at once, and
    /// only when the whole archive has been read and fits; until then its name is taken and nobody sees it.
    ///
    /// # Errors
    /// `archive_invalid`; `organization_exists` (also for an id that has not rested), `name_taken`, `email_taken`;
    /// `unique_violation` where a unique index of the archive does not bear its documents; `capacity_reached`;
    /// `import_interrupted`; whatever `archive` says.
    pub async fn import_organization(
        self: &Arc<Self>,
        _: &Operator,
        import: Import,
        archive: ArchiveStream,
    ) -> Result<Outcome> {
        let mut source = Source::new(archive, self.policy.document_max_bytes);
        let archived = source.begin().await?;
        let organization = self.new_from_archive(import, archived).await?;
        self.begin_import(organization, source).await
    }

    /// The record that an import begins with. The database decides about names and addresses; these looks only spare
    /// the undoing in the common case.
    async fn new_from_archive(&self, import: Import, archived: ArchivedOrganization) -> Result<Organization> {
        let now = self.now();
        let keep = import.id == ImportedId::Keep;
        let id = if keep { archived.id } else { OrganizationId::new(now, &*self.entropy) };
        if self.store.organizations.get_organization(id).await?.is_some() {
            return Err(ErrorCode::OrganizationExists.into());
        }
        let naming =
            Naming::new(import.name.unwrap_or(archived.organization_name), &self.policy.tenant_prefix);
        if self.store.organizations.find_organization(&naming.identifier).await?.is_some() {
            return Err(ErrorCode::NameTaken.into());
        }
        let placement = self.store.containers.choose_placement(import.placement).await?;
        if keep && placement == Placement::Shared {
            self.ensure_cooldown_over(id).await?;
        }
        self.ensure_available(placement, &naming).await?;
        let version = self.version_of_its_own();
        let owner = self.new_owner(id, keep, version, import.owner_email, archived.owner).await?;
        let settings = Settings {
            delete_protection: archived.delete_protection,
            legal_hold: archived.legal_hold,
            quota: archived.quota,
        };
        Ok(Organization {
            id,
            reserved: naming.reserved(),
            naming,
            state: State::Provisioning,
            suspended: false,
            placement,
            container: None,
            owner_id: owner.id,
            token_epoch: epoch_of_its_own(&*self.entropy),
            delete_protection: false,
            legal_hold: false,
            quota: Quota::default(),
            created_at: archived.created_at,
            modified_at: now,
            deleted_at: None,
            purge_at: None,
            version,
            operation: Some(Box::new(self.operation(
                OperationId::new(now, &*self.entropy),
                Actor::Operator,
                OperationArguments::Import {
                    owner: Box::new(owner),
                    settings,
                    suspended: archived.suspended,
                },
            ))),
        })
    }

    /// Refuses an id that was somebody's a moment ago. In a share the id is all that tells documents of one from those
    /// of the other, so whoever still removes the former must have come to their end.
    async fn ensure_cooldown_over(&self, id: OrganizationId) -> Result<()> {
        let last = self.store.operations.list_operations_of(id, None, 1).await?.pop();
        match last.and_then(|record| record.finished_at).map(|finished| after(finished, ID_REST)) {
            Some(rested) if self.now() < rested => {
                Err(Error::new(ErrorCode::OrganizationExists).detail(format!(
                    "There was an organization of this id a moment ago: it comes back into the placement `shared` from \
                     {rested} on. Under a new id (`id=new`) or into another placement it may be imported at once."
                )))
            }
            _ => Ok(()),
        }
    }

    /// The owner's account. Its id stays, too, unless somebody has it: they belong to more than one organization.
    async fn new_owner(
        &self,
        organization_id: OrganizationId,
        keep: bool,
        version: u64,
        email: Option<EmailAddress>,
        archived: ArchivedOwner,
    ) -> Result<Account> {
        let email = email.unwrap_or(archived.email);
        self.require_free_mailbox(&email, None).await?;
        let now = self.now();
        let is_free = keep && self.store.accounts.get_account(archived.id).await?.is_none();
        let id = if is_free { archived.id } else { AccountId::new(now, &*self.entropy) };
        Ok(imported_owner(id, email, archived.password_hash, (organization_id, version), now))
    }

    /// The version of a record whose id may have been another record's before: one that nobody who knew that record,
    /// and has slept since, takes for the version after the one he knew.
    pub(super) fn version_of_its_own(&self) -> u64 {
        version_at(self.now())
    }
}

/// The epoch of an organization whose id may have been another's before: a session of that one, which a slow sign-in
/// may have kept behind its purge, is none of this one. Epochs count from 0 by ones, so none comes near.
fn epoch_of_its_own(entropy: &dyn Entropy) -> u32 {
    const FIRST: u32 = 1 << 20;
    FIRST + (u32::from_be_bytes(random::<4>(entropy)) >> 1)
}

fn version_at(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_millisecond()).unwrap_or(1)
}

/// The owner's account of an organization whose record begins with that version: whoever knows an earlier one of that
/// id comes too late for this account, too.
pub(super) fn imported_owner(
    id: AccountId,
    email: EmailAddress,
    password_hash: PasswordHash,
    (organization_id, version): (OrganizationId, u64),
    now: Timestamp,
) -> Account {
    let role = Role::Owner;
    let membership = Membership { organization_id, role, epoch: 0, since: now, changed_at_version: version };
    Account {
        id,
        email_key: Some(email.key()),
        email,
        password_hash,
        credential_epoch: 0,
        kept_session: None,
        memberships: vec![membership],
        last_operation: None,
        created_at: now,
        modified_at: now,
        version: version_at(now),
    }
}

/// Refuses an organization that is not, or not all, there.
fn require_whole(organization: &Organization) -> Result<()> {
    match organization.state {
        State::Active | State::Deleted => Ok(()),
        State::Provisioning | State::Purging => Err(ErrorCode::OrganizationNotActive.into()),
    }
}
