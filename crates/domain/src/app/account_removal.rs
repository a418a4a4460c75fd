//! Removes accounts, as their people ask.
//!
//! An account leaves each of its organizations by an operation of that organization. First those that it owns,
//! which may refuse: until then it remains an account like others, with fewer organizations. Then its record is
//! marked as being removed, in one compare-and-set that requires that it owns nothing: from then on nobody signs
//! in with it, its address is free, and it joins nothing. What is left to do after that, a request or
//! maintenance does, in as many tries as it takes.
//!
//! # Pitfalls
//! Several instances may remove one account at once. Each step looks at the records again, and finds what others
//! have done.

use super::auth::{AccountPrincipal, Auth};
use super::clock_and_entropy::ClockAndEntropy;
use super::identities::remove_identities;
use super::operations::{Executor, Outcome};
use crate::account::{Account, Role};
use crate::audit::{AuditAction, AuditEvent, AuditTarget};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId};
use crate::limits::{MAINTENANCE_BATCH, OPERATION_WAIT, PAGE_MAX_ITEMS};
use crate::operation::{Actor, MemberChange, OperationArguments};
use crate::organization::{Organization, State};
use crate::store::{self, Store, UpdateOutcome};
use std::sync::Arc;
use tracing::Instrument;

/// The most organizations that a refusal names.
const NAMED_MAX: usize = 20;

/// The outcome of a removal, as far as the request waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The account is gone.
    Done,
    /// It goes on.
    Running,
}

/// Whether an organization that was left is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LeaveOutcome {
    Organization,
    /// It is gone, and with it all that could refuse.
    Nothing,
}

/// The removal of accounts.
pub struct AccountRemoval {
    accounts: Arc<dyn store::Accounts>,
    sessions: Arc<dyn store::Sessions>,
    organizations: Arc<dyn store::Organizations>,
    identities: Arc<dyn store::Identities>,
    auth: Arc<Auth>,
    executor: Arc<Executor>,
    sources: ClockAndEntropy,
}

