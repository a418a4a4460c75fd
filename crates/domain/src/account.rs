//! An account: a person who can sign in, and the organizations they belong to.

mod links;

use crate::account_link::AccountLink;
use crate::email::{EmailAddress, EmailKey};
use crate::ids::{AccountId, OperationId, OrganizationId, SessionId};
use crate::role::OwnRoles;
pub use crate::role::Role;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An account inside one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Which organization.
    pub organization_id: OrganizationId,
    /// What the account may do there.
    pub role: Role,
    /// Sessions begun under an earlier epoch of this membership are invalid.
    pub epoch: u32,
    /// Since when.
    pub since: Timestamp,
    /// Tokens of identity providers that were issued earlier are invalid here; `None` means earlier than `since`.
    /// Earlier than that is the token with which an invitation was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_since: Option<Timestamp>,
    /// The version of the organization's record at which one of its operations last changed the account. A
    /// step with an older version is stale: others have overtaken it.
    #[serde(default)]
    pub changed_at_version: u64,
    /// That operation. A repeated step sees its own work by it, also after operations of other organizations
    /// have changed the account.
    #[serde(default)]
    pub last_operation: Option<OperationId>,
}

impl Membership {
    /// A new membership, which no operation has changed so far.
    #[must_use]
    pub const fn new(organization_id: OrganizationId, role: Role, epoch: u32, now: Timestamp) -> Self {
        Self {
            organization_id,
            role,
            epoch,
            since: now,
            tokens_since: None,
            changed_at_version: 0,
            last_operation: None,
        }
    }
}

/// A stored password hash, in the PHC or modular crypt format. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// The record of an account. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Never changes.
    pub id: AccountId,
    /// As the user wrote it.
    pub email: EmailAddress,
    /// The unique form of the address; `None` while the account has organizations and all of them are deleted, or
    /// is being removed.
    pub email_key: Option<EmailKey>,
    /// The password, hashed.
    pub password_hash: PasswordHash,
    /// Sessions begun in an earlier epoch are invalid, except `kept_session`.
    pub credential_epoch: u32,
    /// Links to identity providers that were made in an earlier epoch than this are void: somebody else may have made
    /// them, before the person proved the address.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub identity_epoch: u32,
    /// The session that made the last change of credentials and outlives it.
    pub kept_session: Option<SessionId>,
    /// Where it signs in to unless it says where: the organization that it named last.
    #[serde(default)]
    pub last_organization: Option<OrganizationId>,
    /// Where it belongs.
    pub memberships: Vec<Membership>,
    /// The operation that last changed it, so that a repeated step sees its own work.
    pub last_operation: Option<OperationId>,
    /// Since when it is being removed: it owns nothing, nobody signs in with it, and it joins nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removing_since: Option<Timestamp>,
    /// When its person proved that the address is theirs; `None` if nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified_at: Option<Timestamp>,
    /// The links by which its person may prove an address or get a new password, at most one of each kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<AccountLink>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Counts the changes of this record.
    pub version: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An account inside one organization: without its other memberships, of which there may be a thousand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// The account.
    pub account_id: AccountId,
    /// Its address.
    pub email: EmailAddress,
    /// Since when the account is being removed.
    pub removing_since: Option<Timestamp>,
    /// The version of the account's record.
    pub version: u64,
    /// Its membership in that organization.
    pub membership: Membership,
}

impl MemberRecord {
    /// The account inside that organization, if it is a member.
    #[must_use]
    pub fn of(account: &Account, organization_id: OrganizationId) -> Option<Self> {
        Some(Self {
            account_id: account.id,
            email: account.email.clone(),
            removing_since: account.removing_since,
            version: account.version,
            membership: account.membership(organization_id)?.clone(),
        })
    }
}

/// New credentials for an account; absent ones stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialChange {
    /// The new e-mail address.
    pub email: Option<EmailAddress>,
    /// The new password, hashed.
    pub password_hash: Option<PasswordHash>,
    /// The session that asks for it.
    pub kept_session: Option<SessionId>,
    /// The account's epoch when that session was last checked: if it has changed since, the change is
    /// refused.
    pub credential_epoch: u32,
}

