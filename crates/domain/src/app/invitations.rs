//! Invitations: the way into an organization for people who are not its members.
//!
//! Nothing here tells whether an address has an account, but to who holds the link: it was sent to that
//! address.

use super::auth::{AccountPrincipal, Auth};
use super::clock_and_entropy::ClockAndEntropy;
use super::credentials::Credentials;
use super::mailboxes::Mailboxes;
use super::members::{Member, MemberAccess, Members};
use super::operations::{Executor, Outcome};
use super::passwords::PasswordHasher;
use super::sessions::{Grant, Sessions};
use crate::account::{Account, Role};
use crate::audit::AuditAction;
use crate::clock;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, InvitationId, OrganizationId};
use crate::invitation::{Invitation, InvitationToken};
use crate::limits::{INVITATION_LIFETIME, INVITATIONS_MAX, MEMBERS_MAX, MEMBERSHIPS_MAX, PAGE_MAX_ITEMS};
use crate::membership::MemberManager;
use crate::operation::{Actor, NewMember, OperationArguments, OperationRecord};
use crate::organization::{Organization, State};
use crate::page::{Page, PageLimit};
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::rate_limit::ClientNetwork;
use crate::session::fresh_epoch;
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

/// The password that comes with an invitation's token: of an account that exists, or for a new one.
pub struct InviteePassword {
    /// As the password of an account.
    pub presented: PresentedPassword,
    /// As a new password, or the rule that it breaks.
    pub new: Result<NewPassword, String>,
}

/// The outcome of an acceptance, as far as the request waited for it.
#[derive(Debug)]
pub enum AcceptOutcome {
    /// A signed-in account has joined.
    Joined(OperationRecord, Member, Arc<Organization>),
    /// An account has joined and is signed in there.
    Granted(Grant),
    /// It is still running; it can be watched.
    Running(OperationRecord),
}

/// Who accepts.
enum Invitee {
    Existing(Arc<Account>),
    New(Box<Account>),
}

impl Invitee {
    fn id(&self) -> AccountId {
        match self {
            Self::Existing(account) => account.id,
            Self::New(account) => account.id,
        }
    }
}

/// The invitations of organizations.
pub struct Invitations {
    invitations: Arc<dyn store::Invitations>,
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    auth: Arc<Auth>,
    members: Arc<Members>,
    sessions: Arc<Sessions>,
    mailboxes: Mailboxes,
    credentials: Arc<Credentials>,
    passwords: Arc<PasswordHasher>,
    executor: Arc<Executor>,
    sources: ClockAndEntropy,
}

