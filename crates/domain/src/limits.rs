//! Every fixed limit of the domain, named with its unit. Limits that an operator may change are settings.

use std::time::Duration;
pub use tenantry_documents::limits::*;

/// Characters of an organization's name after trimming.
pub const NAME_MIN_CHARS: usize = 2;
/// Characters of an organization's name after trimming.
pub const NAME_MAX_CHARS: usize = 120;
/// Bytes of an identifier: a DNS label's length, so that it may become one.
pub const IDENTIFIER_MAX_BYTES: usize = 63;
/// Bytes of an e-mail address (RFC 5321, 4.5.3.1.3: a path of 256 with its two brackets).
pub const EMAIL_MAX_BYTES: usize = 254;
/// Characters of a password; long enough for any manager, short enough to normalize at once.
pub const PASSWORD_MAX_CHARS: usize = 256;
/// A password that an informed guesser tries within this many guesses counts as one of the most common.
pub const PASSWORD_COMMON_GUESSES: u64 = 10_000;

/// The most members of an organization.
pub const MEMBERS_MAX: u32 = 100_000;
/// The most owners of an organization: they are listed in its record.
pub const OWNERS_MAX: usize = 100;
/// The most roles that an organization defines: they are in its record, which every request reads.
pub const ROLES_MAX: usize = 32;
/// Bytes of the name of such a role.
pub const ROLE_NAME_MAX_BYTES: usize = 32;
/// Characters of its description.
pub const ROLE_DESCRIPTION_MAX_CHARS: usize = 200;
/// The most organizations of an account: they are listed in its record.
pub const MEMBERSHIPS_MAX: usize = 1000;
/// The most sessions of an account. Enough for programs that sign in for each run: of what is beyond, the
/// sessions that would end first do.
pub const SESSIONS_MAX: u32 = 1000;

/// The most invitations of an organization that nobody has used.
pub const INVITATIONS_MAX: u32 = 1000;
/// How long an invitation is good unless its maker says otherwise.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an invitation is good at most.
pub const INVITATION_LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a link that the operator makes for a member is good unless they say otherwise.
pub const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long such a link is good at most.
pub const LINK_LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a link for a new password that somebody asked for by mail is good.
pub const MAILED_RESET_LIFETIME: Duration = Duration::from_secs(3600);

/// Mails of an installation that wait to be sent.
pub const MAILS_MAX: u32 = 10_000;
/// How long a mail is tried at most.
pub const MAIL_LIFETIME: Duration = Duration::from_secs(48 * 3600);
/// How long an instance has to send a mail before another may try. More than [`MAIL_SEND_TIMEOUT`].
pub const MAIL_LEASE: Duration = Duration::from_secs(45);
/// How long sending one mail may take in all.
pub const MAIL_SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Mails that an instance sends at once.
pub const MAIL_WORKERS: usize = 4;
/// How often each instance looks for mails that are due. Its own new ones do not wait for that.
pub const MAIL_INTERVAL: Duration = Duration::from_secs(5);
/// After how long a mail is tried again for the first time; each further time takes twice as long.
pub const MAIL_BACKOFF: Duration = Duration::from_secs(15);
/// The longest time between two tries.
pub const MAIL_BACKOFF_MAX: Duration = Duration::from_secs(1800);
/// How long word of a change waits, so that the change is there before it is told.
pub const MAIL_NOTICE_DELAY: Duration = Duration::from_secs(10);

/// How often each instance looks for collections in which documents may have expired.
pub const EXPIRY_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// How often expired documents are removed from a collection.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// How long expired documents of one index are removed before another collection has its turn.
pub const EXPIRY_PORTION: Duration = Duration::from_millis(500);
/// How long a collection stays listed after an index was announced that it does not have: longer than any build.
pub const EXPIRY_LISTED: Duration = Duration::from_secs(24 * 3600);

