//! Links that people ask for, and get by mail.

use super::{AccountLinks, NewLink};
use crate::account::Account;
use crate::account_link::{AccountLink, LinkDelivery, LinkKind, LinkToken};
use crate::app::auth::AccountPrincipal;
use crate::app::mail::MailBudget;
use crate::audit::AuditAction;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::mail::{Mail, MailKind};
use crate::operation::Actor;
use crate::password::policy::PresentedPassword;
use crate::rate_limit::ClientNetwork;
use crate::store::UpdateOutcome;
use std::time::Duration;

impl AccountLinks {
    /// Mails the signed-in account a link that proves its address.
    ///
    /// # Errors
    /// `mail_not_configured`, `email_already_verified`, `too_many_mails`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn request_verification(&self, member: &AccountPrincipal) -> Result<AccountLink> {
        member.session()?;
        self.mailer.require()?;
        let account = self.auth.current_member(member).await?.account;
        if account.email_verified_at.is_some() {
            return Err(ErrorCode::EmailAlreadyVerified.into());
        }
        self.mailer.count(&account.email.key(), Some(member.organization.id)).await?;
        let new = NewLink { kind: LinkKind::EmailVerification, email: None, lifetime: None };
        self.mail_link(member, &new).await
    }

    /// Mails a link to the address that the signed-in account is to get. The answer, and the time it takes, are the same
    /// whether that address has an account: only who uses the link learns it.
    ///
    /// # Errors
    /// `session_required`, `mail_not_configured`, `invalid_credentials`, `too_many_attempts`, `sign_in_busy`, `invalid_input` at `/email`,
    /// `too_many_mails`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn request_email_change(
        &self,
        member: &AccountPrincipal,
        email: EmailAddress,
        current: PresentedPassword,
        network: ClientNetwork,
    ) -> Result<AccountLink> {
        // Nobody else may try passwords here.
        member.session()?;
        self.mailer.require()?;
        let account = &member.account;
        self.credentials.check_password(&account.email.key(), Some(account), current, network).await?;
        if email.key() == account.email.key() {
            return Err(Error::invalid_field("/email", "Is the address that the account has."));
        }
        self.mailer.count(&email.key(), Some(member.organization.id)).await?;
        let new = NewLink { kind: LinkKind::EmailChange, email: Some(email), lifetime: None };
        self.mail_link(member, &new).await
    }

    /// Saves a link in the caller's account and mails it.
    async fn mail_link(&self, member: &AccountPrincipal, new: &NewLink) -> Result<AccountLink> {
        let trail = Some(member.organization.id);
        loop {
            let account = self.auth.current_member(member).await?.account;
            let (link, token) = self.new_link(&account, new, LinkDelivery::Mail)?;
            let actor = Actor::Account(account.id);
            let event = self.sources.event(trail, AuditAction::LinkRequested, actor);
            if self.save_link(&account, &link, &event).await? == UpdateOutcome::Done {
                self.mailer.enqueue(&mail_of(&account, &link, &token), trail, Duration::ZERO).await?;
                return Ok(link);
            }
        }
    }

    /// Mails the account of that address a link for a new password, if there is one: that is found out when the mail is
    /// sent, so neither the answer nor its time tells. An address that has got many mails gets no more for now, without
    /// a word.
    ///
    /// # Errors
    /// `mail_not_configured`, `too_many_attempts` from that network, `too_many_mails` of the installation.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn request_password_reset(&self, email: EmailAddress, network: ClientNetwork) -> Result<()> {
        self.mailer.require()?;
        self.rate_limiter.count_forgotten(network).await?;
        match self.mailer.try_count(&email.key(), None).await? {
            MailBudget::AddressFull(_) => Ok(()),
            MailBudget::Allowed => {
                self.mailer.enqueue(&Mail::new(MailKind::PasswordReset, email), None, Duration::ZERO).await
            }
        }
    }
}

fn mail_of(account: &Account, link: &AccountLink, token: &LinkToken) -> Mail {
    let (kind, other_address) = match link.kind {
        LinkKind::PasswordReset => (MailKind::PasswordReset, None),
        LinkKind::EmailVerification => (MailKind::EmailVerification, None),
        LinkKind::EmailChange => (MailKind::EmailChange, Some(account.email.clone())),
    };
    Mail {
        token: Some(token.as_str().to_owned()),
        link_expires_at: Some(link.expires_at),
        account_id: Some(account.id),
        other_address,
        ..Mail::new(kind, link.email.clone())
    }
}
