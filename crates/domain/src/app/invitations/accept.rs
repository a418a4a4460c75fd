//! Accepting an invitation: as the account that is signed in, or with a password.
//!
//! An invitation that was mailed proves the address; one that was shown to somebody, who may be anybody, proves nothing.

use super::Invitations;
use crate::account::{Account, Role};
use crate::app::address_proof::ProvenBy;
use crate::app::auth::AccountPrincipal;
use crate::app::members::Member;
use crate::app::operations::Outcome;
use crate::app::sessions::Grant;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId};
use crate::invitation::{Invitation, InvitationToken};
use crate::limits::{MEMBERS_MAX, MEMBERSHIPS_MAX};
use crate::membership::MemberManager;
use crate::operation::{Actor, NewMember, OperationArguments, OperationRecord};
use crate::organization::{Organization, State};
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::rate_limit::ClientNetwork;
use crate::session::fresh_epoch;
use jiff::Timestamp;
use std::sync::Arc;

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
pub(super) enum Invitee {
    Existing(Arc<Account>),
    New(Box<Account>),
}

impl Invitee {
    pub(super) fn account(&self) -> &Account {
        match self {
            Self::Existing(account) => account,
            Self::New(account) => account,
        }
    }

    pub(super) fn id(&self) -> AccountId {
        self.account().id
    }
}