impl Account {
    /// The first version of an account that belongs nowhere so far.
    #[must_use]
    pub fn new(id: AccountId, email: EmailAddress, password_hash: PasswordHash, now: Timestamp) -> Self {
        Self {
            id,
            email_key: Some(email.key()),
            email,
            password_hash,
            credential_epoch: 0,
            identity_epoch: 0,
            kept_session: None,
            last_organization: None,
            memberships: Vec::new(),
            last_operation: None,
            removing_since: None,
            email_verified_at: None,
            links: Vec::new(),
            created_at: now,
            modified_at: now,
            version: 1,
        }
    }

    /// The first version of the account of an organization's owner. A step of an operation with an
    /// organization version before `changed_at_version` is too late to change the membership.
    #[must_use]
    pub fn new_owner(
        id: AccountId,
        email: EmailAddress,
        password_hash: PasswordHash,
        (organization_id, changed_at_version): (OrganizationId, u64),
        now: Timestamp,
    ) -> Self {
        let membership =
            Membership { changed_at_version, ..Membership::new(organization_id, Role::Owner, 0, now) };
        Self { memberships: vec![membership], ..Self::new(id, email, password_hash, now) }
    }

    /// Its membership in that organization.
    #[must_use]
    pub fn membership(&self, organization_id: OrganizationId) -> Option<&Membership> {
        self.memberships.iter().find(|m| m.organization_id == organization_id)
    }

    /// Marks the account as changed by this operation, at that version of the organization's record.
    pub fn mark(&mut self, (organization_id, version): (OrganizationId, u64), operation: OperationId) {
        self.last_operation = Some(operation);
        for membership in self.memberships.iter_mut().filter(|m| m.organization_id == organization_id) {
            membership.changed_at_version = version;
            membership.last_operation = Some(operation);
        }
    }

    /// Whether this operation of that organization has marked the account, and no later one of the same
    /// organization. (Earlier versions left the mark in the account alone.)
    #[must_use]
    pub fn is_marked_by(&self, organization_id: OrganizationId, operation: OperationId) -> bool {
        self.last_operation == Some(operation)
            || self.membership(organization_id).is_some_and(|m| m.last_operation == Some(operation))
    }

    /// The next version of the account with that role in the organization that has these roles of its own. A role
    /// that allows less than the one before raises the membership's epoch, so that the sessions of that
    /// organization end; those of others go on.
    #[must_use]
    pub fn with_role(
        &self,
        (organization_id, roles): (OrganizationId, &OwnRoles),
        role: Role,
        now: Timestamp,
    ) -> Self {
        let mut next = self.successor(now);
        for membership in next.memberships.iter_mut().filter(|m| m.organization_id == organization_id) {
            if !roles.permissions_of(membership.role).is_subset_of(roles.permissions_of(role)) {
                membership.epoch = membership.epoch.wrapping_add(1);
            }
            membership.role = role;
        }
        next
    }

    /// The next version of the account without a membership in the organization.
    #[must_use]
    pub fn without_membership(&self, organization_id: OrganizationId, now: Timestamp) -> Self {
        let mut next = self.successor(now);
        next.memberships.retain(|membership| membership.organization_id != organization_id);
        next
    }

    /// The next version of the account once it is being removed: all its sessions end, and its address is free.
    #[must_use]
    pub fn being_removed(&self, now: Timestamp) -> Self {
        Self {
            removing_since: Some(now),
            email_key: None,
            credential_epoch: self.credential_epoch + 1,
            kept_session: None,
            links: Vec::new(),
            ..self.successor(now)
        }
    }

    /// Whether a step of that organization has changed the account at a later version of the organization's
    /// record.
    #[must_use]
    pub fn is_ahead_of(&self, (organization_id, version): (OrganizationId, u64)) -> bool {
        self.membership(organization_id).is_some_and(|m| m.changed_at_version > version)
    }

