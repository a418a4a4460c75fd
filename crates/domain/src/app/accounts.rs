//! Accounts: their credentials, apart from signing in.

use super::auth::{AccountPrincipal, Auth, Authorization, Operator};
use super::credentials::Credentials;
use super::operations::{Executor, Outcome};
use super::passwords::PasswordHasher;
use super::view::{OrganizationView, Precondition};
use crate::account::CredentialChange;
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::operation::OperationArguments;
use crate::organization::State;
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::rate_limit::ClientNetwork;
use std::sync::Arc;

/// Changes of an account's credentials.
pub struct Accounts {
    auth: Arc<Auth>,
    credentials: Arc<Credentials>,
    passwords: Arc<PasswordHasher>,
    executor: Arc<Executor>,
}

impl Accounts {
    pub(super) fn new(
        auth: &Arc<Auth>,
        credentials: &Arc<Credentials>,
        passwords: &Arc<PasswordHasher>,
        executor: &Arc<Executor>,
    ) -> Self {
        Self {
            auth: auth.clone(),
            credentials: credentials.clone(),
            passwords: passwords.clone(),
            executor: executor.clone(),
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
        self.auth.require_recent(member)?;
        let password_hash = match password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        Ok(CredentialChange {
            email,
            password_hash,
            kept_session: Some(member.session.id),
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
                Ok(OperationArguments::SetPassword { credentials: (next.owner_id, change.clone()) })
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
