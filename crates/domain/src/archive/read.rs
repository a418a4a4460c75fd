//! Reads an archive, line by line, and refuses a damaged one.
//!
//! # Pitfalls
//! The items before [`ArchiveItem::End`] prove nothing until it has been read.

use super::format::{
    ArchiveEnd, ArchiveLine, ArchivedCollection, ArchivedOrganization, CollectionEnd, DOCUMENT, FORMAT,
    Manifest, VERSION, damaged,
};
use super::tally::ArchiveTotals;
use crate::collection::CollectionName;
use crate::error::Result;
use crate::limits::{COLLECTIONS_MAX, INDEXES_MAX};
use crate::password::hash::check_readable;
use std::collections::HashSet;
use tenantry_documents::document::{NewDocument, diagnosis, json_diagnosis};

/// The content of a line.
#[derive(Debug)]
pub enum ArchiveItem {
    /// What the stream is.
    Manifest(Manifest),
    /// Whose archive it is.
    Organization(Box<ArchivedOrganization>),
    /// A collection begins.
    Collection(ArchivedCollection),
    /// A document of it; it has an `_id`.
    Document(NewDocument),
    /// The collection is complete.
    CollectionEnd(CollectionEnd),
    /// The archive is complete.
    End(ArchiveEnd),
}

/// Reads one archive.
pub struct ArchiveReader {
    document_max_bytes: usize,
    line: u64,
    expected: ReaderState,
    tally: ArchiveTotals,
    names: HashSet<CollectionName>,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderState {
    Manifest,
    Organization,
    Contents,
    Nothing,
}

impl ArchiveReader {
    /// A reader of documents of at most `document_max_bytes` as BSON.
    #[must_use]
    pub fn new(document_max_bytes: usize) -> Self {
        Self {
            document_max_bytes,
            line: 0,
            expected: ReaderState::Manifest,
            tally: ArchiveTotals::new(),
            names: HashSet::new(),
        }
    }

    /// How many lines have been read.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next line, without its line feed.
    ///
    /// # Errors
    /// `archive_invalid` with the number of the line and what is wrong with it.
    pub fn read(&mut self, line: &[u8]) -> Result<ArchiveItem> {
        self.line += 1;
        let line = plain(self.line, line);
        let item = if line.starts_with(DOCUMENT) {
            self.document(line)?
        } else {
            match parse(self.line, line)? {
                ArchiveLine::Manifest(manifest) => self.manifest(manifest)?,
                ArchiveLine::Organization(organization) => self.organization(organization)?,
                ArchiveLine::Collection(collection) => self.collection(collection)?,
                ArchiveLine::CollectionEnd(end) => self.collection_end(end)?,
                ArchiveLine::End(end) => self.end(end)?,
            }
        };
        self.tally.line(line);
        Ok(item)
    }

    /// Checks that the archive was complete, once there are no more lines.
    ///
    /// # Errors
    /// `archive_invalid` if its end line has not come.
    pub fn finish(&self) -> Result<()> {
        if self.expected == ReaderState::Nothing {
            return Ok(());
        }
        Err(damaged(self.line + 1, "Is missing: the archive is cut off."))
    }

    fn manifest(&mut self, manifest: Manifest) -> Result<ArchiveItem> {
        self.expect(ReaderState::Manifest)?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            let what = format!("This service reads only version {VERSION} of the format {FORMAT}.");
            return Err(self.damaged(what));
        }
        self.expected = ReaderState::Organization;
        Ok(ArchiveItem::Manifest(manifest))
    }

    fn organization(&mut self, organization: Box<ArchivedOrganization>) -> Result<ArchiveItem> {
        self.expect(ReaderState::Organization)?;
        if let Err(reason) = check_readable(&organization.owner.password_hash.0) {
            return Err(self.damaged(format!("The owner's `password_hash` cannot be checked. {reason}")));
        }
        self.expected = ReaderState::Contents;
        Ok(ArchiveItem::Organization(organization))
    }

