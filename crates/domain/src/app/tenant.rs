//! The values that prove a right to an organization's own data, and so also name the organization.
//!
//! Every use case of collections and documents takes one, and passes on the organization in it: there is no
//! other way to name one. The operator and service keys have no such right: a service key is first exchanged
//! for a token of one organization.

use super::auth::{AccountPrincipal, Auth, KeyPrincipal, OrganizationRef, Principal};
use crate::error::{ErrorCode, Result};
use crate::organization::Organization;
use crate::permission::Permission;
use std::marker::PhantomData;
use std::sync::Arc;

/// A right to an organization's data: that of a permission.
pub trait Right: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
}

/// The right to read documents.
#[derive(Debug, Clone, Copy)]
pub struct Read;

/// To write documents.
#[derive(Debug, Clone, Copy)]
pub struct Write;

/// To create and drop collections and indexes.
#[derive(Debug, Clone, Copy)]
pub struct Shape;

impl Right for Read {
    const PERMISSION: Permission = Permission::DocumentsRead;
}

impl Right for Write {
    const PERMISSION: Permission = Permission::DocumentsWrite;
}

impl Right for Shape {
    const PERMISSION: Permission = Permission::CollectionsWrite;
}

/// A caller that is bound to one organization.
#[derive(Debug, Clone)]
enum TenantPrincipal {
    Member(Box<AccountPrincipal>),
    Key(Box<KeyPrincipal>),
}

impl TenantPrincipal {
    fn require(&self, permission: Permission) -> Result<()> {
        match self {
            Self::Member(member) => member.require(permission),
            Self::Key(key) => key.require(permission),
        }
    }

    fn organization(&self) -> &Arc<Organization> {
        match self {
            Self::Member(member) => &member.organization,
            Self::Key(key) => &key.organization,
        }
    }
}

/// Proof that the caller has the right `R` to the data of this organization.
#[derive(Debug, Clone)]
pub struct TenantAccess<R> {
    principal: TenantPrincipal,
    right: PhantomData<R>,
}

impl<R: Right> TenantAccess<R> {
    fn of(principal: TenantPrincipal) -> Result<Self> {
        principal.require(R::PERMISSION)?;
        Ok(Self { principal, right: PhantomData })
    }

    /// The right to read as well, if the caller has it.
    ///
    /// # Errors
    /// `role_insufficient`, `permission_missing`.
    pub fn to_read(&self) -> Result<TenantAccess<Read>> {
        TenantAccess::of(self.principal.clone())
    }

    /// The organization that owns the data.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        self.principal.organization()
    }

    /// The caller, as the holder of `Idempotency-Key`s: its kind and its id.
    pub(super) fn holder(&self) -> (&'static str, String) {
        match &self.principal {
            TenantPrincipal::Member(member) => ("account", member.account.id.to_string()),
            // A backend uses one key for all organizations: each has keys of its own.
            TenantPrincipal::Key(key) => ("key", format!("{}/{}", key.organization.id, key.key_id())),
        }
    }

    /// The scope of the caller's `Idempotency-Key`s.
    #[must_use]
    pub fn scope(&self) -> String {
        let organization = self.organization().id;
        match &self.principal {
            TenantPrincipal::Member(member) => format!("{organization}/{}", member.account.id),
            TenantPrincipal::Key(key) => format!("{organization}/key/{}", key.key_id()),
        }
    }
}

impl Auth {
    /// The right of a member, a key or an exchanged token to the data of their organization.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`,
    /// `permission_missing`; `members_only` for the operator and service keys.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn tenant<R: Right>(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<TenantAccess<R>> {
        let principal = match caller {
            Principal::Operator(_) | Principal::Service(_) => return Err(ErrorCode::MembersOnly.into()),
            Principal::Key(key) => TenantPrincipal::Key(key.clone()),
            Principal::Member(member) => TenantPrincipal::Member(member.clone()),
        };
        self.visible(caller, which).await?;
        TenantAccess::of(principal)
    }

    /// Proves the right again: long work must end when the right does.
    ///
    /// # Errors
    /// `token_revoked`, `key_invalid`, `role_insufficient`, `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn renew<R: Right>(&self, tenant: &TenantAccess<R>) -> Result<TenantAccess<R>> {
        TenantAccess::of(match &tenant.principal {
            TenantPrincipal::Member(member) => {
                TenantPrincipal::Member(Box::new(self.renew_principal(member).await?))
            }
            TenantPrincipal::Key(key) => {
                TenantPrincipal::Key(Box::new(self.authenticate_grant(&key.grant).await?))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Role;

    /// Viewers read, members write, admins and owners shape.
    #[test]
    fn roles_grant_their_rights_and_no_more() {
        for (role, rights) in [
            (Role::Viewer, [true, false, false]),
            (Role::Member, [true, true, false]),
            (Role::Admin, [true, true, true]),
            (Role::Owner, [true, true, true]),
        ] {
            let permissions = [Read::PERMISSION, Write::PERMISSION, Shape::PERMISSION];
            let allowed = role.built_in_permissions().unwrap();
            assert_eq!(permissions.map(|right| allowed.contains(right)), rights, "{role:?}");
        }
    }
}
