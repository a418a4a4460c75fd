//! Splits chunks from a network or a file into lines. The length of lines is limited, and so is the memory
//! they take.

use super::format::damaged;
use crate::error::Result;

/// Assembles lines.
pub struct ArchiveLines {
    max_bytes: usize,
    held: Vec<u8>,
    /// Where the next line begins in `held`.
    start: usize,
    /// The end of the part after `start` that is known to have no line feed.
    searched: usize,
    taken: u64,
}

impl ArchiveLines {
    /// For lines of at most `max_bytes`.
    #[must_use]
    pub const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, held: Vec::new(), start: 0, searched: 0, taken: 0 }
    }

    /// Adds the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.held.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.held.extend_from_slice(chunk);
    }

    /// The next complete line, without its line feed.
    ///
    /// # Errors
    /// `archive_invalid` if it is too long.
    pub fn take(&mut self) -> Result<Option<&[u8]>> {
        let found = self.held[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = found.map_or(self.held.len(), |at| self.searched + at);
        if end - self.start > self.max_bytes {
            let what = format!("Is longer than {} bytes.", self.max_bytes);
            return Err(damaged(self.taken + 1, what));
        }
        self.searched = end;
        if found.is_none() {
            return Ok(None);
        }
        let start = std::mem::replace(&mut self.start, end + 1);
        self.searched = end + 1;
        self.taken += 1;
        Ok(Some(&self.held[start..end]))
    }

    /// The rest at the end of the input: a last line without a line feed.
    #[must_use]
    pub fn rest(&mut self) -> Option<&[u8]> {
        let start = std::mem::replace(&mut self.start, self.held.len());
        self.searched = self.start;
        (start < self.held.len()).then(|| &self.held[start..])
    }
}
