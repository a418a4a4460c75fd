//! What a key, or a token that a key was exchanged for, proves.

use crate::account::Account;
use crate::api_key::{ApiKey, ApiKeyOwner};
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
    /// The id of the key.
    #[must_use]
    pub fn key_id(&self) -> ApiKeyId {
        self.key.id
    }

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

    /// The id of the key.
    #[must_use]
    pub fn key_id(&self) -> ApiKeyId {
        self.grant.key_id
    }

    /// Whether the caller came with a token that a service key was exchanged for, and not with a key.
    #[must_use]
    pub const fn is_exchanged(&self) -> bool {
        self.grant.token.is_some()
    }
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
            (membership.epoch == made.membership_epoch)
                .then(|| organization.permissions_of(membership.role))?
        }
        None => key.permissions,
    };
    let permissions = permissions.intersection(key.permissions).intersection(of_maker);
    Some(KeyPrincipal { grant: grant.clone(), organization, permissions })
}
