//! The ports: what the domain asks of a storage engine. One trait per noun; each method's doc comment is its
//! contract, and `store/tests/conformance` holds every engine to it.
//!
//! Rules for all of them:
//! - One method is one atomic unit on one record. One that removes up to `limit` records is such a unit for each of them:
//!   it may stop in between, and is called again. A change that spans records is an operation, in the layer above.
//! - An acknowledged write survives `kill -9` and power loss.
//! - `Err` is `store_unavailable` when the engine cannot be reached or written (disk full, deadline passed);
//!   the change may or may not have happened then. A refusal by uniqueness is `name_taken` or `email_taken`,
//!   and nothing has changed.
//! - An update is refused ([`UpdateOutcome::Stale`]) unless the stored version is the one before the given record's.
//! - A write that takes an event ([`Audit`]) saves it with the change: both are there afterwards, or neither is.
//! - A read sees every write that was acknowledged before it began, by any process. Only a `recent` read may
//!   see a record as it was up to [`RECENT_READ_MAX_AGE`] earlier, if another process has changed it since: use it for
//!   responses and for rights that may end that much later, never as the basis of a change or a refusal.
//!
//! [`RECENT_READ_MAX_AGE`]: crate::limits::RECENT_READ_MAX_AGE

mod api_keys;
mod audit;
mod batch;
mod call;
mod collections;
mod documents;
mod expiries;
pub mod full_scan;
mod identities;
pub mod invalidation;
mod invitations;
mod mails;
mod named_containers;

pub use api_keys::ApiKeys;
pub use audit::{AppendOutcome, Audit, AuditQuery};
pub use batch::{BatchChange, BatchStep, operation_pointer};
pub use call::{STORE_CALLS, StoreCall, StoreFailure};
pub use collections::{CollectionInfo, Collections, SchemaChange};
pub use documents::Documents;
pub use expiries::{Expiries, Expiry};
pub use identities::Identities;
pub use invitations::Invitations;
pub use mails::Mails;
pub use named_containers::NamedContainers;

use crate::account::{Account, MemberRecord};
use crate::audit::AuditEvent;
use crate::email::EmailKey;
use crate::error::Result;
use crate::idempotency::{IdempotencyClaim, IdempotencyKey, IdempotencyRecord, StoredResponse};
use crate::ids::{AccountId, OperationId, OrganizationId, SessionId};
use crate::name::Identifier;
use crate::operation::OperationRecord;
use crate::organization::{ContainerId, Location, Organization, Placement, Status};
use crate::rate_limit::{RateLimit, RateLimitDecision, RateLimitKey};
use crate::role::RoleName;
use crate::session::Session;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Whether an insert was the first of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum InsertOutcome {
    /// It was; the record now exists.
    New,
    /// A record of this id existed already and is unchanged.
    Exists,
}

/// Whether an insert found room for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BoundedInsert {
    /// It did; the record now exists.
    New,
    /// A record of this id, or of the same unique value, existed already; nothing changed.
    Exists,
    /// There are as many records as allowed; nothing changed.
    Full,
}

/// Whether a compare-and-set found the expected version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum UpdateOutcome {
    /// It did, and changed the record.
    Done,
    /// The record has another version, or is gone; nothing changed.
    Stale,
}

/// The result of a cleanup of left-over containers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// Unfinished containers that were removed.
    pub removed: u32,
    /// Files of unknown organizations, which are now under `containers/quarantine`.
    pub quarantined: u32,
}

/// Where a page of organizations begins: after this one, in the order of identifier, then id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationCursor {
    /// The last identifier seen.
    pub identifier: Identifier,
    /// The last id seen.
    pub id: OrganizationId,
}

/// Which organizations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationQuery {
    /// Only those whose identifier begins with this.
    pub identifier_prefix: Option<String>,
    /// Only those of this status; `None` means all except deleted ones and those being purged.
    pub status: Option<Status>,
    /// Include deleted ones and those being purged, if no status is given.
    pub show_deleted: bool,
    /// Only those after it.
    pub after: Option<OrganizationCursor>,
}

/// Records of organizations, each with at most one operation under way.
#[async_trait]
pub trait Organizations: Send + Sync {
    /// Adds a record. `name_taken` if another one holds one of its reserved keys; an existing id is not an
    /// error.
    async fn insert_organization(&self, organization: &Organization) -> Result<InsertOutcome>;

    /// The record of that id, in any state.
    async fn get_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>>;

    /// Like [`Self::get_organization`], but may return a recent record.
    async fn get_recent_organization(&self, id: OrganizationId) -> Result<Option<Arc<Organization>>> {
        self.get_organization(id).await
    }

