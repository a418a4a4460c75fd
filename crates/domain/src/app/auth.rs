//! Authenticates callers and makes the values that prove their rights. No other module can make such a value.

mod foreign;
mod key_principal;
mod keys;
mod organization_ref;
mod principal;
mod sign_in;
mod token_records;

pub(super) use foreign::linked_event;
pub use foreign::{ForeignCaller, InvitationCaller};
pub use key_principal::{KeyPrincipal, ServicePrincipal};
pub use organization_ref::OrganizationRef;
pub(super) use principal::Authorization;
pub use principal::{
    AccountPrincipal, AdministerAccess, KeyCaller, ListAccess, ManageAccess, Operator, Principal,
    SignupAccess, TokenCaller,
};
use principal::{ForeignSignIn, SignIn};
pub(super) use sign_in::proven;

use super::clock_and_entropy::ClockAndEntropy;
use super::key_uses::KeyUses;
use super::mailboxes::Mailboxes;
use super::operator;
use super::policy::{Policy, SignupPolicy};
use super::restore_gate::RestoreGate;
use super::signing_keys::SigningKeys;
use crate::audit::RequestOrigin;
use crate::clock;
use crate::error::{Error, ErrorCode, Result};
use crate::foreign_token::TrustedIssuers;
use crate::ids::{AccountId, OrganizationId, SessionId};
use crate::operation::Actor;
use crate::organization::Organization;
use crate::permission::Permission;
use crate::store::{self, Store};
use crate::token::Claims;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use token_records::TokenRecords;

/// Proves rights.
pub struct Auth {
    sessions: Arc<dyn store::Sessions>,
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    installation: Arc<dyn store::Installation>,
    api_keys: Arc<dyn store::ApiKeys>,
    key_uses: Arc<KeyUses>,
    signing_keys: Arc<SigningKeys>,
    identities: Arc<dyn store::Identities>,
    pub(super) restored: Arc<RestoreGate>,
    mailboxes: Mailboxes,
    /// The identity providers whose tokens are accepted, too.
    issuers: Arc<TrustedIssuers>,
    signup: SignupPolicy,
    /// Whether tokens that service keys were exchanged for are accepted.
    exchange: bool,
    /// How old a sign-in may be for a change of credentials.
    reauth_max_age: Duration,
    sources: ClockAndEntropy,
}

/// The refusal of people and programs of one organization, where a backend may do what the operator may.
#[must_use]
pub fn operator_or_service_only() -> Error {
    Error::new(ErrorCode::OperatorOnly).detail(
        "Only the operator may do this, and a backend with a service key that has the permission for it. Use the \
         operator key or a service key.",
    )
}

