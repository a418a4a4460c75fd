//! Every fixed limit of the domain, named with its unit. Limits an operator may move are settings.

use std::time::Duration;

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

/// Levels of objects and arrays of JSON that is read, the outermost included.
pub const JSON_MAX_LEVELS: usize = 128;
/// Levels of objects and arrays in a document, itself included: MongoDB promises no more.
pub const DOCUMENT_MAX_LEVELS: usize = 100;
/// Bytes of a document as BSON, unless the operator sets another limit.
pub const DOCUMENT_DEFAULT_MAX_BYTES: usize = 1 << 20;
/// Bytes of an `_id` as a key; it has to fit into a URL.
pub const DOCUMENT_ID_MAX_BYTES: usize = 1024;
/// Bad fields of a document or a filter named at most: an answer must not be many times its request.
pub const BAD_FIELDS_MAX_NAMED: usize = 50;
/// Parts of a dotted path.
pub const PATH_MAX_PARTS: usize = 32;
/// Bytes of a dotted path.
pub const PATH_MAX_BYTES: usize = 512;
/// Conditions of a filter: operators, fields, and branches of `$and`, `$or` and `$nor`.
pub const FILTER_MAX_NODES: usize = 256;
/// Levels of `$and`, `$or`, `$nor`, `$not` and `$elemMatch` within one another.
pub const FILTER_MAX_LEVELS: usize = 16;
/// Values of one `$in`, `$nin` or `$all`.
pub const FILTER_LIST_MAX_ITEMS: usize = 1000;
/// Intervals of an index that a filter is narrowed to; of more there is one, from the first to the last.
pub const FILTER_MAX_INTERVALS: usize = 10_000;
/// Bytes of the pattern of a `$regex`.
pub const REGEX_MAX_BYTES: usize = 512;
/// States of all patterns of a filter when compiled: what a counted repetition repeats counts as often as it may stand
/// there.
pub const FILTER_MAX_STATES: usize = 20_000;
/// Parts of all paths of a filter.
pub const FILTER_MAX_PATH_PARTS: usize = 1024;
/// Parts of one path of a filter that are numbers: each may be a name or a position, and both are followed.
pub const FILTER_PATH_MAX_POSITIONS: usize = 8;
/// Steps that a query may spend on a single document, and a write on the entries of one. A step takes about a
/// nanosecond: a byte of a text that is searched is one, passing a field some.
pub const DOCUMENT_MAX_STEPS: u64 = 1_000_000_000;
/// Bytes of JSON that are read, or of documents that are written as JSON, on a thread that serves others, too. More go to
/// a thread of their own.
pub const INLINE_MAX_BYTES: usize = 16 << 10;
/// Steps of [`Fuel`](crate::fuel::Fuel) that such work takes there at most: about half a millisecond.
pub const INLINE_MAX_STEPS: u64 = 400_000;
/// Keys of a sort order, without the `_id` that always ends it.
pub const SORT_MAX_KEYS: usize = 3;
/// Paths of a projection.
pub const PROJECTION_MAX_PATHS: usize = 100;
/// Characters of a collection's name.
pub const COLLECTION_NAME_MAX_CHARS: usize = 64;
/// Collections of one organization at most, whatever its quota.
pub const COLLECTIONS_MAX: u32 = 1000;
/// Indexes of one collection at most, without that on the `_id`: half of what MongoDB bears.
pub const INDEXES_MAX: u32 = 32;
/// Indexes of an organization, in all its collections, where many share what the server bears.
pub const SHARED_INDEXES_MAX: u32 = 8;
/// Keys of an index.
pub const INDEX_MAX_KEYS: usize = 8;
/// Bytes of an index's name.
pub const INDEX_NAME_MAX_BYTES: usize = 120;
/// Bytes of the keys of one document's entries in all indexes of its collection together, every value whole: in a
/// compound index each value of an array stands with the values of the other paths, so that they may be many times the
/// document.
pub const INDEX_ENTRIES_MAX_BYTES: usize = 16 << 20;
/// Entries of one document in all indexes of its collection together.
pub const INDEX_ENTRIES_MAX: usize = 50_000;
/// Bytes of the key of one value in an index that are stored before a hash takes the place of the rest.
pub const INDEX_KEY_PART_MAX_BYTES: usize = 1024;
/// Bytes of the keys that sorting a query holds at once, for a page and one document more.
pub const SORT_MAX_BYTES: usize = 64 << 20;
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
