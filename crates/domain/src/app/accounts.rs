//! Accounts: their credentials, apart from signing in.

use super::auth::{AccountPrincipal, Auth, Authorization, Operator};
use super::clock_and_entropy::ClockAndEntropy;
use super::credentials::Credentials;
use super::operations::{Executor, Outcome};
use super::passwords::PasswordHasher;
use super::view::{OrganizationView, Precondition};
use crate::account::{CredentialChange, Membership};
use crate::audit::{AuditAction, AuditTarget};
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::ids::OrganizationId;
use crate::operation::{Actor, OperationArguments};
use crate::organization::{Organization, State};
use crate::page::{Page, PageLimit};
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::rate_limit::ClientNetwork;
use crate::store::{self, Store, UpdateOutcome};
use std::sync::Arc;

/// An organization that an account belongs to.
#[derive(Debug)]
pub struct OwnOrganization {
    /// The organization.
    pub organization: Arc<Organization>,
    /// The account's membership.
    pub membership: Membership,
}

/// Accounts, as themselves.
pub struct Accounts {
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    sources: ClockAndEntropy,
    auth: Arc<Auth>,
    credentials: Arc<Credentials>,
    passwords: Arc<PasswordHasher>,
    executor: Arc<Executor>,
}

impl Accounts {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        credentials: &Arc<Credentials>,
        passwords: &Arc<PasswordHasher>,
        executor: &Arc<Executor>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            accounts: store.accounts.clone(),
            organizations: store.organizations.clone(),
            sources: sources.clone(),
            auth: auth.clone(),
            credentials: credentials.clone(),
            passwords: passwords.clone(),
            executor: executor.clone(),
        }
    }

    /// A page of the organizations that the caller belongs to, in the order of their ids, without those that are
    /// deleted.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_own_organizations(
        &self,
        member: &AccountPrincipal,
        after: Option<OrganizationId>,
        limit: PageLimit,
    ) -> Result<Page<OwnOrganization, OrganizationId>> {
        let mut memberships = member.account.memberships.clone();
        memberships.retain(|membership| member.reaches(membership.organization_id));
        memberships.sort_by_key(|membership| membership.organization_id);
        memberships.retain(|membership| after.is_none_or(|after| membership.organization_id > after));
        let page = Page::of(memberships, limit, |membership| membership.organization_id);
        let mut items = Vec::with_capacity(page.items.len());
        for membership in page.items {
            let found = self.organizations.get_recent_organization(membership.organization_id).await?;
            if let Some(organization) = found.filter(|found| found.is_live()) {
                items.push(OwnOrganization { organization, membership });
            }
        }
        Ok(Page { items, next: page.next })
    }

    /// Gives the caller's account a new password. That ends every other session of the account, in all its
    /// organizations.
    ///
    /// # Errors
    /// `invalid_credentials`, `too_many_attempts`, `sign_in_busy`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn change_password(
        &self,
        member: &AccountPrincipal,
        current: PresentedPassword,
        new: NewPassword,
        network: ClientNetwork,
    ) -> Result<()> {
        let session = member.session()?.id;
        let key = member.account.email.key();
        self.credentials.check_password(&key, Some(&member.account), current, network).await?;
        let change = CredentialChange {
            email: None,
            password_hash: Some(self.passwords.hash(new).await?),
            kept_session: Some(session),
            credential_epoch: member.account.credential_epoch,
        };
        let actor = Actor::Account(member.account.id);
        let event = self.sources.event(Some(member.organization.id), AuditAction::PasswordChanged, actor);
        let event = event.on(AuditTarget::Account(member.account.id));
        loop {
            let account = self.accounts.get_account(member.account.id).await?;
            let account = account.ok_or(ErrorCode::TokenRevoked)?;
            if account.credential_epoch != change.credential_epoch {
                return Err(ErrorCode::TokenRevoked.into());
            }
            let next = account.with_credentials(&change, self.sources.now());
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// New credentials for the caller's own account, hashed and ready for a change of the organization. That
    /// change ends every other session of the account.
    ///
    /// # Errors
    /// `reauthentication_required`, `sign_in_busy`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %member.organization.id))]
    pub async fn prepare_credentials(
        &self,
        member: &AccountPrincipal,
        email: Option<EmailAddress>,
        password: Option<NewPassword>,
    ) -> Result<CredentialChange> {
        let session = member.session()?.id;
        self.auth.require_recent(member)?;
        let own = &member.account;
        let password_hash = match password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        Ok(CredentialChange {
            // What the account has already is no change, and the trail tells of none.
            email: email.filter(|email| own.email_key.is_none() || *email != own.email),
            password_hash,
            kept_session: Some(session),
            credential_epoch: member.account.credential_epoch,
        })
    }

    /// Lets the operator give the owner of an organization a new password, because an owner who has forgotten
    /// the old one cannot sign in to change it. This ends every session of the account.
    ///
    /// # Errors
    /// `organization_not_active`, `operation_in_progress`, `version_mismatch`, `sign_in_busy`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %organization.organization.id))]
    pub async fn set_owner_password(
        &self,
        _: &Operator,
        organization: &OrganizationView,
        expected: &Precondition,
        password: NewPassword,
    ) -> Result<Outcome> {
        let password_hash = Some(self.passwords.hash(password).await?);
        let change = CredentialChange { password_hash, ..CredentialChange::default() };
        self.executor
            .begin(organization.organization.id, &Authorization::Operator, expected, |next| {
                if next.state != State::Active {
                    return Err(ErrorCode::OrganizationNotActive.into());
                }
                Ok(OperationArguments::SetPassword { credentials: (next.admin_id(), change.clone()) })
            })
            .await
    }

    /// Checks that these are the caller's own current credentials; absent ones are not checked.
    ///
    /// # Errors
    /// `invalid_credentials`, `too_many_attempts`, `sign_in_busy`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %member.organization.id))]
    pub async fn confirm_credentials(
        &self,
        member: &AccountPrincipal,
        email: Option<&str>,
        password: Option<PresentedPassword>,
        network: ClientNetwork,
    ) -> Result<()> {
        let key = member.account.email.key();
        let same_email =
            email.is_none_or(|text| EmailAddress::parse_stored(text).is_ok_and(|given| given.key() == key));
        if let Some(password) = password {
            self.credentials.check_password(&key, Some(&member.account), password, network).await?;
        }
        if same_email { Ok(()) } else { Err(ErrorCode::InvalidCredentials.into()) }
    }
}
