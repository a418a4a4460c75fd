//! Creates, finds, changes and removes organizations.
//!
//! Each change defines here how its intent changes the record and when it is refused; the steps that follow
//! are in [`crate::operation`].

mod change;
mod compaction;

pub use change::OrganizationChange;

use super::auth::{
    AccountPrincipal, AdministerAccess, Auth, Authorization, ListAccess, ManageAccess, Operator,
    OrganizationRef, Principal, SignupAccess,
};
use super::clock_and_entropy::ClockAndEntropy;
use super::mail::Mailer;
use super::mailboxes::Mailboxes;
use super::operations::{Executor, Outcome};
use super::passwords::PasswordHasher;
use super::policy::Policy;
use super::view::{OrganizationView, Precondition, Views};
use crate::account::{Account, PasswordHash};
use crate::audit::RequestOrigin;
use crate::clock;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId};
use crate::limits::MEMBERSHIPS_MAX;
use crate::name::{Identifier, OrganizationName};
use crate::operation::OperationArguments;
use crate::organization::{Location, Naming, Organization, Placement, ReservedKey, State};
use crate::page::{Page, PageLimit};
use crate::password::policy::NewPassword;
use crate::session::fresh_epoch;
use crate::store::{self, OrganizationCursor, OrganizationQuery, Store};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The arguments of a new organization.
pub struct NewOrganization {
    /// Its id, if a repeated request must not create another one.
    pub id: Option<OrganizationId>,
    /// Its name.
    pub name: OrganizationName,
    /// Its owner.
    pub owner: NewOwner,
    /// Where its data goes, if not where the settings say.
    pub placement: Option<Placement>,
}

/// The owner of a new organization.
pub enum NewOwner {
    /// A person who gets an account with this address and password.
    Person(EmailAddress, NewPassword),
    /// An account that is signed in.
    Account(Box<AccountPrincipal>),
}

/// The owner of a new organization, as far as it can be said before the organization has an id.
enum PreparedOwner {
    Person(EmailAddress, PasswordHash),
    Account(AccountId),
}

