//! Who calls, proven, and the rights that follow.

use super::key_principal::{KeyPrincipal, ServicePrincipal};
use crate::account::{Account, Role};
use crate::error::{ErrorCode, Result};
use crate::ids::OrganizationId;
use crate::operation::Actor;
use crate::organization::Organization;
use crate::permission::{Permission, PermissionSet};
use crate::session::Session;
use jiff::Timestamp;
use std::sync::Arc;

/// Proof of the operator key.
#[derive(Debug, Clone, Copy)]
pub struct Operator(pub(super) ());

/// How an account has signed in.
#[derive(Debug, Clone)]
pub(in crate::app) enum SignIn {
    /// Here.
    Session(Arc<Session>),
    /// At an identity provider.
    Foreign(Arc<ForeignSignIn>),
}

/// A sign-in at an identity provider, by whose token the account calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct ForeignSignIn {
    pub(in crate::app) issuer: String,
    pub(in crate::app) subject: String,
    /// When the token was issued.
    pub(in crate::app) issued_at: Timestamp,
    /// When the person gave their credentials there, if the token says so.
    pub(in crate::app) signed_in_at: Option<Timestamp>,
}

/// Proof of a valid access token: the account and the organization it signed in to, both current.
#[derive(Debug, Clone)]
pub struct AccountPrincipal {
    pub(in crate::app) account: Arc<Account>,
    pub(in crate::app) organization: Arc<Organization>,
    pub(in crate::app) sign_in: SignIn,
    pub(in crate::app) role: Role,
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

    /// The session that it signed in with.
    ///
    /// # Errors
    /// `session_required` for an account that signed in at an identity provider.
    pub(in crate::app) fn session(&self) -> Result<&Arc<Session>> {
        match &self.sign_in {
            SignIn::Session(session) => Ok(session),
            SignIn::Foreign(_) => Err(ErrorCode::SessionRequired.into()),
        }
    }

    /// Whether what the account has in that organization is in its reach. The token of an identity provider is for one
    /// organization: who runs the provider learns and changes nothing of another.
    pub(in crate::app) fn reaches(&self, organization_id: OrganizationId) -> bool {
        matches!(self.sign_in, SignIn::Session(_)) || self.organization.id == organization_id
    }

    /// The issuer of its token, if that is not this service.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.sign_in {
            SignIn::Session(_) => None,
            SignIn::Foreign(foreign) => Some(&foreign.issuer),
        }
    }

    /// What its role allows.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.organization.permissions_of(self.role)
    }

    /// Checks that the account's role has `permission`.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.permissions().contains(permission) { Ok(()) } else { Err(ErrorCode::RoleInsufficient.into()) }
    }
}

/// The caller that a credential proves.
#[derive(Debug, Clone)]
pub enum Principal {
    /// The operator.
    Operator(Operator),
    /// The backend, with a service key.
    Service(Box<ServicePrincipal>),
    /// A program bound to one organization, by its key or an exchanged token.
    Key(Box<KeyPrincipal>),
    /// An account.
    Member(Box<AccountPrincipal>),
}

impl Principal {
    /// The organization that the credential is bound to, if it is.
    pub(super) fn own_organization(&self) -> Option<&Arc<Organization>> {
        match self {
            Self::Operator(_) | Self::Service(_) => None,
            Self::Key(key) => Some(&key.organization),
            Self::Member(member) => Some(&member.organization),
        }
    }

    /// Who it is, for the log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Operator(_) => Actor::Operator,
            Self::Service(service) => Actor::ApiKey(service.key.id),
            Self::Key(key) => Actor::ApiKey(key.key_id()),
            Self::Member(member) => Actor::Account(member.account.id),
        }
    }

    /// Checks that the caller has `permission`, which the operator has for all but data.
    ///
    /// # Errors
    /// `role_insufficient`, `permission_missing`.
    pub(in crate::app) fn require(&self, permission: Permission) -> Result<()> {
        match self {
            Self::Operator(_) => Ok(()),
            Self::Service(service) => service.require(permission),
            Self::Key(key) => key.require(permission),
            Self::Member(member) => member.require(permission),
        }
    }
}

/// The caller that a key proves.
pub enum KeyCaller {
    /// The operator.
    Operator(Operator),
    /// The backend.
    Service(Box<ServicePrincipal>),
    /// A program of one organization.
    Organization(Box<KeyPrincipal>),
}

impl From<KeyCaller> for Principal {
    fn from(caller: KeyCaller) -> Self {
        match caller {
            KeyCaller::Operator(operator) => Self::Operator(operator),
            KeyCaller::Service(service) => Self::Service(service),
            KeyCaller::Organization(key) => Self::Key(key),
        }
    }
}

/// The caller that an access token proves.
pub enum TokenCaller {
    /// An account that signed in.
    Member(Box<AccountPrincipal>),
    /// A program, with a token that a service key was exchanged for.
    Key(Box<KeyPrincipal>),
}

impl From<TokenCaller> for Principal {
    fn from(caller: TokenCaller) -> Self {
        match caller {
            TokenCaller::Member(member) => Self::Member(member),
            TokenCaller::Key(key) => Self::Key(key),
        }
    }
}

/// On whose behalf something is changed. A member's right is checked again when the change begins: the
/// request may have waited for its body, a hash or another change, and the right may have ended meanwhile.
#[derive(Debug, Clone)]
pub(in crate::app) enum Authorization {
    Operator,
    System,
    Service(Box<ServicePrincipal>),
    Key(Box<KeyPrincipal>),
    Member(Box<AccountPrincipal>),
}

impl Authorization {
    pub(in crate::app) fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::System => Actor::System,
            Self::Service(service) => Actor::ApiKey(service.key.id),
            Self::Key(key) => Actor::ApiKey(key.key_id()),
            Self::Member(member) => Actor::Account(member.account.id),
        }
    }
}

/// Proof that the caller may change this organization.
#[derive(Debug, Clone)]
pub struct ManageAccess {
    pub(in crate::app) organization: Arc<Organization>,
    pub(in crate::app) authority: Authorization,
}

impl ManageAccess {
    /// The organization as it was when the right was proven.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }
}

/// Proof that the caller may do to this organization what only those may who run the service.
#[derive(Debug, Clone)]
pub struct AdministerAccess {
    pub(in crate::app) organization: Arc<Organization>,
    pub(in crate::app) authority: Authorization,
}

/// Proof that the caller may list all organizations.
#[derive(Debug, Clone, Copy)]
pub struct ListAccess(pub(super) ());

/// Proof that the caller may create an organization.
#[derive(Debug, Clone, Copy)]
pub struct SignupAccess {
    pub(in crate::app) actor: Actor,
}

impl SignupAccess {
    /// Whether it is the right of those who run the service, and not of anybody who signs up.
    #[must_use]
    pub const fn is_operators(&self) -> bool {
        matches!(self.actor, Actor::Operator | Actor::ApiKey(_))
    }

    /// The scope of the caller's `Idempotency-Key`s.
    #[must_use]
    pub fn scope(&self) -> String {
        match self.actor {
            Actor::Operator => "operator".to_owned(),
            Actor::ApiKey(id) => format!("key/{id}"),
            Actor::Account(id) => format!("account/{id}"),
            _ => "anonymous".to_owned(),
        }
    }
}
