//! Following what other instances write, so that what is kept in memory is forgotten when it changes.
//!
//! A cursor on the changes of the database (a change stream), asked by plain commands. The driver's own stream hides
//! where an answer ends, and that is what proves that nothing is missing; and it goes on by itself on a server that
//! may have stopped being the primary, and then tells of changes late. Here one server is asked as long as it is the
//! primary (or a router), and whatever goes wrong is a new beginning: nothing is resumed. Nothing is queued either:
//! what one answer tells is dealt with before the next question.
//!
//! What a newcomer gets wrong: a stream begins where it is told to, and by itself that is behind writes that have been
//! applied and cannot be read yet. So it is told to begin at what a majority had when a read said so.

use super::client::Server;
use super::engine_error::{EngineError, EngineResult};
use super::names::{ACCOUNTS, INSTALLATION, ORGANIZATIONS, SESSIONS, VERSION_ID};
use futures_util::FutureExt;
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::options::{SelectionCriteria, ServerAddress};
use mongodb::{ClientSession, ServerInfo, ServerType};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tenantry_domain::Error;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::store::invalidation::{Change, Invalidation};
use tokio::task::AbortHandle;

/// How long the server waits for a change before it answers that there is none. What is kept in memory is good for
/// 0.75 s after a question, so two of them and some delay fit into that.
const AWAIT: Duration = Duration::from_millis(200);
/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Changes in one answer at most. One that has as many may not be all.
const BATCH: usize = 1000;
/// How long until the next try after a stream broke off.
const PAUSE: Duration = Duration::from_millis(250);
/// How long until the next try where the server has no changes to tell, or not to us.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// The task that follows; it ends with this.
pub(super) struct Follower(AbortHandle);

impl Follower {
    pub(super) fn start(server: Server, cache: Arc<dyn Invalidation>) -> Self {
        Self(tokio::spawn(keep_following(server, cache)).abort_handle())
    }

    pub(super) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Why changes are not followed.
enum Broken {
    /// The server has none to tell: it is no member of a replica set.
    Standalone,
    Failed(EngineError),
}

impl<E: Into<EngineError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn keep_following(server: Server, cache: Arc<dyn Invalidation>) {
    let mut said = String::new();
    loop {
        let followed = AssertUnwindSafe(follow(&server, &*cache, &mut said)).catch_unwind().await;
        cache.end();
        let Ok(Err(broken)) = followed else {
            tracing::error!("following the changes of MongoDB has panicked and restarts");
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (pause, why) = match broken {
            Broken::Standalone => (LONG_PAUSE, "it is a standalone server".to_owned()),
            Broken::Failed(EngineError::Forbidden { cause }) => (LONG_PAUSE, cause),
            Broken::Failed(failure) => (PAUSE, Error::from(failure).cause().unwrap_or_default().to_owned()),
        };
        if said != why {
            tracing::info!(
                why,
                "MongoDB does not tell of changes: records are read again after half a second"
            );
            said = why;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Follows one stream until it breaks off.
async fn follow(server: &Server, cache: &dyn Invalidation, said: &mut String) -> Result<Infallible, Broken> {
    let mut line = Line::to_primary(server).await?;
    let Some(start) = line.majority_time().await? else { return Err(Broken::Standalone) };
    let begun = Instant::now();
    let mut cursor = Cursor::of(&line.ask(stream_from(start)).await?)?;
    cache.begin(begun);
    loop {
        let asked = Instant::now();
        let mut answer = line.ask(cursor.more()).await?;
        let changes = next_batch(&mut answer);
        for change in &changes {
            cache.invalidate(changed(change));
        }
        if changes.len() < BATCH {
            cache.prove(asked);
            if !said.is_empty() {
                tracing::info!("MongoDB tells of changes");
                said.clear();
            }
        }
        cursor = Cursor::of(&answer)?;
    }
}

/// One server, asked in one session, because a cursor belongs to both.
struct Line<'a> {
    server: &'a Server,
    session: ClientSession,
    to: SelectionCriteria,
}

impl<'a> Line<'a> {
    /// The first server that is found to take writes; another one or none as soon as it does not any more.
    async fn to_primary(server: &'a Server) -> EngineResult<Self> {
        let session = server.database().client().start_session().causal_consistency(false);
        let session = within(session.into_future()).await?;
        let chosen = OnceLock::<ServerAddress>::new();
        let to = SelectionCriteria::Predicate(Arc::new(move |info: &ServerInfo<'_>| {
            takes_writes(info.server_type())
                && chosen.get_or_init(|| info.address().clone()) == info.address()
        }));
        Ok(Self { server, session, to })
    }

    async fn ask(&mut self, command: Document) -> EngineResult<Document> {
        let call = self.server.database().run_command(command);
        within(call.selection_criteria(self.to.clone()).session(&mut self.session).into_future()).await
    }

    /// A moment of the server's logical time: a read that begins after this finds all that was written before. None
    /// where there is no such time.
    async fn majority_time(&mut self) -> EngineResult<Option<Timestamp>> {
        let read = doc! {
            "find": INSTALLATION,
            "filter": { "_id": VERSION_ID },
            "limit": 1,
            "singleBatch": true,
            "readConcern": { "level": "majority" },
        };
        Ok(self.ask(read).await?.get_timestamp("operationTime").ok())
    }
}

fn takes_writes(server: ServerType) -> bool {
    matches!(
        server,
        ServerType::Standalone | ServerType::RsPrimary | ServerType::Mongos | ServerType::LoadBalancer
    )
}

async fn within<T>(call: impl Future<Output = mongodb::error::Result<T>>) -> EngineResult<T> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Error::unavailable(format!("no answer from MongoDB within {PATIENCE:?}")).into()),
    }
}

