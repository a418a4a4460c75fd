//! The effects of steps on accounts.
//!
//! # Pitfalls
//! An account may belong to several organizations, and operations of all of them change it. So a step that
//! depends on where else the account belongs always writes the account, even if nothing in it changes: of two
//! such steps, the later one then sees what the earlier one saw and did.

use super::Steps;
use crate::account::{Account, CredentialChange, Membership, Role};
use crate::app::identities::remove_identities;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OperationId, OrganizationId};
use crate::limits::{MEMBERSHIPS_MAX, PAGE_MAX_ITEMS};
use crate::operation::{MemberChange, NewMember, Operation, OperationRefusal, StepResult};
use crate::organization::Organization;
use crate::store::{InsertOutcome, UpdateOutcome};
use jiff::Timestamp;
use std::sync::Arc;

impl Steps {
    /// Adds an account whose id may have been used before: an existing one counts as the work of an earlier
    /// try only if it belongs to the organization.
    pub(super) async fn insert_new_account(
        &self,
        account: &Account,
        organization: OrganizationId,
    ) -> Result<()> {
        if self.accounts.insert_account(account).await? == InsertOutcome::New {
            return Ok(());
        }
        let there = self.accounts.get_account(account.id).await?;
        match there.is_some_and(|there| there.membership(organization).is_some()) {
            true => Ok(()),
            false => Err(ErrorCode::EmailTaken.into()),
        }
    }

    pub(super) async fn change_credentials_as(
        &self,
        organization: &Organization,
        operation: OperationId,
        id: AccountId,
        change: &CredentialChange,
    ) -> Result<()> {
        if let Some(email) = &change.email {
            self.mailboxes.require_free(email, Some(id)).await?;
        }
        self.edit_account(id, organization, operation, |account| {
            if account.credential_epoch != change.credential_epoch {
                return Err(ErrorCode::TokenRevoked.into());
            }
            Ok(Some(account.with_credentials(change, self.sources.now())))
        })
        .await
    }

