//! Writes batches: all steps in one transaction of the container's writer.
//!
//! # Pitfalls
//! A refused step must be an `Err` of the whole job: only then is what the steps before it have done rolled back.

use super::index_scan::revision;
use super::write::{self, used};
use crate::collections::scope::Scope;
use crate::engine_error::{EngineError, EngineResult};
use crate::statement::statements;
use rusqlite::params;
use std::time::{Duration, Instant};
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::failpoints;
use tenantry_domain::organization::Quota;
use tenantry_domain::store::{BatchChange, BatchStep, UpdateOutcome};
use tenantry_domain::{Error, ErrorCode};

statements! {
    REVISION = "SELECT revision FROM documents WHERE collection = ?1 AND id = ?2";
}

/// Writes all steps, or fails.
pub(super) fn write(scope: Scope<'_>, quota: Quota, steps: &[BatchStep], time: Duration) -> EngineResult<()> {
    let ends = Instant::now() + time;
    let quota = if quota.limits_documents() { quota.at_least(used(scope.connection)?) } else { quota };
    for step in steps {
        scope.close_signal.check_write()?;
        if Instant::now() >= ends {
            return Err(Error::query_timed_out().below(&step.pointer()).into());
        }
        write_step(scope, quota, step).map_err(|failure| match failure {
            EngineError::Refused(error) => error.below(&step.pointer()).into(),
            failure => failure,
        })?;
        failpoints::point("batch", "container_writer", "step");
    }
    Ok(())
}

fn write_step(scope: Scope<'_>, quota: Quota, step: &BatchStep) -> EngineResult<()> {
    let collection = &step.collection;
    let written = match &step.change {
        BatchChange::Check { id, revision } => check(scope, collection, id, *revision)?,
        BatchChange::Insert { document, was_missing } => {
            let one = std::slice::from_ref(document);
            match write::insert(scope, collection, quota, one)?.into_iter().next() {
                // Somebody else has inserted it since.
                Some(Err(error)) if *was_missing && error.code() == ErrorCode::DocumentExists => {
                    UpdateOutcome::Stale
                }
                Some(outcome) => outcome.map(|()| UpdateOutcome::Done)?,
                None => return Err(Error::internal("an insert without an outcome").into()),
            }
        }
        BatchChange::Replace { before, after } => {
            write::update(scope, collection, quota, after, before.revision)?
        }
        BatchChange::Delete { before } => {
            write::delete(scope, collection, &id_of(before)?, Some(before.revision))?
        }
    };
    match written {
        UpdateOutcome::Done => Ok(()),
        UpdateOutcome::Stale => Err(Error::new(ErrorCode::DocumentBusy).into()),
    }
}

/// Whether the document has that revision, or does not exist.
fn check(
    scope: Scope<'_>,
    name: &CollectionName,
    id: &DocumentId,
    expected: Option<Revision>,
) -> EngineResult<UpdateOutcome> {
    let found = match scope.collection(name)?.number {
        Some(number) => {
            let stored = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            REVISION.first(scope.connection, params![number, id.key()], stored)?.map(revision)
        }
        None => None,
    };
    Ok(if found == expected { UpdateOutcome::Done } else { UpdateOutcome::Stale })
}

fn id_of(document: &StoredDocument) -> EngineResult<DocumentId> {
    document.id().ok_or_else(|| Error::internal("a document without an _id").into())
}
