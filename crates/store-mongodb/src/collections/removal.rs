//! Dropping a collection of the organization's own.

use super::command::Command;
use super::handle::CollectionHandle;
use crate::engine_error::{EngineError, EngineResult};
use mongodb::bson::Document;

/// How often a drop is tried that somebody is in the way of.
const ROUNDS: u32 = 8;

/// Removes the collection; whether it was there.
pub(crate) async fn drop_collection(handle: &mut CollectionHandle<'_>) -> EngineResult<bool> {
    for _ in 0..ROUNDS {
        let drop = Command::new("drop", &handle.connection().server().durably(Document::new()))?;
        match handle.run(&drop).await {
            Ok(_) => return Ok(true),
            // Somebody is at work on it.
            Err(EngineError::Interrupted) => {}
            Err(failure) if failure.is_missing_collection() => return Ok(false),
            Err(failure) => return Err(failure),
        }
    }
    Err(EngineError::Interrupted)
}