/// The command that opens the cursor. Nothing is remembered of what is not there, so inserts do not matter; what is
/// not about a collection matters to all of them.
fn stream_from(start: Timestamp) -> Document {
    doc! {
        "aggregate": 1,
        "pipeline": [
            { "$changeStream": { "startAtOperationTime": start } },
            { "$match": {
                "operationType": { "$ne": "insert" },
                "ns.coll": { "$in": [ORGANIZATIONS, ACCOUNTS, SESSIONS, Bson::Null] },
            } },
            { "$project": { "ns.coll": 1, "documentKey._id": 1 } },
        ],
        "cursor": { "batchSize": 0 },
        "readConcern": { "level": "majority" },
    }
}

/// An open cursor.
struct Cursor {
    id: i64,
    collection: String,
}

impl Cursor {
    /// The cursor that an answer is about.
    fn of(answer: &Document) -> EngineResult<Self> {
        let cursor = answer.get_document("cursor").ok();
        let id = cursor.and_then(|cursor| cursor.get_i64("id").ok()).filter(|id| *id != 0);
        let namespace = cursor.and_then(|cursor| cursor.get_str("ns").ok()?.split_once('.'));
        match (id, namespace) {
            (Some(id), Some((_, collection))) => Ok(Self { id, collection: collection.to_owned() }),
            _ => Err(Error::unavailable("the stream of changes has ended").into()),
        }
    }

    fn more(&self) -> Document {
        doc! {
            "getMore": self.id,
            "collection": &self.collection,
            "batchSize": BATCH as i32,
            "maxTimeMS": AWAIT.as_millis() as i64,
        }
    }
}

fn next_batch(answer: &mut Document) -> Vec<Bson> {
    let batch = answer.get_document_mut("cursor").ok().and_then(|cursor| cursor.remove("nextBatch"));
    match batch {
        Some(Bson::Array(changes)) => changes,
        _ => Vec::new(),
    }
}

/// What a change is about.
fn changed(change: &Bson) -> Change {
    let parts = change.as_document().and_then(|change| {
        let collection = change.get_document("ns").ok()?.get_str("coll").ok()?;
        Some((collection, change.get_document("documentKey").ok()?.get_object_id("_id").ok()?.bytes()))
    });
    match parts {
        Some((ORGANIZATIONS, id)) => Change::Organization(OrganizationId::from_bytes(id)),
        Some((ACCOUNTS, id)) => Change::Account(AccountId::from_bytes(id)),
        Some((SESSIONS, id)) => Change::Session(SessionId::from_bytes(id)),
        _ => Change::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::oid::ObjectId;

    #[test]
    fn change_event_without_one_record_counts_for_all_records() {
        let id = ObjectId::from_bytes([7; 12]);
        let of = |collection: &str| {
            Bson::from(doc! { "ns": { "coll": collection }, "documentKey": { "_id": id } })
        };
        assert_eq!(changed(&of(ORGANIZATIONS)), Change::Organization(OrganizationId::from_bytes([7; 12])));
        assert_eq!(changed(&of(ACCOUNTS)), Change::Account(AccountId::from_bytes([7; 12])));
        assert_eq!(changed(&of(SESSIONS)), Change::Session(SessionId::from_bytes([7; 12])));
        for other in [doc! {}, doc! { "ns": { "coll": SESSIONS } }, doc! { "ns": { "db": "master" } }] {
            assert_eq!(changed(&other.into()), Change::Any);
        }
    }
}