    /// The live organization (active or suspended) that now has this identifier.
    async fn find_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>>;

    /// Like [`Self::find_organization`], but may return a recent record; `None` is always current.
    async fn find_recent_organization(&self, identifier: &Identifier) -> Result<Option<Arc<Organization>>> {
        self.find_organization(identifier).await
    }

    /// The organization in which that operation is under way.
    async fn find_organization_of_operation(&self, id: OperationId) -> Result<Option<Arc<Organization>>>;

    /// Up to `limit` records in the order of identifier, then id.
    async fn list_organizations(
        &self,
        query: &OrganizationQuery,
        limit: u32,
    ) -> Result<Vec<Arc<Organization>>>;

    /// How many have that status; counted by an index, which takes some time where there are very many.
    async fn count_organizations(&self, status: Status) -> Result<u64>;

    /// Up to `limit` deleted ones whose `purge_at` is not after `now`, without a legal hold and without an
    /// operation; the longest due first.
    async fn list_organizations_to_purge(&self, now: Timestamp, limit: u32)
    -> Result<Vec<Arc<Organization>>>;

    /// Replaces the previous version by `organization`. `name_taken` if another record holds one of its
    /// reserved keys. A record that carries an operation has its lease renewed by the engine's own clock.
    async fn update_organization(&self, organization: &Organization) -> Result<UpdateOutcome>;

    /// Removes the record if it still has that version.
    async fn delete_organization(&self, id: OrganizationId, version: u64) -> Result<UpdateOutcome>;

    /// Takes over up to `limit` operations whose lease has run out: each gets `owner`, a fence one higher, a
    /// new lease and the next version, one record at a time. An engine that only one process can use also
    /// takes those of every other owner at once. Returns the records as they are now.
    async fn claim_operations(&self, owner: &str, limit: u32) -> Result<Vec<Arc<Organization>>>;
}

/// Records of accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds a record. `email_taken` if another one holds its e-mail key; an existing id is not an error.
    async fn insert_account(&self, account: &Account) -> Result<InsertOutcome>;

    /// The record of that id.
    async fn get_account(&self, id: AccountId) -> Result<Option<Arc<Account>>>;

    /// Like [`Self::get_account`], but may return a recent record.
    async fn get_recent_account(&self, id: AccountId) -> Result<Option<Arc<Account>>> {
        self.get_account(id).await
    }

    /// The account that signs in with that address.
    async fn find_account(&self, email: &EmailKey) -> Result<Option<Arc<Account>>>;

    /// One of the older accounts that share this mailbox with another account ([`EmailKey::duplicates`]).
    async fn find_duplicate_account(&self, mailbox: &EmailKey) -> Result<Option<Arc<Account>>>;

    /// Up to `limit` accounts that are members of that organization, in the order of their ids, after `after`.
    async fn list_accounts_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Arc<Account>>>;

    /// Up to `limit` ids of accounts that are members of that organization, in their order, after `after`.
    async fn list_account_ids_of(
        &self,
        organization_id: OrganizationId,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountId>>;

    /// Those of the accounts that are members of that organization, in the order of `accounts`, which differ and are
    /// at most a page.
    async fn get_members(
        &self,
        organization_id: OrganizationId,
        accounts: &[AccountId],
    ) -> Result<Vec<MemberRecord>>;

    /// Whether an account is a member of that organization with that role of its own.
    async fn is_role_used(&self, organization_id: OrganizationId, role: RoleName) -> Result<bool>;

    /// Up to `limit` accounts that are being removed, the longest first.
    async fn list_accounts_being_removed(&self, limit: u32) -> Result<Vec<Arc<Account>>>;

    /// Replaces the previous version by `account`. `email_taken` if another one holds its e-mail key.
    async fn update_account(&self, account: &Account, event: Option<&AuditEvent>) -> Result<UpdateOutcome>;

    /// Removes the record if it still has that version.
    async fn delete_account(&self, id: AccountId, version: u64) -> Result<UpdateOutcome>;
}

