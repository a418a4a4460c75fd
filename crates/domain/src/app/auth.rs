//! Authenticates callers and makes the values that prove their rights. No other module can make such a value.

use super::clock_and_entropy::ClockAndEntropy;
use super::operator;
use super::policy::{Policy, SignupPolicy};
use crate::account::{Account, Role};
use crate::clock;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId, SessionId};
use crate::name::Identifier;
use crate::operation::Actor;
use crate::organization::Organization;
use crate::session::Session;
use crate::store::{self, Store};
use crate::token::{Claims, TokenKeys};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Proof of the operator key.
#[derive(Debug, Clone, Copy)]
pub struct Operator(());

/// Proof of a valid access token: the account and the organization it signed in to, both current.
#[derive(Debug, Clone)]
pub struct AccountPrincipal {
    pub(super) account: Arc<Account>,
    pub(super) organization: Arc<Organization>,
    pub(super) session: Arc<Session>,
    pub(super) role: Role,
}

impl AccountPrincipal {
    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The organization it signed in to.
    #[must_use]
    pub fn organization(&self) -> &Arc<Organization> {
        &self.organization
    }

    /// Checks that the account's role may change the organization.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn require_admin(&self) -> Result<()> {
        if self.role.is_admin() { Ok(()) } else { Err(ErrorCode::RoleInsufficient.into()) }
    }
}

/// The caller that a credential proves.
#[derive(Debug, Clone)]
pub enum Principal {
    /// The operator.
    Operator(Operator),
    /// An account.
    Member(Box<AccountPrincipal>),
}

/// On whose behalf something is changed. A member's right is checked again when the change begins: the
/// request may have waited for its body, a hash or another change, and the right may have ended meanwhile.
#[derive(Debug, Clone)]
pub(super) enum Authorization {
    Operator,
    System,
    Member(Box<AccountPrincipal>),
}

impl Authorization {
    pub(super) fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::System => Actor::System,
            Self::Member(member) => Actor::Account(member.account.id),
        }
    }
}

/// Proof that the caller may change this organization.
#[derive(Debug, Clone)]
pub struct ManageAccess {
    pub(super) organization: Arc<Organization>,
    pub(super) authority: Authorization,
}

impl ManageAccess {
    /// The organization as it was when the right was proven.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }
}

/// Proof that the caller may create an organization.
#[derive(Debug, Clone, Copy)]
pub struct SignupAccess {
    pub(super) actor: Actor,
}

impl SignupAccess {
    /// Whether the caller is the operator.
    pub(super) const fn is_operators(&self) -> bool {
        matches!(self.actor, Actor::Operator)
    }

    /// The scope of the caller's `Idempotency-Key`s.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        match self.actor {
            Actor::Operator => "operator",
            _ => "anonymous",
        }
    }
}

/// How a path names an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganizationRef {
    /// By its id.
    Id(OrganizationId),
    /// By its current identifier.
    Identifier(Identifier),
}

impl OrganizationRef {
    /// The id or identifier that `text` is; anything else names no organization.
    ///
    /// # Errors
    /// `organization_not_found`.
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::Identifier).map_err(|_| ErrorCode::OrganizationNotFound.into())
    }

    /// Whether it names that organization.
    fn names(&self, organization: &Organization) -> bool {
        match self {
            Self::Id(id) => *id == organization.id,
            Self::Identifier(name) => *name == organization.naming.identifier,
        }
    }
}

/// Proves rights.
pub struct Auth {
    sessions: Arc<dyn store::Sessions>,
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    installation: Arc<dyn store::Installation>,
    tokens: Arc<TokenKeys>,
    signup: SignupPolicy,
    /// How old a sign-in may be for a change of credentials.
    reauth_max_age: Duration,
    sources: ClockAndEntropy,
}

