//! The names of the metrics that the domain and the store record. The binary installs the recorder; without one
//! they are discarded.

/// Recorded multi-step changes that ended, by `kind` and `outcome`.
pub const OPERATIONS: &str = "operations_total";
/// Operations taken over from an instance that did not finish them.
pub const OPERATION_RECOVERIES: &str = "operation_recoveries_total";
/// Seconds that a thread spent on one password.
pub const PASSWORD_HASH_DURATION: &str = "password_hash_seconds";
/// Writes that were made durable together.
pub const STORE_WRITE_BATCH_SIZE: &str = "store_write_batch_size";
/// How long calls of the engine took, by `call`: [`crate::store::STORE_CALLS`].
pub const STORE_CALL_DURATION: &str = "store_call_duration_seconds";
/// Calls of the engine that failed, by `call`.
pub const STORE_CALL_ERRORS: &str = "store_call_errors_total";
/// Whether this instance follows the stream of others' changes, so that cached records stay valid for long: 1
/// or 0.
pub const STORE_CHANGE_STREAM_ALIVE: &str = "store_change_stream_alive";
/// Records evicted from the cache because the stream reported a change.
pub const STORE_CACHE_INVALIDATIONS: &str = "store_cache_invalidations_total";
/// Calls for an organization's own data that waited because it had reached its limit.
pub const ORGANIZATION_TURN_WAITS: &str = "organization_turn_waits_total";
/// Queries that the embedded engine has started, by `thread`: `async` threads serve other requests too.
pub const QUERY_STARTS: &str = "query_starts_total";
/// The values of `thread`.
pub const QUERY_THREADS: [&str; 2] = ["async", "blocking"];
/// Sign-ins with an address and a password that failed, by `kind`.
pub const SIGN_IN_FAILURES: &str = "sign_in_failures_total";
/// The values of `kind`: codes of errors, and `other`.
pub const SIGN_IN_FAILURE_KINDS: [&str; 6] = [
    "invalid_credentials",
    "too_many_attempts",
    "sign_in_busy",
    "organization_suspended",
    "organization_not_found",
    "other",
];
/// Organizations, by `status`, as they were counted last.
pub const ORGANIZATIONS: &str = "organizations";
/// Mails that wait to be sent, about.
pub const MAILS_WAITING: &str = "mails_waiting";
/// Mails that the mail server has taken.
pub const MAILS_SENT: &str = "mails_sent_total";
/// Times that a mail could not be sent and waits for another try.
pub const MAILS_TRIED_AGAIN: &str = "mails_tried_again_total";
/// Mails that were given up, by `reason`: `refused`, `expired`, `outdated` or `unreadable`.
pub const MAILS_DROPPED: &str = "mails_dropped_total";
/// The values of `reason`.
pub const MAIL_DROP_REASONS: [&str; 4] = ["refused", "expired", "outdated", "unreadable"];
/// Documents written although they violate the schema of their collection, which only warns.
pub const SCHEMA_WARNINGS: &str = "schema_warnings_total";
/// Documents removed because they had expired.
pub const DOCUMENTS_EXPIRED: &str = "documents_expired_total";
