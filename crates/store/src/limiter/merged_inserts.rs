//! Inserts of single documents that come at the same time become one call of the engine.
//!
//! On MongoDB each command costs a majority of the servers an fsync, so that many small ones are slower than a large
//! one. An insert that comes alone is sent at once. While [`COMMANDS`] calls for its collection are under way, others
//! wait, and go together with the next one. The engine inserts the documents of a call independently: each caller gets
//! the outcome of its own.
//!
//! # Pitfalls
//! Only inserts of the same record of an organization go together: its quota is in it.

use super::tenant::TenantLimiter;
use super::write::Writes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenantry_documents::document::StoredDocument;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::Documents;
use tenantry_domain::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tracing::Instrument;

/// Calls for one collection at the same time.
const COMMANDS: usize = 2;
/// The most documents of a call.
const MAX_DOCUMENTS: usize = 256;
/// The most bytes of a document that goes together with others: a larger one would keep them waiting.
const MAX_BYTES: usize = 16 << 10;

/// Inserts documents independently: [`Documents::insert_documents`].
type InsertAll = Arc<dyn Fn(Organization, CollectionName, Vec<StoredDocument>) -> Inserting + Send + Sync>;
type Inserting = BoxFuture<'static, Result<Vec<Outcome>>>;

/// What became of one document, if the call was carried out.
type Outcome = Result<()>;

/// See [`self`].
#[derive(Clone)]
pub(super) struct MergedInserts {
    insert_all: InsertAll,
    limiter: Arc<TenantLimiter>,
    writes: Writes,
    queues: Arc<Mutex<HashMap<QueueKey, Queue>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct QueueKey {
    organization: OrganizationId,
    version: u64,
    collection: CollectionName,
}

/// The inserts that wait, while calls for the collection are under way.
#[derive(Default)]
struct Queue {
    waiting: Vec<WaitingInsert>,
    running: usize,
}

struct WaitingInsert {
    document: StoredDocument,
    reply: oneshot::Sender<Result<Outcome>>,
}

/// A call that is under way, or about to begin.
struct RunningCall {
    inserts: MergedInserts,
    key: QueueKey,
    organization: Organization,
    /// Whether it still counts as running.
    is_counted: bool,
}

impl MergedInserts {
    pub(super) fn new(inner: &Arc<dyn Documents>, limiter: &Arc<TenantLimiter>, writes: &Writes) -> Self {
        let inner = inner.clone();
        let insert_all = move |organization, collection, documents| {
            let inner = inner.clone();
            async move { inner.insert_documents(&organization, &collection, documents).await }.boxed()
        };
        Self::of(Arc::new(insert_all), limiter, writes)
    }

    fn of(insert_all: InsertAll, limiter: &Arc<TenantLimiter>, writes: &Writes) -> Self {
        Self { insert_all, limiter: limiter.clone(), writes: writes.clone(), queues: Arc::default() }
    }

    /// Whether these documents may go together with those of others.
    pub(super) fn takes(documents: &[StoredDocument]) -> bool {
        matches!(documents, [one] if one.body.as_bytes().len() <= MAX_BYTES)
    }

    /// Inserts the document; a caller that goes away before its turn has inserted nothing.
    pub(super) async fn insert(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
    ) -> Result<Outcome> {
        let (reply, outcome) = oneshot::channel();
        let key = QueueKey {
            organization: organization.id,
            version: organization.version,
            collection: collection.clone(),
        };
        let begins = {
            let mut queues = self.lock();
            let queue = queues.entry(key.clone()).or_default();
            queue.waiting.push(WaitingInsert { document, reply });
            let begins = queue.running < COMMANDS;
            queue.running += usize::from(begins);
            begins
        };
        if begins {
            let call = RunningCall {
                inserts: self.clone(),
                key,
                organization: organization.clone(),
                is_counted: true,
            };
            tokio::spawn(call.run().in_current_span());
        }
        outcome.await.unwrap_or_else(|_| Err(Error::unavailable("an insert was cut off")))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueKey, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningCall {
    /// Calls the engine for as long as inserts wait.
    async fn run(mut self) {
        loop {
            // Others may join until the permit comes.
            let permit = self.inserts.limiter.acquire_write(self.key.organization).await;
            let Some(inserts) = self.take() else { return };
            match permit {
                Ok(permit) => {
                    let (call, organization) = (self.inserts.insert_all.clone(), self.organization.clone());
                    let insert = insert_each(call, organization, self.key.collection.clone(), inserts);
                    // A panic has dropped the replies, which tells the callers.
                    let _ = self.inserts.writes.run(permit, insert).await;
                }
                Err(error) => inserts.into_iter().for_each(|insert| {
                    let _ = insert.reply.send(Err(error.clone()));
                }),
            }
        }
    }

    /// The next inserts; `None` if none waits any more, which ends this call.
    fn take(&mut self) -> Option<Vec<WaitingInsert>> {
        let mut queues = self.inserts.lock();
        let queue = queues.get_mut(&self.key)?;
        queue.waiting.retain(|insert| !insert.reply.is_closed());
        let count = queue.waiting.len().min(MAX_DOCUMENTS);
        if count == 0 {
            // Under the same lock: an insert that comes now begins a call of its own.
            self.is_counted = false;
            end_call(&mut queues, &self.key);
            return None;
        }
        Some(queue.waiting.drain(..count).collect())
    }
}

/// A queue without a call is removed. Those who still wait in it, because of a panic, get an error.
fn end_call(queues: &mut HashMap<QueueKey, Queue>, key: &QueueKey) {
    let Some(queue) = queues.get_mut(key) else { return };
    queue.running -= 1;
    if queue.running == 0 {
        queues.remove(key);
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if self.is_counted {
            end_call(&mut self.inserts.lock(), &self.key);
        }
    }
}

async fn insert_each(
    insert_all: InsertAll,
    organization: Organization,
    collection: CollectionName,
    inserts: Vec<WaitingInsert>,
) -> Result<()> {
    let (documents, replies): (Vec<_>, Vec<_>) =
        inserts.into_iter().map(|insert| (insert.document, insert.reply)).unzip();
    let each = if documents.len() > 1 { documents.clone() } else { Vec::new() };
    let outcomes: Vec<Result<Outcome>> =
        match insert_all(organization.clone(), collection.clone(), documents).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // What is wrong may be with one of them alone.
            Err(error) if is_refusal(&error) && !each.is_empty() => {
                let mut outcomes = Vec::with_capacity(each.len());
                for document in each {
                    let one = insert_all(organization.clone(), collection.clone(), vec![document]).await;
                    outcomes.push(one.map(only));
                }
                outcomes
            }
            Err(error) => replies.iter().map(|_| Err(error.clone())).collect(),
        };
    for (reply, outcome) in replies.into_iter().zip(outcomes) {
        // A caller that has gone away needs no answer.
        let _ = reply.send(outcome);
    }
    Ok(())
}

/// Whether nothing was written, for a reason that may be in one of the documents. After any other error some of them may be
/// there: sent again, they would be refused as copies of themselves.
fn is_refusal(error: &Error) -> bool {
    !matches!(error.code().kind(), ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::NotFound)
}

/// The outcome of a single document.
fn only(outcomes: Vec<Outcome>) -> Outcome {
    outcomes.into_iter().next().unwrap_or_else(|| Err(Error::internal("an insert without an outcome")))
}

#[cfg(test)]
mod tests;