impl Auth {
    pub(super) fn new(
        store: &Store,
        tokens: &Arc<TokenKeys>,
        policy: &Policy,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            sessions: store.sessions.clone(),
            accounts: store.accounts.clone(),
            organizations: store.organizations.clone(),
            installation: store.installation.clone(),
            tokens: tokens.clone(),
            signup: policy.signup,
            reauth_max_age: policy.reauth_max_age,
            sources: sources.clone(),
        }
    }

    /// The public keys for checking access tokens (RFC 7517).
    #[must_use]
    pub fn public_keys(&self) -> serde_json::Value {
        self.tokens.jwks()
    }

    /// The account that the access token proves, checked against recent records. A refusal always rests on
    /// current records: the session may be newer than the cached record of its account.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate(&self, token: &str) -> Result<AccountPrincipal> {
        let now = self.sources.now();
        let claims = self.tokens.verify(token, now)?;
        let (session_id, account_id, organization_id) = named_by(&claims)?;
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

    /// Checks the principal once more, against recent records.
    ///
    /// # Errors
    /// `token_revoked`.
    pub(super) async fn renew_principal(&self, principal: &AccountPrincipal) -> Result<AccountPrincipal> {
        let records = tokio::try_join!(
            self.sessions.get_recent_session(principal.session.id),
            self.accounts.get_recent_account(principal.account.id),
            self.organizations.get_recent_organization(principal.organization.id),
        )?;
        proven(records, self.sources.now()).ok_or_else(|| ErrorCode::TokenRevoked.into())
    }

    /// Proves the operator key. The hash is read each time: another instance may have made a new key.
    ///
    /// # Errors
    /// `operator_key_invalid`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate_operator(&self, key: &str) -> Result<Operator> {
        let known = operator::stored_hash(&*self.installation).await?;
        match known {
            Some(known) if bool::from(operator::hash(key).ct_eq(&known)) => Ok(Operator(())),
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

    /// The right to change that organization: the operator's for any, an admin's for their own.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn manage(&self, caller: &Principal, which: &OrganizationRef) -> Result<ManageAccess> {
        let organization = self.visible(caller, which).await?;
        let authority = match caller {
            Principal::Operator(_) => Authorization::Operator,
            Principal::Member(member) => {
                member.require_admin()?;
                Authorization::Member(member.clone())
            }
        };
        Ok(ManageAccess { organization, authority })
    }

    /// The right of an admin to change the organization they are signed in to.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn manage_own(&self, member: &AccountPrincipal) -> Result<ManageAccess> {
        member.require_admin()?;
        let authority = Authorization::Member(Box::new(member.clone()));
        Ok(ManageAccess { organization: Arc::clone(&member.organization), authority })
    }

    /// That organization, if the caller may know of it.
    pub(super) async fn visible(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<Arc<Organization>> {
        if let Principal::Member(member) = caller
            && which.names(&member.organization)
        {
            // The token has led to a recent record of it. If another instance has just renamed it, the old
            // name works for that long: it is still the caller's own.
            return Ok(Arc::clone(&member.organization));
        }
        let found = match which {
            OrganizationRef::Id(id) => self.organizations.get_recent_organization(*id).await?,
            // Read past the cache: the name may have moved to another organization, and a change may follow.
            OrganizationRef::Identifier(name) => self.organizations.find_organization(name).await?,
        };
        let seen = found.filter(|organization| match caller {
            Principal::Operator(_) => true,
            Principal::Member(member) => organization.id == member.organization.id,
        });
        seen.ok_or_else(|| ErrorCode::OrganizationNotFound.into())
    }

    /// Refuses a right that has ended since it was proven, checked against the `organization` that is about
    /// to change.
    pub(super) async fn confirm(&self, authority: &Authorization, organization: &Organization) -> Result<()> {
        let Authorization::Member(member) = authority else { return Ok(()) };
        let (session, account) = tokio::try_join!(
            self.sessions.get_session(member.session.id),
            self.accounts.get_account(member.account.id),
        )?;
        let (Some(session), Some(account)) = (session, account) else {
            return Err(ErrorCode::TokenRevoked.into());
        };
        if !session.is_good(&account, organization, self.sources.now()) {
            return Err(ErrorCode::TokenRevoked.into());
        }
        let admin = account.membership(organization.id).is_some_and(|membership| membership.role.is_admin());
        if admin { Ok(()) } else { Err(ErrorCode::RoleInsufficient.into()) }
    }

    /// Refuses a sign-in that is too old for a change of credentials.
    ///
    /// # Errors
    /// `reauthentication_required`.
    pub fn require_recent(&self, member: &AccountPrincipal) -> Result<()> {
        let age = clock::between(member.session.signed_in_at, self.sources.now());
        if age <= self.reauth_max_age {
            return Ok(());
        }
        Err(Error::new(ErrorCode::ReauthenticationRequired).max_age(self.reauth_max_age))
    }
}

/// The records that a token names, as far as they exist.
type SessionRecords = (Option<Arc<Session>>, Option<Arc<Account>>, Option<Arc<Organization>>);

/// The principal that these records prove.
pub(super) fn proven(records: SessionRecords, now: Timestamp) -> Option<AccountPrincipal> {
    let (Some(session), Some(account), Some(organization)) = records else { return None };
    let role = account.membership(organization.id)?.role;
    session.is_good(&account, &organization, now).then_some(AccountPrincipal {
        account,
        organization,
        session,
        role,
    })
}

/// The records a token names. The token is ours, so an unreadable id in it means an invalid token, not a
/// defect.
fn named_by(claims: &Claims) -> Result<(SessionId, AccountId, OrganizationId)> {
    let dead = |_| Error::new(ErrorCode::TokenInvalid);
    Ok((
        claims.sid.parse().map_err(dead)?,
        claims.sub.parse().map_err(dead)?,
        claims.org_id.parse().map_err(dead)?,
    ))
}
