//! Reads an archive, line by line, and refuses a damaged one.
//!
//! # Pitfalls
//! The items before [`ArchiveItem::End`] prove nothing until it has been read.

mod line_error;

use super::format::{
    ArchiveEnd, ArchiveLine, ArchivedCollection, ArchivedOrganization, BSON, CollectionEnd, DOCUMENT, FORMAT,
    Manifest, VERSIONS, damaged, is_document,
};
use super::people::{ArchivedApiKey, ArchivedMember, ArchivedRole};
use super::sections::{Section, Sections, check_hash};
use super::tally::ArchiveTotals;
use super::trails::{ArchivedTrail, ArchivedTrailEnd};
use crate::audit::AuditEntry;
use crate::collection::CollectionName;
use crate::error::Result;
use crate::limits::{COLLECTIONS_MAX, INDEXES_MAX};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;
use tenantry_documents::document::{NewDocument, diagnosis, json_diagnosis};

/// The content of a line.
#[derive(Debug)]
pub enum ArchiveItem {
    /// What the stream is.
    Manifest(Manifest),
    /// Whose archive it is.
    Organization(Box<ArchivedOrganization>),
    /// A role that it has defined.
    Role(ArchivedRole),
    /// A member beside the owner.
    Member(ArchivedMember),
    /// An API key.
    ApiKey(ArchivedApiKey),
    /// A collection begins.
    Collection(ArchivedCollection),
    /// A document of it; it has an `_id`.
    Document(NewDocument),
    /// The collection is complete.
    CollectionEnd(CollectionEnd),
    /// An audit trail begins.
    AuditTrail(ArchivedTrail),
    /// An entry of it, which follows the one before.
    AuditEntry(Box<AuditEntry>),
    /// The trail is complete.
    AuditTrailEnd(ArchivedTrailEnd),
    /// The archive is complete.
    End(ArchiveEnd),
}

