//! Follows what other instances write, so that cached records are invalidated when they change.
//!
//! This is a cursor on the changes of the database (a change stream), read with plain commands. The driver's own
//! stream hides where a reply ends, and only the end of a reply proves that nothing is missing. It also resumes by
//! itself on a server that may have stopped being the primary, and then reports changes late. Here one server is
//! asked while it is the primary (or a router), and every error starts from the beginning: nothing is resumed.
//! Nothing is queued either: the changes of one reply are handled before the next request.
//!
//! # Pitfalls
//! By default a stream begins behind writes that have been applied and cannot be read yet. So it is told to begin at
//! the majority time that a read has returned.
//!
//! A new primary holds every acknowledged write, and does not know yet that a majority does. Until it has committed a
//! write of its own, its majority reads and its stream may lack what its predecessor acknowledged. So a stream begins
//! with a linearizable read, which waits for that; and while no stream is proven, records are read linearizably.

use super::client::Server;
use super::engine_error::{EngineError, EngineResult};
use super::names::{ACCOUNTS, API_KEYS, IDENTITIES, INSTALLATION, ORGANIZATIONS, SESSIONS, VERSION_ID};
use futures_util::FutureExt;
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::options::{SelectionCriteria, ServerAddress};
use mongodb::{ClientSession, ServerInfo, ServerType};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tenantry_domain::Error;
use tenantry_domain::ids::{AccountId, ApiKeyId, IdentityId, OrganizationId, SessionId};
use tenantry_domain::store::invalidation::{Change, Invalidation};
use tokio::task::AbortHandle;

/// How long the server waits for a change before it replies that there is none. The cache is valid for 0.75 s after a
/// request, which has room for two requests and some delay.
const AWAIT_TIME: Duration = Duration::from_millis(200);
/// How long any reply may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a reply may take that continues a stream. A server that was frozen for longer may have been replaced as the
/// primary without knowing it yet: what it says then proves nothing.
const LATE_REPLY: Duration = Duration::from_millis(700);
/// The most changes in one reply. A reply with this many may be incomplete.
const MAX_BATCH: usize = 1000;
/// The delay before the next try after a stream broke off.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// The delay before the next try where the server has no change stream, or does not allow us to read it.
const UNSUPPORTED_RETRY_DELAY: Duration = Duration::from_secs(30);

/// For how long after a request that was answered a majority read is current enough: the primary that answered was
/// no new one, and its secondaries have learned since what it had acknowledged.
const PROOF_TTL: Duration = Duration::from_millis(750);

/// The task that follows the changes; dropping this ends it.
pub(super) struct Follower {
    task: AbortHandle,
    proof: Arc<Proof>,
}

impl Follower {
    pub(super) fn start(server: Server, cache: Arc<dyn Invalidation>) -> Self {
        let proof = Arc::new(Proof(AtomicU64::new(Proof::UNSUPPORTED), Instant::now()));
        let task = tokio::spawn(keep_following(server, cache, proof.clone())).abort_handle();
        Self { task, proof }
    }

    pub(super) fn stop(&self) {
        self.task.abort();
        self.proof.set_unsupported();
    }

    /// Whether the primary may be so new that its majority reads lack acknowledged writes.
    pub(super) fn may_lag(&self) -> bool {
        self.proof.is_missing(Instant::now())
    }
}

/// When the last answered request was sent, in milliseconds after the instant.
struct Proof(AtomicU64, Instant);

impl Proof {
    /// Where there is no stream, nothing is ever proven.
    const UNSUPPORTED: u64 = u64::MAX;

    fn set(&self, asked_at: Instant) {
        self.0.store(self.milliseconds(asked_at), Ordering::SeqCst);
    }

