//! Counts and checksums of the lines that have gone by, the same for whoever writes and whoever reads.

use super::{ArchiveEnd, ArchiveLine, CollectionEnd, DOCUMENT, damaged};
use crate::collection::CollectionName;
use crate::error::Result;
use aws_lc_rs::digest::{Context, SHA256};

/// What has gone by.
pub(super) struct ArchiveTotals {
    whole: Context,
    collections: u64,
    documents: u64,
    bytes: u64,
    open: Option<OpenCollection>,
}

/// The collection whose documents go by.
struct OpenCollection {
    name: CollectionName,
    lines: Context,
    documents: u64,
    bytes: u64,
}

impl ArchiveTotals {
    pub(super) fn new() -> Self {
        Self { whole: Context::new(&SHA256), collections: 0, documents: 0, bytes: 0, open: None }
    }

    /// A line, without its line feed.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.whole.update(line);
        self.whole.update(b"\n");
    }

    /// A collection begins.
    pub(super) fn open(&mut self, name: CollectionName) {
        self.collections += 1;
        self.open = Some(OpenCollection { name, lines: Context::new(&SHA256), documents: 0, bytes: 0 });
    }

    /// Whether documents may come.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// That line is a document of so many bytes as BSON; it goes by as a line, too.
    pub(super) fn document(&mut self, line: &[u8], bytes: u64) {
        self.documents += 1;
        self.bytes += bytes;
        if let Some(open) = &mut self.open {
            open.documents += 1;
            open.bytes += bytes;
            open.lines.update(line);
            open.lines.update(b"\n");
        }
    }

    /// The collection ends; what its last line says, if there was one.
    pub(super) fn close(&mut self) -> Option<CollectionEnd> {
        let OpenCollection { name, lines, documents, bytes } = self.open.take()?;
        Some(CollectionEnd { name, documents, bytes, sha256: hex::encode(lines.finish()) })
    }

    /// What the last line of all says.
    pub(super) fn end(&self, left_out: Vec<String>) -> ArchiveEnd {
        ArchiveEnd {
            collections: self.collections,
            documents: self.documents,
            bytes: self.bytes,
            sha256: hex::encode(self.whole.clone().finish()),
            left_out,
        }
    }
}

/// Says whether an archive that goes by is whole, and looks no closer: for copies.
pub struct Verifier {
    whole: Context,
    lines: u64,
    documents: u64,
    /// What the ends of its collections have said so far.
    told: (u64, u64, u64),
    end: Option<ArchiveEnd>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { whole: Context::new(&SHA256), lines: 0, documents: 0, told: (0, 0, 0), end: None }
    }
}

impl Verifier {
    /// The next line, without its line feed.
    ///
    /// # Errors
    /// `archive_invalid` if it cannot be a line of an archive.
    pub fn line(&mut self, line: &[u8]) -> Result<()> {
        self.lines += 1;
        if self.end.is_some() {
            return Err(damaged(self.lines, "Something follows the end line."));
        }
        if line.starts_with(DOCUMENT) {
            self.documents += 1;
        } else {
            match super::read::parse(self.lines, line)? {
                ArchiveLine::CollectionEnd(end) => {
                    let (collections, documents, bytes) = self.told;
                    self.told = (
                        collections + 1,
                        documents.saturating_add(end.documents),
                        bytes.saturating_add(end.bytes),
                    );
                }
                ArchiveLine::End(end) => {
                    self.end = Some(end);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.whole.update(line);
        self.whole.update(b"\n");
        Ok(())
    }

    /// Documents so far.
    #[must_use]
    pub const fn documents(&self) -> u64 {
        self.documents
    }

    /// What the archive had, if it was whole.
    ///
    /// # Errors
    /// `archive_invalid` if it was not.
    pub fn finish(self) -> Result<ArchiveEnd> {
        let end = self.end.ok_or_else(|| damaged(self.lines + 1, "Is missing: the archive is cut off."))?;
        let counts = (end.collections, end.documents, end.bytes);
        let fits = end.documents == self.documents
            && counts == self.told
            && end.sha256 == hex::encode(self.whole.finish());
        if fits { Ok(end) } else { Err(damaged(self.lines, "Does not fit what came before it.")) }
    }
}
