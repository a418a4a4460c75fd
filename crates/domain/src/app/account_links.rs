//! Links that are sent to a person: made, listed, revoked and used.

mod issue;
mod request;

pub use issue::{IssuedLink, NewLink};

use super::address_proof::{AddressProof, ProvenBy};
use super::auth::{AccountPrincipal, Auth, Operator, OrganizationRef, Principal};
use super::clock_and_entropy::ClockAndEntropy;
use super::credentials::Credentials;
use super::mail::Mailer;
use super::mailboxes::Mailboxes;
use super::passwords::PasswordHasher;
use super::rate_limit::RateLimiter;
use crate::account::{Account, CredentialChange};
use crate::account_link::{AccountLink, LinkKind, LinkToken};
use crate::audit::{AuditAction, AuditTarget, home_of};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId};
use crate::mac_keys::MacKeys;
use crate::operation::Actor;
use crate::password::policy::NewPassword;
use crate::password_reset::PasswordResetToken;
use crate::store::{self, Store, UpdateOutcome};
use jiff::Timestamp;
use std::sync::Arc;

/// The links of accounts.
pub struct AccountLinks {
    accounts: Arc<dyn store::Accounts>,
    auth: Arc<Auth>,
    mailboxes: Mailboxes,
    credentials: Arc<Credentials>,
    passwords: Arc<PasswordHasher>,
    proof: Arc<AddressProof>,
    mailer: Arc<Mailer>,
    rate_limiter: Arc<RateLimiter>,
    mac_keys: MacKeys,
    sources: ClockAndEntropy,
}

/// What the use cases of links are made of.
pub(super) struct AccountLinkParts<'a> {
    pub(super) store: &'a Store,
    pub(super) auth: &'a Arc<Auth>,
    pub(super) mailboxes: &'a Mailboxes,
    pub(super) credentials: &'a Arc<Credentials>,
    pub(super) passwords: &'a Arc<PasswordHasher>,
    pub(super) proof: &'a Arc<AddressProof>,
    pub(super) mailer: &'a Arc<Mailer>,
    pub(super) rate_limiter: &'a Arc<RateLimiter>,
    pub(super) mac_keys: MacKeys,
    pub(super) sources: &'a ClockAndEntropy,
}

impl AccountLinks {
    pub(super) fn new(parts: &AccountLinkParts<'_>) -> Self {
        Self {
            accounts: parts.store.accounts.clone(),
            auth: parts.auth.clone(),
            mailboxes: parts.mailboxes.clone(),
            credentials: parts.credentials.clone(),
            passwords: parts.passwords.clone(),
            proof: parts.proof.clone(),
            mailer: parts.mailer.clone(),
            rate_limiter: parts.rate_limiter.clone(),
            mac_keys: parts.mac_keys,
            sources: parts.sources.clone(),
        }
    }

