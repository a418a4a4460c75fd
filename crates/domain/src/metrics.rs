//! The names of the numbers that the domain and the store count. Where they go is the server's business;
//! without a recorder they go nowhere.

/// Recorded multi-step changes that ended, by `kind` and `outcome`.
pub const OPERATIONS: &str = "operations_total";
/// Operations taken over from an instance that did not finish them.
pub const OPERATION_RECOVERIES: &str = "operation_recoveries_total";
/// Seconds a thread worked on one password.
pub const PASSWORD_HASH_DURATION: &str = "password_hash_seconds";
/// Writes that were made durable together.
pub const STORE_WRITE_BATCH_SIZE: &str = "store_write_batch_size";
/// Whether the stream of changes by other instances is followed, so that records in memory stay good for long: 1 or 0.
pub const STORE_CHANGE_STREAM_ALIVE: &str = "store_change_stream_alive";
/// Records dropped from memory because the stream told of a change.
pub const STORE_CACHE_INVALIDATIONS: &str = "store_cache_invalidations_total";
/// Calls for an organization's own data that waited, because it had its share under way.
pub const ORGANIZATION_TURN_WAITS: &str = "organization_turn_waits_total";
/// Queries that the embedded engine has begun, by `thread`: `async` is one that serves other requests, too.
pub const QUERY_STARTS: &str = "query_starts_total";
