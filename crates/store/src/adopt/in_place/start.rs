//! What an adoption in place was begun with, and how far it is.

use crate::adopt::report::AdoptError;
use crate::adopt::rules::AdoptRules;
use crate::adoption_state::{ADOPTION_MARK, AdoptionStage, AdoptionState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenantry_store_mongodb::SourceDatabase;

/// The options that an adoption was begun with.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct StartOptions {
    pub(super) rules: AdoptRules,
    pub(super) tenant_prefix: String,
    /// In seconds.
    pub(super) retention: u64,
    pub(super) now: Timestamp,
    /// The names of the containers of organizations that have none so far. No collection had one of these names.
    pub(super) fresh: Vec<String>,
}

/// Notes how far it is.
pub(super) async fn set_stage(source: &SourceDatabase, stage: AdoptionStage) -> Result<(), AdoptError> {
    let state = AdoptionState { source: source.name().to_owned(), stage, in_place: true };
    Ok(source.put_value(ADOPTION_MARK, &state.write()?).await?)
}
