//! Invitations: the way into an organization for people who are not its members.
//!
//! Nothing here tells whether an address has an account, but to who uses an invitation up for it: that makes the account
//! if there is none.

mod accept;
mod foreign;

pub use accept::{AcceptOutcome, InviteePassword};

use super::address_proof::AddressProof;
use super::auth::Auth;
use super::clock_and_entropy::ClockAndEntropy;
use super::credentials::Credentials;
use super::identities::Identities;
use super::mail::Mailer;
use super::mailboxes::Mailboxes;
use super::members::{MemberAccess, Members};
use super::operations::Executor;
use super::passwords::PasswordHasher;
use super::sessions::Sessions;
use crate::account::Role;
use crate::audit::AuditAction;
use crate::clock;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::InvitationId;
use crate::invitation::{Invitation, InvitationToken};
use crate::limits::{INVITATION_LIFETIME, INVITATIONS_MAX, PAGE_MAX_ITEMS};
use crate::mail::{Mail, MailKind};
use crate::organization::{Organization, State};
use crate::page::{Page, PageLimit};
use crate::store::{self, BoundedInsert, Store, UpdateOutcome};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// What an invitation is made from.
pub struct NewInvitation {
    /// The only address that can use it.
    pub email: EmailAddress,
    /// The role it offers.
    pub role: Role,
    /// How long it is good, if not as long as usual.
    pub lifetime: Option<Duration>,
}

/// An invitation whose token is shown, once. Its `Debug` shows none.
#[derive(Debug)]
pub struct IssuedInvitation {
    /// The record.
    pub invitation: Invitation,
    /// The secret of its link.
    pub token: InvitationToken,
}

/// The invitations of organizations.
pub struct Invitations {
    invitations: Arc<dyn store::Invitations>,
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    auth: Arc<Auth>,
    identities: Arc<Identities>,
    members: Arc<Members>,
    sessions: Arc<Sessions>,
    mailboxes: Mailboxes,
    credentials: Arc<Credentials>,
    passwords: Arc<PasswordHasher>,
    proof: Arc<AddressProof>,
    mailer: Arc<Mailer>,
    executor: Arc<Executor>,
    sources: ClockAndEntropy,
}

/// What the use cases of invitations are made of.
pub(super) struct InvitationParts<'a> {
    pub(super) store: &'a Store,
    pub(super) auth: &'a Arc<Auth>,
    pub(super) identities: &'a Arc<Identities>,
    pub(super) members: &'a Arc<Members>,
    pub(super) sessions: &'a Arc<Sessions>,
    pub(super) mailboxes: &'a Mailboxes,
    pub(super) credentials: &'a Arc<Credentials>,
    pub(super) passwords: &'a Arc<PasswordHasher>,
    pub(super) proof: &'a Arc<AddressProof>,
    pub(super) mailer: &'a Arc<Mailer>,
    pub(super) executor: &'a Arc<Executor>,
    pub(super) sources: &'a ClockAndEntropy,
}

impl Invitations {
    pub(super) fn new(parts: &InvitationParts<'_>) -> Self {
        Self {
            invitations: parts.store.invitations.clone(),
            accounts: parts.store.accounts.clone(),
            organizations: parts.store.organizations.clone(),
            auth: parts.auth.clone(),
            identities: parts.identities.clone(),
            members: parts.members.clone(),
            sessions: parts.sessions.clone(),
            mailboxes: parts.mailboxes.clone(),
            credentials: parts.credentials.clone(),
            passwords: parts.passwords.clone(),
            proof: parts.proof.clone(),
            mailer: parts.mailer.clone(),
            executor: parts.executor.clone(),
            sources: parts.sources.clone(),
        }
    }

