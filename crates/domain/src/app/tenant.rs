//! The values that prove a right to an organization's own data, and so also name the organization.
//!
//! Every use case of collections and documents takes one and passes on the organization in it; there is no
//! other way to name an organization. The operator has no such right: the operator manages quotas, exports and
//! lifecycles, but the documents belong to the organization.

use super::auth::{AccountPrincipal, Auth, OrganizationRef, Principal};
use crate::account::Role;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::organization::Organization;
use std::marker::PhantomData;

/// A right to an organization's data, which a role grants or not.
pub trait Right: Send + Sync + 'static {
    /// Whether `role` grants it.
    fn is_of(role: Role) -> bool;
}

/// The right to read documents.
#[derive(Debug, Clone, Copy)]
pub struct Read;

/// The right to write documents, too.
#[derive(Debug, Clone, Copy)]
pub struct Write;

/// The right to create and drop collections and indexes, too.
#[derive(Debug, Clone, Copy)]
pub struct Shape;

impl Right for Read {
    fn is_of(_: Role) -> bool {
        true
    }
}

impl Right for Write {
    fn is_of(role: Role) -> bool {
        role != Role::Viewer
    }
}

impl Right for Shape {
    fn is_of(role: Role) -> bool {
        role.is_admin()
    }
}

/// Proof that the caller has the right `R` to the data of this organization.
#[derive(Debug, Clone)]
pub struct TenantAccess<R> {
    member: Box<AccountPrincipal>,
    right: PhantomData<R>,
}

impl<R: Right> TenantAccess<R> {
    fn of(member: Box<AccountPrincipal>) -> Result<Self> {
        if R::is_of(member.role) {
            Ok(Self { member, right: PhantomData })
        } else {
            Err(ErrorCode::RoleInsufficient.into())
        }
    }

    /// The right to read, which every right includes.
    #[must_use]
    pub fn to_read(&self) -> TenantAccess<Read> {
        TenantAccess { member: self.member.clone(), right: PhantomData }
    }

    /// The organization that owns the data.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.member.organization
    }

    pub(super) fn account_id(&self) -> AccountId {
        self.member.account.id
    }

    /// The scope of the caller's `Idempotency-Key`s.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/{}", self.member.organization.id, self.member.account.id)
    }
}

impl Auth {
    /// The right of a member to the data of their organization.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`; `members_only` for the
    /// operator.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn tenant<R: Right>(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
    ) -> Result<TenantAccess<R>> {
        let Principal::Member(member) = caller else {
            return Err(ErrorCode::MembersOnly.into());
        };
        self.visible(caller, which).await?;
        TenantAccess::of(member.clone())
    }

    /// Proves the right again: long work must end when the right does.
    ///
    /// # Errors
    /// `token_revoked`, `role_insufficient`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %tenant.organization().id))]
    pub async fn renew<R: Right>(&self, tenant: &TenantAccess<R>) -> Result<TenantAccess<R>> {
        let member = self.renew_principal(&tenant.member).await?;
        TenantAccess::of(Box::new(member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Viewers read, members write, admins and owners shape.
    #[test]
    fn roles_grant_their_rights_and_no_more() {
        for (role, rights) in [
            (Role::Viewer, [true, false, false]),
            (Role::Member, [true, true, false]),
            (Role::Admin, [true, true, true]),
            (Role::Owner, [true, true, true]),
        ] {
            assert_eq!([Read::is_of(role), Write::is_of(role), Shape::is_of(role)], rights, "{role:?}");
        }
    }
}
