//! Writes an archive, line by line, into bytes that are sent as they are produced.
//!
//! # Pitfalls
//! Documents must come in the order of their ids: the order, and so the checksum, is then the same on every
//! engine.

use super::format::{ArchiveLine, ArchivedCollection, ArchivedOrganization, BSON, DOCUMENT, Manifest};
use super::people::{ArchivedApiKey, ArchivedMember, ArchivedRole};
use super::tally::ArchiveTotals;
use super::trails::{ArchivedEntry, ArchivedTrail, ArchivedTrailEnd};
use crate::audit::{AuditChain, AuditEntry, AuditHash};
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bson::RawDocument;
use tenantry_documents::document::{is_exact_in_json, write_canonical_json};

/// Writes one archive.
pub struct ArchiveWriter {
    tally: ArchiveTotals,
    /// The trail that has begun, with its last line so far.
    trail: Option<ArchivedTrailEnd>,
}

impl ArchiveWriter {
    /// Begins one: appends its first lines to `out`.
    ///
    /// # Errors
    /// `internal`, as each method here, for what cannot be written as JSON.
    pub fn begin(manifest: Manifest, organization: ArchivedOrganization, out: &mut Vec<u8>) -> Result<Self> {
        let mut writer = Self { tally: ArchiveTotals::new(), trail: None };
        writer.write(&ArchiveLine::Manifest(manifest), out)?;
        writer.write(&ArchiveLine::Organization(Box::new(organization)), out)?;
        Ok(writer)
    }

    /// A role of the organization's own; these come first, in the order of their names.
    ///
    /// # Errors
    /// `internal`.
    pub fn role(&mut self, role: ArchivedRole, out: &mut Vec<u8>) -> Result<()> {
        self.write(&ArchiveLine::Role(role), out)
    }

    /// A member beside the owner; these come next, in the order of their ids.
    ///
    /// # Errors
    /// `internal`.
    pub fn member(&mut self, member: ArchivedMember, out: &mut Vec<u8>) -> Result<()> {
        self.write(&ArchiveLine::Member(member), out)
    }

    /// An API key; these come next, in the order of their ids.
    ///
    /// # Errors
    /// `internal`.
    pub fn api_key(&mut self, key: ArchivedApiKey, out: &mut Vec<u8>) -> Result<()> {
        self.write(&ArchiveLine::ApiKey(key), out)
    }

    /// An entry of the audit trail with that chain, behind all collections. The first begins the trail.
    ///
    /// # Errors
    /// `internal`.
    pub fn audit_entry(&mut self, chain: AuditChain, entry: AuditEntry, out: &mut Vec<u8>) -> Result<()> {
        if self.trail.is_none() {
            self.write(&ArchiveLine::AuditTrail(ArchivedTrail { chain }), out)?;
        }
        let entries = self.trail.map_or(0, |trail| trail.entries) + 1;
        let (last, hash): (u64, AuditHash) = (entry.sequence, entry.hash);
        self.trail = Some(ArchivedTrailEnd { chain, entries, last, hash });
        self.write(&ArchiveLine::AuditEntry(Box::new(ArchivedEntry::of(entry))), out)
    }

    /// The trail has no more entries. One without any is not in the archive.
    ///
    /// # Errors
    /// `internal`.
    pub fn end_trail(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.trail.take().map_or(Ok(()), |end| self.write(&ArchiveLine::AuditTrailEnd(end), out))
    }

    /// A collection begins.
    ///
    /// # Errors
    /// `internal`.
    pub fn collection(&mut self, collection: ArchivedCollection, out: &mut Vec<u8>) -> Result<()> {
        self.tally.open(collection.name.clone());
        self.write(&ArchiveLine::Collection(collection), out)
    }

    /// A document of that collection.
    pub fn document(&mut self, document: &RawDocument, out: &mut Vec<u8>) {
        let start = out.len();
        if is_exact_in_json(document) {
            out.extend_from_slice(DOCUMENT);
            write_canonical_json(document, out);
            out.push(b'}');
        } else {
            out.extend_from_slice(BSON);
            out.extend_from_slice(STANDARD.encode(document.as_bytes()).as_bytes());
            out.extend_from_slice(b"\"}");
        }
        self.tally.document(&out[start..], document.as_bytes().len() as u64);
        self.end_line(start, out);
    }

    /// The collection has no more documents.
    ///
    /// # Errors
    /// `internal`.
    pub fn end_collection(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let end = self.tally.close().ok_or_else(|| Error::internal("no collection has begun"))?;
        self.write(&ArchiveLine::CollectionEnd(end), out)
    }

    /// There is no more: the last line, with the names of the collections that were left out.
    ///
    /// # Errors
    /// `internal`.
    pub fn end(mut self, left_out: Vec<String>, out: &mut Vec<u8>) -> Result<()> {
        let end = ArchiveLine::End(self.tally.end(left_out));
        self.write(&end, out)
    }

    fn write(&mut self, line: &ArchiveLine, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        serde_json::to_writer(&mut *out, line).map_err(Error::internal)?;
        self.tally.count(line);
        self.end_line(start, out);
        Ok(())
    }

    fn end_line(&mut self, start: usize, out: &mut Vec<u8>) {
        self.tally.line(&out[start..]);
        out.push(b'\n');
    }
}
