//! The bytes that a running aggregate holds.

use crate::error::{Error, Result};
use crate::limits::AGGREGATE_MAX_BYTES;

/// Counts what is held; refuses what is too much.
#[derive(Debug, Default)]
pub struct Memory {
    bytes: usize,
}

impl Memory {
    /// Holds some more bytes, for the stage at the pointer `at`.
    ///
    /// # Errors
    /// `invalid_input` at the stage if it is too much.
    pub fn take(&mut self, bytes: usize, at: &str) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= AGGREGATE_MAX_BYTES {
            return Ok(());
        }
        Err(Error::invalid_field(
            at,
            format!(
                "Holds more than {} MiB at once: filter first, group by fewer values, or collect less in each group.",
                AGGREGATE_MAX_BYTES >> 20
            ),
        ))
    }

    /// What is held.
    #[cfg(test)]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets some bytes go.
    pub const fn release(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