    fn collection(&mut self, collection: ArchivedCollection) -> Result<ArchiveItem> {
        self.expect(ReaderState::Contents)?;
        if self.tally.is_open() {
            return Err(self.damaged("A collection begins before the previous one has ended."));
        }
        let distinct: HashSet<_> = collection.indexes.iter().map(|index| &index.name).collect();
        if collection.indexes.len() > INDEXES_MAX as usize || distinct.len() < collection.indexes.len() {
            let what = format!("A collection has at most {INDEXES_MAX} indexes, each with its own name.");
            return Err(self.damaged(what));
        }
        if !self.names.insert(collection.name.clone()) || self.names.len() > COLLECTIONS_MAX as usize {
            let what = format!("There are at most {COLLECTIONS_MAX} collections, each with its own name.");
            return Err(self.damaged(what));
        }
        self.tally.open(collection.name.clone());
        Ok(ArchiveItem::Collection(collection))
    }

    fn document(&mut self, line: &[u8]) -> Result<ArchiveItem> {
        self.expect(ReaderState::Contents)?;
        if !self.tally.is_open() {
            return Err(self.damaged("A document is outside a collection."));
        }
        let json = line.strip_prefix(DOCUMENT).and_then(|rest| rest.strip_suffix(b"}"));
        let json = json.and_then(|json| std::str::from_utf8(json).ok());
        let json = json.ok_or_else(|| self.damaged("Is not one JSON object in UTF-8."))?;
        let document = NewDocument::parse(json, self.document_max_bytes).map_err(|error| {
            match error.fields().first() {
                Some(field) if field.pointer.is_empty() => {
                    self.damaged(format!("The document: {}", field.detail))
                }
                Some(field) => {
                    self.damaged(format!("The field {} of the document: {}", field.pointer, field.detail))
                }
                None => self.damaged(error.to_string()),
            }
        })?;
        if document.id().is_none() {
            return Err(self.damaged("The document has no `_id`."));
        }
        self.tally.document(line, document.bytes() as u64);
        Ok(ArchiveItem::Document(document))
    }

    fn collection_end(&mut self, end: CollectionEnd) -> Result<ArchiveItem> {
        self.expect(ReaderState::Contents)?;
        match self.tally.close() {
            Some(found) if found == end => Ok(ArchiveItem::CollectionEnd(end)),
            _ => Err(self.damaged("Name, counts or checksum do not match the documents before it.")),
        }
    }

    fn end(&mut self, end: ArchiveEnd) -> Result<ArchiveItem> {
        self.expect(ReaderState::Contents)?;
        if self.tally.is_open() {
            return Err(self.damaged("The archive ends in the middle of a collection."));
        }
        if self.tally.end(end.left_out.clone()) != end {
            return Err(self.damaged("Counts or checksum do not match the lines before it."));
        }
        self.expected = ReaderState::Nothing;
        Ok(ArchiveItem::End(end))
    }

    fn expect(&self, expected: ReaderState) -> Result<()> {
        if self.expected == expected {
            return Ok(());
        }
        Err(self.damaged(match self.expected {
            ReaderState::Manifest => "Must be the manifest of an archive.",
            ReaderState::Organization => "Must be the organization.",
            ReaderState::Contents => "Must be a collection, a document, or the end of one.",
            ReaderState::Nothing => "Something follows the end line.",
        }))
    }

    fn damaged(&self, what: impl std::fmt::Display) -> crate::Error {
        damaged(self.line, what)
    }
}

/// A line without what editors and transfers add, which no checksum covers: a byte order mark before the
/// first line, a carriage return at the end of each.
pub(super) fn plain(number: u64, line: &[u8]) -> &[u8] {
    let line = if number == 1 { diagnosis::without_mark(line) } else { line };
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The line, if it is one of those that are not documents.
pub(super) fn parse(number: u64, line: &[u8]) -> Result<ArchiveLine> {
    serde_json::from_slice(line).map_err(|error| {
        if let Some(diagnosis) = json_diagnosis::of_line(number, line) {
            let what = diagnosis.explain("a line of an archive");
            return damaged(number, format!("It {what}"));
        }
        let text = error.to_string();
        // The line numbers of `serde_json` would only confuse.
        let what = text.split(" at line ").next().unwrap_or_default();
        damaged(number, format!("Is not a line of an archive ({what})."))
    })
}
