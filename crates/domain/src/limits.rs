//! Every fixed limit of the domain, named with its unit. Limits an operator may move are settings.

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

/// Items of a page when the caller names no limit.
pub const PAGE_DEFAULT_ITEMS: u32 = 50;
/// Items of a page at most.
pub const PAGE_MAX_ITEMS: u32 = 200;

/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;
/// How long the answer to an `Idempotency-Key` is kept.
pub const IDEMPOTENCY_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How long a request may hold its `Idempotency-Key` before another may take it up.
pub const IDEMPOTENCY_LEASE: Duration = Duration::from_secs(15);

/// How long an instance owns an operation without renewing; then any instance may go on with it.
pub const OPERATION_LEASE: Duration = Duration::from_secs(10);
/// How often an operation with a step that takes long renews its lease: that may fail several times in a row.
pub const OPERATION_RENEWAL: Duration = Duration::from_secs(2);
/// How long an id rests before an organization may come back under it out of an archive into a share: there, nothing
/// but the id tells a removal that comes late from one that is meant. No process sleeps longer between two calls and
/// goes on.
pub const ID_REST: Duration = Duration::from_secs(3600);
/// How long a change made through one instance may stay unseen by what others know of it
/// ([`crate::store`]: `recent` reads).
pub const RECENT: Duration = Duration::from_secs(1);
/// How often each instance looks for operations whose lease has run out.
pub const RECOVERY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a request waits for the operation it began or met before it answers without its outcome.
pub const OPERATION_WAIT: Duration = Duration::from_secs(5);
/// How often each instance purges what is due and removes what has expired.
pub const JANITOR_INTERVAL: Duration = Duration::from_secs(30);
/// Records one janitor's round takes of each kind, so that a round is short.
pub const JANITOR_BATCH: u32 = 500;

/// How long a used refresh token still gets the successor it already got (a double click, a lost answer).
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);

/// Characters of a collection's name.
pub const COLLECTION_NAME_MAX_CHARS: usize = 64;
/// The most collections one organization may have, even if its quota allows more.
pub const COLLECTIONS_MAX: u32 = 1000;
/// Indexes of one collection at most, without that on the `_id`: half of what MongoDB bears.
pub const INDEXES_MAX: u32 = 32;
/// Indexes of an organization, in all its collections, where many share what the server bears.
pub const SHARED_INDEXES_MAX: u32 = 8;
/// Bytes of documents after which a page of them ends: 200 of a mebibyte each would be too much for one answer.
pub const PAGE_MAX_BYTES: usize = 4 << 20;
/// Documents that are inserted at once.
pub const INSERT_MAX_DOCUMENTS: usize = 500;
/// Bytes of documents that are inserted at once; the last one may go beyond.
pub const INSERT_MAX_BYTES: usize = 4 << 20;

/// Bytes of canonical Extended JSON that one byte of a document as BSON becomes at most: an empty regular expression
/// under a name that has to be escaped comes close.
pub const ARCHIVE_SPREAD: usize = 16;
/// Bytes of a line of an archive beside those of a document, and for a collection with all the indexes it may have.
pub const ARCHIVE_LINE_HEADROOM_BYTES: usize = 256 << 10;
/// Documents that are read at once for an archive.
pub const ARCHIVE_PAGE_DOCUMENTS: u32 = 500;
/// Bytes of documents after which such a page ends: in JSON they are some three times as many.
pub const ARCHIVE_PAGE_BYTES: usize = 1 << 20;
