//! Callers that come with a key, or with a token that a key was exchanged for.
//!
//! A key of the operator's backend (a service key) acts on organizations and opens no data. A key of an
//! organization, and a token that a service key was exchanged for, are bound to one organization, and carry
//! a set of permissions.

use super::{Auth, Operator, operator};
use crate::account::Account;
use crate::api_key::{ApiKey, ApiKeyKind, ApiKeyOwner, ApiKeyText};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{ApiKeyId, OrganizationId};
use crate::organization::Organization;
use crate::permission::{ORGANIZATION_KEY_PERMISSIONS, Permission, PermissionSet, TOKEN_PERMISSIONS};
use jiff::Timestamp;
use std::sync::Arc;

/// Proof of a valid service key.
#[derive(Debug, Clone)]
pub struct ServicePrincipal {
    pub(in crate::app) key: Arc<ApiKey>,
    /// The generation of the secret that was presented.
    pub(in crate::app) generation: u32,
}

impl ServicePrincipal {
    /// Checks that the key has `permission`.
    ///
    /// # Errors
    /// `permission_missing`.
    pub fn require(&self, permission: Permission) -> Result<()> {
        require(self.key.permissions, permission)
    }

    /// Whether the key may act on that organization.
    #[must_use]
    pub fn covers(&self, organization_id: OrganizationId) -> bool {
        self.key.covers(organization_id)
    }

    /// Whether the key may read the record of that organization.
    #[must_use]
    pub fn may_read(&self, organization_id: OrganizationId) -> bool {
        self.key.covers(organization_id) && self.key.permissions.contains(Permission::OrganizationsRead)
    }

    /// Checks that the key is not limited to some organizations.
    ///
    /// # Errors
    /// `permission_missing`.
    pub(in crate::app) fn require_all_organizations(&self) -> Result<()> {
        if self.key.organizations.is_none() {
            return Ok(());
        }
        Err(Error::new(ErrorCode::PermissionMissing)
            .detail("The key is limited to some organizations: name one of them."))
    }
}

/// What binds a caller to one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct KeyGrant {
    pub(in crate::app) key_id: ApiKeyId,
    /// The generation of the key's secret that was presented, or that the token was issued with.
    pub(in crate::app) generation: u32,
    pub(in crate::app) organization_id: OrganizationId,
    /// What the token says, if the caller came with a token.
    pub(in crate::app) token: Option<ExchangedToken>,
}

/// What a token says that a service key was exchanged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct ExchangedToken {
    pub(in crate::app) permissions: PermissionSet,
    /// The organization's epoch when the token was issued.
    pub(in crate::app) organization_epoch: u32,
    pub(in crate::app) expires_at: Timestamp,
}

/// Proof of a right to one organization by a key of it, or by a token that a service key was exchanged for.
#[derive(Debug, Clone)]
pub struct KeyPrincipal {
    pub(in crate::app) grant: KeyGrant,
    pub(in crate::app) organization: Arc<Organization>,
    pub(in crate::app) permissions: PermissionSet,
}

impl KeyPrincipal {
    /// Checks that the key or token has `permission`.
    ///
    /// # Errors
    /// `permission_missing`.
    pub fn require(&self, permission: Permission) -> Result<()> {
        require(self.permissions, permission)
    }

    /// What the key or token allows.
    #[must_use]
    pub const fn permissions(&self) -> PermissionSet {
        self.permissions
    }

    /// The organization it is bound to.
    #[must_use]
    pub fn organization(&self) -> &Arc<Organization> {
        &self.organization
    }

    pub(in crate::app) fn key_id(&self) -> ApiKeyId {
        self.grant.key_id
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

/// Refuses a key or token without `permission`.
fn require(permissions: PermissionSet, permission: Permission) -> Result<()> {
    if permissions.contains(permission) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::PermissionMissing).detail(format!("It lacks the permission `{permission}`.")))
}

/// The principal that these records prove. The key, its organization and, for a key that a person made, that
/// person's account: all must be as good as when the key was made.
pub(in crate::app) fn proven(
    grant: &KeyGrant,
    key: &ApiKey,
    organization: Arc<Organization>,
    maker: Option<&Account>,
    now: Timestamp,
) -> Option<KeyPrincipal> {
    let is_valid = key.accepts_generation(grant.generation, now)
        && key.covers(grant.organization_id)
        && organization.id == grant.organization_id
        && organization.is_usable();
    if !is_valid {
        return None;
    }
    let permissions = match &grant.token {
        Some(token) => {
            let is_current = key.owner == ApiKeyOwner::Installation
                && key.permissions.contains(Permission::TokensIssue)
                && token.organization_epoch == organization.token_epoch
                && now < token.expires_at;
            is_current.then(|| token.permissions.intersection(TOKEN_PERMISSIONS))?
        }
        None if key.owner == ApiKeyOwner::Organization(organization.id) => ORGANIZATION_KEY_PERMISSIONS,
        None => return None,
    };
    let of_maker = match &key.maker {
        Some(made) => {
            let membership = maker.filter(|account| account.id == made.account_id)?;
            let membership = membership.membership(organization.id)?;
            (membership.epoch == made.membership_epoch).then(|| membership.role.permissions())?
        }
        None => key.permissions,
    };
    let permissions = permissions.intersection(key.permissions).intersection(of_maker);
    Some(KeyPrincipal { grant: grant.clone(), organization, permissions })
}

