//! How many collections and indexes the server bears, and what becomes of a create when it bears no more.
//!
//! Each is a file of the server and costs memory, so a small server stands still long before its disk is full.
//! What a newcomer gets wrong: the limit is the server's, so what other programs keep there counts, too. It is a
//! guard, not a quota: several instances that create at the same moment may go a few beyond it.

use crate::mongodb::MongoDb;
use crate::mongodb::client::Server;
use crate::mongodb::failure::Attempt;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc};
use tenantry_domain::Result;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::Placement;

/// A collection and its index on `_id`.
const PER_COLLECTION: u64 = 2;
/// A database has its documents beside the collection that it begins with.
const PER_DATABASE: u64 = 2 * PER_COLLECTION;
/// Databases that are asked about at the same time, where the server does not know its own sum.
const AT_ONCE: usize = 8;

impl MongoDb {
    /// Where a new organization goes; see [`tenantry_domain::store::Containers::choose_placement`].
    pub(super) async fn find_room(&self, asked: Option<Placement>) -> Result<Placement> {
        let wanted = asked.unwrap_or(self.placement);
        let needed = match wanted {
            Placement::Collection => PER_COLLECTION,
            Placement::Database => PER_DATABASE,
            Placement::Shared => return Ok(wanted),
        };
        let Some(limit) = self.max_namespaces else { return Ok(wanted) };
        let used = count_namespaces(&self.server).await?;
        if used.saturating_add(needed) <= limit {
            return Ok(wanted);
        }
        tracing::warn!(used, limit, "the server bears no more collections (MAX_NAMESPACES)");
        // Who asks for a place is told that there is none, and not given another.
        if asked.is_none() && self.share_when_full {
            Ok(Placement::Shared)
        } else {
            Err(ErrorCode::CapacityReached.into())
        }
    }
}

/// How many collections and indexes the server has.
pub(in crate::mongodb) async fn count_namespaces(server: &Server) -> Attempt<u64> {
    // Not known to a router of a sharded cluster, to old servers, and to users who may not ask.
    if let Ok(status) =
        server.within(server.other_database("admin").run_command(doc! { "serverStatus": 1 })).await
        && let (Ok(catalog), Ok(indexes)) =
            (status.get_document("catalogStats"), status.get_document("indexStats"))
    {
        let collections = number(catalog, "collections") + number(catalog, "internalCollections");
        return Ok(collections + number(indexes, "count"));
    }
    sum_namespaces(server).await
}

/// The same sum, one database after the other.
async fn sum_namespaces(server: &Server) -> Attempt<u64> {
    let names = server.within(server.database().client().list_database_names()).await?;
    let counts = stream::iter(names).map(|name| async move {
        let database = server.other_database(&name);
        let stats = server.within(database.run_command(doc! { "dbStats": 1 })).await?;
        Ok(number(&stats, "collections") + number(&stats, "indexes"))
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
