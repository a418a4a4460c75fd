//! How many collections and indexes the server may hold, and what a create gets when there is no room.
//!
//! Each is a file of the server and costs memory, so a small server stalls long before its disk is full.
//!
//! # Pitfalls
//! - The limit is the server's, so the collections of other programs count too.
//! - It is a guard, not a quota: several instances that create at the same moment may go a few beyond it.
//! - The server's own count of indexes (`serverStatus`) cannot be used: it never falls.

use crate::client::Server;
use crate::engine_error::{EngineError, EngineResult};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::Result;
use tenantry_domain::error::ErrorCode;

/// Databases that are queried at the same time.
const MAX_CONCURRENT_STATS: usize = 8;
/// How old a count may be while there is much room, and while there is little (a tenth). A count queries every
/// database of the server.
const COUNT_TTL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// What something costs the server, in collections and indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ServerCost(u64);

impl ServerCost {
    pub(crate) const NOTHING: Self = Self(0);
    /// A collection and its index on `_id`.
    pub(crate) const COLLECTION: Self = Self(2);
    pub(crate) const INDEX: Self = Self(1);
    /// A database has its documents beside the collection with its metadata.
    pub(crate) const DATABASE: Self = Self(2 * Self::COLLECTION.0);
}

/// The room that the server has. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Capacity {
    server: Server,
    /// The most collections and indexes; `None` for no limit.
    limit: Option<u64>,
    /// The last count, plus what has been created since.
    count: Arc<Mutex<Option<NamespaceCount>>>,
}

#[derive(Clone, Copy)]
struct NamespaceCount {
    used: u64,
    at: Instant,
}

impl Capacity {
    pub(crate) fn new(server: &Server, limit: Option<u64>) -> Self {
        Self { server: server.clone(), limit, count: Arc::default() }
    }

    /// Refuses what the server has no room for; otherwise counts it as used.
    pub(crate) async fn ensure_room(&self, needed: ServerCost) -> Result<()> {
        if self.has_room(needed).await? { Ok(()) } else { Err(ErrorCode::CapacityReached.into()) }
    }

    /// Whether the server has room for that. If so, counts it as used.
    pub(crate) async fn has_room(&self, ServerCost(needed): ServerCost) -> EngineResult<bool> {
        let Some(limit) = self.limit.filter(|_| needed > 0) else { return Ok(true) };
        let used = match self.recent_count(limit) {
            Some(used) => used,
            None => {
                let used = count_namespaces(&self.server).await?;
                *self.count() = Some(NamespaceCount { used, at: Instant::now() });
                used
            }
        };
        if used.saturating_add(needed) <= limit {
            if let Some(count) = &mut *self.count() {
                count.used = count.used.saturating_add(needed);
            }
            return Ok(true);
        }
        tracing::warn!(used, limit, "the server has no room for more collections (MAX_NAMESPACES)");
        Ok(false)
    }

    /// The namespaces in use, if the count is recent enough for this limit.
    fn recent_count(&self, limit: u64) -> Option<u64> {
        let count = (*self.count())?;
        let ttl = if count.used < limit / 10 * 9 { COUNT_TTL.0 } else { COUNT_TTL.1 };
        (count.at.elapsed() < ttl).then_some(count.used)
    }

    fn count(&self) -> MutexGuard<'_, Option<NamespaceCount>> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many collections and indexes the databases have that this user may see.
pub(crate) async fn count_namespaces(server: &Server) -> EngineResult<u64> {
    let names = server.within(server.database().client().list_database_names()).await?;
    let counts = stream::iter(names).map(|name| async move {
        let database = server.other_database(&name);
        match server.within(database.run_command(doc! { "dbStats": 1 })).await {
            Ok(stats) => Ok(number(&stats, "collections") + number(&stats, "indexes")),
            Err(EngineError::Forbidden { .. }) => Ok(0),
            Err(failure) => Err(failure),
        }
    });
    counts.buffer_unordered(MAX_CONCURRENT_STATS).try_fold(0, async |sum, count| Ok(sum + count)).await
}

/// A count, in any of the number types that the server sends.
fn number(document: &Document, field: &str) -> u64 {
    let value = match document.get(field) {
        Some(Bson::Int32(value)) => i64::from(*value),
        Some(Bson::Int64(value)) => *value,
        #[expect(clippy::cast_possible_truncation, reason = "a count of files is far below 2^53")]
        Some(Bson::Double(value)) => *value as i64,
        _ => 0,
    };
    u64::try_from(value).unwrap_or(0)
}