    /// The next version of this record, changed at `now`, to be saved against the current version.
    #[must_use]
    pub fn successor(&self, now: Timestamp) -> Self {
        Self { version: self.version + 1, modified_at: now, ..self.clone() }
    }

    /// The key of its address by today's rules, if an earlier version gave it another one; and the key it gets
    /// instead if another account has that mailbox, so that both can still sign in, each with its own spelling.
    #[must_use]
    pub fn upgraded_keys(&self) -> Option<(EmailKey, EmailKey)> {
        let (stored, earlier) = (self.email_key.as_ref()?, self.email.earlier_keys()?);
        (*stored == earlier.spelled).then(|| (self.email.key(), earlier.duplicate))
    }

    /// This account with new credentials: every session except the requesting one ends, and so do all links. Nobody
    /// has proven another address yet.
    #[must_use]
    pub fn with_credentials(&self, change: &CredentialChange, now: Timestamp) -> Self {
        let mut account = self.successor(now);
        if let Some(email) = &change.email {
            // An account that gives its own address again keeps its key, even if an older account shares its
            // mailbox.
            let is_same = account.email_key.is_some() && email.earlier_keys() == account.email.earlier_keys();
            if !is_same || email.key() != account.email.key() {
                account.email_key = Some(email.key());
                account.email_verified_at = None;
            }
            account.email = email.clone();
        }
        if let Some(hash) = &change.password_hash {
            account.password_hash = hash.clone();
        }
        account.credential_epoch += 1;
        account.kept_session = change.kept_session;
        account.links.clear();
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: OrganizationId = OrganizationId::from_bytes([1; 12]);
    const THERE: OrganizationId = OrganizationId::from_bytes([2; 12]);
    const LATER: Timestamp = Timestamp::MAX;

    fn account(role: Role) -> Account {
        let email = EmailAddress::parse("a@example.com").unwrap();
        let id = AccountId::from_bytes([3; 12]);
        let hash = PasswordHash(String::new());
        let mut account = Account::new_owner(id, email, hash, (THERE, 0), Timestamp::UNIX_EPOCH);
        account.memberships.push(Membership::new(HERE, role, 5, Timestamp::UNIX_EPOCH));
        account
    }

    /// Sessions of that organization end with the right that they had; sessions elsewhere go on.
    #[test]
    fn role_that_allows_less_raises_epoch_of_that_membership() {
        let ranked = Role::BUILT_IN.into_iter().zip(0..);
        for ((from, rank), (to, rank_after)) in
            ranked.clone().flat_map(|from| ranked.clone().map(move |to| (from, to)))
        {
            let changed = account(from).with_role((HERE, &OwnRoles::default()), to, LATER);
            let here = changed.membership(HERE).unwrap();
            let epoch = if rank_after > rank { 6 } else { 5 };
            assert_eq!((here.role, here.epoch), (to, epoch), "{from:?} {to:?}");
            assert_eq!(changed.membership(THERE), account(from).membership(THERE));
        }
    }

    #[test]
    fn membership_that_is_taken_leaves_the_others() {
        let changed = account(Role::Admin).without_membership(HERE, LATER);
        assert_eq!(changed.membership(HERE), None);
        assert_eq!(changed.memberships, account(Role::Admin).memberships[..1]);
        assert_eq!(changed.email_key, account(Role::Admin).email_key);
    }

    /// Operations of two organizations change an account in turn; each finds its own mark again.
    #[test]
    fn mark_of_operation_outlives_those_of_other_organizations() {
        let [first, second] = [OperationId::from_bytes([7; 12]), OperationId::from_bytes([8; 12])];
        let mut account = account(Role::Admin);
        account.mark((HERE, 11), first);
        account.mark((THERE, 12), second);
        assert!(account.is_marked_by(HERE, first) && account.is_marked_by(THERE, second));
        assert!(!account.is_marked_by(THERE, first));
        // Of an operation that an earlier version began.
        account.memberships.iter_mut().for_each(|membership| membership.last_operation = None);
        assert!(account.is_marked_by(THERE, second) && !account.is_marked_by(HERE, first));
    }
}
