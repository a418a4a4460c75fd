//! Callers with the token of an identity provider.

use super::sign_in::foreign_member;
use super::{AccountPrincipal, Auth, ForeignSignIn, TokenCaller};
use crate::account::{Account, CredentialChange};
use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::app::passwords::unknown_password;
use crate::audit::{AuditAction, AuditEvent, AuditTarget, RequestOrigin, home_of};
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::foreign_token::{ForeignClaims, ForeignToken};
use crate::identity::{Identity, IdentityOrigin, identity_id};
use crate::ids::OrganizationId;
use crate::limits::IDENTITIES_MAX;
use crate::operation::Actor;
use crate::organization::Organization;
use crate::store::{BoundedInsert, UpdateOutcome};
use jiff::Timestamp;
use std::sync::Arc;

/// What a refusal says about a person without an account.
const UNLINKED: &str = "No account is linked to this identity: accept an invitation with this token, or have the \
    account link it.";

/// Proof of a valid token of an identity provider, whether or not an account is linked to the person.
#[derive(Debug, Clone)]
pub struct ForeignCaller {
    pub(in crate::app) claims: Arc<ForeignClaims>,
    pub(in crate::app) organization_id: OrganizationId,
    pub(in crate::app) has_authority: bool,
    pub(in crate::app) issued_at: Timestamp,
}

/// Who accepts an invitation.
#[derive(Debug, Clone)]
pub enum InvitationCaller {
    /// An account that is signed in.
    Member(Box<AccountPrincipal>),
    /// A person with the token of an identity provider.
    Foreign(Box<ForeignCaller>),
}

impl ForeignCaller {
    fn new(token: ForeignToken) -> Result<Self> {
        let ForeignToken { claims, organization_id, has_authority } = token;
        let issued_at = moment(claims.iat.0)?;
        Ok(Self { claims, organization_id, has_authority, issued_at })
    }

    /// The link of the person with that account.
    pub(in crate::app) fn identity(
        &self,
        account: &Account,
        origin: IdentityOrigin,
        now: Timestamp,
    ) -> Identity {
        let ForeignClaims { iss, sub, .. } = &*self.claims;
        Identity {
            id: identity_id(iss, sub),
            issuer: iss.clone(),
            subject: sub.clone(),
            account_id: account.id,
            credential_epoch: account.credential_epoch,
            origin,
            created_at: now,
        }
    }

    /// Whether the token proves that this address is the person's.
    pub(in crate::app) fn proves(&self, email: &EmailAddress) -> bool {
        self.proven_email().is_some_and(|proven| proven.key() == email.key())
    }

    fn proven_email(&self) -> Option<EmailAddress> {
        let email = self.claims.email.as_deref().filter(|_| self.has_authority)?;
        EmailAddress::parse(email).ok()
    }
}

