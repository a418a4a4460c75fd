//! What the collections of the records and their indexes are called in the database. Stored names: none ever changes.

/// Records of organizations, each with the operation under way.
pub(crate) const ORGANIZATIONS: &str = "organizations";
/// Records of accounts, with their memberships.
pub(crate) const ACCOUNTS: &str = "accounts";
/// Records of sessions.
pub(crate) const SESSIONS: &str = "sessions";
/// Records of API keys.
pub(crate) const API_KEYS: &str = "api_keys";
/// Records of invitations.
pub(crate) const INVITATIONS: &str = "invitations";
/// The log of finished operations.
pub(crate) const OPERATIONS: &str = "operations";
/// Answers kept for their `Idempotency-Key`.
pub(crate) const REQUESTS: &str = "requests";
/// Counters of attempts.
pub(crate) const THROTTLES: &str = "throttles";
/// Single values, and the version of this schema.
pub(crate) const INSTALLATION: &str = "installation";

/// The first document of each container that is a share.
pub(crate) const SHARED_CONTAINERS: &str = "shared_containers";
/// The documents of all organizations whose container is a share.
pub(crate) const SHARED_DOCUMENTS: &str = "shared_documents";

/// How much the organizations have that a quota limits, and what is about to change it.
pub(crate) const USAGE: &str = "usage";

/// Nobody else has a key that this organization has reserved.
pub(crate) const ORGANIZATIONS_RESERVED: &str = "organizations_reserved";
/// Organizations of one status, in the order of their names.
pub(crate) const ORGANIZATIONS_BY_STATUS: &str = "organizations_by_status";
/// Nobody else signs in with this address.
pub(crate) const ACCOUNTS_BY_EMAIL: &str = "accounts_by_email";
/// No two keys of one owner have the same slot.
pub(crate) const API_KEYS_BY_SLOT: &str = "api_keys_by_slot";
/// No two invitations of one organization have the same slot.
pub(crate) const INVITATIONS_BY_SLOT: &str = "invitations_by_slot";
/// An organization has one invitation for each mailbox.
pub(crate) const INVITATIONS_BY_ADDRESS: &str = "invitations_by_address";

/// Which document keeps the version, in [`INSTALLATION`].
pub(crate) const VERSION_ID: &str = "schema";

/// In a database that is a container: the collection with the container's first document. No user's collection is called so.
pub(crate) const METADATA: &str = "_metadata";
/// The collection with the documents of users who name no other.
pub(crate) const DOCUMENTS: &str = "documents";
