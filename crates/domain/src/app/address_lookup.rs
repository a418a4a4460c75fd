//! What a mail is compared with when it is sent: whether its link is still good, and whether the address that asked for
//! a new password has an account.

use super::clock_and_entropy::ClockAndEntropy;
use super::mailboxes::Mailboxes;
use crate::account_link::{AccountLink, LinkDelivery, LinkKind, LinkToken};
use crate::audit::{AuditAction, AuditTarget, home_of};
use crate::clock;
use crate::error::Result;
use crate::ids::OrganizationId;
use crate::invitation::InvitationToken;
use crate::limits::MAILED_RESET_LIFETIME;
use crate::mail::{Mail, MailKind};
use crate::operation::Actor;
use crate::store::{self, Store, UpdateOutcome};
use std::sync::Arc;

/// Whether a mail says something true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MailStatus {
    /// It does.
    Current,
    /// Not yet: what it tells of is under way.
    Pending,
    /// Not any more, or it never did.
    Outdated,
}

/// Looks up what mails are about.
pub(super) struct AddressLookup {
    accounts: Arc<dyn store::Accounts>,
    invitations: Arc<dyn store::Invitations>,
    organizations: Arc<dyn store::Organizations>,
    mailboxes: Mailboxes,
    sources: ClockAndEntropy,
}

impl AddressLookup {
    pub(super) fn new(store: &Store, mailboxes: &Mailboxes, sources: &ClockAndEntropy) -> Self {
        Self {
            accounts: store.accounts.clone(),
            invitations: store.invitations.clone(),
            organizations: store.organizations.clone(),
            mailboxes: mailboxes.clone(),
            sources: sources.clone(),
        }
    }

    /// Whether the mail, which is sent on behalf of `organization`, still says something true.
    pub(super) async fn status_of(
        &self,
        mail: &Mail,
        organization: Option<OrganizationId>,
    ) -> Result<MailStatus> {
        let is_true = match mail.kind {
            MailKind::Invitation => self.has_invitation(mail).await?,
            MailKind::EmailVerification => self.has_link(mail, LinkKind::EmailVerification).await?,
            MailKind::EmailChange => self.has_link(mail, LinkKind::EmailChange).await?,
            MailKind::PasswordReset => self.has_link(mail, LinkKind::PasswordReset).await?,
            MailKind::EmailChanged if self.has_moved(mail).await? => true,
            MailKind::EmailChanged if self.is_moving(mail, organization).await? => {
                return Ok(MailStatus::Pending);
            }
            // The operation may have ended between the two looks.
            MailKind::EmailChanged => self.has_moved(mail).await?,
            MailKind::Test => true,
        };
        Ok(if is_true { MailStatus::Current } else { MailStatus::Outdated })
    }

    async fn has_invitation(&self, mail: &Mail) -> Result<bool> {
        let Some(Ok(token)) = mail.token.as_deref().map(InvitationToken::parse) else { return Ok(false) };
        let found = self.invitations.get_invitation(token.id()).await?;
        Ok(found.is_some_and(|invitation| invitation.accepts(&token, self.sources.now())))
    }

    async fn has_link(&self, mail: &Mail, kind: LinkKind) -> Result<bool> {
        let token = mail.token.as_deref().map(|text| LinkToken::parse(kind, text));
        let Some(Ok(token)) = token else { return Ok(false) };
        let account = self.accounts.get_account(token.account_id()).await?;
        Ok(account.is_some_and(|account| account.link_of(&token, self.sources.now()).is_some()))
    }

    /// Whether the account has left the address that the mail goes to.
    async fn has_moved(&self, mail: &Mail) -> Result<bool> {
        let Some(id) = mail.account_id else { return Ok(false) };
        let account = self.accounts.get_account(id).await?;
        Ok(account.is_some_and(|account| account.email.key() != mail.to.key()))
    }

    /// Whether an operation of the organization that is under way makes the account leave that address: a crash may have
    /// left it to be finished.
    async fn is_moving(&self, mail: &Mail, organization: Option<OrganizationId>) -> Result<bool> {
        let Some(id) = organization else { return Ok(false) };
        let found = self.organizations.get_organization(id).await?;
        let running = found.as_deref().and_then(|found| found.operation.as_deref());
        let credentials = running.and_then(|operation| operation.arguments.credentials());
        Ok(credentials.is_some_and(|(account, change)| {
            Some(*account) == mail.account_id
                && change.email.as_ref().is_some_and(|email| email.key() != mail.to.key())
        }))
    }

    /// The mail for a new password with its link, which is saved in the account; `None` if the address has no account.
    pub(super) async fn with_reset_link(&self, mail: &Mail) -> Result<Option<Mail>> {
        loop {
            let Some(account) = self.mailboxes.find_account(&mail.to).await? else { return Ok(None) };
            if account.removing_since.is_some() {
                return Ok(None);
            }
            let now = self.sources.now();
            let token = LinkToken::generate(LinkKind::PasswordReset, account.id, self.sources.entropy());
            let link = AccountLink {
                kind: LinkKind::PasswordReset,
                email: account.email.clone(),
                delivery: LinkDelivery::Mail,
                secret_hash: token.hash(),
                created_at: now,
                expires_at: clock::after(now, MAILED_RESET_LIFETIME),
            };
            let event = self.sources.event(home_of(&account), AuditAction::LinkRequested, Actor::Anonymous);
            let event = event.on(AuditTarget::Account(account.id));
            let event = event.detail("link", Some(link.kind.as_str()));
            let expires_at = link.expires_at;
            let next = account.with_link(link, now);
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(Some(Mail {
                    token: Some(token.as_str().to_owned()),
                    link_expires_at: Some(expires_at),
                    account_id: Some(account.id),
                    // As the account has it: the mailbox is the same.
                    to: account.email.clone(),
                    ..mail.clone()
                }));
            }
        }
    }
}
