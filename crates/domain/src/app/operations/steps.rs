//! The effects of the steps. Each is idempotent and may run any number of times, on any instance: new records
//! get their ids from the arguments, changed ones are marked with the operation's id.

use crate::account::{Account, CredentialChange};
use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::app::mailboxes::Mailboxes;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OperationId, OrganizationId};
use crate::limits::PAGE_MAX_ITEMS;
use crate::operation::{
    Operation, OperationArguments, OperationRecord, OperationRefusal, OperationStep, StepResult,
};
use crate::organization::{Organization, State};
use crate::store::{self, InsertOutcome, NewContainer, Store, UpdateOutcome};
use std::sync::Arc;

/// Executes steps.
pub(in crate::app) struct Steps {
    accounts: Arc<dyn store::Accounts>,
    sessions: Arc<dyn store::Sessions>,
    api_keys: Arc<dyn store::ApiKeys>,
    invitations: Arc<dyn store::Invitations>,
    organizations: Arc<dyn store::Organizations>,
    operations: Arc<dyn store::Operations>,
    containers: Arc<dyn store::Containers>,
    mailboxes: Mailboxes,
    sources: ClockAndEntropy,
}

impl Steps {
    pub(super) fn new(store: &Store, mailboxes: &Mailboxes, sources: &ClockAndEntropy) -> Self {
        Self {
            accounts: store.accounts.clone(),
            sessions: store.sessions.clone(),
            api_keys: store.api_keys.clone(),
            invitations: store.invitations.clone(),
            organizations: store.organizations.clone(),
            operations: store.operations.clone(),
            containers: store.containers.clone(),
            mailboxes: mailboxes.clone(),
            sources: sources.clone(),
        }
    }

    /// Executes one step of the operation under way in `organization`.
    pub(super) async fn execute(
        &self,
        step: OperationStep,
        organization: &Organization,
        operation: &Operation,
    ) -> Result<StepResult> {
        let containers = &self.containers;
        match (step, &operation.arguments) {
            (OperationStep::InsertOwner, OperationArguments::Create { owner }) => {
                refusable(self.accounts.insert_account(&with_key_of_today(owner)).await.map(|_| ()))
            }
            (OperationStep::InsertOwner, OperationArguments::Import { owner, .. }) => {
                refusable(self.insert_new_account(&with_key_of_today(owner), organization.id).await)
            }
            (OperationStep::CreateContainer, OperationArguments::Import { .. }) => {
                self.create_empty_container(organization, operation).await
            }
            (OperationStep::CreateContainer, _) => {
                let made = containers.create_container(&new_container(organization, operation)).await?;
                Ok(StepResult::Made(made))
            }
            (OperationStep::ChangeCredentials, OperationArguments::Rename { credentials, .. }) => {
                match credentials {
                    Some((account, change)) => refusable(
                        self.change_credentials_as(organization, operation.id, *account, change).await,
                    ),
                    None => Ok(StepResult::Done),
                }
            }
            (
                OperationStep::ChangeCredentials,
                OperationArguments::SetPassword { credentials: (account, change) },
            ) => {
                self.edit_account(*account, organization, operation.id, |account| {
                    Ok(Some(account.with_credentials(change, self.sources.now())))
                })
                .await?;
                Ok(StepResult::Done)
            }
            (OperationStep::RenameContainer, OperationArguments::Rename { to, .. }) => {
                containers.rename_container(organization, &to.namespace).await?;
                Ok(StepResult::Counted(containers.count_documents(organization).await?))
            }
            (OperationStep::HideContainer, _) => {
                containers.rename_container(organization, &organization.trash_namespace()).await?;
                Ok(StepResult::Done)
            }
            (OperationStep::ShowContainer, OperationArguments::Restore { to, .. }) => {
                containers.rename_container(organization, &to.namespace).await?;
                Ok(StepResult::Done)
            }
            (OperationStep::DropContainer, _) => {
                containers.drop_container(organization).await?;
                Ok(StepResult::Done)
            }
            (OperationStep::ReleaseEmails, _) => self.release_emails(organization, operation.id).await,
            (OperationStep::RevokeKeys, _) => self.revoke_keys(organization.id, operation.id).await,
            (OperationStep::ReserveEmails, OperationArguments::Restore { owner_email, .. }) => {
                refusable(self.reserve_emails(organization, operation.id, owner_email.as_ref()).await)
            }
            (OperationStep::RemoveMembers, _) => self.remove_members(organization, operation.id).await,
            (OperationStep::Record, _) => {
                let record = OperationRecord::finished(organization, operation, self.sources.now());
                self.operations.insert_operation(&record).await.map(|_| StepResult::Done)
            }
            (step, arguments) => {
                Err(Error::internal(format!("{step:?} is not a step of {:?}", arguments.kind())))
            }
        }
    }