    /// The links of a member of that organization that can be used, in the order of their kinds.
    ///
    /// # Errors
    /// `organization_not_found`, `member_not_found`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_links_of_member(
        &self,
        operator: &Operator,
        which: &OrganizationRef,
        account_id: AccountId,
    ) -> Result<Vec<AccountLink>> {
        let (_, account) = self.member(operator, which, account_id).await?;
        Ok(self.good_links(&account))
    }

    /// The links of the caller's own account that can be used, in the order of their kinds.
    ///
    /// # Errors
    /// `session_required`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_own_links(&self, member: &AccountPrincipal) -> Result<Vec<AccountLink>> {
        member.session()?;
        Ok(self.good_links(&self.auth.current_member(member).await?.account))
    }

    fn good_links(&self, account: &Account) -> Vec<AccountLink> {
        let mut links: Vec<_> = account.good_links(self.sources.now()).cloned().collect();
        links.sort_by_key(|link| link.kind);
        links
    }

    /// Revokes a link of a member of that organization.
    ///
    /// # Errors
    /// `organization_not_found`, `member_not_found`, `link_not_found`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn revoke_link_of_member(
        &self,
        operator: &Operator,
        which: &OrganizationRef,
        account_id: AccountId,
        kind: LinkKind,
    ) -> Result<()> {
        let (organization, _) = self.member(operator, which, account_id).await?;
        self.revoke(account_id, kind, Actor::Operator, Some(organization)).await
    }

    /// Revokes a link of the caller's own account.
    ///
    /// # Errors
    /// `session_required`, `token_revoked`, `link_not_found`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn revoke_own_link(&self, member: &AccountPrincipal, kind: LinkKind) -> Result<()> {
        member.session()?;
        let account = self.auth.current_member(member).await?.account;
        self.revoke(account.id, kind, Actor::Account(account.id), Some(member.organization.id)).await
    }

    async fn revoke(
        &self,
        id: AccountId,
        kind: LinkKind,
        actor: Actor,
        trail: Option<OrganizationId>,
    ) -> Result<()> {
        let event = self.sources.event(trail, AuditAction::LinkRevoked, actor);
        let event = event.on(AuditTarget::Account(id)).detail("link", Some(kind.as_str()));
        loop {
            let account = self.accounts.get_account(id).await?.ok_or(ErrorCode::LinkNotFound)?;
            let now = self.sources.now();
            if !account.good_links(now).any(|link| link.kind == kind) {
                return Err(ErrorCode::LinkNotFound.into());
            }
            let next = account.without_link(kind, now);
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// Proves the address of an account by a link: for the account that is signed in, or with a new password, which
    /// ends the one of before and every session. Of several at once with one token, one succeeds.
    ///
    /// # Errors
    /// `link_invalid`, `link_for_another`, `invalid_input` at `/new_password`, `token_revoked`, `sign_in_busy`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn verify_email(
        &self,
        member: Option<&AccountPrincipal>,
        token: &LinkToken,
        password: Option<NewPassword>,
    ) -> Result<()> {
        self.ensure_confirmed(token).await?;
        let check = |account: &Account| self.require_link(account, token).map(drop);
        let Some(member) = member else {
            check(&*self.account_of(token).await?)?;
            let password = password.ok_or_else(|| {
                Error::invalid_field(
                    "/new_password",
                    "Is required, unless you send an access token of the account: somebody else may have made it.",
                )
            })?;
            self.proof.with_password(token.account_id(), password, ProvenBy::Link, check).await?;
            return Ok(());
        };
        require_own(member, token)?;
        self.proof.signed_in(member, ProvenBy::Link, check).await
    }

    /// Gives the caller's account the address that the link was sent to, which is proven by that. Every other session
    /// of the account ends. Of several at once with one token, one succeeds.
    ///
    /// # Errors
    /// `session_required`, `link_invalid`, `link_for_another`, `email_taken`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn confirm_email_change(&self, member: &AccountPrincipal, token: &LinkToken) -> Result<()> {
        require_own(member, token)?;
        self.ensure_confirmed(token).await?;
        let session = member.session()?.id;
        let trail = Some(member.organization.id);
        let mut is_told = false;
        loop {
            let account = self.auth.current_member(member).await?.account;
            let email = self.require_link(&account, token)?.email.clone();
            self.mailboxes.require_free(&email, Some(account.id)).await?;
            if !std::mem::replace(&mut is_told, true) {
                self.mailer.tell_former_address(&account, &email, None).await?;
            }
            let change = CredentialChange {
                email: Some(email),
                kept_session: Some(session),
                ..CredentialChange::default()
            };
            let now = self.sources.now();
            let next = account.with_credentials(&change, now).with_proven_address(now);
            let actor = Actor::Account(account.id);
            let event = self.sources.event(trail, AuditAction::EmailChanged, actor);
            let event = event.on(AuditTarget::Account(account.id));
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// Gives an account a new password by the token of a link. That ends every session of the account; if the link was
    /// mailed, it proves the address. Of several at once with one token, one succeeds.
    ///
    /// # Errors
    /// `reset_invalid`, `sign_in_busy`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn reset_password(&self, token: &LinkToken, new: NewPassword) -> Result<()> {
        // Before the hash: what is no good token costs no work.
        self.resettable(token).await?;
        let password_hash = Some(self.passwords.hash(new).await?);
        loop {
            let (account, proves_address) = self.resettable(token).await?;
            let change = CredentialChange { password_hash: password_hash.clone(), ..Default::default() };
            let now = self.sources.now();
            let mut next = account.with_credentials(&change, now);
            if proves_address && account.email_verified_at.is_none() {
                // Whoever made the account before its person came keeps nothing of it.
                next = next.without_identities();
            }
            if proves_address {
                next = next.with_proven_address(now);
            }
            let actor = Actor::Account(account.id);
            let event = self.sources.event(home_of(&account), AuditAction::PasswordChanged, actor);
            let event = event.on(AuditTarget::Account(account.id)).detail("by", Some("reset_link"));
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// The account that the token gives a new password, and whether that proves its address.
    async fn resettable(&self, token: &LinkToken) -> Result<(Arc<Account>, bool)> {
        let account = self.accounts.get_account(token.account_id()).await?.ok_or(ErrorCode::ResetInvalid)?;
        let now = self.sources.now();
        if let Some(link) = account.link_of(token, now) {
            self.auth.restored.check(link.created_at).await?;
            let proves_address = link.proves_address();
            return Ok((account, proves_address));
        }
        let earlier = PasswordResetToken::parse(token.as_str()).map_err(|_| ErrorCode::ResetInvalid)?;
        if self.mac_keys.accepted().any(|key| earlier.is_good_for(&account, now, key)) {
            // No version has made such a token for long.
            self.auth.restored.check(Timestamp::UNIX_EPOCH).await?;
            Ok((account, false))
        } else {
            Err(ErrorCode::ResetInvalid.into())
        }
    }

    async fn account_of(&self, token: &LinkToken) -> Result<Arc<Account>> {
        let account = self.accounts.get_account(token.account_id()).await?;
        account.ok_or_else(|| ErrorCode::LinkInvalid.into())
    }

    /// Refuses a link from before a restore that nobody has confirmed.
    async fn ensure_confirmed(&self, token: &LinkToken) -> Result<()> {
        let account = self.account_of(token).await?;
        let link = account.link_of(token, self.sources.now());
        match link.map(|link| link.created_at) {
            Some(created_at) => self.auth.restored.check(created_at).await,
            None => Ok(()),
        }
    }

    fn require_link<'a>(&self, account: &'a Account, token: &LinkToken) -> Result<&'a AccountLink> {
        account.link_of(token, self.sources.now()).ok_or_else(|| ErrorCode::LinkInvalid.into())
    }

    /// A member of that organization, and the organization's id.
    async fn member(
        &self,
        operator: &Operator,
        which: &OrganizationRef,
        account_id: AccountId,
    ) -> Result<(OrganizationId, Arc<Account>)> {
        let organization = self.auth.visible(&Principal::Operator(*operator), which).await?;
        let account = self.accounts.get_account(account_id).await?;
        let is_member = |account: &Arc<Account>| {
            account.membership(organization.id).is_some() && account.removing_since.is_none()
        };
        Ok((organization.id, account.filter(is_member).ok_or(ErrorCode::MemberNotFound)?))
    }
}

/// Refuses the link of another account.
fn require_own(member: &AccountPrincipal, token: &LinkToken) -> Result<()> {
    if member.account.id == token.account_id() { Ok(()) } else { Err(ErrorCode::LinkForAnother.into()) }
}
