//! The roles that an organization defines.
//!
//! They are in the organization's record, so each change is an operation of it: of two changes at once, the second is
//! checked against the outcome of the first, and nobody gets a role at the moment in which it is deleted.

use super::clock_and_entropy::ClockAndEntropy;
use super::members::{MemberAccess, Members};
use super::operations::{Executor, Outcome};
use crate::error::{Error, ErrorCode, Result};
use crate::membership::MemberManager;
use crate::operation::{OperationArguments, OperationRecord};
use crate::organization::{Organization, State};
use crate::permission::PermissionSet;
use crate::role::{OWN_ROLE_PERMISSIONS, OwnRole, RoleChange, RoleDescription, RoleName};
use crate::store::{self, Store};
use std::sync::Arc;

/// What a role is made from.
#[derive(Debug, Clone)]
pub struct NewRole {
    /// Its name.
    pub name: RoleName,
    /// What people say of it.
    pub description: RoleDescription,
    /// What it allows.
    pub permissions: PermissionSet,
}

/// Changes to a role; absent members stay as they are.
#[derive(Debug, Clone, Default)]
pub struct RoleUpdate {
    /// What people say of it.
    pub description: Option<RoleDescription>,
    /// What it allows.
    pub permissions: Option<PermissionSet>,
}

/// The versions of a role that a change accepts; any, if the caller names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolePrecondition(pub Option<Vec<u64>>);

impl RolePrecondition {
    fn check(&self, role: &OwnRole) -> Result<()> {
        match &self.0 {
            Some(versions) if !versions.contains(&role.version) => Err(ErrorCode::VersionMismatch.into()),
            _ => Ok(()),
        }
    }
}

/// The outcome of a change, as far as the request waited for it.
#[derive(Debug)]
pub enum RoleOutcome {
    /// It is done. The role as this change has left it; `None` if it is gone.
    Done(OperationRecord, Option<OwnRole>),
    /// It is still running; it can be watched.
    Running(OperationRecord),
}

/// The roles that organizations define.
pub struct Roles {
    accounts: Arc<dyn store::Accounts>,
    organizations: Arc<dyn store::Organizations>,
    members: Arc<Members>,
    executor: Arc<Executor>,
    sources: ClockAndEntropy,
}

