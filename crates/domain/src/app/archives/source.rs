//! An archive as it arrives: chunks in, items out, with only one line in memory.

use crate::archive::{ArchiveItem, ArchiveLines, ArchiveReader, ArchivedOrganization, line_max_bytes};
use crate::error::{Error, Result};
use crate::ids::OrganizationId;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, Fuse};

/// The bytes of an archive, in chunks. Its errors end the import and go to the caller.
pub type ArchiveStream = BoxStream<'static, Result<Vec<u8>>>;

/// An archive that is being read.
pub struct ArchiveSource {
    chunks: Fuse<ArchiveStream>,
    lines: ArchiveLines,
    reader: ArchiveReader,
    organization_id: Option<OrganizationId>,
}

impl ArchiveSource {
    /// Reads documents of at most `document_max_bytes` as BSON.
    pub fn new(chunks: ArchiveStream, document_max_bytes: usize) -> Self {
        Self {
            chunks: chunks.fuse(),
            lines: ArchiveLines::new(line_max_bytes(document_max_bytes)),
            reader: ArchiveReader::new(document_max_bytes),
            organization_id: None,
        }
    }

    /// The organization, which comes before everything else.
    ///
    /// # Errors
    /// `archive_invalid`.
    pub async fn begin(&mut self) -> Result<ArchivedOrganization> {
        loop {
            match self.next().await? {
                Some(ArchiveItem::Manifest(_)) => {}
                Some(ArchiveItem::Organization(organization)) => {
                    self.organization_id = Some(organization.id);
                    return Ok(*organization);
                }
                // The reader accepts nothing else first.
                _ => return Err(Error::internal("an archive without an organization")),
            }
        }
    }

    /// The next item; `None` after the end of a complete archive.
    ///
    /// # Errors
    /// `archive_invalid`, or an error of the stream.
    pub async fn next(&mut self) -> Result<Option<ArchiveItem>> {
        loop {
            if let Some(line) = self.lines.take()? {
                return self.reader.read(line).map(Some);
            }
            match self.chunks.next().await {
                Some(chunk) => {
                    self.lines.push(&chunk?);
                    // However quickly they arrive, let other tasks on this thread run.
                    tokio::task::yield_now().await;
                }
                None => break,
            }
        }
        match self.lines.rest() {
            Some(line) => self.reader.read(line).map(Some),
            None => self.reader.finish().map(|()| None),
        }
    }

    /// The id that the organization has in the archive, once that has begun.
    pub const fn organization_id(&self) -> Option<OrganizationId> {
        self.organization_id
    }

    /// The number of the line that was read last.
    pub const fn line(&self) -> u64 {
        self.reader.line()
    }
}