    /// Removes the API keys of an organization that is being deleted, unless it has been restored: the keys do
    /// not say which operation they are from. A process that slept in between removes a key too many, never
    /// one too few.
    async fn revoke_keys(&self, id: OrganizationId, operation: OperationId) -> Result<StepResult> {
        while !self.has_come_back(id, operation).await? {
            if self.api_keys.delete_api_keys_of(id, PAGE_MAX_ITEMS).await?.is_empty() {
                break;
            }
        }
        Ok(StepResult::Done)
    }

    /// Adds an account whose id may have been used before: an existing one counts as the work of an earlier
    /// try only if it belongs to the organization.
    async fn insert_new_account(&self, account: &Account, organization: OrganizationId) -> Result<()> {
        if self.accounts.insert_account(account).await? == InsertOutcome::New {
            return Ok(());
        }
        let there = self.accounts.get_account(account.id).await?;
        match there.is_some_and(|there| there.membership(organization).is_some()) {
            true => Ok(()),
            false => Err(ErrorCode::EmailTaken.into()),
        }
    }

    /// Creates the container of an organization whose id may have been in use before. Leftovers of the former
    /// one are neither adopted nor, when this is undone, removed.
    async fn create_empty_container(
        &self,
        organization: &Organization,
        operation: &Operation,
    ) -> Result<StepResult> {
        let containers = &self.containers;
        let container = match containers.create_container(&new_container(organization, operation)).await {
            Err(error) => return refusable(Err(error)),
            Ok(container) => container,
        };
        let made = Organization { container, ..organization.clone() };
        match containers.count_documents(&made).await? {
            0 => Ok(StepResult::Made(container)),
            _ => Ok(StepResult::Refused(OperationRefusal::ContainerTaken)),
        }
    }

    async fn change_credentials_as(
        &self,
        organization: &Organization,
        operation: OperationId,
        id: AccountId,
        change: &CredentialChange,
    ) -> Result<()> {
        if let Some(email) = &change.email {
            self.mailboxes.require_free(email, Some(id)).await?;
        }
        self.edit_account(id, organization, operation, |account| {
            if account.credential_epoch != change.credential_epoch {
                return Err(ErrorCode::TokenRevoked.into());
            }
            Ok(Some(account.with_credentials(change, self.sources.now())))
        })
        .await
    }

