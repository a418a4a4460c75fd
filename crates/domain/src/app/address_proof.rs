//! Proving that an address is its account's person's.
//!
//! Somebody else may have made an account with the address before its person came. So who proves an address either is
//! signed in to the account, here or at an identity provider that it is linked with, and then it stays theirs as it is,
//! or gives it a new password, which ends that of before, every session, and every link to an identity provider.

use super::auth::{AccountPrincipal, Auth};
use super::clock_and_entropy::ClockAndEntropy;
use super::passwords::PasswordHasher;
use crate::account::{Account, CredentialChange};
use crate::audit::{AuditAction, AuditEvent, AuditTarget, home_of};
use crate::error::{ErrorCode, Result};
use crate::identity::Identity;
use crate::ids::AccountId;
use crate::operation::Actor;
use crate::password::policy::NewPassword;
use crate::store::{self, Store, UpdateOutcome};
use std::sync::Arc;

/// What proves the address.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProvenBy {
    /// A link for that alone.
    Link,
    /// An invitation that was mailed to it.
    Invitation,
    /// An identity provider that the settings make the authority for it.
    IdentityProvider,
}

impl ProvenBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Invitation => "invitation",
            Self::IdentityProvider => "identity_provider",
        }
    }
}

/// Proves addresses.
pub(super) struct AddressProof {
    accounts: Arc<dyn store::Accounts>,
    auth: Arc<Auth>,
    passwords: Arc<PasswordHasher>,
    sources: ClockAndEntropy,
}

impl AddressProof {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        passwords: &Arc<PasswordHasher>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            accounts: store.accounts.clone(),
            auth: auth.clone(),
            passwords: passwords.clone(),
            sources: sources.clone(),
        }
    }

    /// For the account that is signed in, if `check` accepts it as it is.
    pub(super) async fn signed_in(
        &self,
        member: &AccountPrincipal,
        by: ProvenBy,
        check: impl Fn(&Account) -> Result<()> + Send,
    ) -> Result<()> {
        loop {
            let account = self.auth.current_member(member).await?.account;
            check(&account)?;
            let now = self.sources.now();
            let next = account.successor(now).with_proven_address(now);
            let event = self.event(&account, by);
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// For the account that a person of an identity provider is linked with, if `check` accepts it as it is.
    pub(super) async fn linked(
        &self,
        identity: &Identity,
        by: ProvenBy,
        check: impl Fn(&Account) -> Result<()> + Send,
    ) -> Result<Arc<Account>> {
        loop {
            let account = self.accounts.get_account(identity.account_id).await?;
            let account = account.filter(|account| identity.opens(account)).ok_or(ErrorCode::TokenRevoked)?;
            check(&account)?;
            let now = self.sources.now();
            let next = account.successor(now).with_proven_address(now);
            let event = self.event(&account, by);
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(Arc::new(next));
            }
        }
    }

    /// For an account that nobody is signed in to, if `check` accepts it as it is. The account gets the password, and
    /// all its sessions end.
    pub(super) async fn with_password(
        &self,
        id: AccountId,
        password: NewPassword,
        by: ProvenBy,
        check: impl Fn(&Account) -> Result<()> + Send,
    ) -> Result<Arc<Account>> {
        // Before the hash: what is refused costs no work.
        let missing = ErrorCode::LinkInvalid;
        check(&*self.accounts.get_account(id).await?.ok_or(missing)?)?;
        let password_hash = Some(self.passwords.hash(password).await?);
        let change = CredentialChange { password_hash, ..CredentialChange::default() };
        loop {
            let account = self.accounts.get_account(id).await?.ok_or(missing)?;
            check(&account)?;
            let now = self.sources.now();
            let next = account.with_credentials(&change, now).with_proven_address(now).without_identities();
            let event = self.event(&account, by).detail("password", Some("replaced"));
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(Arc::new(next));
            }
        }
    }

    fn event(&self, account: &Account, by: ProvenBy) -> AuditEvent {
        let actor = Actor::Account(account.id);
        let event = self.sources.event(home_of(account), AuditAction::EmailVerified, actor);
        event.on(AuditTarget::Account(account.id)).detail("by", Some(by.as_str()))
    }
}