/// What a compaction did: bytes that the organization took on disk, and takes now.
#[derive(Debug, Clone, Copy)]
pub struct Compaction {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// Organizations.
pub struct Organizations {
    organizations: Arc<dyn store::Organizations>,
    accounts: Arc<dyn store::Accounts>,
    containers: Arc<dyn store::Containers>,
    mailboxes: Mailboxes,
    mailer: Arc<Mailer>,
    auth: Arc<Auth>,
    views: Views,
    passwords: Arc<PasswordHasher>,
    executor: Arc<Executor>,
    policy: Arc<Policy>,
    sources: ClockAndEntropy,
}

impl Organizations {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        (passwords, mailer): (&Arc<PasswordHasher>, &Arc<Mailer>),
        executor: &Arc<Executor>,
        policy: &Arc<Policy>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            organizations: Arc::clone(&store.organizations),
            accounts: Arc::clone(&store.accounts),
            containers: Arc::clone(&store.containers),
            mailboxes: Mailboxes::new(store),
            mailer: Arc::clone(mailer),
            auth: Arc::clone(auth),
            views: Views::new(store),
            passwords: Arc::clone(passwords),
            executor: Arc::clone(executor),
            policy: Arc::clone(policy),
            sources: sources.clone(),
        }
    }

    /// Creates an organization and its container, and an account for its owner unless there is one.
    ///
    /// # Errors
    /// `name_taken`, `email_taken`, `capacity_reached`, `sign_in_busy`, `store_unavailable`; for an account also
    /// `too_many_organizations`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn create_organization(&self, by: SignupAccess, new: NewOrganization) -> Result<Outcome> {
        // An earlier attempt may have been refused and its response lost: then this one is refused, too.
        if let Some(id) = new.id
            && let Some(outcome) = self.executor.outcome_of_create(id).await?
        {
            return Ok(outcome);
        }
        let naming = Naming::new(new.name, &self.policy.tenant_prefix);
        // The database decides; these checks only avoid the hash and the undo in the common case.
        if self.organizations.find_organization(&naming.identifier).await?.is_some() {
            return Err(ErrorCode::NameTaken.into());
        }
        if let NewOwner::Person(email, _) = &new.owner {
            self.mailboxes.require_free(email, None).await?;
        }
        let placement = self.containers.choose_placement(new.placement).await?;
        self.executor.ensure_available(placement, &naming).await?;
        let owner = self.prepare_owner(new.owner).await?;
        let now = self.sources.now();
        let id = new.id.unwrap_or_else(|| OrganizationId::new(now, self.sources.entropy()));
        let (owner_id, arguments) = self.create_arguments(owner, id, now);
        let outcome = self
            .executor
            .begin_new(Organization {
                id,
                reserved: naming.reserved(),
                naming,
                state: State::Provisioning,
                suspended: false,
                placement,
                container: None,
                owner_id,
                owners: vec![owner_id],
                members: 1,
                roles: crate::role::OwnRoles::default(),
                trails: Vec::new(),
                token_epoch: 0,
                token_epoch_since: None,
                delete_protection: false,
                legal_hold: false,
                quota: self.policy.default_quota,
                created_at: now,
                modified_at: now,
                deleted_at: None,
                purge_at: None,
                version: 1,
                operation: Some(Box::new(self.executor.operation(
                    Executor::create_operation(id),
                    by.actor,
                    arguments,
                ))),
            })
            .await?;
        RequestOrigin::note_organization(id);
        Ok(outcome)
    }

    async fn prepare_owner(&self, owner: NewOwner) -> Result<PreparedOwner> {
        match owner {
            NewOwner::Person(email, password) => {
                Ok(PreparedOwner::Person(email, self.passwords.hash(password).await?))
            }
            NewOwner::Account(member) => {
                let account = self.auth.current_member(&member).await?.account;
                if account.memberships.len() >= MEMBERSHIPS_MAX {
                    return Err(Error::limit_reached(
                        ErrorCode::TooManyOrganizations,
                        "The account",
                        MEMBERSHIPS_MAX,
                        "organizations",
                    ));
                }
                Ok(PreparedOwner::Account(account.id))
            }
        }
    }

    /// The arguments of the create of organization `id`, and its owner.
    fn create_arguments(
        &self,
        owner: PreparedOwner,
        id: OrganizationId,
        now: Timestamp,
    ) -> (AccountId, OperationArguments) {
        match owner {
            PreparedOwner::Person(email, password_hash) => {
                let account_id = AccountId::new(now, self.sources.entropy());
                // No step of this organization has changed the membership so far.
                let owner = Account::new_owner(account_id, email, password_hash, (id, 0), now);
                (account_id, OperationArguments::Create { owner: Box::new(owner) })
            }
            PreparedOwner::Account(account_id) => {
                let epoch = fresh_epoch(self.sources.entropy());
                (account_id, OperationArguments::CreateForAccount { account_id, epoch })
            }
        }
    }

    /// The live organization called `name`. Case, spaces and punctuation do not matter.
    ///
    /// # Errors
    /// `organization_not_found`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_organization_by_name(&self, name: &OrganizationName) -> Result<OrganizationView> {
        let found = self.organizations.find_recent_organization(&name.identifier()).await?;
        let found = found.ok_or_else(|| Error::organization_not_found(name.as_str()))?;
        self.views.view(found).await
    }

    /// An organization, for the operator (deleted ones too, by id) or one of its members.
    ///
    /// # Errors
    /// `organization_not_found`, also for one that is not the caller's.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn get_organization(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<OrganizationView> {
        self.views.view(self.auth.readable(caller, which).await?).await
    }

    /// The location of the data of an organization that the caller manages.
    #[must_use]
    pub fn locate(&self, managed: &ManageAccess) -> Location {
        self.containers.locate(&managed.organization)
    }

    /// A page of organizations, ordered by identifier.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_organizations(
        &self,
        _: ListAccess,
        query: &OrganizationQuery,
        limit: PageLimit,
    ) -> Result<Page<OrganizationView, OrganizationCursor>> {
        let found = self.organizations.list_organizations(query, limit.items() + 1).await?;
        let page = Page::of(found, limit, |organization| OrganizationCursor {
            identifier: organization.naming.identifier.clone(),
            id: organization.id,
        });
        let mut items = Vec::with_capacity(page.items.len());
        for organization in page.items {
            items.push(self.views.view(organization).await?);
        }
        Ok(Page { items, next: page.next })
    }

    /// Hides an organization and keeps it until its retention ends, or purges it at once.
    ///
    /// # Errors
    /// `delete_protected`, `legal_hold` (with `purge`), `organization_not_active`, `operation_in_progress`,
    /// `version_mismatch`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %managed.organization.id))]
    pub async fn delete_organization(
        &self,
        managed: &ManageAccess,
        expected: &Precondition,
        purge: bool,
    ) -> Result<Outcome> {
        let retention = if purge { Duration::ZERO } else { self.policy.retention };
        let id = managed.organization.id;
        let outcome = self
            .executor
            .begin(id, &managed.authority, expected, |next| {
                require(next.state == State::Active, ErrorCode::OrganizationNotActive)?;
                require(!next.delete_protection, ErrorCode::DeleteProtected)?;
                require(!(purge && next.legal_hold), ErrorCode::LegalHold)?;
                let now = next.modified_at;
                next.state = State::Deleted;
                next.begin_token_epoch(now);
                next.deleted_at = Some(now);
                next.purge_at = Some(clock::after(now, retention));
                // The name is free at once, the container's visible name only when the container no longer uses it.
                next.reserved = vec![ReservedKey::namespace(&next.naming.namespace)];
                Ok(OperationArguments::Delete)
            })
            .await?;
        if retention.is_zero()
            && matches!(outcome, Outcome::Done { .. })
            // The delete is done and the purge due; if the purge fails now, maintenance tries it again.
            && let Err(error) = self.purge_if_free(id).await
        {
            tracing::warn!(organization = %id, %error, "the purge after a delete is left to maintenance");
        }
        Ok(outcome)
    }

    /// Brings a deleted organization back, under another name or with another address of its owner if asked.
    ///
    /// # Errors
    /// `organization_not_deleted`, `name_taken`, `email_taken`, `operation_in_progress`, `version_mismatch`;
    /// `invalid_input` at `/admin_email` if the admin has kept their address in another organization.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn restore_organization(
        &self,
        access: &AdministerAccess,
        expected: &Precondition,
        name: Option<OrganizationName>,
        owner_email: Option<EmailAddress>,
    ) -> Result<Outcome> {
        let view = self.views.view(Arc::clone(&access.organization)).await?;
        let is_used_elsewhere = view.organization.state == State::Deleted
            && view.admin.as_ref().is_some_and(|admin| admin.email_key.is_some());
        if owner_email.is_some() && is_used_elsewhere {
            let rule = "Its admin uses the address in another organization: leave this out.";
            return Err(Error::invalid_field("/admin_email", rule));
        }
        // What the admin has already is no change, and the trail tells of none.
        let owner_email = owner_email
            .filter(|email| view.admin.as_ref().is_none_or(|admin| admin.email.as_str() != email.as_str()));
        self.executor
            .begin(access.organization.id, &access.authority, expected, |next| {
                require(next.state == State::Deleted, ErrorCode::OrganizationNotDeleted)?;
                let name = name.clone().unwrap_or_else(|| next.naming.name.clone());
                let to = Naming::new(name, &self.policy.tenant_prefix);
                next.reserved = to.reserved();
                Ok(OperationArguments::Restore { to, owner_email: owner_email.clone() })
            })
            .await
    }

    /// Keeps all members of an organization from signing in or reaching its data until it is reactivated.
    ///
    /// # Errors
    /// `organization_not_active`, `operation_in_progress`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn suspend_organization(
        &self,
        access: &AdministerAccess,
        expected: &Precondition,
    ) -> Result<Outcome> {
        self.executor
            .begin(access.organization.id, &access.authority, expected, |next| {
                require(next.is_usable(), ErrorCode::OrganizationNotActive)?;
                next.suspended = true;
                next.begin_token_epoch(next.modified_at);
                Ok(OperationArguments::Suspend)
            })
            .await
    }

    /// Ends a suspension.
    ///
    /// # Errors
    /// `organization_not_suspended`, `operation_in_progress`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn reactivate_organization(
        &self,
        access: &AdministerAccess,
        expected: &Precondition,
    ) -> Result<Outcome> {
        self.executor
            .begin(access.organization.id, &access.authority, expected, |next| {
                require(next.state == State::Active && next.suspended, ErrorCode::OrganizationNotSuspended)?;
                next.suspended = false;
                Ok(OperationArguments::Reactivate)
            })
            .await
    }

    /// Removes a deleted organization permanently, before its retention ends.
    ///
    /// # Errors
    /// `organization_not_deleted`, `legal_hold`, `operation_in_progress`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.organization.id))]
    pub async fn purge_organization(
        &self,
        _: &Operator,
        organization: &OrganizationView,
        expected: &Precondition,
    ) -> Result<Outcome> {
        self.begin_purge(organization.organization.id, &Authorization::Operator, expected).await
    }

    /// Purges unless something forbids it at the moment; then the next round of maintenance tries again.
    pub(super) async fn purge_if_free(&self, id: OrganizationId) -> Result<()> {
        match self.begin_purge(id, &Authorization::System, &Precondition::default()).await {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                ErrorCode::OrganizationNotFound
                | ErrorCode::OrganizationNotDeleted
                | ErrorCode::LegalHold
                | ErrorCode::OperationInProgress => Ok(()),
                _ => Err(error),
            },
        }
    }

    async fn begin_purge(
        &self,
        id: OrganizationId,
        authority: &Authorization,
        expected: &Precondition,
    ) -> Result<Outcome> {
        self.executor
            .begin(id, authority, expected, |next| {
                require(next.state == State::Deleted, ErrorCode::OrganizationNotDeleted)?;
                require(!next.legal_hold, ErrorCode::LegalHold)?;
                next.state = State::Purging;
                Ok(OperationArguments::Purge)
            })
            .await
    }
}

impl OrganizationQuery {
    /// Only organizations whose name begins with `text`. Case, spaces and punctuation do not matter.
    ///
    /// # Errors
    /// `invalid_input` at `?name_prefix` if nothing of it is left in an identifier.
    pub fn name_prefix(self, text: &str) -> Result<Self> {
        let prefix = Identifier::prefix_of(text)
            .ok_or_else(|| Error::invalid_field("?name_prefix", "Must contain a letter or a digit."))?;
        Ok(Self { identifier_prefix: Some(prefix), ..self })
    }
}

fn require(holds: bool, otherwise: ErrorCode) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