impl Invitations {
    /// Lets the signed-in account join. It must be the one of the invited address, and that must be proven, before or
    /// by this invitation.
    ///
    /// # Errors
    /// `invitation_invalid`, `invitation_for_another`, `email_not_verified`, `already_member`, `too_many_organizations`,
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
        if account.email_verified_at.is_none() {
            self.prove_signed_in(member, &invitation).await?;
        }
        let organization = invitation.organization_id;
        let outcome = self.join(token, organization, &Invitee::Existing(account), None).await?;
        self.joined(member.account.id, outcome).await
    }

    /// The outcome for an account that is not signed in by it.
    pub(super) async fn joined(&self, account_id: AccountId, outcome: Outcome) -> Result<AcceptOutcome> {
        match outcome {
            Outcome::Running(record) => Ok(AcceptOutcome::Running(record)),
            Outcome::Done { record, view } => {
                let organization = view.ok_or(ErrorCode::InvitationInvalid)?.organization;
                let account = self.accounts.get_account(account_id).await?;
                let member = account.and_then(|account| Member::new(&account, &organization));
                let member = member.ok_or(ErrorCode::MemberNotFound)?;
                Ok(AcceptOutcome::Joined(record, member, organization))
            }
        }
    }

    /// Lets the holder of the link join with a password: that of the account which the invited address has, or
    /// one for a new account. If the link was mailed and nobody has proven that account's address, the password is a
    /// new one for it, and the one of before and all its sessions end.
    ///
    /// What is refused without making an account is refused alike, after the same work, whether the address has one:
    /// who holds a link that was shown may be anybody.
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
        let password = password.ok_or_else(|| Error::invalid_field("/password", "Is required."))?;
        self.require_open(token, invitation.organization_id).await?;
        let invitee = self.invitee_with_password(token, &invitation, password, network).await?;
        match self.join(token, invitation.organization_id, &invitee, None).await? {
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

    /// The account of the invited address if the password is its own, or else a new one with that password.
    async fn invitee_with_password(
        &self,
        token: &InvitationToken,
        invitation: &Invitation,
        password: InviteePassword,
        network: ClientNetwork,
    ) -> Result<Invitee> {
        let InviteePassword { presented, new } = password;
        let keeps_password =
            |account: &Arc<Account>| account.email_verified_at.is_some() || !invitation.mailed;
        match (self.mailboxes.find_account(&invitation.email).await?, new) {
            (Some(account), new) if keeps_password(&account) => {
                match self.check_invitee(&account, invitation, presented, network).await {
                    Err(error) if error.code() == ErrorCode::InvalidCredentials => match new {
                        Err(rule) => Err(Error::invalid_field("/password", rule)),
                        // As for a new account, what has changed while the password was checked comes first.
                        Ok(_) => {
                            self.require_open(token, invitation.organization_id).await?;
                            Err(ErrorCode::AccountExists.into())
                        }
                    },
                    checked => checked.map(|()| Invitee::Existing(account)),
                }
            }
            (_, Err(rule)) => {
                // Counted and hashed like the wrong password of an account, which may break the rule, too.
                match self.credentials.check_password(&invitation.email.key(), None, presented, network).await
                {
                    Err(error) if error.code() != ErrorCode::InvalidCredentials => Err(error),
                    _ => Err(Error::invalid_field("/password", rule)),
                }
            }
            (Some(account), Ok(new)) => {
                Ok(Invitee::Existing(self.prove_with_password(account.id, invitation, new).await?))
            }
            (None, Ok(new)) => {
                let hash = self.passwords.hash(new).await?;
                let (now, entropy) = (self.sources.now(), self.sources.entropy());
                let id = AccountId::new(now, entropy);
                let account = Account::new(id, invitation.email.clone(), hash, now);
                Ok(Invitee::New(Box::new(Account {
                    email_verified_at: invitation.mailed.then_some(now),
                    ..account
                })))
            }
        }
    }

    /// Proves the address of the signed-in account by an invitation that was mailed to it.
    async fn prove_signed_in(&self, member: &AccountPrincipal, invitation: &Invitation) -> Result<()> {
        if !invitation.mailed {
            return Err(ErrorCode::EmailNotVerified.into());
        }
        let check = |account: &Account| is_invited(account, invitation);
        self.proof.signed_in(member, ProvenBy::Invitation, check).await
    }

    /// Proves the address of an account that nobody has proven, and gives it the password.
    async fn prove_with_password(
        &self,
        id: AccountId,
        invitation: &Invitation,
        password: NewPassword,
    ) -> Result<Arc<Account>> {
        let check = |account: &Account| match account.email_verified_at {
            None => is_invited(account, invitation),
            // Somebody was faster.
            Some(_) => Err(ErrorCode::AccountExists.into()),
        };
        self.proof.with_password(id, password, ProvenBy::Invitation, check).await
    }

    /// Checks the password of the account that the invited address has, and that the address is proven. One without
    /// any organization is like a new one: it opens nothing yet. A wrong password is `invalid_credentials`.
    async fn check_invitee(
        &self,
        account: &Account,
        invitation: &Invitation,
        password: PresentedPassword,
        network: ClientNetwork,
    ) -> Result<()> {
        let key = invitation.email.key();
        self.credentials.check_password(&key, Some(account), password, network).await?;
        if account.email_verified_at.is_none() && !account.memberships.is_empty() {
            return Err(ErrorCode::EmailNotVerified.into());
        }
        Ok(())
    }

    /// The invitation of the token, if it can be used now.
    pub(super) async fn valid(&self, token: &InvitationToken) -> Result<Arc<Invitation>> {
        let found = self.invitations.get_invitation(token.id()).await?;
        let now = self.sources.now();
        let found = found.filter(|invitation| invitation.accepts(token, now));
        let invitation = found.ok_or(ErrorCode::InvitationInvalid)?;
        self.auth.restored.check_id(invitation.id.milliseconds()).await?;
        Ok(invitation)
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
                let member = found.and_then(|account| Member::new(&account, organization));
                member.map(|member| organization.permissions_of(member.membership.role))
            }
            (None, Some(key)) => self.auth.current_key_permissions(key, organization).await?,
            // The operator's, or one of an earlier version, which did not note keys.
            (None, None) => return Ok(true),
        };
        let offer = permissions.map(|permissions| MemberManager::Key { permissions });
        Ok(offer.is_some_and(|offer| offer.check_grant(invitation.role, &organization.roles).is_ok()))
    }

    /// The organization and the invitation as they are, if somebody can join by it. What this refuses is refused
    /// for every invited address and every password.
    pub(super) async fn require_open(
        &self,
        token: &InvitationToken,
        organization: OrganizationId,
    ) -> Result<(Arc<Organization>, Arc<Invitation>)> {
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
        if !invitation.offers_role_of(&current.roles) || !self.is_still_offered(&invitation, &current).await?
        {
            return Err(ErrorCode::InvitationInvalid.into());
        }
        require_room(&current, invitation.role)?;
        Ok((current, invitation))
    }

    /// Makes a member of the organization of the invitee. Of several at once with one token, the first one
    /// joins: each begins when the one before has finished, and looks at the invitation again.
    pub(super) async fn join(
        &self,
        token: &InvitationToken,
        organization: OrganizationId,
        invitee: &Invitee,
        tokens_since: Option<Timestamp>,
    ) -> Result<Outcome> {
        let epoch = fresh_epoch(self.sources.entropy());
        loop {
            let (current, invitation) = self.require_open(token, organization).await?;
            if let Invitee::Existing(account) = invitee {
                let account = self.accounts.get_account(account.id).await?.ok_or(ErrorCode::TokenRevoked)?;
                if account.membership(organization).is_some() {
                    return Err(ErrorCode::AlreadyMember.into());
                }
                if account.memberships.len() >= MEMBERSHIPS_MAX {
                    return Err(Error::limit_reached(
                        ErrorCode::TooManyOrganizations,
                        "The account",
                        MEMBERSHIPS_MAX,
                        "organizations",
                    ));
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
                tokens_since,
            };
            let actor = Actor::Account(new.account_id);
            if let Some(outcome) = self.executor.try_begin(&current, actor, |next| prepare(next, new)).await?
            {
                return Ok(outcome);
            }
        }
    }
}

/// Refuses an account of another address than the invited one.
pub(super) fn is_invited(account: &Account, invitation: &Invitation) -> Result<()> {
    if account.email.key() == invitation.email.key() {
        Ok(())
    } else {
        Err(ErrorCode::InvitationForAnother.into())
    }
}

/// Refuses a further member with that role, if there is no room for one.
fn require_room(organization: &Organization, role: Role) -> Result<()> {
    if organization.state != State::Active {
        return Err(ErrorCode::OrganizationNotActive.into());
    }
    if organization.members >= MEMBERS_MAX {
        return Err(Error::limit_reached(
            ErrorCode::TooManyMembers,
            "The organization",
            MEMBERS_MAX as usize,
            "members",
        ));
    }
    if role == Role::Owner { organization.require_owner_room() } else { Ok(()) }
}

fn prepare(next: &Organization, new: NewMember) -> Result<OperationArguments> {
    require_room(next, new.role)?;
    Ok(OperationArguments::AddMember(Box::new(new)))
}
