//! Counts and checksums of the lines so far, the same for the writer and the reader.

use super::format::{ArchiveEnd, ArchiveLine, CollectionEnd};
use crate::collection::CollectionName;
use aws_lc_rs::digest::{Context, SHA256};

/// The totals so far.
pub(super) struct ArchiveTotals {
    whole: Context,
    roles: u64,
    members: u64,
    api_keys: u64,
    audit_entries: u64,
    collections: u64,
    documents: u64,
    bytes: u64,
    open: Option<OpenCollection>,
}

/// The collection of the current documents.
struct OpenCollection {
    name: CollectionName,
    lines: Context,
    documents: u64,
    bytes: u64,
}

impl ArchiveTotals {
    pub(super) fn new() -> Self {
        Self {
            whole: Context::new(&SHA256),
            roles: 0,
            members: 0,
            api_keys: 0,
            audit_entries: 0,
            collections: 0,
            documents: 0,
            bytes: 0,
            open: None,
        }
    }

    /// A line, without its line feed.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.whole.update(line);
        self.whole.update(b"\n");
    }

    /// Counts a line of a kind that only the end counts.
    pub(super) const fn count(&mut self, line: &ArchiveLine) {
        match line {
            ArchiveLine::Role(_) => self.roles += 1,
            ArchiveLine::Member(_) => self.members += 1,
            ArchiveLine::ApiKey(_) => self.api_keys += 1,
            ArchiveLine::AuditEntry(_) => self.audit_entries += 1,
            _ => {}
        }
    }

    /// A collection begins.
    pub(super) fn open(&mut self, name: CollectionName) {
        self.collections += 1;
        self.open = Some(OpenCollection { name, lines: Context::new(&SHA256), documents: 0, bytes: 0 });
    }

    /// Whether a collection is open, so that documents may follow.
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Counts a line that is a document of `bytes` bytes as BSON.
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

    /// Ends the collection; returns its last line, if one was open.
    pub(super) fn close(&mut self) -> Option<CollectionEnd> {
        let OpenCollection { name, lines, documents, bytes } = self.open.take()?;
        Some(CollectionEnd { name, documents, bytes, sha256: hex::encode(lines.finish()) })
    }

    /// The last line of the archive.
    pub(super) fn end(&self, left_out: Vec<String>) -> ArchiveEnd {
        ArchiveEnd {
            roles: self.roles,
            members: self.members,
            api_keys: self.api_keys,
            audit_entries: self.audit_entries,
            collections: self.collections,
            documents: self.documents,
            bytes: self.bytes,
            sha256: hex::encode(self.whole.clone().finish()),
            left_out,
        }
    }
}