    fn set_missing(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// Notes that the stream has broken off.
    fn end(&self) {
        if self.0.load(Ordering::SeqCst) != Self::UNSUPPORTED {
            self.set_missing();
        }
    }

    fn set_unsupported(&self) {
        self.0.store(Self::UNSUPPORTED, Ordering::SeqCst);
    }

    fn is_missing(&self, now: Instant) -> bool {
        let asked_at = self.0.load(Ordering::SeqCst);
        let ttl = PROOF_TTL.as_millis() as u64;
        asked_at != Self::UNSUPPORTED && (asked_at == 0 || asked_at + ttl <= self.milliseconds(now))
    }

    /// Never 0, which means that nothing is proven.
    fn milliseconds(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.1).as_millis()).unwrap_or(Self::UNSUPPORTED - 1).max(1)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why changes are not followed.
enum FollowError {
    /// The server is no member of a replica set, so it has no change stream.
    Standalone,
    /// The reply came after [`LATE_REPLY`].
    Late,
    Failed(EngineError),
}

impl<E: Into<EngineError>> From<E> for FollowError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn keep_following(server: Server, cache: Arc<dyn Invalidation>, proof: Arc<Proof>) {
    let mut logged = String::new();
    loop {
        let followed = AssertUnwindSafe(follow(&server, &*cache, &proof, &mut logged)).catch_unwind().await;
        cache.end();
        proof.end();
        let Ok(Err(error)) = followed else {
            tracing::error!("the task that follows the changes of MongoDB panicked and restarts");
            tokio::time::sleep(RETRY_DELAY).await;
            continue;
        };
        if matches!(error, FollowError::Standalone | FollowError::Failed(EngineError::Forbidden { .. })) {
            proof.set_unsupported();
        }
        let (pause, why) = match error {
            FollowError::Standalone => (UNSUPPORTED_RETRY_DELAY, "it is a standalone server".to_owned()),
            FollowError::Late => (Duration::ZERO, "a reply was late".to_owned()),
            FollowError::Failed(EngineError::Forbidden { cause }) => (UNSUPPORTED_RETRY_DELAY, cause),
            FollowError::Failed(failure) => {
                (RETRY_DELAY, Error::from(failure).cause().unwrap_or_default().to_owned())
            }
        };
        if logged != why {
            tracing::info!(
                why,
                "the changes of MongoDB cannot be followed: cached records expire after half a second"
            );
            logged = why;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Follows one stream until it breaks off.
async fn follow(
    server: &Server,
    cache: &dyn Invalidation,
    proof: &Proof,
    logged: &mut String,
) -> Result<Infallible, FollowError> {
    let mut session = PrimarySession::open(server).await?;
    // Without a logical time there are no linearizable reads either.
    if session.time_of_read("majority").await?.is_none() {
        return Err(FollowError::Standalone);
    }
    proof.set_missing();
    let Some(start) = session.time_of_read("linearizable").await? else {
        return Err(FollowError::Standalone);
    };
    let begun_at = Instant::now();
    let mut cursor = Cursor::from_reply(&session.ask(stream_from(start)).await?)?;
    cache.begin(begun_at);
    loop {
        let asked_at = Instant::now();
        let mut reply = session.ask(cursor.more()).await?;
        if asked_at.elapsed() > LATE_REPLY {
            return Err(FollowError::Late);
        }
        let changes = next_batch(&mut reply);
        for change in &changes {
            cache.invalidate(changed_record(change));
        }
        if changes.len() < MAX_BATCH {
            cache.prove(asked_at);
            proof.set(asked_at);
            if !logged.is_empty() {
                tracing::info!("following the changes of MongoDB");
                logged.clear();
            }
        }
        cursor = Cursor::from_reply(&reply)?;
    }
}

/// One server, asked in one session, because a cursor belongs to both.
struct PrimarySession<'a> {
    server: &'a Server,
    session: ClientSession,
    to: SelectionCriteria,
}

impl<'a> PrimarySession<'a> {
    /// Selects the first server that takes writes. Once it stops doing so, calls fail.
    async fn open(server: &'a Server) -> EngineResult<Self> {
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

    /// The server's logical time at a read of this concern: a read that begins after it sees everything that this one
    /// could see. `None` if the server has no such time.
    async fn time_of_read(&mut self, concern: &str) -> EngineResult<Option<Timestamp>> {
        let read = doc! {
            "find": INSTALLATION,
            "filter": { "_id": VERSION_ID },
            "limit": 1,
            "singleBatch": true,
            "readConcern": { "level": concern },
            "maxTimeMS": REPLY_TIMEOUT.as_millis() as i64,
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
    match tokio::time::timeout(REPLY_TIMEOUT, call).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Error::unavailable(format!("no reply from MongoDB within {REPLY_TIMEOUT:?}")).into()),
    }
}

/// The command that opens the cursor. The cache does not remember that a record is absent, so inserts do not matter.
/// A change that concerns no single collection concerns all of them.
fn stream_from(start: Timestamp) -> Document {
    doc! {
        "aggregate": 1,
        "pipeline": [
            { "$changeStream": { "startAtOperationTime": start } },
            { "$match": {
                "operationType": { "$ne": "insert" },
                "ns.coll": { "$in": [ORGANIZATIONS, ACCOUNTS, SESSIONS, API_KEYS, IDENTITIES, Bson::Null] },
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
    /// The cursor of a reply.
    fn from_reply(reply: &Document) -> EngineResult<Self> {
        let cursor = reply.get_document("cursor").ok();
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
            "batchSize": MAX_BATCH as i32,
            "maxTimeMS": AWAIT_TIME.as_millis() as i64,
        }
    }
}

fn next_batch(reply: &mut Document) -> Vec<Bson> {
    let batch = reply.get_document_mut("cursor").ok().and_then(|cursor| cursor.remove("nextBatch"));
    match batch {
        Some(Bson::Array(changes)) => changes,
        _ => Vec::new(),
    }
}

/// The record that a change concerns.
fn changed_record(change: &Bson) -> Change {
    let parts = change.as_document().and_then(|change| {
        let collection = change.get_document("ns").ok()?.get_str("coll").ok()?;
        Some((collection, change.get_document("documentKey").ok()?.get_object_id("_id").ok()?.bytes()))
    });
    match parts {
        Some((ORGANIZATIONS, id)) => Change::Organization(OrganizationId::from_bytes(id)),
        Some((ACCOUNTS, id)) => Change::Account(AccountId::from_bytes(id)),
        Some((SESSIONS, id)) => Change::Session(SessionId::from_bytes(id)),
        Some((API_KEYS, id)) => Change::ApiKey(ApiKeyId::from_bytes(id)),
        Some((IDENTITIES, id)) => Change::Identity(IdentityId::from_bytes(id)),
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
        assert_eq!(
            changed_record(&of(ORGANIZATIONS)),
            Change::Organization(OrganizationId::from_bytes([7; 12]))
        );
        assert_eq!(changed_record(&of(ACCOUNTS)), Change::Account(AccountId::from_bytes([7; 12])));
        assert_eq!(changed_record(&of(SESSIONS)), Change::Session(SessionId::from_bytes([7; 12])));
        assert_eq!(changed_record(&of(API_KEYS)), Change::ApiKey(ApiKeyId::from_bytes([7; 12])));
        assert_eq!(changed_record(&of(IDENTITIES)), Change::Identity(IdentityId::from_bytes([7; 12])));
        for other in [doc! {}, doc! { "ns": { "coll": SESSIONS } }, doc! { "ns": { "db": "master" } }] {
            assert_eq!(changed_record(&other.into()), Change::Any);
        }
    }
}
