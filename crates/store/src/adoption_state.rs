//! How far an adoption is: a value of the installation that it goes into.

use serde::{Deserialize, Serialize};
use tenantry_domain::{Error, Result};

/// The value that says how far an adoption into this installation is.
pub const ADOPTION_MARK: &str = "adoption";

/// See [`self`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptionState {
    /// What it is: which source, and how.
    pub source: String,
    /// How far it is.
    pub stage: AdoptionStage,
    /// Whether the data stays in its database.
    pub in_place: bool,
}

/// How far an adoption is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionStage {
    /// It is under way.
    Running,
    /// Everything is there; it is not confirmed.
    Complete,
    /// It is being taken back.
    Undoing,
}

impl AdoptionState {
    /// Reads the value.
    ///
    /// # Errors
    /// `internal`, if it is none.
    pub fn read(value: &[u8]) -> Result<Self> {
        serde_json::from_slice(value).map_err(Error::internal)
    }

    /// Why no service may use the installation now, if so: a sentence.
    #[must_use]
    pub fn obstacle(&self) -> Option<&'static str> {
        match self.stage {
            AdoptionStage::Running => Some(
                "an adoption into this installation was interrupted: run the same `tenantry adopt --apply` again to \
                 resume it, or take it back with `--undo`",
            ),
            AdoptionStage::Undoing => Some(
                "an adoption into this installation is being taken back: run the same `tenantry adopt --undo` again to \
                 finish that",
            ),
            // There is only one copy of the data: what a service writes could not be taken back.
            AdoptionStage::Complete if self.in_place => Some(
                "an adoption in place is not confirmed: run `tenantry adopt --confirm`, or take it back with `--undo`",
            ),
            AdoptionStage::Complete => None,
        }
    }

    /// The value.
    ///
    /// # Errors
    /// None that could happen.
    pub fn write(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::internal)
    }
}
