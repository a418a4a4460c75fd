//! An account: a person who can sign in, and the organizations they belong to.

use crate::email::{EmailAddress, EmailKey};
use crate::ids::{AccountId, OperationId, OrganizationId, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a member may do inside one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes data.
    Member,
    /// Also changes the organization itself.
    Admin,
    /// Also decides who is admin; an organization has at least one.
    Owner,
}

impl Role {
    /// Its name on the wire and in claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

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
    /// The version of the organization's record at which one of its operations last changed the account. A
    /// step with an older version is stale: others have overtaken it.
    #[serde(default)]
    pub changed_at_version: u64,
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
    /// The unique form of the address; `None` while every organization of the account is deleted.
    pub email_key: Option<EmailKey>,
    /// The password, hashed.
    pub password_hash: PasswordHash,
    /// Sessions begun in an earlier epoch are invalid, except `kept_session`.
    pub credential_epoch: u32,
    /// The session that made the last change of credentials and outlives it.
    pub kept_session: Option<SessionId>,
    /// Where it belongs.
    pub memberships: Vec<Membership>,
    /// The operation that last changed it, so that a repeated step sees its own work.
    pub last_operation: Option<OperationId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Counts the changes of this record.
    pub version: u64,
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
        let role = Role::Owner;
        let membership = Membership { organization_id, role, epoch: 0, since: now, changed_at_version };
        Self {
            id,
            email_key: Some(email.key()),
            email,
            password_hash,
            credential_epoch: 0,
            kept_session: None,
            memberships: vec![membership],
            last_operation: None,
            created_at: now,
            modified_at: now,
            version: 1,
        }
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

    /// This account with new credentials: every session except the requesting one ends.
    #[must_use]
    pub fn with_credentials(&self, change: &CredentialChange, now: Timestamp) -> Self {
        let mut account = self.successor(now);
        if let Some(email) = &change.email {
            // An account that gives its own address again keeps its key, even if an older account shares its
            // mailbox.
            let is_same = account.email_key.is_some() && email.earlier_keys() == account.email.earlier_keys();
            if !is_same || email.key() != account.email.key() {
                account.email_key = Some(email.key());
            }
            account.email = email.clone();
        }
        if let Some(hash) = &change.password_hash {
            account.password_hash = hash.clone();
        }
        account.credential_epoch += 1;
        account.kept_session = change.kept_session;
        account
    }
}