/// What the use cases of invitations are made of.
pub(super) struct InvitationParts<'a> {
    pub(super) store: &'a Store,
    pub(super) auth: &'a Arc<Auth>,
    pub(super) members: &'a Arc<Members>,
    pub(super) sessions: &'a Arc<Sessions>,
    pub(super) mailboxes: &'a Mailboxes,
    pub(super) credentials: &'a Arc<Credentials>,
    pub(super) passwords: &'a Arc<PasswordHasher>,
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
            members: parts.members.clone(),
            sessions: parts.sessions.clone(),
            mailboxes: parts.mailboxes.clone(),
            credentials: parts.credentials.clone(),
            passwords: parts.passwords.clone(),
            executor: parts.executor.clone(),
            sources: parts.sources.clone(),
        }
    }

    /// Invites the person who has that address. The answer is the same whether the address has an account.
    ///
    /// # Errors
    /// `role_insufficient`, `already_member`, `invitation_exists`, `too_many_invitations`,
    /// `organization_not_active`, `token_revoked`; `invalid_input` at `/role` for a role that the organization does
    /// not have.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn invite(&self, access: &MemberAccess, new: NewInvitation) -> Result<IssuedInvitation> {
        let organization = self.managed(access, new.role).await?;
        organization.roles.require(new.role)?;
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
            acceptance: None,
            version: 1,
        };
        let event = access.invitation_event(&self.sources, AuditAction::InvitationCreated, &invitation);
        loop {
            match self.invitations.insert_invitation(&invitation, INVITATIONS_MAX, Some(&event)).await? {
                BoundedInsert::New => return Ok(IssuedInvitation { invitation, token }),
                BoundedInsert::Full => return Err(ErrorCode::TooManyInvitations.into()),
                BoundedInsert::Exists => self.remove_expired(&invitation, now).await?,
            }
        }
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

    /// Ends an invitation: its link is good no more.
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

    /// Gives an invitation a new token and a new end. The token of before is good no more.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn renew(
        &self,
        access: &MemberAccess,
        id: InvitationId,
        lifetime: Option<Duration>,
    ) -> Result<IssuedInvitation> {
        loop {
            let invitation = self.pending(access, id).await?;
            let organization = self.managed(access, invitation.role).await?;
            if !invitation.offers_role_of(&organization.roles) {
                return Err(Error::new(ErrorCode::InvitationNotFound)
                    .detail("The role that it offers is gone: revoke it, and invite the person again."));
            }
            let token = InvitationToken::generate(id, self.sources.entropy());
            let expires_at = clock::after(self.sources.now(), lifetime.unwrap_or(INVITATION_LIFETIME));
            let renewed = invitation.renewed(&token, expires_at, access.actor());
            let event = access.invitation_event(&self.sources, AuditAction::InvitationRenewed, &renewed);
            if self.invitations.update_invitation(&renewed, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(IssuedInvitation { invitation: renewed, token });
            }
        }
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

    /// Lets the signed-in account join. It must be the one of the invited address.
    ///
    /// # Errors
    /// `invitation_invalid`, `invitation_for_another`, `already_member`, `too_many_organizations`,
    /// `too_many_members`, `organization_suspended`, `organization_not_active`, `operation_in_progress`,
    /// `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn accept_as(
        &self,
        member: &AccountPrincipal,
        token: &InvitationToken,
    ) -> Result<AcceptOutcome> {
        let invitation = self.valid(token).await?;
        let account = self.auth.renew_principal(member).await?.account;
        if account.email.key() != invitation.email.key() {
            return Err(ErrorCode::InvitationForAnother.into());
        }
        let organization = invitation.organization_id;
        match self.join(token, organization, &Invitee::Existing(account)).await? {
            Outcome::Running(record) => Ok(AcceptOutcome::Running(record)),
            Outcome::Done { record, view } => {
                let organization = view.ok_or(ErrorCode::InvitationInvalid)?.organization;
                let account = self.accounts.get_account(member.account.id).await?;
                let member = account.and_then(|account| Member::new(account, &organization));
                let member = member.ok_or(ErrorCode::MemberNotFound)?;
                Ok(AcceptOutcome::Joined(record, member, organization))
            }
        }
    }

    /// Lets the holder of the link join with a password: that of the account which the invited address has, or
    /// one for a new account.
    ///
    /// # Errors
    /// As [`Self::accept_as`]; `account_exists` if the address has an account with another password;
    /// `invalid_input` at `/password`; `too_many_attempts`, `sign_in_busy`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn accept_with_password(
        &self,
        token: &InvitationToken,
        password: Option<InviteePassword>,
        network: ClientNetwork,
    ) -> Result<AcceptOutcome> {
        let invitation = self.valid(token).await?;
        let found = self.mailboxes.find_account(&invitation.email).await?;
        let invitee = match (found, password) {
            (Some(account), Some(password)) => {
                let key = invitation.email.key();
                let checked =
                    self.credentials.check_password(&key, Some(&account), password.presented, network).await;
                match checked {
                    Err(error) if error.code() == ErrorCode::InvalidCredentials => {
                        return Err(ErrorCode::AccountExists.into());
                    }
                    checked => {
                        let _: Option<u32> = checked?;
                    }
                }
                Invitee::Existing(account)
            }
            (Some(_), None) => return Err(ErrorCode::AccountExists.into()),
            (None, None) => return Err(Error::invalid_field("/password", "Is required.")),
            (None, Some(password)) => {
                let password = password.new.map_err(|rule| Error::invalid_field("/password", rule))?;
                let hash = self.passwords.hash(password).await?;
                let (now, entropy) = (self.sources.now(), self.sources.entropy());
                let id = AccountId::new(now, entropy);
                Invitee::New(Box::new(Account::new(id, invitation.email.clone(), hash, now)))
            }
        };
        match self.join(token, invitation.organization_id, &invitee).await? {
            Outcome::Running(record) => Ok(AcceptOutcome::Running(record)),
            Outcome::Done { view, .. } => {
                let organization = view.ok_or(ErrorCode::InvitationInvalid)?.organization;
                let account = self.accounts.get_account(invitee.id()).await?;
                let account = account.ok_or(ErrorCode::MemberNotFound)?;
                match self.sessions.begin(account, organization).await {
                    // It was removed again before it could be signed in.
                    Err(error) if error.code() == ErrorCode::InvalidCredentials => {
                        Err(ErrorCode::MemberNotFound.into())
                    }
                    granted => granted.map(AcceptOutcome::Granted),
                }
            }
        }
    }

    /// The invitation of the token, if it can be used now.
    async fn valid(&self, token: &InvitationToken) -> Result<Arc<Invitation>> {
        let found = self.invitations.get_invitation(token.id()).await?;
        let now = self.sources.now();
        found
            .filter(|invitation| invitation.accepts(token, now))
            .ok_or_else(|| ErrorCode::InvitationInvalid.into())
    }

    /// Whether who has made or renewed the invitation may still offer its role, in the `organization` as it is.
    async fn is_still_offered(
        &self,
        invitation: &Invitation,
        organization: &Arc<Organization>,
    ) -> Result<bool> {
        let permissions = match (invitation.inviter, invitation.inviter_key) {
            (Some(account), _) => {
                let found = self.accounts.get_account(account).await?;
                let member = found.and_then(|account| Member::new(account, organization));
                member.map(|member| organization.permissions_of(member.membership.role))
            }
            (None, Some(key)) => self.auth.current_key_permissions(key, organization).await?,
            // The operator's, or one of an earlier version, which did not note keys.
            (None, None) => return Ok(true),
        };
        let offer = permissions.map(|permissions| MemberManager::Key { permissions });
        Ok(offer.is_some_and(|offer| offer.check_grant(invitation.role, &organization.roles).is_ok()))
    }

    /// Makes a member of the organization of the invitee. Of several at once with one token, the first one
    /// joins: each begins when the one before has finished, and looks at the invitation again.
    async fn join(
        &self,
        token: &InvitationToken,
        organization: OrganizationId,
        invitee: &Invitee,
    ) -> Result<Outcome> {
        let epoch = fresh_epoch(self.sources.entropy());
        loop {
            let current = match self.executor.idle(organization).await {
                Err(error) if error.code() == ErrorCode::OrganizationNotFound => {
                    return Err(ErrorCode::InvitationInvalid.into());
                }
                current => current?,
            };
            let invitation = self.valid(token).await?;
            if current.suspended {
                return Err(ErrorCode::OrganizationSuspended.into());
            }
            if !invitation.offers_role_of(&current.roles)
                || !self.is_still_offered(&invitation, &current).await?
            {
                return Err(ErrorCode::InvitationInvalid.into());
            }
            if let Invitee::Existing(account) = invitee {
                let account = self.accounts.get_account(account.id).await?.ok_or(ErrorCode::TokenRevoked)?;
                if account.membership(organization).is_some() {
                    return Err(ErrorCode::AlreadyMember.into());
                }
                if account.memberships.len() >= MEMBERSHIPS_MAX {
                    return Err(ErrorCode::TooManyOrganizations.into());
                }
            }
            let new = NewMember {
                account_id: invitee.id(),
                role: invitation.role,
                epoch,
                invitation_id: invitation.id,
                invitation_version: invitation.version,
                account: match invitee {
                    Invitee::New(account) => Some(account.clone()),
                    Invitee::Existing(_) => None,
                },
            };
            let actor = Actor::Account(new.account_id);
            if let Some(outcome) = self.executor.try_begin(&current, actor, |next| prepare(next, new)).await?
            {
                return Ok(outcome);
            }
        }
    }
}

fn prepare(next: &mut Organization, new: NewMember) -> Result<OperationArguments> {
    if next.state != State::Active {
        return Err(ErrorCode::OrganizationNotActive.into());
    }
    if next.members >= MEMBERS_MAX {
        return Err(ErrorCode::TooManyMembers.into());
    }
    if new.role == Role::Owner {
        // Only whether there is room: it is an owner once the account has the role.
        next.clone().add_owner(new.account_id)?;
    }
    Ok(OperationArguments::AddMember(Box::new(new)))
}
