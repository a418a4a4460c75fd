//! Members: who belongs to an organization, with which role.
//!
//! A membership is in the account's record, and who owns an organization is in the organization's. Both change
//! in one operation of the organization, so of two changes at once the second is checked against the outcome
//! of the first.
//!
//! # Pitfalls
//! A right that was proven when the request began is only for early refusals. What counts are the records
//! that the change is based on: a role may have been lowered while the request waited for another change.

use super::auth::{Auth, OrganizationRef, Principal};
use super::clock_and_entropy::ClockAndEntropy;
use super::operations::{Executor, Outcome};
use crate::account::{Account, MemberRecord, Membership, Role};
use crate::audit::{AuditAction, AuditEvent, AuditTarget};
use crate::email::EmailAddress;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::invitation::Invitation;
use crate::membership::{MemberManager, check_change};
use crate::operation::{Actor, MemberChange, OperationArguments, OperationRecord};
use crate::organization::{Organization, State};
use crate::page::{Page, PageLimit};
use crate::permission::Permission;
use crate::store::{self, Store};
use std::sync::Arc;

/// Proof that the caller may read or change members of this organization, or only their own membership.
#[derive(Debug, Clone)]
pub struct MemberAccess {
    organization: Arc<Organization>,
    caller: Principal,
}

/// An account inside an organization.
#[derive(Debug, Clone)]
pub struct Member {
    /// The account.
    pub account_id: AccountId,
    /// Its address.
    pub email: EmailAddress,
    /// Its membership.
    pub membership: Membership,
    version: u64,
}

impl Member {
    /// The account as a member; `None` if it is none, or leaves because it is being removed.
    pub(super) fn new(account: &Account, organization: &Organization) -> Option<Self> {
        Self::of_record(MemberRecord::of(account, organization.id)?)
    }

    fn of_record(record: MemberRecord) -> Option<Self> {
        let MemberRecord { account_id, email, removing_since, version, membership } = record;
        removing_since.is_none().then_some(Self { account_id, email, membership, version })
    }

    /// Changes with everything that responses show.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }
}

/// The versions of a member that a change accepts; any, if the caller names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberPrecondition(pub Option<Vec<u64>>);

/// The outcome of a change, as far as the request waited for it.
#[derive(Debug)]
pub enum MemberOutcome {
    /// It is done. The member afterwards; `None` if the account is no member any more.
    Done(OperationRecord, Option<Member>),
    /// It is still running; it can be watched.
    Running(OperationRecord),
}

impl MemberAccess {
    /// The organization as it was when the right was proven.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Who asks, for the log.
    pub(super) fn actor(&self) -> Actor {
        self.caller.actor()
    }

    /// The event of what the caller does to an invitation.
    pub(super) fn invitation_event(
        &self,
        sources: &ClockAndEntropy,
        action: AuditAction,
        invitation: &Invitation,
    ) -> AuditEvent {
        let event = sources.event(Some(invitation.organization_id), action, self.caller.actor());
        let event = event.on(AuditTarget::Invitation(invitation.id));
        event.detail("role", Some(invitation.role.as_str()))
    }
}

impl Auth {
    /// The right to read or change members of that organization: the operator's in any, else that of a role, a
    /// key or a token with the permission.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's; `role_insufficient`,
    /// `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn manage_members(
        &self,
        caller: &Principal,
        which: &OrganizationRef,
        permission: Permission,
    ) -> Result<MemberAccess> {
        let access = self.own_membership(caller, which).await?;
        caller.require(permission)?;
        Ok(access)
    }

    /// The right of a member to leave that organization, with any role.
    ///
    /// # Errors
    /// `organization_not_found` also for one that is not the caller's.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn own_membership(&self, caller: &Principal, which: &OrganizationRef) -> Result<MemberAccess> {
        let organization = self.visible(caller, which).await?;
        Ok(MemberAccess { organization, caller: caller.clone() })
    }
}

/// The members of organizations.
pub struct Members {
    auth: Arc<Auth>,
    accounts: Arc<dyn store::Accounts>,
    executor: Arc<Executor>,
}

impl Members {
    pub(super) fn new(store: &Store, auth: &Arc<Auth>, executor: &Arc<Executor>) -> Self {
        Self { auth: auth.clone(), accounts: store.accounts.clone(), executor: executor.clone() }
    }

