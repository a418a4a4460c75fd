//! Adopts the organizations of another program, in the layouts that `layout` knows.
//!
//! A rehearsal reads everything and changes nothing. An adoption either copies into an empty target, and the source is
//! only read; or it leaves the data in place, and renames collections by their UUIDs. Both can be resumed after a crash,
//! and taken back until they are confirmed.
//!
//! # Pitfalls
//! Nothing of ours may be written to the source before its own records are out of the way: some have our names.

mod contents;
mod copy;
mod in_place;
mod layout;
mod lifecycle;
mod plan;
mod rehearsal;
mod report;
mod role_fields;
mod rules;
mod target;
mod trail;
mod values;
mod writers;

pub use report::{
    AdoptError, AdoptProgress, AdoptReport, AdoptedOrganization, AdoptionTotals, Conflict, ConflictKind,
    RecognizedField, RecognizedLayout,
};
pub use rules::{AdoptOptions, AdoptRules};

use crate::error::OpenError;
use crate::run_lock::exclusively;
use rehearsal::Rehearsal;
use report::ProgressSink;
use std::future::Future;
use tenantry_store_mongodb::{LockPlace, SourceDatabase};

/// Says what an adoption would do, and every conflict. Changes nothing.
///
/// # Errors
/// See [`AdoptError`].
pub async fn rehearse(options: &AdoptOptions, tell: ProgressSink<'_>) -> Result<AdoptReport, AdoptError> {
    let source = open_source(options).await?;
    target::check(&source, options).await?;
    target::require_new(options).await?;
    let rehearsal = Rehearsal::run(&source, options, tell).await?;
    Ok(rehearsal.report())
}

/// Carries it out, or goes on with one that was stopped. Begins only if a rehearsal finds no conflict.
///
/// # Errors
/// See [`AdoptError`]. Run it again, or [`undo`] it.
pub async fn adopt(options: &AdoptOptions, tell: ProgressSink<'_>) -> Result<AdoptionTotals, AdoptError> {
    let source = open_source(options).await?;
    target::check(&source, options).await?;
    if options.in_place {
        in_place_alone(&source, in_place::adopt(&source, options, tell)).await
    } else {
        copy::adopt(&source, options, tell).await
    }
}

/// Takes it back: the target of a copy is empty again, or the collections have their names of before.
///
/// # Errors
/// See [`AdoptError`]. Run it again: it goes on.
pub async fn undo(options: &AdoptOptions) -> Result<(), AdoptError> {
    let source = open_source(options).await?;
    if options.in_place {
        in_place_alone(&source, in_place::undo(&source, options)).await
    } else {
        copy::undo(options).await
    }
}

/// Confirms it: from now on it cannot be taken back.
///
/// # Errors
/// See [`AdoptError`].
pub async fn confirm(options: &AdoptOptions) -> Result<(), AdoptError> {
    let source = open_source(options).await?;
    if options.in_place {
        in_place_alone(&source, in_place::confirm(&source, options)).await
    } else {
        copy::confirm(options).await
    }
}

/// Of two commands on one database the second is refused: both would rename and write the same collections.
async fn in_place_alone<T>(
    source: &SourceDatabase,
    work: impl Future<Output = Result<T, AdoptError>>,
) -> Result<T, AdoptError> {
    exclusively(source, LockPlace::Journal, || AdoptError::AnotherRun, work).await
}

async fn open_source(options: &AdoptOptions) -> Result<SourceDatabase, AdoptError> {
    Ok(SourceDatabase::open(&options.source).await.map_err(OpenError::from)?)
}
