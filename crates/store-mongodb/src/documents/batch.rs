//! Writes batches: all steps in one transaction of the server. This is the one place where a call writes more than one
//! document, and it is the caller's own wish.
//!
//! # Pitfalls
//! - A standalone server has no transactions ([`BatchWriter::check_support`]).
//! - Until the commit is sent, every error means that nothing was written. After that, only the server's answer tells.
//! - A process that dies in a transaction leaves it to the server, which keeps others from its documents until it ends it
//!   (`transactionLifetimeLimitSeconds`, a minute). So nothing is computed while one is open.

mod commands;
mod growth;
mod placeholders;
mod transaction;

use super::write::delete_by;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_cache::IndexCache;
use crate::engine_error::{EngineError, EngineResult};
use crate::placements::Placements;
use crate::quota::claim::{Claims, PendingClaim};
use crate::quota::size::Size;
use crate::quota::usage::UsageRecords;
use commands::BatchCollections;
use growth::BatchGrowth;
use mongodb::bson::{Document, doc};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::limits::OPERATION_WAIT;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{BatchChange, BatchStep};
use transaction::TransactionFailure;

/// The pause before a transaction that met another one is tried again, times the number of tries.
const BACKOFF: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_millis(50);

/// See [`self`].
pub(super) struct BatchWriter {
    placements: Placements,
    claims: Claims,
    usage: UsageRecords,
    indexes: IndexCache,
    /// Whether the server is known to have transactions. A standalone server may become a replica set, not the reverse.
    is_supported: AtomicBool,
}

impl BatchWriter {
    pub(super) const fn new(
        placements: Placements,
        claims: Claims,
        usage: UsageRecords,
        indexes: IndexCache,
    ) -> Self {
        Self { placements, claims, usage, indexes, is_supported: AtomicBool::new(false) }
    }

    /// Refuses a standalone server.
    pub(super) async fn check_support(&self) -> Result<()> {
        if self.is_supported.load(Ordering::Relaxed) {
            return Ok(());
        }
        let connection = self.placements.connection();
        let admin = connection.server().other_database("admin");
        let hello: Document = connection.call(admin.run_command(doc! { "hello": 1 })).await?;
        let is_router = hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid");
        if !is_router && !hello.contains_key("setName") {
            return Err(ErrorCode::BatchesUnsupported.into());
        }
        self.is_supported.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes all steps, or none.
    pub(super) async fn write(&self, organization: &Organization, steps: &[BatchStep]) -> Result<()> {
        let names: BTreeSet<&CollectionName> = steps.iter().map(|step| &step.collection).collect();
        let mut collections = BatchCollections::default();
        for name in names {
            let resolved = self.placements.resolve(organization, name).await.map_err(Error::from);
            collections.add(name, resolved.map_err(|error| of_collection(error, name, steps))?);
        }
        let growth = BatchGrowth::of(&mut collections, &self.indexes, steps).await?;
        let change = match self.claims.begin_batch(organization, growth.most(), growth.adds()).await? {
            Ok(change) => change,
            Err(room) => return Err(growth.refusal(room, &organization.quota, steps)),
        };
        match self.commit(&mut collections, steps, &change).await {
            Ok(()) => {
                self.claims.end_change(change, growth.total()).await;
                self.clear_dropped(&mut collections, steps).await;
                Ok(())
            }
            // Nobody knows whether it was committed; the next count finds out.
            Err(TransactionFailure::Unknown(error)) => Err(error),
            Err(failure) => {
                self.claims.end_change(change, Size::default()).await;
                Err(failure.into())
            }
        }
    }

    /// Runs the transaction until it meets no other one.
    async fn commit(
        &self,
        collections: &mut BatchCollections<'_>,
        steps: &[BatchStep],
        change: &PendingClaim,
    ) -> Result<(), TransactionFailure> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            change.check()?;
            match transaction::run(collections, steps, change).await {
                Err(TransactionFailure::Conflict) if began.elapsed() < OPERATION_WAIT => {
                    tries += 1;
                    tokio::time::sleep((BACKOFF * tries).min(BACKOFF_MAX)).await;
                }
                Err(TransactionFailure::Moved { collection, actual }) if began.elapsed() < OPERATION_WAIT => {
                    let followed =
                        collections.handle(&collection)?.follow(EngineError::Elsewhere { actual }).await;
                    followed.map_err(|failure| of_collection(failure.into(), &collection, steps))?;
                }
                ended => return ended,
            }
        }
    }

    /// Removes what was written into a collection of the placement `shared` that was dropped meanwhile: the batch came
    /// first, and the drop has removed what it found.
    async fn clear_dropped(&self, collections: &mut BatchCollections<'_>, steps: &[BatchStep]) {
        for handle in collections.handles() {
            if handle.shared().is_none() || !matches!(handle.is_current().await, Ok(false)) {
                continue;
            }
            let name = handle.name();
            let written = steps.iter().filter(|step| step.collection == *name);
            let ids = written.filter_map(|step| match &step.change {
                BatchChange::Insert { document, .. } => document.id(),
                BatchChange::Replace { after, .. } => after.id(),
                _ => None,
            });
            let filters: Vec<Document> = ids.map(|id| handle.layout().of_id(&id)).collect();
            if let Err(failure) = remove(handle, &filters).await {
                let error = Error::from(failure);
                tracing::warn!(%error, "documents of a dropped collection stay until it is cleared");
            }
            self.usage.invalidate(handle.organization()).await;
        }
    }
}

/// The error of a collection, as that of the first step in it.
fn of_collection(error: Error, name: &CollectionName, steps: &[BatchStep]) -> Error {
    match steps.iter().find(|step| step.collection == *name) {
        Some(step) => error.below(&step.pointer()),
        None => error,
    }
}

async fn remove(handle: &mut CollectionHandle<'_>, filters: &[Document]) -> EngineResult<()> {
    if filters.is_empty() { Ok(()) } else { delete_by(handle, filters).await.map(|_| ()) }
}
