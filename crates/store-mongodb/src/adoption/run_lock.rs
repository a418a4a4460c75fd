//! Who is at work on a database: a record with an owner, which renews it while it works.
//!
//! Of two commands that fill or rename the same collections the second is refused while the first one runs. One that was
//! killed renews nothing any more, so its lock is taken over after [`LEASE`].

use super::SourceDatabase;
use super::names::{JOURNAL, LOCK};
use crate::engine_error::EngineResult;
use crate::names::INSTALLATION;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;
use tenantry_domain::{Error, Result};

/// How long a lock holds that is not renewed.
const LEASE: Duration = Duration::from_secs(10);
/// How often somebody looks who waits for a lock.
const LOOKED_EVERY: Duration = Duration::from_millis(100);

/// The collection that has the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockPlace {
    /// The journal of an adoption in place: the database has no schema of this service.
    Journal,
    /// The values of the installation.
    Installation,
}

impl LockPlace {
    const fn collection(self) -> &'static str {
        match self {
            Self::Journal => JOURNAL,
            Self::Installation => INSTALLATION,
        }
    }
}

/// A lock that is held.
pub struct RunLock<'a> {
    database: &'a SourceDatabase,
    place: LockPlace,
    owner: String,
}

impl SourceDatabase {
    /// Takes the lock; `None` if somebody else holds it and renews it.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn acquire_lock(&self, place: LockPlace) -> Result<Option<RunLock<'_>>> {
        let lock = RunLock { database: self, place, owner: ObjectId::new().to_hex() };
        let mut first = None;
        loop {
            if lock.take_over().await? || lock.create().await? {
                return Ok(Some(lock));
            }
            let current = lock.read().await?;
            if *first.get_or_insert_with(|| current.clone()) != current && current.is_some() {
                return Ok(None);
            }
            tokio::time::sleep(LOOKED_EVERY).await;
        }
    }
}

impl RunLock<'_> {
    /// How often it has to be renewed.
    pub const RENEWED_EVERY: Duration = Duration::from_secs(1);

    /// Renews the lock; says whether it still was this one's.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn renew(&self) -> Result<bool> {
        Ok(self.update(doc! { "_id": LOCK, "owner": &self.owner }, false).await? > 0)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// `store_unavailable`; then it holds for a moment yet.
    pub async fn release(self) -> Result<()> {
        let delete = doc! { "q": { "_id": LOCK, "owner": &self.owner }, "limit": 1 };
        self.write(doc! { "delete": self.collection(), "deletes": [delete] }).await.map_err(Error::from)?;
        if self.place == LockPlace::Journal {
            self.database.drop_empty_journal().await?;
        }
        Ok(())
    }

    const fn collection(&self) -> &'static str {
        self.place.collection()
    }

    async fn take_over(&self) -> EngineResult<bool> {
        let lease = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        let expired = doc! { "$lt": ["$renewed_at", { "$subtract": ["$$NOW", lease] }] };
        Ok(self.update(doc! { "_id": LOCK, "$expr": expired }, false).await? > 0)
    }

    /// The index on the `_id` refuses a second one.
    async fn create(&self) -> EngineResult<bool> {
        match self.update(doc! { "_id": LOCK, "owner": &self.owner }, true).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_same_id() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The time is the server's: the clocks of two machines differ.
    async fn update(&self, filter: Document, upsert: bool) -> EngineResult<i64> {
        let set = doc! { "$set": { "owner": &self.owner, "renewed_at": "$$NOW" } };
        let update = doc! { "q": filter, "u": [set], "upsert": upsert };
        let reply = self.write(doc! { "update": self.collection(), "updates": [update] }).await?;
        Ok(reply.get("n").and_then(Bson::as_i32).map_or(0, i64::from))
    }

    async fn read(&self) -> EngineResult<Option<Document>> {
        let server = self.database.server();
        server.within(server.collection(self.collection()).find_one(doc! { "_id": LOCK })).await
    }

    async fn write(&self, command: Document) -> EngineResult<Document> {
        self.database.write_reply(command).await
    }
}