    /// Frees the addresses of members whose organizations are now all deleted.
    pub(super) async fn release_emails(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<StepResult> {
        let mut after = None;
        while let Some(page) = self.page_of_members(organization.id, &mut after).await? {
            for member in page {
                self.edit_member(member.id, organization, operation, |account, elsewhere| {
                    let mut next = account.successor(self.sources.now());
                    if !elsewhere {
                        next.email_key = None;
                    }
                    next
                })
                .await?;
            }
        }
        Ok(StepResult::Done)
    }

    /// Takes the addresses back. The admin must get one; another member whose address has been taken comes
    /// back without one, until an admin sets a new one. The address that the operator gives the admin is for
    /// one who has none: an admin with another organization has kept theirs.
    pub(super) async fn reserve_emails(
        &self,
        organization: &Organization,
        operation: OperationId,
        admin_email: Option<&EmailAddress>,
    ) -> Result<()> {
        self.reserve_email_of_admin(organization, operation, admin_email).await?;
        let mut after = None;
        while let Some(page) = self.page_of_members(organization.id, &mut after).await? {
            for member in page {
                let free = match member.email_key {
                    Some(_) => Ok(()),
                    None => self.mailboxes.require_free(&member.email, Some(member.id)).await,
                };
                let reserved = match free {
                    Ok(()) => self.reserve_email(member.id, organization, operation).await,
                    Err(error) => Err(error),
                };
                match reserved {
                    Err(error) if error.code() != ErrorCode::EmailTaken => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    async fn reserve_email_of_admin(
        &self,
        organization: &Organization,
        operation: OperationId,
        admin_email: Option<&EmailAddress>,
    ) -> Result<()> {
        let Some(admin) = self.accounts.get_account(organization.admin_id()).await? else { return Ok(()) };
        if !self.belongs_elsewhere(&admin, organization.id).await? {
            self.mailboxes.require_free(admin_email.unwrap_or(&admin.email), Some(admin.id)).await?;
        }
        self.edit_member(admin.id, organization, operation, |account, elsewhere| {
            let mut next = account.successor(self.sources.now());
            if let Some(email) = admin_email.filter(|_| !elsewhere) {
                if email.key() != account.email.key() {
                    next.email_verified_at = None;
                    next.links.clear();
                }
                next.email = email.clone();
                next.email_key = Some(email.key());
            } else if next.email_key.is_none() {
                next.email_key = Some(account.email.key());
            }
            next
        })
        .await
    }

    async fn reserve_email(
        &self,
        id: AccountId,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<()> {
        self.edit_member(id, organization, operation, |account, _| {
            let mut next = account.successor(self.sources.now());
            if account.removing_since.is_none() {
                next.email_key = next.email_key.or_else(|| Some(account.email.key()));
            }
            next
        })
        .await
    }

    /// Removes the memberships, sessions, API keys and invitations of an organization that is gone.
    pub(in crate::app::operations) async fn remove_members(
        &self,
        organization: &Organization,
        operation: OperationId,
    ) -> Result<StepResult> {
        let id = organization.id;
        while !self.sessions.delete_sessions_of(id, PAGE_MAX_ITEMS).await?.is_empty() {}
        self.remove_keys_and_invitations(organization, operation).await?;
        self.redact_trail(organization, operation).await?;
        self.remove_carried_trails(organization, operation).await?;
        let mut after = None;
        while let Some(page) = self.page_of_members(id, &mut after).await? {
            for member in page {
                match MemberCleanup::of(&member, organization) {
                    MemberCleanup::Late => {}
                    MemberCleanup::Membership => {
                        self.edit_account(member.id, organization, operation, |account| {
                            Ok(Some(account.without_membership(id, self.sources.now())))
                        })
                        .await?;
                    }
                    MemberCleanup::Account => {
                        remove_identities(&*self.identities, member.id).await?;
                        let removed = self.accounts.delete_account(member.id, member.version).await?;
                        if removed == UpdateOutcome::Stale {
                            return Err(Error::unavailable("an account changed while it was removed"));
                        }
                    }
                }
            }
        }
        Ok(StepResult::Done)
    }

    /// Gives a member another role, or takes the membership.
    ///
    /// No mark tells that the effect of a membership that is gone is late. So the operation is looked at again
    /// after the account: if others have taken it over since, they have changed the account or will, and of
    /// two changes of one version the database accepts one.
    pub(super) async fn change_membership(
        &self,
        organization: &Organization,
        operation: &Operation,
        change: MemberChange,
    ) -> Result<StepResult> {
        loop {
            let Some(account) = self.accounts.get_account(change.account_id).await? else {
                return Ok(StepResult::Done);
            };
            let is_member = account.membership(organization.id).is_some();
            // One that is being removed gets no role any more: it leaves.
            let is_leaving = change.role.is_some() && account.removing_since.is_some();
            let is_done = !is_member || is_leaving || account.is_marked_by(organization.id, operation.id);
            // The save that follows is refused if the operation is not ours.
            if is_done || !self.is_ours(organization, operation).await? {
                return Ok(StepResult::Done);
            }
            let now = self.sources.now();
            let mut next = match change.role {
                Some(role) => account.with_role((organization.id, &organization.roles), role, now),
                None => account.without_membership(organization.id, now),
            };
            let is_left_with_deleted = change.role.is_none()
                && !next.memberships.is_empty()
                && !self.belongs_elsewhere(&next, organization.id).await?;
            if is_left_with_deleted {
                next.email_key = None;
            }
            next.mark((organization.id, organization.version), operation.id);
            if self.accounts.update_account(&next, None).await? == UpdateOutcome::Done {
                return Ok(StepResult::Done);
            }
        }
    }

    /// Makes a member of the account, which is inserted first if it is new.
    ///
    /// As in [`Self::change_membership`], the operation is looked at again after the account. An account that
    /// is inserted too late has no membership, so it opens nothing; [`Self::remove_late_account`] removes it.
    pub(super) async fn add_membership(
        &self,
        organization: &Organization,
        operation: &Operation,
        new: &NewMember,
    ) -> Result<StepResult> {
        if let Some(account) = &new.account {
            match self.accounts.insert_account(account).await {
                Err(error) if error.code() == ErrorCode::EmailTaken => {
                    return Ok(StepResult::Refused(OperationRefusal::EmailTaken));
                }
                inserted => {
                    let _: InsertOutcome = inserted?;
                }
            }
        }
        self.join(organization, operation, new.account_id, (new.role, new.epoch, new.tokens_since)).await
    }

    /// Gives an account a membership, once for this operation.
    pub(super) async fn join(
        &self,
        organization: &Organization,
        operation: &Operation,
        account_id: AccountId,
        (role, epoch, tokens_since): (Role, u32, Option<Timestamp>),
    ) -> Result<StepResult> {
        loop {
            let Some(account) = self.accounts.get_account(account_id).await? else {
                return Ok(StepResult::Refused(OperationRefusal::SessionEnded));
            };
            let is_done = account.membership(organization.id).is_some();
            if is_done || !self.is_ours(organization, operation).await? {
                return Ok(StepResult::Done);
            }
            if account.removing_since.is_some() {
                return Ok(StepResult::Refused(OperationRefusal::SessionEnded));
            }
            if account.memberships.len() >= MEMBERSHIPS_MAX {
                return Ok(StepResult::Refused(OperationRefusal::TooManyOrganizations));
            }
            let now = self.sources.now();
            let mut next = account.successor(now);
            // The account may have lost its address meanwhile, with its last organization.
            next.email_key = next.email_key.or_else(|| Some(account.email.key()));
            let membership = Membership::new(organization.id, role, epoch, now);
            next.memberships.push(Membership { tokens_since, ..membership });
            next.mark((organization.id, organization.version), operation.id);
            match self.accounts.update_account(&next, None).await {
                Ok(UpdateOutcome::Done) => return Ok(StepResult::Done),
                Ok(UpdateOutcome::Stale) => {}
                Err(error) if error.code() == ErrorCode::EmailTaken => {
                    return Ok(StepResult::Refused(OperationRefusal::EmailTaken));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the account of a new member that was inserted after others had finished the operation, and the
    /// account was removed again.
    pub(in crate::app::operations) async fn remove_late_account(&self, new: &NewMember) -> Result<()> {
        if new.account.is_none() {
            return Ok(());
        }
        let found = self.accounts.get_account(new.account_id).await?;
        if let Some(account) = found.filter(|account| account.version == 1 && account.memberships.is_empty())
        {
            let _ = self.accounts.delete_account(account.id, account.version).await?;
        }
        Ok(())
    }

    /// Whether nobody else has taken the operation over, or finished it.
    async fn is_ours(&self, organization: &Organization, operation: &Operation) -> Result<bool> {
        let found = self.organizations.get_organization(organization.id).await?;
        let running = found.as_deref().and_then(|found| found.operation.as_deref());
        Ok(running.is_some_and(|running| (running.id, running.fence) == (operation.id, operation.fence)))
    }

    /// Whether another organization of the account is in use, or comes back into use.
    async fn belongs_elsewhere(&self, account: &Account, organization: OrganizationId) -> Result<bool> {
        for membership in account.memberships.iter().filter(|m| m.organization_id != organization) {
            let other = self.organizations.get_organization(membership.organization_id).await?;
            if other.is_some_and(|other| other.keeps_addresses()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next members in the order of their ids; `None` at the end. There may be more than memory has room
    /// for.
    async fn page_of_members(
        &self,
        organization: OrganizationId,
        after: &mut Option<AccountId>,
    ) -> Result<Option<Vec<Arc<Account>>>> {
        let page = self.accounts.list_accounts_of(organization, *after, PAGE_MAX_ITEMS).await?;
        *after = page.last().map(|account| account.id);
        Ok((!page.is_empty()).then_some(page))
    }

    /// Like [`Self::edit_account`], for a change that depends on whether the account belongs elsewhere.
    async fn edit_member(
        &self,
        id: AccountId,
        organization: &Organization,
        operation: OperationId,
        edit: impl Fn(&Account, bool) -> Account + Send,
    ) -> Result<()> {
        loop {
            let Some(account) = self.accounts.get_account(id).await? else { return Ok(()) };
            if is_past(&account, organization, operation) {
                return Ok(());
            }
            let elsewhere = self.belongs_elsewhere(&account, organization.id).await?;
            let mut next = edit(&account, elsewhere);
            next.mark((organization.id, organization.version), operation);
            if self.accounts.update_account(&next, None).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }

    /// Changes an account once for this operation: `edit` returns its next version, or `None` to leave it. An
    /// account stays as it is if it is gone, or is already marked by this operation or a later one of the
    /// same organization.
    pub(super) async fn edit_account(
        &self,
        id: AccountId,
        organization: &Organization,
        operation: OperationId,
        edit: impl Fn(&Account) -> Result<Option<Account>> + Send,
    ) -> Result<()> {
        loop {
            let Some(account) = self.accounts.get_account(id).await? else { return Ok(()) };
            if is_past(&account, organization, operation) {
                return Ok(());
            }
            let Some(mut next) = edit(&account)? else { return Ok(()) };
            next.mark((organization.id, organization.version), operation);
            if self.accounts.update_account(&next, None).await? == UpdateOutcome::Done {
                return Ok(());
            }
        }
    }
}

/// What to remove of a member of an organization that is gone.
#[derive(Debug, PartialEq, Eq)]
enum MemberCleanup {
    /// Nothing: the organization has come back under its id, and with it the account.
    Late,
    /// The membership: the account has others.
    Membership,
    /// The account.
    Account,
}

impl MemberCleanup {
    fn of(member: &Account, organization: &Organization) -> Self {
        if member.is_ahead_of((organization.id, organization.version)) {
            Self::Late
        } else if member.memberships.iter().any(|m| m.organization_id != organization.id) {
            Self::Membership
        } else {
            Self::Account
        }
    }
}

/// Whether this operation has already changed the account, or a later one of the same organization has.
fn is_past(account: &Account, organization: &Organization, operation: OperationId) -> bool {
    account.is_marked_by(organization.id, operation)
        || account.is_ahead_of((organization.id, organization.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Membership, PasswordHash};
    use crate::name::OrganizationName;
    use crate::organization::{Naming, Placement, Quota, State};

    const IMPORTED_AT: u64 = 1_000;

    fn organization(version: u64) -> Organization {
        Organization {
            id: OrganizationId::from_bytes([1; 12]),
            naming: Naming::new(OrganizationName::parse("Acme").unwrap(), "tenant_"),
            reserved: Vec::new(),
            state: State::Purging,
            suspended: false,
            placement: Placement::Database,
            container: None,
            owner_id: AccountId::from_bytes([2; 12]),
            owners: Vec::new(),
            members: 1,
            roles: crate::role::OwnRoles::default(),
            trails: Vec::new(),
            token_epoch: 0,
            token_epoch_since: None,
            delete_protection: false,
            legal_hold: false,
            quota: Quota::default(),
            created_at: Timestamp::UNIX_EPOCH,
            modified_at: Timestamp::UNIX_EPOCH,
            deleted_at: None,
            purge_at: None,
            version,
            operation: None,
        }
    }

    fn owner() -> Account {
        let email = EmailAddress::parse("a@example.com").unwrap();
        let membership = (OrganizationId::from_bytes([1; 12]), IMPORTED_AT);
        let hash = PasswordHash(String::new());
        Account::new_owner(AccountId::from_bytes([2; 12]), email, hash, membership, Timestamp::UNIX_EPOCH)
    }

    /// A purge that began before an import does not remove the owner that the import created.
    #[test]
    fn late_purge_does_not_remove_owner_of_import() {
        assert_eq!(MemberCleanup::of(&owner(), &organization(IMPORTED_AT - 1)), MemberCleanup::Late);
        // The import itself, which is undone, and a later purge.
        for version in [IMPORTED_AT, IMPORTED_AT + 3] {
            assert_eq!(MemberCleanup::of(&owner(), &organization(version)), MemberCleanup::Account);
        }
    }

    #[test]
    fn member_cleanup_keeps_account_with_other_memberships() {
        let mut member = owner();
        let elsewhere = OrganizationId::from_bytes([9; 12]);
        member.memberships.push(Membership { organization_id: elsewhere, ..member.memberships[0].clone() });
        assert_eq!(MemberCleanup::of(&member, &organization(IMPORTED_AT)), MemberCleanup::Membership);
    }
}
