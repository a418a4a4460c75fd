//! What is wrong with a document: as many violations as are worth naming, and how many there are.

use crate::error::FieldError;
use crate::limits::{SCHEMA_VIOLATIONS_MAX_BYTES, SCHEMA_VIOLATIONS_MAX_NAMED};

/// Everything that is wrong with a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// The first of them, each with the pointer to the value in the document.
    pub named: Vec<FieldError>,
    /// How many there are.
    pub total: u64,
    /// Bytes of those that are named.
    bytes: usize,
}

impl Violations {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many are not named.
    #[must_use]
    pub fn unnamed(&self) -> u64 {
        self.total - self.named.len() as u64
    }

    /// Counts one, and names it if there is room.
    pub(super) fn add(&mut self, pointer: &str, detail: String) {
        self.total += 1;
        self.bytes += pointer.len() + detail.len();
        let has_room = self.bytes <= SCHEMA_VIOLATIONS_MAX_BYTES || self.named.is_empty();
        // In order: once one is left out, so are all after it.
        let is_first_left_out = self.named.len() as u64 + 1 < self.total;
        if has_room && !is_first_left_out && self.named.len() < SCHEMA_VIOLATIONS_MAX_NAMED {
            self.named.push(FieldError { pointer: pointer.to_owned(), detail });
        }
    }
}