impl Auth {
    pub(super) fn new(
        store: &Store,
        (signing_keys, issuers): (&Arc<SigningKeys>, &Arc<TrustedIssuers>),
        (key_uses, restored): (&Arc<KeyUses>, &Arc<RestoreGate>),
        policy: &Policy,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            sessions: store.sessions.clone(),
            accounts: store.accounts.clone(),
            organizations: store.organizations.clone(),
            installation: store.installation.clone(),
            api_keys: store.api_keys.clone(),
            key_uses: key_uses.clone(),
            signing_keys: signing_keys.clone(),
            identities: store.identities.clone(),
            restored: restored.clone(),
            mailboxes: Mailboxes::new(store),
            issuers: issuers.clone(),
            signup: policy.signup,
            exchange: policy.exchange,
            reauth_max_age: policy.reauth_max_age,
            sources: sources.clone(),
        }
    }

    /// The caller that the access token proves, checked against recent records. A refusal always rests on
    /// current records: the session may be newer than the cached record of its account.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `token_revoked`, `credential_unconfirmed`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate(&self, token: &str) -> Result<TokenCaller> {
        match self.authenticate_with_claims(token).await {
            Err(error) if error.code() == ErrorCode::TokenInvalid && !self.issuers.is_empty() => {
                let foreign = self.verify_foreign(token).await?;
                let member = self.authenticate_foreign(&foreign).await?;
                note_caller(Actor::Account(member.account.id), &member.organization);
                Ok(TokenCaller::Member(Box::new(member)))
            }
            authenticated => authenticated.map(|(_, caller)| caller),
        }
    }

    /// As [`Self::authenticate`] for tokens that this service has issued, with what the token says.
    pub(super) async fn authenticate_with_claims(&self, token: &str) -> Result<(Arc<Claims>, TokenCaller)> {
        let now = self.sources.now();
        let claims = self.signing_keys.tokens().await?.verify(token, now)?;
        let caller = match TokenRecords::named_by(&claims)? {
            TokenRecords::Session(session, account, organization) => {
                self.restored.check_id(session.milliseconds()).await?;
                let member = self.authenticate_session(session, account, organization, now).await?;
                TokenCaller::Member(Box::new(member))
            }
            TokenRecords::Key(grant) => {
                self.restored.check_id(grant.key_id.milliseconds()).await?;
                TokenCaller::Key(Box::new(self.authenticate_grant(&grant).await?))
            }
        };
        match &caller {
            TokenCaller::Member(member) => {
                note_caller(Actor::Account(member.account.id), &member.organization);
            }
            TokenCaller::Key(key) => note_caller(Actor::ApiKey(key.key_id()), &key.organization),
        }
        Ok((claims, caller))
    }

    async fn authenticate_session(
        &self,
        session_id: SessionId,
        account_id: AccountId,
        organization_id: OrganizationId,
        now: Timestamp,
    ) -> Result<AccountPrincipal> {
        let Self { sessions, accounts, organizations, .. } = self;
        let recent = tokio::try_join!(
            sessions.get_recent_session(session_id),
            accounts.get_recent_account(account_id),
            organizations.get_recent_organization(organization_id),
        )?;
        if let Some(member) = proven(recent, now) {
            return Ok(member);
        }
        let current = tokio::try_join!(
            sessions.get_session(session_id),
            accounts.get_account(account_id),
            organizations.get_organization(organization_id),
        )?;
        proven(current, now).ok_or_else(|| ErrorCode::TokenRevoked.into())
    }

    /// Proves the operator key. The hash is read each time: another instance may have made a new key.
    ///
    /// # Errors
    /// `operator_key_invalid`, `credential_unconfirmed`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate_operator(&self, key: &str) -> Result<Operator> {
        let known = operator::stored_hash(&*self.installation).await?;
        match known {
            Some(known) if bool::from(operator::hash(key).ct_eq(&known)) => {
                self.restored.check_operator(&known).await?;
                Ok(Operator(()))
            }
            _ => Err(ErrorCode::OperatorKeyInvalid.into()),
        }
    }

    /// The right to create an organization: for the operator, or for anybody if the policy is open.
    ///
    /// # Errors
    /// `operator_key_required`.
    pub fn allow_signup(&self, operator: Option<Operator>) -> Result<SignupAccess> {
        match (operator, self.signup) {
            (Some(_), _) => Ok(SignupAccess { actor: Actor::Operator }),
            (None, SignupPolicy::Open) => Ok(SignupAccess { actor: Actor::Anonymous }),
            (None, SignupPolicy::Operator) => Err(ErrorCode::OperatorKeyRequired.into()),
        }
    }

    /// The right to create an organization: the operator's for a customer, that of a service key which is not
    /// limited to some organizations, or, if the policy is open, an account's for itself.
    ///
    /// # Errors
    /// `operator_only`, `permission_missing`, `session_required`.
    pub fn allow_create(&self, caller: &Principal) -> Result<SignupAccess> {
        match caller {
            Principal::Operator(_) => Ok(SignupAccess { actor: Actor::Operator }),
            Principal::Service(service) => {
                service.require(Permission::OrganizationsWrite)?;
                service.require_all_organizations()?;
                Ok(SignupAccess { actor: Actor::ApiKey(service.key.id) })
            }
            Principal::Member(member) if self.signup == SignupPolicy::Open => {
                // Who runs an identity provider makes nothing in a person's name outside its organization.
                member.session()?;
                Ok(SignupAccess { actor: Actor::Account(member.account.id) })
            }
            Principal::Key(_) | Principal::Member(_) => Err(operator_or_service_only()),
        }
    }

    /// The right to list all organizations: the operator's, or that of a service key which is not limited to
    /// some of them.
    ///
    /// # Errors
    /// `operator_only`, `permission_missing`.
    pub fn allow_list(&self, caller: &Principal) -> Result<ListAccess> {
        match caller {
            Principal::Operator(_) => Ok(ListAccess(())),
            Principal::Service(service) => {
                service.require(Permission::OrganizationsRead)?;
                service.require_all_organizations()?;
                Ok(ListAccess(()))
            }
            Principal::Key(_) | Principal::Member(_) => Err(operator_or_service_only()),
        }
    }

    /// The right to change that organization: the operator's for any, an admin's for their own, a key's as
    /// far as it goes.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`,
    /// `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn manage(&self, caller: &Principal, which: &OrganizationRef) -> Result<ManageAccess> {
        let organization = self.visible(caller, which).await?;
        let authority = match caller {
            Principal::Operator(_) => Authorization::Operator,
            Principal::Service(service) => {
                service.require(Permission::OrganizationsWrite)?;
                Authorization::Service(service.clone())
            }
            Principal::Key(key) => {
                key.require(Permission::OrganizationsWrite)?;
                Authorization::Key(key.clone())
            }
            Principal::Member(member) => {
                member.require(Permission::OrganizationsWrite)?;
                Authorization::Member(member.clone())
            }
        };
        Ok(ManageAccess { organization, authority })
    }

    /// The right to suspend, reactivate and restore that organization, of those who run the service.
    ///
    /// # Errors
    /// `operator_only`, `organization_not_found`, `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn administer(&self, caller: &Principal, which: &OrganizationRef) -> Result<AdministerAccess> {
        let authority = match caller {
            Principal::Operator(_) => Authorization::Operator,
            Principal::Service(service) => {
                service.require(Permission::OrganizationsWrite)?;
                Authorization::Service(service.clone())
            }
            Principal::Key(_) | Principal::Member(_) => return Err(operator_or_service_only()),
        };
        Ok(AdministerAccess { organization: self.visible(caller, which).await?, authority })
    }

    /// The right of an admin to change the organization they are signed in to.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn manage_own(&self, member: &AccountPrincipal) -> Result<ManageAccess> {
        member.require(Permission::OrganizationsWrite)?;
        let authority = Authorization::Member(Box::new(member.clone()));
        Ok(ManageAccess { organization: Arc::clone(&member.organization), authority })
    }

    /// That organization, if the caller may know of it.
    pub(super) async fn visible(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<Arc<Organization>> {
        if let Some(own) = caller.own_organization()
            && which.names(own)
        {
            // The credential has led to a recent record of it. If another instance has just renamed it, the
            // old name works for that long: it is still the caller's own.
            return Ok(Arc::clone(own));
        }
        let found = match which {
            OrganizationRef::Id(id) => self.organizations.get_recent_organization(*id).await?,
            // Read past the cache: the name may have moved to another organization, and a change may follow.
            OrganizationRef::Identifier(name) => self.organizations.find_organization(name).await?,
        };
        let seen = found.filter(|organization| match caller {
            Principal::Operator(_) => true,
            Principal::Service(service) => service.key.covers(organization.id),
            Principal::Key(_) | Principal::Member(_) => {
                caller.own_organization().is_some_and(|own| organization.id == own.id)
            }
        });
        let seen = seen.ok_or(ErrorCode::OrganizationNotFound)?;
        RequestOrigin::note_organization(seen.id);
        Ok(seen)
    }

    /// That organization, if the caller may read its record.
    pub(super) async fn readable(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<Arc<Organization>> {
        let organization = self.visible(caller, which).await?;
        caller.require(Permission::OrganizationsRead)?;
        Ok(organization)
    }

    /// Refuses a right that has ended since it was proven, checked against the `organization` that is about
    /// to change.
    pub(super) async fn confirm(
        &self,
        authority: &Authorization,
        organization: &Arc<Organization>,
    ) -> Result<()> {
        let member = match authority {
            Authorization::Operator | Authorization::System => return Ok(()),
            Authorization::Service(service) => {
                let service = self.confirm_service(service, Permission::OrganizationsWrite).await?;
                let is_covered = service.key.covers(organization.id);
                return if is_covered { Ok(()) } else { Err(ErrorCode::OrganizationNotFound.into()) };
            }
            Authorization::Key(key) => {
                return self.current_grant(&key.grant).await?.require(Permission::OrganizationsWrite);
            }
            Authorization::Member(member) => member,
        };
        let permissions = self.current_member_in(member, organization).await?.permissions();
        let may_change = permissions.contains(Permission::OrganizationsWrite);
        if may_change { Ok(()) } else { Err(ErrorCode::RoleInsufficient.into()) }
    }

    /// Refuses a sign-in that is too old for a change of credentials.
    ///
    /// # Errors
    /// `reauthentication_required`.
    pub fn require_recent(&self, member: &AccountPrincipal) -> Result<()> {
        let signed_in_at = match &member.sign_in {
            SignIn::Session(session) => Some(session.signed_in_at),
            SignIn::Foreign(foreign) => foreign.signed_in_at,
        };
        let age = signed_in_at.map(|at| clock::between(at, self.sources.now()));
        if age.is_some_and(|age| age <= self.reauth_max_age) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::ReauthenticationRequired).max_age(self.reauth_max_age))
    }
}

/// Notes who calls, for the audit trail of the organization that the credential is bound to.
fn note_caller(actor: Actor, organization: &Organization) {
    RequestOrigin::note_caller(actor, Some(organization.id));
}
