//! Accounts: their credentials, apart from signing in.

use super::App;
use super::caller::SignedIn;
use crate::account::CredentialChange;
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::throttle::ClientNetwork;

impl App {
    /// New credentials for the caller's own account, hashed and ready for a change of the organization.
    /// Every other session of the account ends with that change.
    ///
    /// # Errors
    /// `reauthentication_required`, `sign_in_busy`.
    pub async fn prepare_credentials(
        &self,
        member: &SignedIn,
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

    /// Whether these are the caller's own current credentials; what is absent is not asked.
    ///
    /// # Errors
    /// `invalid_credentials`, `too_many_attempts`, `sign_in_busy`.
    pub async fn confirm_credentials(
        &self,
        member: &SignedIn,
        email: Option<&str>,
        password: Option<PresentedPassword>,
        network: ClientNetwork,
    ) -> Result<()> {
        let key = member.account.email.key();
        let same_email =
            email.is_none_or(|text| EmailAddress::parse(text).is_ok_and(|given| given.key() == key));
        if let Some(password) = password {
            self.check_password(&key, Some(&member.account), password, network).await?;
        }
        if same_email { Ok(()) } else { Err(ErrorCode::InvalidCredentials.into()) }
    }
}
