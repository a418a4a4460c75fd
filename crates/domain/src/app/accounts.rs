//! Accounts: their credentials, apart from signing in.

use super::auth::{AccountPrincipal, Authorization, Operator};
use super::operations::Outcome;
use super::{App, Expected, OrganizationView};
use crate::account::{Account, CredentialChange};
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::operation::OperationArguments;
use crate::organization::State;
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::rate_limit::ClientNetwork;
use std::sync::Arc;

impl App {
    /// The account that signs in with that address: with exactly this spelling, where an account of before shares its
    /// mailbox with another, else the account of the mailbox.
    pub(super) async fn find_account(&self, email: &EmailAddress) -> Result<Option<Arc<Account>>> {
        let (accounts, mailbox) = (&self.store.accounts, email.key());
        let Some(earlier) = email.earlier_keys() else { return accounts.find_account(&mailbox).await };
        // All three, no matter what the first finds: how long it takes must not tell who is there.
        let (duplicate, spelled, holder) = tokio::try_join!(
            accounts.find_account(&earlier.duplicate),
            accounts.find_account(&earlier.spelled),
            accounts.find_account(&mailbox),
        )?;
        Ok(duplicate.or(spelled).or(holder))
    }

    /// Refuses an address whose mailbox another account than `own` has, under whichever spelling. Of accounts that are
    /// made at the same moment the database refuses one; what it cannot see are duplicates of before, and of these
    /// there are never more.
    ///
    /// # Errors
    /// `email_taken`.
    pub(super) async fn require_free_mailbox(
        &self,
        email: &EmailAddress,
        own: Option<AccountId>,
    ) -> Result<()> {
        let is_another = |found: Option<Arc<Account>>| found.is_some_and(|found| Some(found.id) != own);
        let taken = is_another(self.find_account(email).await?)
            || is_another(self.store.accounts.find_duplicate_account(&email.key()).await?);
        if taken { Err(ErrorCode::EmailTaken.into()) } else { Ok(()) }
    }

    /// New credentials for the caller's own account, hashed and ready for a change of the organization.
    /// Every other session of the account ends with that change.
    ///
    /// # Errors
    /// `reauthentication_required`, `sign_in_busy`.
    pub async fn prepare_credentials(
        &self,
        member: &AccountPrincipal,
        email: Option<EmailAddress>,
        password: Option<NewPassword>,
    ) -> Result<CredentialChange> {
        self.require_recent(member)?;
        let password_hash = match password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        Ok(CredentialChange {
            email,
            password_hash,
            kept_session: Some(member.session.id),
            credential_epoch: member.account.credential_epoch,
        })
    }

    /// Gives the owner of an organization a new password, for the operator: an owner who has forgotten theirs cannot.
    /// Every session of the account ends with that.
    ///
    /// # Errors
    /// `organization_not_active`, `operation_in_progress`, `version_mismatch`, `sign_in_busy`.
    pub async fn set_owner_password(
        self: &Arc<Self>,
        _: &Operator,
        organization: &OrganizationView,
        expected: &Expected,
        password: NewPassword,
    ) -> Result<Outcome> {
        let password_hash = Some(self.hash(password).await?);
        let change = CredentialChange { password_hash, ..CredentialChange::default() };
        self.begin(organization.organization.id, &Authorization::Operator, expected, |next| {
            if next.state != State::Active {
                return Err(ErrorCode::OrganizationNotActive.into());
            }
            Ok(OperationArguments::SetPassword { credentials: (next.owner_id, change.clone()) })
        })
        .await
    }

    /// Whether these are the caller's own current credentials; what is absent is not asked.
    ///
    /// # Errors
    /// `invalid_credentials`, `too_many_attempts`, `sign_in_busy`.
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
            self.check_password(&key, Some(&member.account), password, network).await?;
        }
        if same_email { Ok(()) } else { Err(ErrorCode::InvalidCredentials.into()) }
    }
}
