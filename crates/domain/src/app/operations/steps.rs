//! The effects of the steps. Each is idempotent and may run any number of times, on any instance: new records
//! get their ids from the arguments, changed ones are marked with the operation's id.

use crate::account::{Account, Role};
use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::app::mailboxes::Mailboxes;
use crate::audit::AuditEvent;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{OperationId, OrganizationId};
use crate::limits::PAGE_MAX_ITEMS;
use crate::operation::{
    Operation, OperationArguments, OperationRecord, OperationRefusal, OperationStep, StepResult,
};
use crate::organization::Organization;
use crate::store::{self, NewContainer, Store};
use std::sync::Arc;

mod accounts;
mod audit;
mod invitations;

/// Executes steps.
pub(in crate::app) struct Steps {
    accounts: Arc<dyn store::Accounts>,
    sessions: Arc<dyn store::Sessions>,
    api_keys: Arc<dyn store::ApiKeys>,
    invitations: Arc<dyn store::Invitations>,
    identities: Arc<dyn store::Identities>,
    organizations: Arc<dyn store::Organizations>,
    operations: Arc<dyn store::Operations>,
    audit: Arc<dyn store::Audit>,
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
            identities: store.identities.clone(),
            organizations: store.organizations.clone(),
            operations: store.operations.clone(),
            audit: store.audit.clone(),
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
            (OperationStep::InsertOwner, OperationArguments::CreateForAccount { account_id, epoch }) => {
                self.join(organization, operation, *account_id, (Role::Owner, *epoch, None)).await
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
            (OperationStep::RevokeKeys, _) => {
                self.remove_keys_and_invitations(organization, operation.id).await?;
                Ok(StepResult::Done)
            }
            (OperationStep::ReserveEmails, OperationArguments::Restore { owner_email, .. }) => {
                refusable(self.reserve_emails(organization, operation.id, owner_email.as_ref()).await)
            }
            (OperationStep::RemoveMembers, _) => self.remove_members(organization, operation.id).await,
            (
                OperationStep::ChangeMembership,
                OperationArguments::ChangeRole(change) | OperationArguments::RemoveMember(change),
            ) => self.change_membership(organization, operation, *change).await,
            (OperationStep::ChangeMembership, OperationArguments::AddMember(new)) => {
                self.add_membership(organization, operation, new).await
            }
            (OperationStep::UseInvitation, OperationArguments::AddMember(new)) => {
                self.use_invitation(operation.id, new).await
            }
            (OperationStep::RemoveInvitation, OperationArguments::AddMember(new)) => {
                self.remove_invitation(operation.id, new).await
            }
            (OperationStep::Record, _) => {
                let now = self.sources.now();
                let record = OperationRecord::finished(organization, operation, now);
                let event = AuditEvent::of_operation(organization, operation, now);
                self.sources.note_activity();
                self.operations.insert_operation(&record, Some(&event)).await.map(|_| StepResult::Done)
            }
            (step, arguments) => {
                Err(Error::internal(format!("{step:?} is not a step of {:?}", arguments.kind())))
            }
        }
    }

    /// Removes API keys and invitations in batches, unless the organization has come back, restored or under its id:
    /// these do not say which operation they are from. A process that slept in between removes one too many, never
    /// one too few.
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
