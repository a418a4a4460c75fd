//! An organization: the one record with its names, its state, the location of its data, and the change under
//! way.
//!
//! # Pitfalls
//! `identifier` and `namespace` are its names *now*; `reserved` lists the names that nobody else may take.
//! They differ while an operation runs.

use crate::audit::carried::CarriedTrail;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{AccountId, OrganizationId};
use crate::limits::OWNERS_MAX;
pub use crate::naming::{Naming, ReservedKey};
use crate::operation::{Operation, OperationKind};
use crate::permission::PermissionSet;
pub use crate::quota::{Quota, QuotaChange, QuotaLimit, Usage};
use crate::role::{OwnRoles, Role};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The life of an organization, apart from suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Being created; not visible to anybody.
    Provisioning,
    /// In use (or suspended).
    Active,
    /// Soft-deleted: hidden, kept until `purge_at`.
    Deleted,
    /// Past the point of no return of a purge.
    Purging,
}

/// The status of an organization as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being created.
    Provisioning,
    /// In use.
    Active,
    /// Nobody may sign in or reach its data until it is reactivated.
    Suspended,
    /// Soft-deleted: hidden, kept until `purge_at`.
    Deleted,
    /// Being removed permanently.
    Purging,
}

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 5] =
        [Self::Provisioning, Self::Active, Self::Suspended, Self::Deleted, Self::Purging];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Purging => "purging",
        }
    }
}

/// Where an organization's data lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// A collection of its own, beside those of others.
    Collection,
    /// A database of its own; on the embedded engine, a file.
    Database,
    /// In collections shared with others, where the organization's id tells documents apart.
    Shared,
}

impl Placement {
    /// Every placement.
    pub const ALL: [Self; 3] = [Self::Collection, Self::Database, Self::Shared];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Database => "database",
            Self::Shared => "shared",
        }
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|placement| placement.as_str() == text);
        found.ok_or_else(|| format!("Must be one of {}.", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// Where an organization's data is, for people who read it with their own programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// `tenant_database` on the wire.
    pub database: String,
    /// `tenant_collection` on the wire.
    pub collection: String,
}

/// Identifies a container among all that ever have its visible name: on MongoDB the UUID of the collection.
/// Effects carry it, so that a late one never reaches another organization's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContainerId(#[serde(with = "hex::serde")] pub [u8; 16]);

/// The record of an organization. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Never changes.
    pub id: OrganizationId,
    /// Its current names.
    #[serde(flatten)]
    pub naming: Naming,
    /// The names that nobody else may take now.
    pub reserved: Vec<ReservedKey>,
    /// Its stage of life.
    pub state: State,
    /// Whether it is suspended; outlives a delete and a restore.
    pub suspended: bool,
    /// Where its data lives.
    pub placement: Placement,
    /// The identity of its container, if the engine has more than the organization's id to tell containers
    /// apart.
    #[serde(default)]
    pub container: Option<ContainerId>,
    /// The account it was created with.
    pub owner_id: AccountId,
    /// The accounts that are its owners, in the order in which they became that. Empty in a record of a
    /// version that knew one owner: then it is `owner_id`. Read it with [`Self::owners`].
    #[serde(default)]
    pub owners: Vec<AccountId>,
    /// How many members it has; in a record of a version that knew no other members, its owner alone.
    #[serde(default = "one_member")]
    pub members: u32,
    /// The roles that it has defined.
    #[serde(default, skip_serializing_if = "OwnRoles::is_empty")]
    pub roles: OwnRoles,
    /// The audit trails that its import brought along, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trails: Vec<CarriedTrail>,
    /// Sessions begun in an earlier epoch are invalid.
    pub token_epoch: u32,
    /// When that epoch began: tokens of identity providers that were issued earlier are invalid. Of a version
    /// that did not note it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_epoch_since: Option<Timestamp>,
    /// Whether a delete is refused.
    pub delete_protection: bool,
    /// Whether a purge is refused.
    pub legal_hold: bool,
    /// Its quota.
    #[serde(default, deserialize_with = "Quota::deserialize_stored")]
    pub quota: Quota,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// When it was soft-deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it may be purged.
    pub purge_at: Option<Timestamp>,
    /// Counts the changes of this record; the ETag.
    pub version: u64,
    /// The multi-step change under way.
    pub operation: Option<Box<Operation>>,
}

