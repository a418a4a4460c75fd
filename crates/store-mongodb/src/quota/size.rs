//! How much documents take, as a quota counts it.

use crate::record_codec::integer;
use tenantry_domain::{Error, ErrorCode};

/// So many documents of so many bytes, with index entries of so many; less than none for what goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) documents: i64,
    pub(crate) bytes: i64,
    /// Counted only where there is a quota for it.
    pub(crate) index_bytes: i64,
}

impl Size {
    /// One document of so many bytes.
    pub(crate) fn one(bytes: u64) -> Self {
        Self { documents: 1, bytes: integer(bytes), index_bytes: 0 }
    }

    /// The same, with index entries of so many bytes.
    pub(crate) fn with_entries(self, bytes: u64) -> Self {
        Self { index_bytes: integer(bytes), ..self }
    }

    /// As far as it is more than nothing.
    pub(crate) fn growth(self) -> Self {
        Self {
            documents: self.documents.max(0),
            bytes: self.bytes.max(0),
            index_bytes: self.index_bytes.max(0),
        }
    }

    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents + other.documents,
            bytes: self.bytes + other.bytes,
            index_bytes: self.index_bytes + other.index_bytes,
        }
    }

    /// That much less than nothing.
    pub(crate) const fn negative(self) -> Self {
        Self { documents: -self.documents, bytes: -self.bytes, index_bytes: -self.index_bytes }
    }

    /// The refusal of what does not fit into it; `None` if it fits.
    pub(crate) fn refuses(self, wanted: Self) -> Option<Error> {
        let what = if wanted.documents > self.documents.max(0) {
            "documents"
        } else if wanted.bytes > self.bytes.max(0) {
            "bytes"
        } else if wanted.index_bytes > self.index_bytes.max(0) {
            "bytes of index entries"
        } else {
            return None;
        };
        let detail = format!("The organization has no room for that many {what}.");
        Some(Error::from(ErrorCode::QuotaExceeded).detail(detail))
    }
}