impl Roles {
    pub(super) fn new(
        store: &Store,
        members: &Arc<Members>,
        executor: &Arc<Executor>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            accounts: store.accounts.clone(),
            organizations: store.organizations.clone(),
            members: members.clone(),
            executor: executor.clone(),
            sources: sources.clone(),
        }
    }

    /// All roles of the organization's own, in the order of their names.
    ///
    /// # Errors
    /// `organization_not_found`, `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn list_roles(&self, access: &MemberAccess) -> Result<Vec<OwnRole>> {
        Ok(self.current(access).await?.roles.as_slice().to_vec())
    }

    /// That role.
    ///
    /// # Errors
    /// `role_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn get_role(&self, access: &MemberAccess, name: RoleName) -> Result<OwnRole> {
        let organization = self.current(access).await?;
        organization.roles.get(name).cloned().ok_or_else(|| ErrorCode::RoleNotFound.into())
    }

    /// Read past the cache: another instance may have just made the role.
    async fn current(&self, access: &MemberAccess) -> Result<Arc<Organization>> {
        let found = self.organizations.get_organization(access.organization().id).await?;
        found.ok_or_else(|| ErrorCode::OrganizationNotFound.into())
    }

    /// Defines a role, which allows no more than its maker may do.
    ///
    /// # Errors
    /// `invalid_input` at `/permissions` for what no role of an organization allows; `role_insufficient`,
    /// `role_exists`, `too_many_roles`, `organization_not_active`, `operation_in_progress`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn create_role(&self, access: &MemberAccess, new: NewRole) -> Result<RoleOutcome> {
        require_possible(new.permissions)?;
        loop {
            let (current, manager) = self.begin(access).await?;
            manager.check_define(new.permissions)?;
            let now = self.sources.now();
            let version = current.version + 1;
            let role = OwnRole {
                name: new.name,
                description: new.description.clone(),
                permissions: new.permissions,
                created_at: now,
                modified_at: now,
                made_at_version: version,
                version,
            };
            let change =
                RoleChange { name: new.name, permissions_before: None, permissions: Some(new.permissions) };
            let insert = |next: &mut Organization| {
                require_active(next)?;
                next.roles.insert(role.clone())?;
                Ok(OperationArguments::CreateRole(change))
            };
            if let Some(outcome) = self.executor.try_begin(&current, access.actor(), insert).await? {
                return Ok(finished(outcome, Some(role)));
            }
        }
    }

    /// Changes a role. Neither what it allowed before nor what it allows then is more than the caller may do.
    ///
    /// # Errors
    /// As [`Self::create_role`]; `role_not_found`, `version_mismatch`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn update_role(
        &self,
        access: &MemberAccess,
        name: RoleName,
        expected: &RolePrecondition,
        update: RoleUpdate,
    ) -> Result<RoleOutcome> {
        update.permissions.map_or(Ok(()), require_possible)?;
        loop {
            let (current, manager) = self.begin(access).await?;
            let role = current.roles.get(name).ok_or(ErrorCode::RoleNotFound)?;
            manager.check_define(role.permissions)?;
            expected.check(role)?;
            let permissions = update.permissions.unwrap_or(role.permissions);
            manager.check_define(permissions)?;
            let change = RoleChange {
                name,
                permissions_before: Some(role.permissions),
                permissions: Some(permissions),
            };
            let role = OwnRole {
                description: update.description.clone().unwrap_or_else(|| role.description.clone()),
                permissions,
                modified_at: self.sources.now(),
                version: current.version + 1,
                ..role.clone()
            };
            let replace = |next: &mut Organization| {
                require_active(next)?;
                *next.roles.get_mut(name)? = role.clone();
                Ok(OperationArguments::UpdateRole(change))
            };
            if let Some(outcome) = self.executor.try_begin(&current, access.actor(), replace).await? {
                return Ok(finished(outcome, Some(role)));
            }
        }
    }

    /// Deletes a role that no member has. Invitations that offer it are no longer valid.
    ///
    /// # Errors
    /// `role_not_found`, `role_in_use`, `role_insufficient`, `version_mismatch`, `organization_not_active`,
    /// `operation_in_progress`, `token_revoked`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization().id))]
    pub async fn delete_role(
        &self,
        access: &MemberAccess,
        name: RoleName,
        expected: &RolePrecondition,
    ) -> Result<RoleOutcome> {
        loop {
            let (current, manager) = self.begin(access).await?;
            let role = current.roles.get(name).ok_or(ErrorCode::RoleNotFound)?;
            manager.check_define(role.permissions)?;
            expected.check(role)?;
            // A member gets the role by an operation, which would change the version of the record.
            if self.accounts.is_role_used(current.id, name).await? {
                return Err(ErrorCode::RoleInUse.into());
            }
            let change = RoleChange { name, permissions_before: Some(role.permissions), permissions: None };
            let remove = |next: &mut Organization| {
                require_active(next)?;
                next.roles.remove(name);
                Ok(OperationArguments::DeleteRole(change))
            };
            if let Some(outcome) = self.executor.try_begin(&current, access.actor(), remove).await? {
                return Ok(finished(outcome, None));
            }
        }
    }

    /// The organization that is about to change, and what the caller may do in it.
    async fn begin(&self, access: &MemberAccess) -> Result<(Arc<Organization>, MemberManager)> {
        let current = self.executor.idle(access.organization().id).await?;
        let manager = self.members.manager(access, &current).await?;
        Ok((current, manager))
    }
}

/// Refuses what no role of an organization allows.
fn require_possible(permissions: PermissionSet) -> Result<()> {
    let excess = permissions.difference(OWN_ROLE_PERMISSIONS);
    if excess.is_empty() {
        return Ok(());
    }
    let rule = format!("A role of an organization cannot allow {}.", excess.listed());
    Err(Error::invalid_field("/permissions", rule))
}

fn require_active(organization: &Organization) -> Result<()> {
    if organization.state == State::Active { Ok(()) } else { Err(ErrorCode::OrganizationNotActive.into()) }
}

fn finished(outcome: Outcome, role: Option<OwnRole>) -> RoleOutcome {
    match outcome {
        Outcome::Running(record) => RoleOutcome::Running(record),
        Outcome::Done { record, .. } => RoleOutcome::Done(record, role),
    }
}