    /// A page of members, in the order of their accounts' ids.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn list_members(
        &self,
        access: &MemberAccess,
        after: Option<AccountId>,
        limit: PageLimit,
    ) -> Result<Page<Member, AccountId>> {
        let organization = &*access.organization;
        // By their ids, so that an account of many organizations is not decoded for every page with it.
        let found = self.accounts.list_account_ids_of(organization.id, after, limit.items() + 1).await?;
        let page = Page::of(found, limit, |account| *account);
        let members = self.accounts.get_members(organization.id, &page.items).await?;
        let items = members.into_iter().filter_map(Member::of_record);
        Ok(Page { items: items.collect(), next: page.next })
    }

    /// That member.
    ///
    /// # Errors
    /// `member_not_found`.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn get_member(&self, access: &MemberAccess, account: AccountId) -> Result<Member> {
        let found = self.accounts.get_account(account).await?;
        let member = found.and_then(|account| Member::new(&account, &access.organization));
        member.ok_or_else(|| ErrorCode::MemberNotFound.into())
    }

    /// Gives a member another role. A lower one ends the member's sessions of this organization.
    ///
    /// # Errors
    /// `member_not_found`, `role_insufficient`, `reauthentication_required` (owners), `last_owner`, `too_many_members`
    /// (owners), `organization_not_active`, `operation_in_progress`, `version_mismatch`, `token_revoked`; `invalid_input` at
    /// `/role` for a role that the organization does not have.
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn change_role(
        &self,
        access: &MemberAccess,
        account: AccountId,
        expected: &MemberPrecondition,
        role: Role,
    ) -> Result<MemberOutcome> {
        self.change(access, expected, MemberChange { account_id: account, role: Some(role) }).await
    }

    /// Removes a member, or lets them leave. It ends their sessions of this organization.
    ///
    /// # Errors
    /// As [`Self::change_role`].
    #[tracing::instrument(level = "debug", skip_all, fields(organization = %access.organization.id))]
    pub async fn remove_member(
        &self,
        access: &MemberAccess,
        account: AccountId,
        expected: &MemberPrecondition,
    ) -> Result<MemberOutcome> {
        self.change(access, expected, MemberChange { account_id: account, role: None }).await
    }

    async fn change(
        &self,
        access: &MemberAccess,
        expected: &MemberPrecondition,
        change: MemberChange,
    ) -> Result<MemberOutcome> {
        let id = change.account_id;
        loop {
            let current = self.executor.idle(access.organization.id).await?;
            let manager = self.manager(access, &current).await?;
            let member = self.accounts.get_account(id).await?;
            let member = member.and_then(|account| Member::new(&account, &current));
            let member = member.ok_or(ErrorCode::MemberNotFound)?;
            change.role.map_or(Ok(()), |role| current.roles.require(role))?;
            check_change(&manager, &current.roles, id, member.membership.role, change.role)?;
            self.require_recent_for(access, member.membership.role, change)?;
            if expected.0.as_ref().is_some_and(|versions| !versions.contains(&member.version())) {
                return Err(ErrorCode::VersionMismatch.into());
            }
            let prepare = |next: &mut Organization| prepare(next, member.membership.role, change);
            match self.executor.try_begin(&current, access.actor(), prepare).await? {
                Some(Outcome::Running(record)) => return Ok(MemberOutcome::Running(record)),
                Some(Outcome::Done { record, .. }) => {
                    let account = self.accounts.get_account(id).await?;
                    let member = account.and_then(|account| Member::new(&account, &current));
                    return Ok(MemberOutcome::Done(record, member));
                }
                None => {}
            }
        }
    }

    /// Refuses to make an owner of somebody, or something else of an owner, after a sign-in that is too old. Everybody
    /// may leave.
    fn require_recent_for(&self, access: &MemberAccess, from: Role, change: MemberChange) -> Result<()> {
        let concerns_owners = from == Role::Owner || change.role == Some(Role::Owner);
        let leaves = change.role.is_none() && access.actor().account_id() == Some(change.account_id);
        if concerns_owners && !leaves { self.require_recent(access) } else { Ok(()) }
    }

    /// Refuses a caller whose sign-in is too old for a change of who owns an organization. Keys have none: they are made
    /// after a recent one.
    ///
    /// # Errors
    /// `reauthentication_required`.
    pub(super) fn require_recent(&self, access: &MemberAccess) -> Result<()> {
        match &access.caller {
            Principal::Member(member) => self.auth.require_recent(member),
            Principal::Operator(_) | Principal::Service(_) | Principal::Key(_) => Ok(()),
        }
    }

    /// What the caller may do in the `organization` that is about to change.
    ///
    /// # Errors
    /// `token_revoked`.
    pub(super) async fn manager(
        &self,
        access: &MemberAccess,
        organization: &Arc<Organization>,
    ) -> Result<MemberManager> {
        let member = match &access.caller {
            Principal::Operator(_) => return Ok(MemberManager::Operator),
            Principal::Service(service) => {
                let service = self.auth.confirm_service(service, Permission::MembersWrite).await?;
                if !service.key.covers(organization.id) {
                    return Err(ErrorCode::OrganizationNotFound.into());
                }
                return Ok(MemberManager::Key { permissions: service.key.permissions });
            }
            Principal::Key(key) => {
                let key = self.auth.current_grant(&key.grant).await?;
                return Ok(MemberManager::Key { permissions: key.permissions() });
            }
            Principal::Member(member) => member,
        };
        let member = self.auth.current_member_in(member, organization).await?;
        Ok(MemberManager::Account { id: member.account.id, permissions: member.permissions() })
    }
}

/// What the intent does to the organization's record. An owner is noted before the account has the role, and
/// struck out before it loses the role: no record ever shows less than one.
fn prepare(next: &mut Organization, from: Role, change: MemberChange) -> Result<OperationArguments> {
    if next.state != State::Active {
        return Err(ErrorCode::OrganizationNotActive.into());
    }
    if change.role == Some(Role::Owner) {
        next.add_owner(change.account_id)?;
    } else if from == Role::Owner {
        next.remove_owner(change.account_id)?;
    }
    Ok(match change.role {
        Some(_) => OperationArguments::ChangeRole(change),
        None => OperationArguments::RemoveMember(change),
    })
}