    /// Frees the addresses of accounts whose organizations are now all deleted.
    async fn release_emails(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<StepResult> {
        for account in self.members_of(organization.id).await? {
            if self.belongs_elsewhere(&account, organization.id).await? {
                continue;
            }
            self.edit_account(account.id, organization, operation, |account| {
                let mut next = account.successor(self.sources.now());
                next.email_key = None;
                Ok(account.email_key.is_some().then_some(next))
            })
            .await?;
        }
        Ok(StepResult::Done)
    }

    /// Takes the addresses back. The owner must get one; another member whose address has been taken comes
    /// back without one, until an admin sets a new one.
    async fn reserve_emails(
        &self,
        organization: &Organization,
        operation: OperationId,
        owner_email: Option<&EmailAddress>,
    ) -> Result<()> {
        if let Some(owner) = self.accounts.get_account(organization.owner_id).await? {
            self.mailboxes.require_free(owner_email.unwrap_or(&owner.email), Some(owner.id)).await?;
        }
        self.edit_account(organization.owner_id, organization, operation, |account| {
            if account.email_key.is_some() && owner_email.is_none() {
                return Ok(None);
            }
            let mut next = account.successor(self.sources.now());
            next.email = owner_email.unwrap_or(&account.email).clone();
            next.email_key = Some(next.email.key());
            Ok(Some(next))
        })
        .await?;
        for member in self.members_of(organization.id).await? {
            match self.mailboxes.require_free(&member.email, Some(member.id)).await {
                Err(error) if error.code() == ErrorCode::EmailTaken => continue,
                result => result?,
            }
            let reserved = self.edit_account(member.id, organization, operation, |account| {
                let mut next = account.successor(self.sources.now());
                next.email_key = Some(account.email.key());
                Ok(account.email_key.is_none().then_some(next))
            });
            match reserved.await {
                Err(error) if error.code() != ErrorCode::EmailTaken => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the memberships, sessions, API keys and invitations of an organization that is gone.
    pub(super) async fn remove_members(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<StepResult> {
        let id = organization.id;
        while !self.sessions.delete_sessions_of(id, PAGE_MAX_ITEMS).await?.is_empty() {}
        self.remove_keys_and_invitations(organization, operation).await?;
        for member in self.members_of(id).await? {
            match MemberCleanup::of(&member, organization) {
                MemberCleanup::Late => {}
                MemberCleanup::Membership => {
                    self.edit_account(member.id, organization, operation, |account| {
                        let mut next = account.successor(self.sources.now());
                        next.memberships.retain(|m| m.organization_id != id);
                        Ok(Some(next))
                    })
                    .await?;
                }
                MemberCleanup::Account => {
                    let removed = self.accounts.delete_account(member.id, member.version).await?;
                    if removed == UpdateOutcome::Stale {
                        return Err(Error::unavailable("an account changed while it was removed"));
                    }
                }
            }
        }
        Ok(StepResult::Done)
    }

    /// Removes API keys and invitations in batches, unless the organization has come back under its id: these
    /// do not say which operation they are from.
    async fn remove_keys_and_invitations(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<()> {
        let id = organization.id;
        while !self.has_come_back(id, operation).await? {
            let keys = self.api_keys.delete_api_keys_of(id, PAGE_MAX_ITEMS).await?;
            let invitations = self.invitations.delete_invitations_of(id, PAGE_MAX_ITEMS).await?;
            if keys.is_empty() && invitations == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Whether a record of that id is there in which another operation, or none, is under way.
    async fn has_come_back(&self, id: OrganizationId, operation: OperationId) -> Result<bool> {
        let there = self.organizations.get_organization(id).await?;
        Ok(there.is_some_and(|there| there.operation.as_ref().is_none_or(|running| running.id != operation)))
    }

    async fn belongs_elsewhere(&self, account: &Account, organization: OrganizationId) -> Result<bool> {
        for membership in account.memberships.iter().filter(|m| m.organization_id != organization) {
            let other = self.organizations.get_organization(membership.organization_id).await?;
            if other.is_some_and(|o| matches!(o.state, State::Provisioning | State::Active)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn members_of(&self, organization: OrganizationId) -> Result<Vec<Arc<Account>>> {
        let mut members: Vec<Arc<Account>> = Vec::new();
        loop {
            let after = members.last().map(|account| account.id);
            let page = self.accounts.list_accounts_of(organization, after, PAGE_MAX_ITEMS).await?;
            if page.is_empty() {
                return Ok(members);
            }
            members.extend(page);
        }
    }

    /// Changes an account once for this operation: `edit` returns its next version, or `None` to leave it. An
    /// account stays as it is if it is gone, or is already marked by this operation or a later one of the
    /// same organization.
    async fn edit_account(
        &self,
        id: AccountId,
        organization: &Organization,
        operation: OperationId,
        edit: impl Fn(&Account) -> Result<Option<Account>> + Send,
    ) -> Result<()> {
        loop {
            let Some(account) = self.accounts.get_account(id).await? else { return Ok(()) };
            if account.last_operation == Some(operation)
                || account.is_ahead_of((organization.id, organization.version))
            {
                return Ok(());
            }
            let Some(mut next) = edit(&account)? else { return Ok(()) };
            next.mark((organization.id, organization.version), operation);
            if self.accounts.update_account(&next).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }
}

/// What to remove of a member of an organization that is gone.
#[derive(Debug, PartialEq, Eq)]
enum MemberCleanup {
    /// Nothing: the organization has come back under its id, and with it the account.
    Late,
    /// The membership: the account has others.
    Membership,
    /// The account.
    Account,
}

impl MemberCleanup {
    fn of(member: &Account, organization: &Organization) -> Self {
        if member.is_ahead_of((organization.id, organization.version)) {
            Self::Late
        } else if member.memberships.iter().any(|m| m.organization_id != organization.id) {
            Self::Membership
        } else {
            Self::Account
        }
    }
}

/// The owner that an operation of an earlier version of the service began to create.
fn with_key_of_today(owner: &Account) -> Account {
    Account { email_key: Some(owner.email.key()), ..owner.clone() }
}

fn new_container(organization: &Organization, operation: &Operation) -> NewContainer {
    NewContainer {
        organization_id: organization.id,
        fence: operation.fence,
        namespace: organization.naming.namespace.clone(),
        placement: organization.placement,
        created_at: organization.created_at,
    }
}

/// The result of an effect that may be refused because of the request.
fn refusable(result: Result<()>) -> Result<StepResult> {
    match result {
        Ok(()) => Ok(StepResult::Done),
        Err(error) => match error.code() {
            ErrorCode::EmailTaken => Ok(StepResult::Refused(OperationRefusal::EmailTaken)),
            ErrorCode::TokenRevoked => Ok(StepResult::Refused(OperationRefusal::SessionEnded)),
            ErrorCode::OrganizationExists => Ok(StepResult::Refused(OperationRefusal::ContainerTaken)),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::PasswordHash;
    use crate::name::OrganizationName;
    use crate::organization::{Naming, Placement, Quota};
    use jiff::Timestamp;

    const IMPORTED_AT: u64 = 1_000;

    fn organization(version: u64) -> Organization {
        Organization {
            id: OrganizationId::from_bytes([1; 12]),
            naming: Naming::new(OrganizationName::parse("Acme").unwrap(), "tenant_"),
            reserved: Vec::new(),
            state: State::Purging,
            suspended: false,
            placement: Placement::Database,
            container: None,
            owner_id: AccountId::from_bytes([2; 12]),
            token_epoch: 0,
            delete_protection: false,
            legal_hold: false,
            quota: Quota::default(),
            created_at: Timestamp::UNIX_EPOCH,
            modified_at: Timestamp::UNIX_EPOCH,
            deleted_at: None,
            purge_at: None,
            version,
            operation: None,
        }
    }

    fn owner() -> Account {
        let email = EmailAddress::parse("a@example.com").unwrap();
        let membership = (OrganizationId::from_bytes([1; 12]), IMPORTED_AT);
        let hash = PasswordHash(String::new());
        Account::new_owner(AccountId::from_bytes([2; 12]), email, hash, membership, Timestamp::UNIX_EPOCH)
    }

    /// A purge that began before an import does not remove the owner that the import created.
    #[test]
    fn late_purge_does_not_remove_owner_of_import() {
        assert_eq!(MemberCleanup::of(&owner(), &organization(IMPORTED_AT - 1)), MemberCleanup::Late);
        // The import itself, which is undone, and a later purge.
        for version in [IMPORTED_AT, IMPORTED_AT + 3] {
            assert_eq!(MemberCleanup::of(&owner(), &organization(version)), MemberCleanup::Account);
        }
    }

    #[test]
    fn member_cleanup_keeps_account_with_other_memberships() {
        let mut member = owner();
        let elsewhere = OrganizationId::from_bytes([9; 12]);
        member
            .memberships
            .push(crate::account::Membership { organization_id: elsewhere, ..member.memberships[0].clone() });
        assert_eq!(MemberCleanup::of(&member, &organization(IMPORTED_AT)), MemberCleanup::Membership);
    }
}