impl Organization {
    /// Its status as clients see it.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.state {
            State::Provisioning => Status::Provisioning,
            State::Active if self.suspended => Status::Suspended,
            State::Active => Status::Active,
            State::Deleted => Status::Deleted,
            State::Purging => Status::Purging,
        }
    }

    /// Its owners: at least one.
    #[must_use]
    pub fn owners(&self) -> &[AccountId] {
        if self.owners.is_empty() { std::slice::from_ref(&self.owner_id) } else { &self.owners }
    }

    /// What a member with that role may do here.
    #[must_use]
    pub fn permissions_of(&self, role: Role) -> PermissionSet {
        self.roles.permissions_of(role)
    }

    /// Whether that account is one of its owners.
    #[must_use]
    pub fn is_owner(&self, account: AccountId) -> bool {
        self.owners().contains(&account)
    }

    /// The account that responses show as its admin: the one it was created with, or, if that is no owner any
    /// more, the first of its owners.
    #[must_use]
    pub fn admin_id(&self) -> AccountId {
        let owners = self.owners();
        if owners.contains(&self.owner_id) { self.owner_id } else { owners[0] }
    }

    /// Notes that the account is an owner.
    ///
    /// # Errors
    /// `too_many_members`.
    pub fn add_owner(&mut self, account: AccountId) -> Result<()> {
        if self.is_owner(account) {
            return Ok(());
        }
        self.require_owner_room()?;
        self.owners = [self.owners(), &[account]].concat();
        Ok(())
    }

    /// Refuses a further owner, if there is no room for one.
    ///
    /// # Errors
    /// `too_many_members`.
    pub fn require_owner_room(&self) -> Result<()> {
        if self.owners().len() >= OWNERS_MAX {
            return Err(Error::limit_reached(
                ErrorCode::TooManyMembers,
                "The organization",
                OWNERS_MAX,
                "owners",
            ));
        }
        Ok(())
    }

    /// Notes that the account is no owner any more.
    ///
    /// # Errors
    /// `last_owner`.
    pub fn remove_owner(&mut self, account: AccountId) -> Result<()> {
        let others: Vec<_> = self.owners().iter().copied().filter(|owner| *owner != account).collect();
        if others.is_empty() {
            return Err(ErrorCode::LastOwner.into());
        }
        self.owners = others;
        Ok(())
    }

    /// Whether it is in use or comes back into use: its members keep their addresses.
    #[must_use]
    pub fn keeps_addresses(&self) -> bool {
        let operation = self.operation.as_deref();
        let comes_back = operation
            .is_some_and(|running| running.kind() == OperationKind::Restore && running.refused.is_none());
        matches!(self.state, State::Provisioning | State::Active) || comes_back
    }

    /// Whether it can be found by its name.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Active
    }

    /// Ends all sessions and tokens of before.
    pub fn begin_token_epoch(&mut self, now: Timestamp) {
        self.token_epoch += 1;
        self.token_epoch_since = Some(now);
    }

    /// Whether its members may sign in and reach its data.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.state == State::Active && !self.suspended
    }

    /// Whether no operation under way moves or removes its container. An import adds collections to one.
    #[must_use]
    pub fn keeps_its_place(&self) -> bool {
        let operation = self.operation.as_deref();
        operation
            .is_none_or(|operation| operation.kind() == OperationKind::Import && operation.refused.is_none())
    }

    /// The visible name its container has in the trash.
    #[must_use]
    pub fn trash_namespace(&self) -> String {
        format!("deleted_{}", self.id)
    }

    /// The next version of this record, changed at `now`, to be saved against the current version.
    #[must_use]
    pub fn successor(&self, now: Timestamp) -> Self {
        Self { version: self.version + 1, modified_at: now, ..self.clone() }
    }
}

/// See [`Organization::members`].
const fn one_member() -> u32 {
    1
}

/// The first version of a record whose id may have belonged to an earlier record: high enough that a stale
/// writer of that record never takes it for the next version.
#[must_use]
pub fn version_at(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(1)
}

#[cfg(test)]
mod tests;
