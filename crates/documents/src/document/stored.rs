//! A stored document with its revision.

use super::DocumentId;
use bson::RawDocumentBuf;
use bson::raw::cstr;
use std::fmt;
use std::str::FromStr;

/// Counts the changes of a document; its `ETag`. It begins with the milliseconds since 1970 of the insert, so that a
/// document that comes again under the id of one that was deleted does not have that one's revision. A document that
/// a program of the organization's own wrote has revision 0, and no `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a document that is stored without one.
    pub const UNKNOWN: Self = Self(0);

    /// The next revision.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A document with its revision.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// Its fields, the `_id` first; without the reserved field.
    pub body: RawDocumentBuf,
    /// Its revision.
    pub revision: Revision,
}

impl StoredDocument {
    /// Its id; every stored document has one.
    #[must_use]
    pub fn id(&self) -> Option<DocumentId> {
        DocumentId::of(&self.body)
    }

    /// The document without anything but its id.
    #[must_use]
    pub fn id_alone(&self) -> Option<Self> {
        let mut body = RawDocumentBuf::new();
        body.append(cstr!("_id"), self.id()?.value());
        Some(Self { body, revision: self.revision })
    }

    /// Bytes of the document as BSON: what counts towards a quota.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.body.as_bytes().len() as u64
    }
}