/// Items of a page when the caller names no limit.
pub const PAGE_DEFAULT_ITEMS: u32 = 50;
/// The most items of a page.
pub const PAGE_MAX_ITEMS: u32 = 200;

/// Service keys of an installation.
pub const SERVICE_KEYS_MAX: u32 = 1000;
/// API keys of an organization.
pub const ORGANIZATION_KEYS_MAX: u32 = 100;
/// Organizations that a service key may be limited to.
pub const KEY_ORGANIZATIONS_MAX: usize = 1000;
/// Characters of a key's name.
pub const KEY_NAME_MAX_CHARS: usize = 100;
/// The longest time for which a rotated key accepts its old secret.
pub const KEY_OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest life of a token that a key is exchanged for.
pub const EXCHANGED_TOKEN_MAX: Duration = Duration::from_secs(3600);
/// Its life when the request does not say.
pub const EXCHANGED_TOKEN_DEFAULT: Duration = Duration::from_secs(900);
/// How long a key signs tokens before the next one takes over, where keys rotate. Well below the year or more that NIST
/// SP 800-57 part 1 (5.3.6) allows a private signature key; large providers of identity rotate as often.
pub const SIGNING_KEY_PERIOD: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a key is published before it may sign: longer than any verifier in common use keeps a key set before it looks
/// again (12 hours at most, where the maker's documentation says so).
pub const SIGNING_KEY_AHEAD: Duration = Duration::from_secs(24 * 3600);
/// How far the clocks of instances may be apart before a token could be refused around a change of keys, and for how long
/// a key that signs no more is kept as a spare.
pub const SIGNING_KEY_MARGIN: Duration = Duration::from_secs(3600);
/// Retired keys that the list of keys still shows.
pub const RETIRED_KEYS_LISTED: usize = 16;
/// How long a token of an identity provider may be valid at most, from its issue.
pub const FOREIGN_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// Identities at providers that one account may be linked with.
pub const IDENTITIES_MAX: u32 = 20;
/// How long an identity stays with an account that is still being made.
pub const IDENTITY_SETTLE: Duration = Duration::from_secs(60);

/// Bytes of the backend's own id of a user.
pub const SUBJECT_MAX_BYTES: usize = 255;

/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;
/// How long the response to an `Idempotency-Key` is kept.
pub const IDEMPOTENCY_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How long a request may hold its `Idempotency-Key` before another may take it over.
pub const IDEMPOTENCY_LEASE: Duration = Duration::from_secs(15);

/// How long an instance owns an operation without renewing the lease; then any instance may take it over.
pub const OPERATION_LEASE: Duration = Duration::from_secs(10);
/// How often an operation renews its lease during a long step: several renewals in a row may fail.
pub const OPERATION_RENEWAL: Duration = Duration::from_secs(2);
/// How long an id must be unused before an import may bring an organization back under it in a shared
/// collection: there, only the id tells a late removal from an intended one. No process pauses longer than
/// this between two calls and then continues.
pub const ID_COOLDOWN: Duration = Duration::from_secs(3600);
/// How long other instances may not see a change in their `recent` reads ([`crate::store`]).
pub const RECENT_READ_MAX_AGE: Duration = Duration::from_secs(1);
/// How often each instance looks for operations whose lease has run out.
pub const RECOVERY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a request waits for an operation before it responds without the outcome.
pub const OPERATION_WAIT: Duration = Duration::from_secs(5);
/// How often each instance purges organizations that are due and removes expired records.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(30);
/// How often each instance links its events into the chains of the audit trail.
pub const AUDIT_INTERVAL: Duration = Duration::from_secs(1);
/// How many such intervals pass before an instance looks for events of others, which may have been stopped.
pub const AUDIT_ROUNDS: u32 = 10;
/// Records of each kind that one round takes, so that a round is short.
pub const MAINTENANCE_BATCH: u32 = 500;

/// How long a used refresh token still gets the successor it already got (a double click, a lost response).
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);

