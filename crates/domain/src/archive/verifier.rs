//! Checks an archive while it is written, without parsing its documents.

use super::format::{ArchiveEnd, ArchiveLine, damaged, is_document};
use super::read::parse;
use crate::error::Result;
use aws_lc_rs::digest::{Context, SHA256};

/// Checks that a copied archive is complete, and nothing more.
pub struct Verifier {
    whole: Context,
    lines: u64,
    documents: u64,
    /// The totals from the ends of its collections so far.
    told: (u64, u64, u64),
    /// Roles, members, API keys and audit entries.
    others: [u64; 4],
    end: Option<ArchiveEnd>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self {
            whole: Context::new(&SHA256),
            lines: 0,
            documents: 0,
            told: (0, 0, 0),
            others: [0; 4],
            end: None,
        }
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
        if is_document(line) {
            self.documents += 1;
        } else {
            match parse(self.lines, line)? {
                ArchiveLine::CollectionEnd(end) => {
                    let (collections, documents, bytes) = self.told;
                    self.told = (
                        collections + 1,
                        documents.saturating_add(end.documents),
                        bytes.saturating_add(end.bytes),
                    );
                }
                ArchiveLine::Role(_) => self.others[0] += 1,
                ArchiveLine::Member(_) => self.others[1] += 1,
                ArchiveLine::ApiKey(_) => self.others[2] += 1,
                ArchiveLine::AuditEntry(_) => self.others[3] += 1,
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

    /// The counts of the archive, if it was complete.
    ///
    /// # Errors
    /// `archive_invalid` if it was not.
    pub fn finish(self) -> Result<ArchiveEnd> {
        let end = self.end.ok_or_else(|| damaged(self.lines + 1, "Is missing: the archive is cut off."))?;
        let counts = (end.collections, end.documents, end.bytes);
        let others = [end.roles, end.members, end.api_keys, end.audit_entries];
        let fits = end.documents == self.documents
            && others == self.others
            && counts == self.told
            && end.sha256 == hex::encode(self.whole.finish());
        if fits { Ok(end) } else { Err(damaged(self.lines, "Does not match the lines before it.")) }
    }
}