    /// Invites the person who has that address. The answer is the same whether the address has an account.
    ///
    /// # Errors
    /// `role_insufficient`, `already_member`, `invitation_exists`, `too_many_invitations`, `too_many_mails`,
    /// `organization_not_active`, `token_revoked`, `reauthentication_required` for an owner; `invalid_input` at `/role` for a role that the organization does
    /// not have.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn invite(&self, access: &MemberAccess, new: NewInvitation) -> Result<IssuedInvitation> {
        let organization = self.managed(access, new.role).await?;
        organization.roles.require(new.role)?;
        self.require_recent(access, new.role)?;
        let account = self.mailboxes.find_account(&new.email).await?;
        if account.is_some_and(|account| account.membership(organization.id).is_some()) {
            return Err(ErrorCode::AlreadyMember.into());
        }
        let now = self.sources.now();
        let id = InvitationId::new(now, self.sources.entropy());
        let token = InvitationToken::generate(id, self.sources.entropy());
        let invitation = Invitation {
            id,
            organization_id: organization.id,
            email: new.email,
            role: new.role,
            role_made_at: new
                .role
                .own_name()
                .and_then(|name| organization.roles.get(name))
                .map(|role| role.made_at_version),
            secret_hash: token.hash(),
            inviter: access.actor().account_id(),
            inviter_key: access.actor().key_id(),
            created_at: now,
            expires_at: clock::after(now, new.lifetime.unwrap_or(INVITATION_LIFETIME)),
            mailed: self.mailer.is_enabled(),
            acceptance: None,
            version: 1,
        };
        let event = access.invitation_event(&self.sources, AuditAction::InvitationCreated, &invitation);
        self.count_mail(&invitation).await?;
        loop {
            match self.invitations.insert_invitation(&invitation, INVITATIONS_MAX, Some(&event)).await? {
                BoundedInsert::New => break,
                BoundedInsert::Full => {
                    return Err(Error::limit_reached(
                        ErrorCode::TooManyInvitations,
                        "The organization",
                        INVITATIONS_MAX as usize,
                        "invitations",
                    ));
                }
                BoundedInsert::Exists => self.remove_expired(&invitation, now).await?,
            }
        }
        if let Err(error) = self.send(&organization, &invitation, &token).await {
            // So that the same request can be sent again; the trail has told of it.
            let event = access.invitation_event(&self.sources, AuditAction::InvitationRevoked, &invitation);
            let _ =
                self.invitations.delete_invitation(invitation.id, invitation.version, Some(&event)).await?;
            return Err(error);
        }
        Ok(IssuedInvitation { invitation, token })
    }

    /// Counts the mail of an invitation, if it is mailed.
    async fn count_mail(&self, invitation: &Invitation) -> Result<()> {
        if !self.mailer.is_enabled() {
            return Ok(());
        }
        self.mailer.count(&invitation.email.key(), Some(invitation.organization_id)).await
    }

    /// Mails the link of an invitation, if mails are sent.
    async fn send(
        &self,
        organization: &Organization,
        invitation: &Invitation,
        token: &InvitationToken,
    ) -> Result<()> {
        if !invitation.mailed {
            return Ok(());
        }
        let mail = Mail {
            token: Some(token.as_str().to_owned()),
            link_expires_at: Some(invitation.expires_at),
            organization_name: Some(organization.naming.name.as_str().to_owned()),
            role: Some(invitation.role),
            invitation_id: Some(invitation.id),
            ..Mail::new(MailKind::Invitation, invitation.email.clone())
        };
        self.mailer.enqueue(&mail, Some(invitation.organization_id), Duration::ZERO).await
    }

    /// Removes the invitation of the same address, if it has expired.
    async fn remove_expired(&self, new: &Invitation, now: Timestamp) -> Result<()> {
        let key = new.email.key();
        let mut after = None;
        loop {
            let page = self.invitations.list_invitations(new.organization_id, after, PAGE_MAX_ITEMS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let Some(found) = page.iter().find(|invitation| invitation.email.key() == key) else { continue };
            if !found.is_expired(now) {
                return Err(ErrorCode::InvitationExists.into());
            }
            // Of one that has changed meanwhile, the next try finds what has become.
            let _ = self.invitations.delete_invitation(found.id, found.version, None).await?;
            return Ok(());
        }
    }

    /// A page of invitations that nobody has used, in the order in which they were made.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn list_invitations(
        &self,
        access: &MemberAccess,
        after: Option<InvitationId>,
        limit: PageLimit,
    ) -> Result<Page<Arc<Invitation>, InvitationId>> {
        let organization = access.organization().id;
        let found = self.invitations.list_invitations(organization, after, limit.items() + 1).await?;
        let mut page = Page::of(found, limit, |invitation| invitation.id);
        page.items.retain(|invitation| invitation.is_pending());
        Ok(page)
    }

    /// Ends an invitation: its link is no longer valid.
    ///
    /// # Errors
    /// `invitation_not_found`, `role_insufficient`, `organization_not_active`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn revoke(&self, access: &MemberAccess, id: InvitationId) -> Result<()> {
        loop {
            let invitation = self.pending(access, id).await?;
            self.managed(access, invitation.role).await?;
            let event = access.invitation_event(&self.sources, AuditAction::InvitationRevoked, &invitation);
            let deleted = self.invitations.delete_invitation(id, invitation.version, Some(&event)).await?;
            if deleted == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// Gives an invitation a new token and a new end. The earlier token is no longer valid.
    ///
    /// # Errors
    /// As [`Self::revoke`]; `too_many_mails`; `reauthentication_required` for an owner.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn renew(
        &self,
        access: &MemberAccess,
        id: InvitationId,
        lifetime: Option<Duration>,
    ) -> Result<IssuedInvitation> {
        let mut is_counted = false;
        loop {
            let invitation = self.pending(access, id).await?;
            let organization = self.managed(access, invitation.role).await?;
            self.require_recent(access, invitation.role)?;
            if !invitation.offers_role_of(&organization.roles) {
                return Err(Error::new(ErrorCode::InvitationNotFound)
                    .detail("The role that it offers is gone: revoke it, and invite the person again."));
            }
            if !std::mem::replace(&mut is_counted, true) {
                self.count_mail(&invitation).await?;
            }
            let token = InvitationToken::generate(id, self.sources.entropy());
            let expires_at = clock::after(self.sources.now(), lifetime.unwrap_or(INVITATION_LIFETIME));
            let is_mailed = self.mailer.is_enabled();
            let renewed = invitation.renewed(&token, is_mailed, expires_at, access.actor());
            let event = access.invitation_event(&self.sources, AuditAction::InvitationRenewed, &renewed);
            if self.invitations.update_invitation(&renewed, Some(&event)).await? == UpdateOutcome::Done {
                self.send(&organization, &renewed, &token).await?;
                return Ok(IssuedInvitation { invitation: renewed, token });
            }
        }
    }

    /// Refuses an offer of ownership after a sign-in that is too old.
    fn require_recent(&self, access: &MemberAccess, role: Role) -> Result<()> {
        if role == Role::Owner { self.members.require_recent(access) } else { Ok(()) }
    }

    async fn pending(&self, access: &MemberAccess, id: InvitationId) -> Result<Arc<Invitation>> {
        let found = self.invitations.get_invitation(id).await?;
        let is_its = |invitation: &Arc<Invitation>| {
            invitation.organization_id == access.organization().id && invitation.is_pending()
        };
        found.filter(is_its).ok_or_else(|| ErrorCode::InvitationNotFound.into())
    }

    /// The organization as it is, if the caller may give that role in it.
    async fn managed(&self, access: &MemberAccess, role: Role) -> Result<Arc<Organization>> {
        let found = self.organizations.get_organization(access.organization().id).await?;
        let organization = found.ok_or(ErrorCode::OrganizationNotFound)?;
        self.members.manager(access, &organization).await?.check_grant(role, &organization.roles)?;
        if organization.state == State::Active {
            Ok(organization)
        } else {
            Err(ErrorCode::OrganizationNotActive.into())
        }
    }
}
