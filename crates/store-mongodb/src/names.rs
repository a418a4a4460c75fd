//! The names of the collections of the records and their indexes in the database. Stored names: none ever changes.

/// Records of organizations, each with its running operation.
pub(crate) const ORGANIZATIONS: &str = "organizations";
/// Records of accounts, with their memberships.
pub(crate) const ACCOUNTS: &str = "accounts";
/// Records of the links between accounts and identity providers.
pub(crate) const IDENTITIES: &str = "identities";
/// Records of sessions.
pub(crate) const SESSIONS: &str = "sessions";
/// Records of API keys.
pub(crate) const API_KEYS: &str = "api_keys";
/// Records of invitations.
pub(crate) const INVITATIONS: &str = "invitations";
/// Mails that wait to be sent.
pub(crate) const MAILS: &str = "mails";
/// Collections in which documents may expire.
pub(crate) const EXPIRIES: &str = "expiries";
/// The schemas of collections.
pub(crate) const COLLECTION_SCHEMAS: &str = "collection_schemas";
/// The log of finished operations.
pub(crate) const OPERATIONS: &str = "operations";
/// Events of the audit trail that ride in no other document and are in no chain yet.
pub(crate) const AUDIT_OUTBOX: &str = "audit_outbox";
/// The chains of the audit trail.
pub(crate) const AUDIT_ENTRIES: &str = "audit_entries";
/// Responses kept for their `Idempotency-Key`.
pub(crate) const REQUESTS: &str = "requests";
/// Counters for rate limits.
pub(crate) const THROTTLES: &str = "throttles";
/// Single values, and the version of this schema.
pub(crate) const INSTALLATION: &str = "installation";

/// The metadata document of each container in the placement `shared`.
pub(crate) const SHARED_CONTAINERS: &str = "shared_containers";
/// The documents of all organizations in the placement `shared`.
pub(crate) const SHARED_DOCUMENTS: &str = "shared_documents";

/// The usage of organizations with a quota, and the claims on it.
pub(crate) const USAGE: &str = "usage";

/// Ensures that no two organizations reserve the same key.
pub(crate) const ORGANIZATIONS_RESERVED: &str = "organizations_reserved";
/// Organizations of one status, in the order of their names.
pub(crate) const ORGANIZATIONS_BY_STATUS: &str = "organizations_by_status";
/// Ensures that no two accounts have the same address.
pub(crate) const ACCOUNTS_BY_EMAIL: &str = "accounts_by_email";
/// The sessions of one account, in the order of their ids.
pub(crate) const SESSIONS_BY_ACCOUNT: &str = "sessions_by_account";
/// The sessions of one account, in the order of their ends.
pub(crate) const SESSIONS_BY_END: &str = "sessions_by_end";
/// The keys of one owner, in the order of their ids.
pub(crate) const API_KEYS_OF: &str = "api_keys_of";
/// No two keys of one owner have the same slot.
pub(crate) const API_KEYS_BY_SLOT: &str = "api_keys_by_slot";
/// Mails, those first that are due first.
pub(crate) const MAILS_DUE: &str = "mails_due";
/// No two identities of one account have the same slot.
pub(crate) const IDENTITIES_BY_SLOT: &str = "identities_by_slot";
/// Expiries, those first that are due first.
pub(crate) const EXPIRIES_DUE: &str = "expiries_due";
/// The schemas of the collections of one organization.
pub(crate) const COLLECTION_SCHEMAS_OF: &str = "collection_schemas_of";
/// The invitations of one organization, in the order of their ids.
pub(crate) const INVITATIONS_OF: &str = "invitations_of";
/// No two invitations of one organization have the same slot.
pub(crate) const INVITATIONS_BY_SLOT: &str = "invitations_by_slot";
/// An organization has one invitation for each mailbox.
pub(crate) const INVITATIONS_BY_ADDRESS: &str = "invitations_by_address";

/// The sessions with events that are in no chain yet, in the order of the events.
pub(crate) const SESSIONS_EVENTS: &str = "sessions_events";
/// As [`SESSIONS_EVENTS`], for API keys.
pub(crate) const API_KEYS_EVENTS: &str = "api_keys_events";
/// As [`SESSIONS_EVENTS`], for invitations.
pub(crate) const INVITATIONS_EVENTS: &str = "invitations_events";
/// As [`SESSIONS_EVENTS`], for identities.
pub(crate) const IDENTITIES_EVENTS: &str = "identities_events";
/// As [`SESSIONS_EVENTS`], for accounts.
pub(crate) const ACCOUNTS_EVENTS: &str = "accounts_events";
/// As [`SESSIONS_EVENTS`], for finished operations.
pub(crate) const OPERATIONS_EVENTS: &str = "operations_events";
/// As [`SESSIONS_EVENTS`], for events without a change.
pub(crate) const AUDIT_OUTBOX_EVENTS: &str = "audit_outbox_events";
/// No event is twice in a chain; a chain's entries in the order of their events.
pub(crate) const AUDIT_ENTRIES_BY_EVENT: &str = "audit_entries_by_event";
/// A chain's entries of one action, in the order of their events.
pub(crate) const AUDIT_ENTRIES_BY_ACTION: &str = "audit_entries_by_action";
/// A chain's entries of one actor, in the order of their events.
pub(crate) const AUDIT_ENTRIES_BY_ACTOR: &str = "audit_entries_by_actor";

/// The document that keeps the version, in [`INSTALLATION`].
pub(crate) const VERSION_ID: &str = "schema";

/// In a database that is a container: the collection with the metadata document. No user's collection has this name.
pub(crate) const METADATA: &str = "_metadata";
/// The collection for the documents of users who name no other.
pub(crate) const DOCUMENTS: &str = "documents";
