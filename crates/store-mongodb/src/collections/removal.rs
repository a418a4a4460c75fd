//! Drops a collection of the organization's own.

use super::command::Command;
use super::handle::CollectionHandle;
use crate::engine_error::{EngineError, EngineResult};
use mongodb::bson::Document;

/// How often a drop is tried while another operation uses the collection.
const MAX_ATTEMPTS: u32 = 8;

/// Drops the collection; returns whether it existed.
pub(crate) async fn drop_collection(handle: &mut CollectionHandle<'_>) -> EngineResult<bool> {
    for _ in 0..MAX_ATTEMPTS {
        let drop = Command::new("drop", &handle.connection().server().durably(Document::new()))?;
        match handle.run(&drop).await {
            Ok(_) => return Ok(true),
            // Another operation uses it.
            Err(EngineError::Interrupted) => {}
            Err(failure) if failure.is_missing_collection() => return Ok(false),
            Err(failure) => return Err(failure),
        }
    }
    Err(EngineError::Interrupted)
}