/// Reads one archive.
pub struct ArchiveReader {
    document_max_bytes: usize,
    line: u64,
    version: u32,
    expected: ReaderState,
    sections: Sections,
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
            version: 0,
            expected: ReaderState::Manifest,
            sections: Sections::new(),
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
        let item = if is_document(line) {
            self.document(line)?
        } else {
            let parsed = parse(self.line, line)?;
            self.tally.count(&parsed);
            self.contents(parsed)?
        };
        self.tally.line(line);
        Ok(item)
    }

    fn contents(&mut self, line: ArchiveLine) -> Result<ArchiveItem> {
        match line {
            ArchiveLine::Manifest(manifest) => self.manifest(manifest),
            ArchiveLine::Organization(organization) => self.organization(organization),
            ArchiveLine::Collection(collection) => self.collection(collection),
            ArchiveLine::CollectionEnd(end) => self.collection_end(end),
            ArchiveLine::End(end) => self.end(end),
            later => self.since_version_2(later),
        }
    }

    /// What version 1 did not have.
    fn since_version_2(&mut self, line: ArchiveLine) -> Result<ArchiveItem> {
        self.expect(ReaderState::Contents)?;
        if self.version < 2 {
            return Err(self.damaged("Is of a kind that version 1 does not have."));
        }
        let sections = &mut self.sections;
        let item = match line {
            ArchiveLine::Role(role) => sections.role(&role).map(|()| ArchiveItem::Role(role)),
            ArchiveLine::Member(member) => sections.member(&member).map(|()| ArchiveItem::Member(member)),
            ArchiveLine::ApiKey(key) => sections.api_key(&key).map(|()| ArchiveItem::ApiKey(key)),
            _ if self.tally.is_open() => Err("Comes before the collection has ended.".to_owned()),
            ArchiveLine::AuditTrail(trail) => sections.trail(trail).map(|()| ArchiveItem::AuditTrail(trail)),
            ArchiveLine::AuditEntry(entry) => {
                sections.entry(*entry).map(|entry| ArchiveItem::AuditEntry(Box::new(entry)))
            }
            ArchiveLine::AuditTrailEnd(end) => {
                sections.end_trail(&end).map(|()| ArchiveItem::AuditTrailEnd(end))
            }
            _ => {
                Err("The line is of no kind that an archive has: export it again, or check how it was made."
                    .to_owned())
            }
        };
        item.map_err(|fault| self.damaged(fault))
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
        if manifest.format != FORMAT || !VERSIONS.contains(&manifest.version) {
            let (first, last) = (VERSIONS.start(), VERSIONS.end());
            let found = (manifest.format == FORMAT).then(|| {
                format!(
                    " This archive has version {}, written by Tenantry {}.",
                    manifest.version, manifest.tenantry
                )
            });
            let what = format!(
                "This service reads only the versions {first} to {last} of the format {FORMAT}.{}",
                found.unwrap_or_default()
            );
            return Err(self.damaged(what));
        }
        self.version = manifest.version;
        self.expected = ReaderState::Organization;
        Ok(ArchiveItem::Manifest(manifest))
    }

    fn organization(&mut self, organization: Box<ArchivedOrganization>) -> Result<ArchiveItem> {
        self.expect(ReaderState::Organization)?;
        let hash = organization.owner.password_hash.as_ref();
        if hash.is_none() && self.version < 2 {
            return Err(self.damaged("The owner has no `password_hash`."));
        }
        if let Err(reason) = check_hash(hash) {
            return Err(self.damaged(format!("The owner's `password_hash` cannot be checked. {reason}")));
        }
        self.sections.set_owner(organization.owner.id);
        self.expected = ReaderState::Contents;
        Ok(ArchiveItem::Organization(organization))
    }

    fn collection(&mut self, collection: ArchivedCollection) -> Result<ArchiveItem> {
        self.expect(ReaderState::Contents)?;
        self.sections.enter(Section::Collections).map_err(|fault| self.damaged(fault))?;
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
        let document = self.new_document(line)?;
        if document.id().is_none() {
            return Err(self.damaged("The document has no `_id`."));
        }
        self.tally.document(line, document.bytes() as u64);
        Ok(ArchiveItem::Document(document))
    }

    fn new_document(&self, line: &[u8]) -> Result<NewDocument> {
        let read = if let Some(base64) = line.strip_prefix(BSON) {
            let bytes = base64.strip_suffix(b"\"}").and_then(|base64| STANDARD.decode(base64).ok());
            let bytes =
                bytes.ok_or_else(|| self.damaged("The line is not the base64 of a document's BSON."))?;
            NewDocument::from_bson(bytes, self.document_max_bytes)
        } else {
            let json = line.strip_prefix(DOCUMENT).and_then(|rest| rest.strip_suffix(b"}"));
            let json = json.and_then(|json| std::str::from_utf8(json).ok());
            let json = json.ok_or_else(|| self.damaged("The line is not one JSON object in UTF-8."))?;
            NewDocument::parse(json, self.document_max_bytes)
        };
        read.map_err(|error| match error.fields().first() {
            Some(field) if field.pointer.is_empty() => {
                self.damaged(format!("The document: {}", field.detail))
            }
            Some(field) => {
                self.damaged(format!("The field {} of the document: {}", field.pointer, field.detail))
            }
            None => self.damaged(error.to_string()),
        })
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
        if self.sections.is_trail_open() {
            return Err(self.damaged("The archive ends in the middle of an audit trail."));
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
            ReaderState::Contents => "Must be a part of the organization, or the end of one.",
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
        if line.trim_ascii().is_empty() {
            return damaged(number, "Is blank: remove the line.");
        }
        if let Some(diagnosis) = json_diagnosis::of_line(number, line) {
            let what = diagnosis.explain("a line of an archive");
            return damaged(number, format!("It {what}"));
        }
        damaged(number, line_error::explain::<ArchiveLine>(line, &error))
    })
}