/// Operations of the log that are examined for one page, where a filter leaves some of them out.
pub const LOG_PAGE_EXAMINED: u32 = 1000;

/// Characters of a collection's name.
pub const COLLECTION_NAME_MAX_CHARS: usize = 64;
/// The most collections one organization may have, even if its quota allows more.
pub const COLLECTIONS_MAX: u32 = 1000;
/// The most indexes of one collection, without the one on the `_id`: half of MongoDB's limit.
pub const INDEXES_MAX: u32 = 32;
/// The most indexes of an organization in all its collections, with the placement `shared`, where all
/// organizations share the server's limit.
pub const SHARED_INDEXES_MAX: u32 = 8;
/// Bytes of documents after which a page ends: 200 documents of a mebibyte each would be too much for one
/// response.
pub const PAGE_MAX_BYTES: usize = 4 << 20;
/// Documents that are inserted at once.
pub const INSERT_MAX_DOCUMENTS: usize = 500;
/// Bytes of documents that are inserted at once; the last document may exceed it.
pub const INSERT_MAX_BYTES: usize = 4 << 20;
/// Operations of a batch.
pub const BATCH_MAX_OPERATIONS: usize = 1000;
/// Bytes of the documents that a batch reads and writes: they are in memory together, and others of the organization wait
/// while they are written.
pub const BATCH_MAX_BYTES: usize = 8 << 20;
/// Conditions of all filters in the updates of a batch.
pub const BATCH_MAX_CONDITIONS: usize = 4096;
/// Documents of a batch that are read at the same time.
pub const BATCH_READS_AT_ONCE: usize = 16;

/// The most bytes of canonical Extended JSON for one byte of BSON: an empty regular expression under a name
/// that has to be escaped comes close.
pub const ARCHIVE_EXPANSION_MAX: usize = 16;
/// Bytes of an archive line in addition to its document, enough also for a collection with all the indexes it
/// may have.
pub const ARCHIVE_LINE_HEADROOM_BYTES: usize = 256 << 10;
/// Audit trails in an archive: the organization's, and those that earlier imports brought along. Of more, the oldest
/// are left out.
pub const ARCHIVE_TRAILS_MAX: usize = 8;
/// Entries of audit trails in an archive: about ten gigabytes. Of more, the oldest are left out.
pub const ARCHIVE_ENTRIES_MAX: u64 = 10_000_000;
/// Bytes of the text of an event in an archive; usually it has some hundred.
pub const ARCHIVE_EVENT_MAX_BYTES: usize = 64 << 10;
/// Members of an archive that are written at once.
pub const IMPORT_MEMBERS_AT_ONCE: usize = 64;
/// Documents that are read at once for an archive.
pub const ARCHIVE_PAGE_DOCUMENTS: u32 = 500;
/// Bytes of documents after which such a page ends: as JSON they are about three times as large.
pub const ARCHIVE_PAGE_BYTES: usize = 1 << 20;
/// Bytes of all schemas of collections that are kept ready for checks.
pub const SCHEMA_CACHE_BYTES: usize = 32 << 20;
/// How often it is logged, at most, that documents violate schemas that only warn.
pub const SCHEMA_WARNING_INTERVAL: Duration = Duration::from_secs(60);
/// How long one request checks the documents of a collection by a schema; then it says where to go on.
pub const SCHEMA_CHECK_TIME: Duration = Duration::from_secs(60);
/// Documents that are read at once for that.
pub const SCHEMA_CHECK_PAGE_DOCUMENTS: u32 = 100;
/// Documents that an update by filter reads at once.
pub const UPDATE_PAGE_DOCUMENTS: u32 = 16;
/// Documents that one update by filter changes at the same time.
pub const UPDATES_AT_ONCE: usize = 8;
/// How long an update waits for the updates of the same document before it.
pub const DOCUMENT_LOCK_WAIT: Duration = Duration::from_secs(15);
