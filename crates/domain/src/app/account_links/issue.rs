//! Making links: the operator's, which they bring to the person.

use super::AccountLinks;
use crate::account::Account;
use crate::account_link::{AccountLink, LinkDelivery, LinkKind, LinkToken};
use crate::app::auth::{Operator, OrganizationRef};
use crate::audit::{AuditAction, AuditEvent, AuditTarget};
use crate::clock;
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::limits::LINK_LIFETIME;
use crate::operation::Actor;
use crate::store::UpdateOutcome;
use std::time::Duration;

/// What a link is made from.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// What it is for.
    pub kind: LinkKind,
    /// The new address, for a change of it.
    pub email: Option<EmailAddress>,
    /// How long it is good, if not as long as usual.
    pub lifetime: Option<Duration>,
}

/// A link whose token is shown, once. Its `Debug` shows none.
#[derive(Debug)]
pub struct IssuedLink {
    /// The account that it is for.
    pub account_id: AccountId,
    /// What is kept of it.
    pub link: AccountLink,
    /// The token.
    pub token: LinkToken,
}

impl AccountLinks {
    /// Makes a link for a member of that organization, in place of any other of its kind. For the operator alone: who
    /// has a link for a new password has the account, in all its organizations.
    ///
    /// # Errors
    /// `organization_not_found`, `member_not_found`, `email_already_verified`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn issue(
        &self,
        operator: &Operator,
        which: &OrganizationRef,
        account_id: AccountId,
        new: &NewLink,
    ) -> Result<IssuedLink> {
        loop {
            let (organization, account) = self.member(operator, which, account_id).await?;
            let (link, token) = self.new_link(&account, new, LinkDelivery::Operator)?;
            let action = match new.kind {
                LinkKind::PasswordReset => AuditAction::ResetIssued,
                LinkKind::EmailVerification | LinkKind::EmailChange => AuditAction::LinkIssued,
            };
            let event = self.sources.event(Some(organization), action, Actor::Operator);
            if self.save_link(&account, &link, &event).await? == UpdateOutcome::Done {
                return Ok(IssuedLink { account_id, link, token });
            }
        }
    }

    /// A link for that account, which is not saved.
    pub(super) fn new_link(
        &self,
        account: &Account,
        new: &NewLink,
        delivery: LinkDelivery,
    ) -> Result<(AccountLink, LinkToken)> {
        if new.kind == LinkKind::EmailVerification && account.email_verified_at.is_some() {
            return Err(ErrorCode::EmailAlreadyVerified.into());
        }
        let now = self.sources.now();
        let token = LinkToken::generate(new.kind, account.id, self.sources.entropy());
        let link = AccountLink {
            kind: new.kind,
            email: new.email.clone().unwrap_or_else(|| account.email.clone()),
            delivery,
            secret_hash: token.hash(),
            created_at: now,
            expires_at: clock::after(now, new.lifetime.unwrap_or(LINK_LIFETIME)),
        };
        Ok((link, token))
    }

    /// Saves a link in its account, with its event.
    pub(super) async fn save_link(
        &self,
        account: &Account,
        link: &AccountLink,
        event: &AuditEvent,
    ) -> Result<UpdateOutcome> {
        let event = event.clone().on(AuditTarget::Account(account.id));
        let event = event.detail("link", Some(link.kind.as_str()));
        self.accounts.update_account(&account.with_link(link.clone(), link.created_at), Some(&event)).await
    }
}