impl Auth {
    /// The caller of a request that accepts an invitation.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `token_revoked`; `session_required` for an exchanged token.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate_for_invitation(&self, token: &str) -> Result<InvitationCaller> {
        match self.authenticate_with_claims(token).await {
            Err(error) if error.code() == ErrorCode::TokenInvalid => {
                Ok(InvitationCaller::Foreign(Box::new(self.verify_foreign(token).await?)))
            }
            Err(error) => Err(error),
            Ok((_, TokenCaller::Member(member))) => Ok(InvitationCaller::Member(member)),
            Ok((_, TokenCaller::Key(_))) => Err(ErrorCode::SessionRequired.into()),
        }
    }

    /// The person that the token of an identity provider proves.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`.
    pub(in crate::app) async fn verify_foreign(&self, token: &str) -> Result<ForeignCaller> {
        if self.issuers.is_empty() {
            return Err(ErrorCode::TokenInvalid.into());
        }
        let foreign = ForeignCaller::new(self.issuers.verify(token, self.sources.now()).await?)?;
        RequestOrigin::note_issuer(&foreign.claims.iss);
        Ok(foreign)
    }

    /// The member that is linked to the person. It reads three records: the link, the account, the organization.
    pub(super) async fn authenticate_foreign(&self, caller: &ForeignCaller) -> Result<AccountPrincipal> {
        let claims = &caller.claims;
        let sign_in = Arc::new(ForeignSignIn {
            issuer: claims.iss.clone(),
            subject: claims.sub.clone(),
            issued_at: caller.issued_at,
            signed_in_at: claims.auth_time.map(|at| moment(at.0)).transpose()?,
        });
        for is_recent in [true, false] {
            if let Some(member) = self.linked_member(&sign_in, caller.organization_id, is_recent).await? {
                return Ok(member);
            }
        }
        let Some(identity) = self.find_identity(&sign_in, false).await? else {
            return self.link_by_address(caller, &sign_in).await;
        };
        match self.accounts.get_account(identity.account_id).await? {
            Some(account) if identity.opens(&account) => return Err(ErrorCode::TokenRevoked.into()),
            // It may yet be made.
            None if identity.is_settling(self.sources.now()) => return Err(unlinked()),
            _ => {}
        }
        // Void, or with an account that is gone or was never made: the person may be linked once more.
        self.identities.delete_identity(identity.id, identity.account_id, None).await?;
        self.link_by_address(caller, &sign_in).await
    }

    async fn linked_member(
        &self,
        sign_in: &Arc<ForeignSignIn>,
        organization_id: OrganizationId,
        is_recent: bool,
    ) -> Result<Option<AccountPrincipal>> {
        let account = async {
            let Some(identity) = self.find_identity(sign_in, is_recent).await? else { return Ok(None) };
            let account = match is_recent {
                true => self.accounts.get_recent_account(identity.account_id).await?,
                false => self.accounts.get_account(identity.account_id).await?,
            };
            Ok(account.filter(|account| identity.opens(account)))
        };
        let organization = async {
            match is_recent {
                true => self.organizations.get_recent_organization(organization_id).await,
                false => self.organizations.get_organization(organization_id).await,
            }
        };
        let (account, organization) = tokio::try_join!(account, organization)?;
        let (Some(account), Some(organization)) = (account, organization) else { return Ok(None) };
        Ok(foreign_member(sign_in, account, organization))
    }

    async fn find_identity(&self, sign_in: &ForeignSignIn, is_recent: bool) -> Result<Option<Arc<Identity>>> {
        let id = identity_id(&sign_in.issuer, &sign_in.subject);
        let found = match is_recent {
            true => self.identities.get_recent_identity(id).await?,
            false => self.identities.get_identity(id).await?,
        };
        Ok(found.filter(|identity| identity.is_of(&sign_in.issuer, &sign_in.subject)))
    }

    /// Links the person with the member of that address, if the settings make the issuer the authority for it.
    async fn link_by_address(
        &self,
        caller: &ForeignCaller,
        sign_in: &Arc<ForeignSignIn>,
    ) -> Result<AccountPrincipal> {
        let (account, organization) = self.member_of_address(caller).await?.ok_or_else(unlinked)?;
        let member = |account| foreign_member(sign_in, account, Arc::clone(&organization));
        // Before anything is changed for it.
        member(Arc::clone(&account)).ok_or(ErrorCode::TokenRevoked)?;
        let account = self.prove_by_issuer(account).await?;
        let identity = caller.identity(&account, IdentityOrigin::Address, self.sources.now());
        let event = linked_event(&self.sources, organization.id, &identity);
        let mut inserted = self.identities.insert_identity(&identity, IDENTITIES_MAX, Some(&event)).await?;
        if inserted == BoundedInsert::Full {
            self.remove_void_identities(&account).await?;
            inserted = self.identities.insert_identity(&identity, IDENTITIES_MAX, Some(&event)).await?;
        }
        match inserted {
            // Another person of that address has come at the same moment: neither is linked until one comes again.
            BoundedInsert::New if self.has_other_of_issuer(&account, &identity).await? => {
                self.identities.delete_identity(identity.id, account.id, None).await?;
                Err(unlinked())
            }
            BoundedInsert::New => member(account).ok_or_else(|| ErrorCode::TokenRevoked.into()),
            BoundedInsert::Full => Err(unlinked()),
            // Another request has linked it at the same moment.
            BoundedInsert::Exists => {
                let linked = self.linked_member(sign_in, caller.organization_id, false).await?;
                linked.ok_or_else(|| ErrorCode::TokenRevoked.into())
            }
        }
    }

    /// Whether the account is linked with another person of that issuer.
    async fn has_other_of_issuer(&self, account: &Account, identity: &Identity) -> Result<bool> {
        let linked = self.identities.list_identities(account.id, IDENTITIES_MAX).await?;
        let is_other = |other: &Identity| other.id != identity.id && other.issuer == identity.issuer;
        Ok(linked.iter().any(|other| is_other(other) && other.opens(account)))
    }

    async fn member_of_address(
        &self,
        caller: &ForeignCaller,
    ) -> Result<Option<(Arc<Account>, Arc<Organization>)>> {
        let Some(account) = self.account_of_address(caller).await? else { return Ok(None) };
        let organization = self.organizations.get_organization(caller.organization_id).await?;
        let organization = organization.filter(|organization| account.membership(organization.id).is_some());
        Ok(organization.map(|organization| (account, organization)))
    }

    /// The account of the address that the issuer is the authority for, if it may be linked by that. An account that
    /// is linked with the issuer already is somebody else: the issuer has given the address to another person.
    pub(in crate::app) async fn account_of_address(
        &self,
        caller: &ForeignCaller,
    ) -> Result<Option<Arc<Account>>> {
        let Some(email) = caller.proven_email() else { return Ok(None) };
        let Some(account) = self.mailboxes.find_account(&email).await? else { return Ok(None) };
        let linked = self.identities.list_identities(account.id, IDENTITIES_MAX).await?;
        let is_of_issuer = |identity: &&Arc<Identity>| identity.issuer == caller.claims.iss;
        let is_known = linked.iter().filter(is_of_issuer).any(|identity| identity.opens(&account));
        Ok((account.removing_since.is_none() && !is_known).then_some(account))
    }

    /// Removes the links of the account that are void, which makes room for others.
    pub(in crate::app) async fn remove_void_identities(&self, account: &Account) -> Result<()> {
        for identity in self.identities.list_identities(account.id, IDENTITIES_MAX).await? {
            if !identity.opens(account) {
                self.identities.delete_identity(identity.id, account.id, None).await?;
            }
        }
        Ok(())
    }

    /// The account with its address proven by the authority for it. If nobody has proven it before, somebody else may
    /// have made the account: what they have of it ends.
    pub(in crate::app) async fn prove_by_issuer(&self, account: Arc<Account>) -> Result<Arc<Account>> {
        if account.email_verified_at.is_some() {
            return Ok(account);
        }
        let password_hash = Some(unknown_password(&self.sources));
        let change = CredentialChange { password_hash, ..CredentialChange::default() };
        loop {
            let current = self.accounts.get_account(account.id).await?.ok_or(ErrorCode::TokenRevoked)?;
            if current.email.key() != account.email.key() || current.removing_since.is_some() {
                return Err(ErrorCode::TokenRevoked.into());
            }
            if current.email_verified_at.is_some() {
                return Ok(current);
            }
            let now = self.sources.now();
            let next = current.with_credentials(&change, now).with_proven_address(now).without_identities();
            let actor = Actor::Account(current.id);
            let event = self.sources.event(home_of(&current), AuditAction::EmailVerified, actor);
            let event = event.on(AuditTarget::Account(current.id)).detail("by", Some("identity_provider"));
            let event = event.detail("password", Some("replaced"));
            if self.accounts.update_account(&next, Some(&event)).await? == UpdateOutcome::Done {
                return Ok(Arc::new(next));
            }
        }
    }
}

fn unlinked() -> Error {
    Error::new(ErrorCode::TokenInvalid).detail(UNLINKED)
}

/// The event of a new link.
pub(in crate::app) fn linked_event(
    sources: &ClockAndEntropy,
    organization_id: OrganizationId,
    identity: &Identity,
) -> AuditEvent {
    let actor = Actor::Account(identity.account_id);
    let event = sources.event(Some(organization_id), AuditAction::IdentityLinked, actor);
    let event = event.on(AuditTarget::Account(identity.account_id));
    event.detail("issuer", Some(&*identity.issuer)).detail("by", Some(identity.origin.as_str()))
}

fn moment(second: i64) -> Result<Timestamp> {
    Timestamp::from_second(second).map_err(|_| ErrorCode::TokenInvalid.into())
}