/// Records of sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Adds a record.
    async fn insert_session(&self, session: &Session, event: Option<&AuditEvent>) -> Result<()>;

    /// The record of that id, expired or not.
    async fn get_session(&self, id: SessionId) -> Result<Option<Arc<Session>>>;

    /// Like [`Self::get_session`], but may return a recent record.
    async fn get_recent_session(&self, id: SessionId) -> Result<Option<Arc<Session>>> {
        self.get_session(id).await
    }

    /// Replaces the previous version by `session`.
    async fn update_session(&self, session: &Session) -> Result<UpdateOutcome>;

    /// Removes the record; a missing one is not an error, and then there is no event.
    async fn delete_session(&self, id: SessionId, event: Option<&AuditEvent>) -> Result<()>;

    /// Up to `limit` sessions of that account, ended or not, in the order of their ids, after `after`.
    async fn list_sessions_of_account(
        &self,
        account_id: AccountId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Arc<Session>>>;

    /// Removes up to `limit` sessions of that account beyond the `keep` that end last unless they are used;
    /// returns their ids.
    async fn delete_excess_sessions(
        &self,
        account_id: AccountId,
        keep: u32,
        limit: u32,
    ) -> Result<Vec<SessionId>>;

    /// Removes up to `limit` sessions of that organization; returns their ids.
    async fn delete_sessions_of(&self, organization_id: OrganizationId, limit: u32)
    -> Result<Vec<SessionId>>;

    /// Removes up to `limit` sessions that ended before `now`, idle or absolutely; returns their ids.
    async fn delete_expired_sessions(&self, now: Timestamp, limit: u32) -> Result<Vec<SessionId>>;
}

/// The log of finished operations.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Adds a record; an existing id is not an error, and nothing changes.
    async fn insert_operation(
        &self,
        record: &OperationRecord,
        event: Option<&AuditEvent>,
    ) -> Result<InsertOutcome>;

    /// The record of that id.
    async fn get_operation(&self, id: OperationId) -> Result<Option<OperationRecord>>;

    /// Up to `limit` records of all organizations, newest first (by id), before `before`.
    async fn list_operations(&self, before: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>>;

    /// Up to `limit` records of that organization, newest first (by id), before `before`.
    async fn list_operations_of(
        &self,
        organization_id: OrganizationId,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>>;
}

/// The arguments of a new container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContainer {
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// The fence of the operation that creates it; an unfinished container carries it in its name.
    pub fence: u32,
    /// The visible name.
    pub namespace: String,
    /// Its placement.
    pub placement: Placement,
    /// When it is created (`metadata.created_at`).
    pub created_at: Timestamp,
}

/// The containers of the organizations' own data. Every method names the organization by id, so nothing
/// reaches a container by a name that now belongs to another organization.
#[async_trait]
pub trait Containers: Send + Sync {
    /// The placement of a new organization: the requested one, or that of the settings. `invalid_input` at
    /// `/placement` if the engine does not have it; `capacity_reached` if there is no room for another one.
    async fn choose_placement(&self, asked: Option<Placement>) -> Result<Placement>;

    /// Where the container is now.
    fn locate(&self, organization: &Organization) -> Location;

    /// Creates an empty container; an existing one of this organization stays as it is. Returns its identity,
    /// if the engine has one beside the id. `organization_exists` if another installation's data is in its
    /// place.
    async fn create_container(&self, container: &NewContainer) -> Result<Option<ContainerId>>;

    /// How many documents are in it, exactly.
    async fn count_documents(&self, organization: &Organization) -> Result<u64>;

    /// Removes it with all its contents; a missing one is not an error. `store_unavailable` if the
    /// organization's record has changed since the operation read it, and nothing else tells this container
    /// from a later one of the same id.
    async fn drop_container(&self, organization: &Organization) -> Result<()>;

    /// Bytes that it takes on disk, with its indexes; `None` where its data is in files with that of others.
    async fn disk_bytes(&self, organization: &Organization) -> Result<Option<u64>>;

    /// Gives the space that nothing uses back to the file system. `compaction_unsupported` where its data is in files
    /// with that of others.
    async fn compact_container(&self, organization: &Organization) -> Result<()>;

    /// The methods for visible names; `None` if the engine names containers by the organization's id, so that they are
    /// never renamed.
    fn named(&self) -> Option<&dyn NamedContainers> {
        None
    }
}

impl dyn Containers {
    /// See [`NamedContainers::is_foreign`]; always `false` if containers have no visible names.
    pub async fn is_foreign(&self, placement: Placement, namespace: &str) -> Result<bool> {
        match self.named() {
            Some(named) => named.is_foreign(placement, namespace).await,
            None => Ok(false),
        }
    }

    /// See [`NamedContainers::rename_container`]; where containers have no visible name, it is in the record alone.
    pub async fn rename_container(&self, organization: &Organization, namespace: &str) -> Result<()> {
        match self.named() {
            Some(named) => named.rename_container(organization, namespace).await,
            None => Ok(()),
        }
    }

