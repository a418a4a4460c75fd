//! How many collections and indexes the server bears, and what becomes of a create when it bears no more.
//!
//! Each is a file of the server and costs memory, so a small server stands still long before its disk is full.
//! What a newcomer gets wrong: the limit is the server's, so what other programs keep there counts, too. It is a
//! guard, not a quota: several instances that create at the same moment may go a few beyond it. And the server's
//! own count of indexes (`serverStatus`) is of no use: it never falls.

use crate::MongoDb;
use crate::client::Server;
use crate::engine_error::{EngineError, EngineResult};
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::Result;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::Placement;

/// A collection and its index on `_id`.
const PER_COLLECTION: u64 = 2;
const PER_INDEX: u64 = 1;
/// A database has its documents beside the collection that it begins with.
const PER_DATABASE: u64 = 2 * PER_COLLECTION;
/// Databases that are asked about at the same time.
const AT_ONCE: usize = 8;
/// How old a count may be while there is much room, and while there is little (a tenth). A count looks at every
/// database of the server.
const GOOD_FOR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// What was last counted, and what has been made since.
#[derive(Default)]
pub(crate) struct Capacity(Mutex<Option<NamespaceCount>>);

#[derive(Clone, Copy)]
struct NamespaceCount {
    used: u64,
    at: Instant,
}

impl Capacity {
    /// What is in use, if that was counted recently enough for this limit.
    fn known(&self, limit: u64) -> Option<u64> {
        let counted = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let good_for = if counted.used < limit / 10 * 9 { GOOD_FOR.0 } else { GOOD_FOR.1 };
        (counted.at.elapsed() < good_for).then_some(counted.used)
    }

    fn learn(&self, used: u64) {
        let counted = NamespaceCount { used, at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted);
    }

    fn add(&self, made: u64) {
        if let Some(counted) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            counted.used = counted.used.saturating_add(made);
        }
    }
}

impl MongoDb {
    /// Where a new organization goes; see [`tenantry_domain::store::Containers::choose_placement`].
    pub(super) async fn find_room(&self, asked: Option<Placement>) -> Result<Placement> {
        let wanted = asked.unwrap_or(self.placement);
        let needed = match wanted {
            Placement::Collection => PER_COLLECTION,
            Placement::Database => PER_DATABASE,
            Placement::Shared => return Ok(wanted),
        };
        if self.has_room(needed).await? {
            return Ok(wanted);
        }
        // Who asks for a place is told that there is none, and not given another.
        if asked.is_none() && self.shared_at_capacity {
            Ok(Placement::Shared)
        } else {
            Err(ErrorCode::CapacityReached.into())
        }
    }

    /// Refuses another collection if the server bears no more.
    pub(crate) async fn room_for_collection(&self) -> Result<()> {
        self.room_for(PER_COLLECTION).await
    }

    /// The same for an index.
    pub(crate) async fn room_for_index(&self) -> Result<()> {
        self.room_for(PER_INDEX).await
    }

    async fn room_for(&self, needed: u64) -> Result<()> {
        if self.has_room(needed).await? { Ok(()) } else { Err(ErrorCode::CapacityReached.into()) }
    }

    /// Whether the server bears so many more. Then they are counted.
    async fn has_room(&self, needed: u64) -> EngineResult<bool> {
        let Some(limit) = self.max_namespaces else { return Ok(true) };
        let used = match self.capacity.known(limit) {
            Some(used) => used,
            None => {
                let used = count_namespaces(self.connection.server()).await?;
                self.capacity.learn(used);
                used
            }
        };
        if used.saturating_add(needed) <= limit {
            self.capacity.add(needed);
            return Ok(true);
        }
        tracing::warn!(used, limit, "the server bears no more collections (MAX_NAMESPACES)");
        Ok(false)
    }
}

/// How many collections and indexes there are in the databases that this user may see.
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
    counts.buffer_unordered(AT_ONCE).try_fold(0, async |sum, count| Ok(sum + count)).await
}

/// A count, as whatever number the server chose to send.
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