impl Auth {
    /// The caller that a key proves, checked against recent records. A refusal always rests on current ones.
    ///
    /// # Errors
    /// `key_malformed`, `key_invalid`, `operator_key_invalid`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn authenticate_key(&self, text: &str) -> Result<KeyCaller> {
        if text.starts_with(operator::OPERATOR_KEY_PREFIX) {
            return self.authenticate_operator(text).await.map(KeyCaller::Operator);
        }
        let key = ApiKeyText::parse(text).map_err(|_| ErrorCode::KeyMalformed)?;
        match key.kind() {
            ApiKeyKind::Operator => self.authenticate_operator(text).await.map(KeyCaller::Operator),
            ApiKeyKind::Service => {
                let service = self.authenticate_service(&key).await?;
                Ok(KeyCaller::Service(Box::new(service)))
            }
            ApiKeyKind::Organization => {
                let principal = self.authenticate_organization_key(&key).await?;
                Ok(KeyCaller::Organization(Box::new(principal)))
            }
        }
    }

    async fn authenticate_service(&self, text: &ApiKeyText) -> Result<ServicePrincipal> {
        let now = self.sources.now();
        for is_recent in [true, false] {
            let Some(key) = self.api_key(text.id(), is_recent).await? else { continue };
            if key.owner == ApiKeyOwner::Installation
                && let Some(generation) = key.generation_of(text, now)
            {
                self.key_uses.note(&key, now);
                return Ok(ServicePrincipal { key, generation });
            }
        }
        Err(ErrorCode::KeyInvalid.into())
    }

    async fn authenticate_organization_key(&self, text: &ApiKeyText) -> Result<KeyPrincipal> {
        let now = self.sources.now();
        for is_recent in [true, false] {
            let Some(key) = self.api_key(text.id(), is_recent).await? else { continue };
            let (ApiKeyOwner::Organization(organization_id), Some(generation)) =
                (key.owner, key.generation_of(text, now))
            else {
                continue;
            };
            let grant = KeyGrant { key_id: key.id, generation, organization_id, token: None };
            if let Some(principal) = self.prove_grant(&grant, &key, is_recent).await? {
                self.key_uses.note(&key, now);
                return Ok(principal);
            }
        }
        Err(ErrorCode::KeyInvalid.into())
    }

    /// The caller that an exchanged token proves.
    pub(in crate::app) async fn authenticate_grant(&self, grant: &KeyGrant) -> Result<KeyPrincipal> {
        match self.renew_grant(grant, true).await? {
            Some(principal) => Ok(principal),
            None => self.current_grant(grant).await,
        }
    }

    /// The grant once more, checked against current records.
    pub(in crate::app) async fn current_grant(&self, grant: &KeyGrant) -> Result<KeyPrincipal> {
        let refusal = if grant.token.is_some() { ErrorCode::TokenRevoked } else { ErrorCode::KeyInvalid };
        self.renew_grant(grant, false).await?.ok_or_else(|| refusal.into())
    }

    async fn renew_grant(&self, grant: &KeyGrant, is_recent: bool) -> Result<Option<KeyPrincipal>> {
        match self.api_key(grant.key_id, is_recent).await? {
            Some(key) => self.prove_grant(grant, &key, is_recent).await,
            None => Ok(None),
        }
    }

    async fn prove_grant(
        &self,
        grant: &KeyGrant,
        key: &ApiKey,
        is_recent: bool,
    ) -> Result<Option<KeyPrincipal>> {
        let organization_id = grant.organization_id;
        let organization = match is_recent {
            true => self.organizations.get_recent_organization(organization_id).await?,
            false => self.organizations.get_organization(organization_id).await?,
        };
        let maker = match (&key.maker, is_recent) {
            (None, _) => None,
            (Some(maker), true) => self.accounts.get_recent_account(maker.account_id).await?,
            (Some(maker), false) => self.accounts.get_account(maker.account_id).await?,
        };
        let Some(organization) = organization else { return Ok(None) };
        Ok(proven(grant, key, organization, maker.as_deref(), self.sources.now()))
    }

    async fn api_key(&self, id: ApiKeyId, is_recent: bool) -> Result<Option<Arc<ApiKey>>> {
        match is_recent {
            true => self.api_keys.get_recent_api_key(id).await,
            false => self.api_keys.get_api_key(id).await,
        }
    }

    /// Refuses a service key whose right has ended since it was proven.
    pub(in crate::app) async fn confirm_service(
        &self,
        service: &ServicePrincipal,
        permission: Permission,
    ) -> Result<ServicePrincipal> {
        let key = self.api_key(service.key.id, false).await?.ok_or(ErrorCode::KeyInvalid)?;
        if !key.accepts_generation(service.generation, self.sources.now()) {
            return Err(ErrorCode::KeyInvalid.into());
        }
        let service = ServicePrincipal { key, generation: service.generation };
        service.require(permission)?;
        Ok(service)
    }
}