impl AccountRemoval {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        executor: &Arc<Executor>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            accounts: store.accounts.clone(),
            sessions: store.sessions.clone(),
            organizations: store.organizations.clone(),
            identities: store.identities.clone(),
            auth: auth.clone(),
            executor: executor.clone(),
            sources: sources.clone(),
        }
    }

    /// Removes the caller's account from all its organizations, and then the account itself. It goes on if the
    /// client hangs up.
    ///
    /// # Errors
    /// `reauthentication_required`, `token_revoked`; `session_required` for the token of an identity provider, if the
    /// account has organizations beside that of the token; `last_owner` if an organization would have no owner without
    /// it; `operation_in_progress` if one that it owns is busy.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn remove_own_account(self: &Arc<Self>, member: &AccountPrincipal) -> Result<RemovalOutcome> {
        self.auth.require_recent(member)?;
        let account = self.auth.current_member(member).await?.account;
        if !account.memberships.iter().all(|membership| member.reaches(membership.organization_id)) {
            member.session()?;
        }
        self.require_other_owners(&account).await?;
        let removal = Arc::clone(self);
        let (id, epoch) = (account.id, account.credential_epoch);
        let event = self.sources.event(None, AuditAction::AccountRemoved, Actor::Account(id));
        let event = event.on(AuditTarget::Account(id));
        let task = async move { removal.run(id, epoch, &event).await };
        match tokio::time::timeout(OPERATION_WAIT, tokio::spawn(task.in_current_span())).await {
            Err(_) => Ok(RemovalOutcome::Running),
            Ok(Err(panic)) => Err(Error::internal(panic)),
            Ok(Ok(outcome)) => outcome,
        }
    }

    /// Refuses before anything changes, where that can be known: all organizations are named at once.
    async fn require_other_owners(&self, account: &Account) -> Result<()> {
        let mut names = Vec::new();
        for membership in account.memberships.iter().filter(|membership| membership.role == Role::Owner) {
            let found = self.organizations.get_organization(membership.organization_id).await?;
            let needs_it =
                |found: &Arc<Organization>| found.owners().iter().all(|owner| *owner == account.id);
            if let Some(found) = found.filter(|found| found.state != State::Purging).filter(needs_it) {
                let deleted = if found.state == State::Deleted { " (deleted, not yet purged)" } else { "" };
                names.push(format!("`{}`{deleted}", found.naming.name.as_str()));
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let more = names.len().saturating_sub(NAMED_MAX);
        names.truncate(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(Error::new(ErrorCode::LastOwner).detail(format!(
            "The account is the last owner of {}{more}. Make other members owners first, or purge what nobody needs.",
            names.join(", ")
        )))
    }

    async fn run(&self, id: AccountId, credential_epoch: u32, event: &AuditEvent) -> Result<RemovalOutcome> {
        self.give_up(id, credential_epoch, event).await?;
        match self.finish(id).await {
            Ok(()) => Ok(RemovalOutcome::Done),
            Err(error) => {
                tracing::warn!(account = %id, %error, "the removal of an account is left to maintenance");
                Ok(RemovalOutcome::Running)
            }
        }
    }

    /// Leaves the organizations that the account owns, and marks it as being removed. Refused if its sessions
    /// have ended by other means since the request was checked.
    async fn give_up(&self, id: AccountId, credential_epoch: u32, event: &AuditEvent) -> Result<()> {
        let mut gone = Vec::new();
        loop {
            let account = self.accounts.get_account(id).await?.ok_or(ErrorCode::TokenRevoked)?;
            if account.removing_since.is_some() {
                return Ok(());
            }
            if account.credential_epoch != credential_epoch {
                return Err(ErrorCode::TokenRevoked.into());
            }
            let mut memberships = account.memberships.iter();
            let owned = memberships.find(|membership| {
                membership.role == Role::Owner && !gone.contains(&membership.organization_id)
            });
            if let Some(owned) = owned {
                if self.leave(id, owned.organization_id).await? == LeaveOutcome::Nothing {
                    gone.push(owned.organization_id);
                }
                continue;
            }
            if self.accounts.update_account(&account.being_removed(self.sources.now()), Some(event)).await?
                == UpdateOutcome::Done
            {
                return Ok(());
            }
        }
    }

    /// Goes on with removals that a crash has left, or that could not be finished at once.
    pub(super) async fn resume(&self) -> Result<()> {
        for account in self.accounts.list_accounts_being_removed(MAINTENANCE_BATCH).await? {
            // One that cannot be removed now must not hold up the others.
            if let Err(error) = self.finish(account.id).await {
                tracing::warn!(account = %account.id, %error, "an account could not be removed");
            }
        }
        Ok(())
    }

    /// Removes an account that is marked.
    async fn finish(&self, id: AccountId) -> Result<()> {
        loop {
            let Some(account) = self.accounts.get_account(id).await? else { return Ok(()) };
            let mut kept = 0;
            for membership in &account.memberships {
                kept +=
                    usize::from(self.leave(id, membership.organization_id).await? == LeaveOutcome::Nothing);
            }
            while !self.sessions.delete_excess_sessions(id, 0, PAGE_MAX_ITEMS).await?.is_empty() {}
            remove_identities(&*self.identities, id).await?;
            let Some(account) = self.accounts.get_account(id).await? else { return Ok(()) };
            // A membership of an organization that is gone is left in the record alone.
            if account.memberships.len() == kept
                && self.accounts.delete_account(id, account.version).await? == UpdateOutcome::Done
            {
                return Ok(());
            }
        }
    }

    /// Takes the account's membership, unless it has none.
    async fn leave(&self, account_id: AccountId, organization_id: OrganizationId) -> Result<LeaveOutcome> {
        loop {
            let current = match self.executor.idle(organization_id).await {
                Err(error) if error.code() == ErrorCode::OrganizationNotFound => {
                    return Ok(LeaveOutcome::Nothing);
                }
                current => current?,
            };
            let account = self.accounts.get_account(account_id).await?;
            if account.is_none_or(|account| account.membership(organization_id).is_none()) {
                return Ok(LeaveOutcome::Organization);
            }
            let prepare = |next: &mut Organization| {
                if next.is_owner(account_id) {
                    next.remove_owner(account_id)?;
                }
                Ok(OperationArguments::RemoveMember(MemberChange { account_id, role: None }))
            };
            match self.executor.try_begin(&current, Actor::Account(account_id), prepare).await? {
                Some(Outcome::Done { .. }) => return Ok(LeaveOutcome::Organization),
                Some(Outcome::Running(_)) => return Err(ErrorCode::OperationInProgress.into()),
                None => {}
            }
        }
    }
}
