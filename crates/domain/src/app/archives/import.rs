//! Creates an organization from an archive, as an operation.

use super::source::{ArchiveSource, ArchiveStream};
use crate::account::{Account, PasswordHash};
use crate::app::auth::Operator;
use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::app::mailboxes::Mailboxes;
use crate::app::operations::{Executor, Outcome};
use crate::app::policy::Policy;
use crate::archive::{ArchivedOrganization, ArchivedOwner};
use crate::clock::after;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OperationId, OrganizationId};
use crate::limits::ID_COOLDOWN;
use crate::name::OrganizationName;
use crate::operation::{Actor, OperationArguments, Settings};
use crate::organization::{Naming, Organization, Placement, Quota, State, version_at};
use crate::password::hash::decoy;
use crate::session::fresh_epoch;
use crate::store::{self, Store};
use std::sync::Arc;

/// Which id an imported organization has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImportedId {
    /// The id in the archive.
    #[default]
    Keep,
    /// Another one.
    New,
}

/// The arguments of an import: what should differ from the archive.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Another name.
    pub name: Option<OrganizationName>,
    /// Which id.
    pub id: ImportedId,
    /// Where its data goes, if not where the settings say.
    pub placement: Option<Placement>,
    /// Another address of its owner.
    pub owner_email: Option<EmailAddress>,
}

/// Creates organizations from archives.
pub struct Importer {
    organizations: Arc<dyn store::Organizations>,
    accounts: Arc<dyn store::Accounts>,
    containers: Arc<dyn store::Containers>,
    operations: Arc<dyn store::Operations>,
    mailboxes: Mailboxes,
    executor: Arc<Executor>,
    policy: Arc<Policy>,
    sources: ClockAndEntropy,
}

impl Importer {
    pub(in crate::app) fn new(
        store: &Store,
        mailboxes: &Mailboxes,
        executor: &Arc<Executor>,
        policy: &Arc<Policy>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            organizations: store.organizations.clone(),
            accounts: store.accounts.clone(),
            containers: store.containers.clone(),
            operations: store.operations.clone(),
            mailboxes: mailboxes.clone(),
            executor: executor.clone(),
            policy: policy.clone(),
            sources: sources.clone(),
        }
    }

    /// Creates an organization from an archive, with its owner, its settings and all its data. It appears all
    /// at once, after the whole archive has been read and matches; until then its name is taken and nobody
    /// sees it.
    ///
    /// # Errors
    /// `archive_invalid`; `organization_exists` (also for an id that has not rested), `name_taken`,
    /// `email_taken`; `unique_violation` if the documents of the archive break one of its unique indexes;
    /// `capacity_reached`; `import_interrupted`; the errors of `archive`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn import_organization(
        &self,
        _: &Operator,
        import: Import,
        archive: ArchiveStream,
    ) -> Result<Outcome> {
        let mut source = ArchiveSource::new(archive, self.policy.document_max_bytes);
        let archived = source.begin().await?;
        let organization = self.new_from_archive(import, archived).await?;
        self.executor.begin_import(organization, source).await
    }

    /// The first record of an import. The database decides about names and addresses; these checks only avoid
    /// an undo in the common case.
    async fn new_from_archive(&self, import: Import, archived: ArchivedOrganization) -> Result<Organization> {
        let now = self.sources.now();
        let keep = import.id == ImportedId::Keep;
        let id = if keep { archived.id } else { OrganizationId::new(now, self.sources.entropy()) };
        if self.organizations.get_organization(id).await?.is_some() {
            return Err(ErrorCode::OrganizationExists.into());
        }
        let naming =
            Naming::new(import.name.unwrap_or(archived.organization_name), &self.policy.tenant_prefix);
        if self.organizations.find_organization(&naming.identifier).await?.is_some() {
            return Err(ErrorCode::NameTaken.into());
        }
        let placement = self.containers.choose_placement(import.placement).await?;
        if keep && placement == Placement::Shared {
            self.ensure_cooldown_over(id).await?;
        }
        self.executor.ensure_available(placement, &naming).await?;
        let version = version_at(self.sources.now());
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
            owners: vec![owner.id],
            members: 1,
            roles: crate::role::OwnRoles::default(),
            trails: Vec::new(),
            token_epoch: fresh_epoch(self.sources.entropy()),
            token_epoch_since: Some(now),
            delete_protection: false,
            legal_hold: false,
            quota: Quota::default(),
            created_at: archived.created_at,
            modified_at: now,
            deleted_at: None,
            purge_at: None,
            version,
            operation: Some(Box::new(self.executor.operation(
                OperationId::new(now, self.sources.entropy()),
                Actor::Operator,
                OperationArguments::Import {
                    owner: Box::new(owner),
                    settings,
                    suspended: archived.suspended,
                },
            ))),
        })
    }

    /// Refuses an id that belonged to another organization until a moment ago. In a shared collection, only
    /// the id tells the documents of the two apart, so the removal of the former ones must have ended.
    async fn ensure_cooldown_over(&self, id: OrganizationId) -> Result<()> {
        let last = self.operations.list_operations_of(id, None, 1).await?.pop();
        match last.and_then(|record| record.finished_at).map(|finished| after(finished, ID_COOLDOWN)) {
            Some(rested) if self.sources.now() < rested => {
                Err(Error::new(ErrorCode::OrganizationExists).detail(format!(
                    "There was an organization of this id a moment ago: it comes back into the placement `shared` from \
                     {rested} on. Under a new id (`id=new`) or into another placement it may be imported at once."
                )))
            }
            _ => Ok(()),
        }
    }

    /// The owner's account. It keeps its id too, unless an account has it: the owner belongs to more than one
    /// organization.
    async fn new_owner(
        &self,
        organization_id: OrganizationId,
        keep: bool,
        version: u64,
        email: Option<EmailAddress>,
        archived: ArchivedOwner,
    ) -> Result<Account> {
        let email = email.unwrap_or(archived.email);
        self.mailboxes.require_free(&email, None).await?;
        let now = self.sources.now();
        let is_free = keep && self.accounts.get_account(archived.id).await?.is_none();
        let id = if is_free { archived.id } else { AccountId::new(now, self.sources.entropy()) };
        // The version makes late writes of an earlier record of this id fail on this account too.
        // Without a hash, nobody signs in before the operator's link, or a mail, has given the account a password.
        let hash = archived.password_hash.unwrap_or_else(|| PasswordHash(decoy().to_owned()));
        let owner = Account::new_owner(id, email, hash, (organization_id, version), now);
        Ok(Account { version: version_at(now), ..owner })
    }
}