    /// See [`NamedContainers::settle_container`].
    pub async fn settle_container(&self, organization: &Organization) -> Result<()> {
        match self.named() {
            Some(named) => named.settle_container(organization).await,
            None => Ok(()),
        }
    }
}

/// Responses kept for their `Idempotency-Key`.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync {
    /// Claims `record.key` for a request: a new key, or one whose lease ran out without a response and whose
    /// body is the same (then with the `organization_id` of the first claim). A new key is refused if its
    /// holder has as many as allowed, also under concurrent claims: no key with a response is forgotten before
    /// it expires. (On an engine with several writers, concurrent claims of the last free keys may get
    /// `store_unavailable`.) An engine that only one process can use ends the leases of earlier processes when
    /// it is opened.
    async fn claim_key(&self, record: &IdempotencyRecord, now: Timestamp) -> Result<IdempotencyClaim>;

    /// Saves the response of a claimed key.
    async fn save_response(&self, key: &IdempotencyKey, answer: &StoredResponse) -> Result<()>;

    /// Ends the lease of a claimed key that has no response yet: the next request to claim it gets the same
    /// `organization_id`.
    async fn end_lease(&self, key: &IdempotencyKey) -> Result<()>;

    /// Releases a claimed key as if it had not been used; for requests that were refused before any change.
    async fn release_key(&self, key: &IdempotencyKey) -> Result<()>;

    /// Removes up to `limit` records that expired before `now`; returns how many.
    async fn delete_expired_keys(&self, now: Timestamp, limit: u32) -> Result<u32>;
}

/// Counters of attempts, kept across restarts.
#[async_trait]
pub trait RateLimits: Send + Sync {
    /// Counts one attempt against `key`, or says how long to wait. Exact under any number of callers.
    async fn acquire(
        &self,
        key: &RateLimitKey,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<RateLimitDecision>;

    /// Refunds one attempt, because it succeeded.
    async fn refund(&self, key: &RateLimitKey, limit: RateLimit, now: Timestamp) -> Result<()>;

    /// Whether the counter of `key` is above zero.
    async fn is_counted(&self, key: &RateLimitKey, now: Timestamp) -> Result<bool>;

    /// Removes up to `limit` counters that are back at zero at `now`; returns how many.
    async fn delete_idle_rate_limits(&self, now: Timestamp, limit: u32) -> Result<u32>;
}

/// Single values that belong to the installation as a whole.
#[async_trait]
pub trait Installation: Send + Sync {
    /// The value of that name.
    async fn get_value(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Sets a value unless it exists; returns the value that exists afterwards.
    async fn init_value(&self, name: &str, value: &[u8]) -> Result<Vec<u8>>;

    /// Sets a value, replacing any that is there.
    async fn put_value(&self, name: &str, value: &[u8]) -> Result<()>;

    /// Replaces the value `expected`, or sets the first one (`None`); refused if another is there.
    async fn update_value(
        &self,
        name: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        event: Option<&AuditEvent>,
    ) -> Result<UpdateOutcome>;

    /// Removes a value; a missing one is not an error.
    async fn delete_value(&self, name: &str) -> Result<()>;

    /// Does nothing, durably: succeeds if and only if a write would.
    async fn check_writable(&self) -> Result<()>;
}

/// Every port of one engine. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// See [`Organizations`].
    pub organizations: Arc<dyn Organizations>,
    /// See [`Accounts`].
    pub accounts: Arc<dyn Accounts>,
    /// See [`Sessions`].
    pub sessions: Arc<dyn Sessions>,
    /// See [`ApiKeys`].
    pub api_keys: Arc<dyn ApiKeys>,
    /// See [`Invitations`].
    pub invitations: Arc<dyn Invitations>,
    /// See [`Mails`].
    pub mails: Arc<dyn Mails>,
    /// See [`Identities`].
    pub identities: Arc<dyn Identities>,
    /// See [`Expiries`].
    pub expiries: Arc<dyn Expiries>,
    /// See [`Operations`].
    pub operations: Arc<dyn Operations>,
    /// See [`Audit`].
    pub audit: Arc<dyn Audit>,
    /// See [`Containers`].
    pub containers: Arc<dyn Containers>,
    /// See [`Collections`].
    pub collections: Arc<dyn Collections>,
    /// See [`Documents`].
    pub documents: Arc<dyn Documents>,
    /// See [`IdempotencyKeys`].
    pub idempotency_keys: Arc<dyn IdempotencyKeys>,
    /// See [`RateLimits`].
    pub rate_limits: Arc<dyn RateLimits>,
    /// See [`Installation`].
    pub installation: Arc<dyn Installation>,
}
