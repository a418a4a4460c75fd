//! The lines of an archive about people and programs: roles, members and API keys.
//!
//! # Pitfalls
//! What a line may say is checked by [`super::sections`], which knows the lines before it.

use crate::account::{Account, Membership, PasswordHash, Role};
use crate::api_key::{ApiKey, ApiKeyHash};
use crate::email::EmailAddress;
use crate::ids::{AccountId, ApiKeyId};
use crate::permission::{Permission, PermissionSet};
use crate::role::{OwnRole, RoleName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A role that the organization has defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedRole {
    /// Its name.
    pub name: RoleName,
    /// What people say of it.
    pub description: String,
    /// What it allows.
    pub permissions: PermissionNames,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
}

impl From<&OwnRole> for ArchivedRole {
    fn from(role: &OwnRole) -> Self {
        Self {
            name: role.name,
            description: role.description.as_str().to_owned(),
            permissions: role.permissions.into(),
            created_at: role.created_at,
            modified_at: role.modified_at,
        }
    }
}

/// A member beside the owner in the organization's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedMember {
    /// The account.
    pub id: AccountId,
    /// The address it signs in with.
    pub email: EmailAddress,
    /// What it may do.
    pub role: Role,
    /// Since when it is a member.
    pub since: Timestamp,
    /// Its password, hashed, where the archive may hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<PasswordHash>,
}

impl ArchivedMember {
    /// The archived form of a member.
    #[must_use]
    pub fn of(account: &Account, membership: &Membership, password_hash: Option<PasswordHash>) -> Self {
        Self {
            id: account.id,
            email: account.email.clone(),
            role: membership.role,
            since: membership.since,
            password_hash,
        }
    }
}

/// An API key of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedApiKey {
    /// Its id, a part of its text.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// The hash of its text.
    pub hash: ApiKeyHash,
    /// What it allows.
    pub permissions: PermissionNames,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl From<&ApiKey> for ArchivedApiKey {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            hash: key.unconfirmed.as_ref().unwrap_or(&key.hash).clone(),
            permissions: key.permissions.into(),
            created_at: key.created_at,
            expires_at: key.expires_at,
        }
    }
}

/// Permissions by their names, as a line has them: an error can name the one that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionNames(Vec<String>);

impl PermissionNames {
    /// The permissions, if there is at least one and all are in `allowed`.
    ///
    /// # Errors
    /// The sentence that says which one is not.
    pub fn within(&self, allowed: PermissionSet) -> Result<PermissionSet, String> {
        let known = |name: &String| name.parse::<Permission>().ok().filter(|known| allowed.contains(*known));
        match self.0.iter().find(|name| known(name).is_none()) {
            Some(other) => {
                let names = allowed.listed();
                Err(format!("`permissions` has {other:?}, and there are only {names}."))
            }
            None if self.0.is_empty() => Err("`permissions` is empty.".to_owned()),
            None => Ok(self.0.iter().filter_map(known).collect()),
        }
    }
}

impl From<PermissionSet> for PermissionNames {
    fn from(permissions: PermissionSet) -> Self {
        Self(permissions.iter().map(|permission| permission.as_str().to_owned()).collect())
    }
}
