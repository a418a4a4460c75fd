//! The size of documents, as a quota counts it.

use crate::record_codec::integer;
use tenantry_domain::Error;
use tenantry_domain::quota::Quota;

/// Numbers of documents, bytes, and bytes of index entries; negative for removals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) documents: i64,
    pub(crate) bytes: i64,
    /// Counted only if there is a quota for it.
    pub(crate) index_bytes: i64,
}

impl Size {
    /// The size of one document of `bytes` bytes.
    pub(crate) fn one(bytes: u64) -> Self {
        Self { documents: 1, bytes: integer(bytes), index_bytes: 0 }
    }

    /// The size with index entries of `bytes` bytes.
    pub(crate) fn with_entries(self, bytes: u64) -> Self {
        Self { index_bytes: integer(bytes), ..self }
    }

    /// The size with negative numbers set to 0.
    pub(crate) fn growth(self) -> Self {
        Self {
            documents: self.documents.max(0),
            bytes: self.bytes.max(0),
            index_bytes: self.index_bytes.max(0),
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents + other.documents,
            bytes: self.bytes + other.bytes,
            index_bytes: self.index_bytes + other.index_bytes,
        }
    }

    pub(crate) const fn negative(self) -> Self {
        Self { documents: -self.documents, bytes: -self.bytes, index_bytes: -self.index_bytes }
    }

    /// The larger of both, number by number.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            documents: self.documents.max(other.documents),
            bytes: self.bytes.max(other.bytes),
            index_bytes: self.index_bytes.max(other.index_bytes),
        }
    }

    /// Whether `wanted` fits into this room.
    pub(crate) fn fits(self, wanted: Self) -> bool {
        wanted.documents <= self.documents.max(0)
            && wanted.bytes <= self.bytes.max(0)
            && wanted.index_bytes <= self.index_bytes.max(0)
    }

    /// The error if `wanted` does not fit into this room that `quota` leaves; `None` if it fits.
    pub(crate) fn refuses(self, wanted: Self, quota: &Quota) -> Option<Error> {
        if self.fits(wanted) {
            return None;
        }
        Some(if wanted.documents > self.documents.max(0) {
            quota.documents_exceeded()
        } else if wanted.bytes > self.bytes.max(0) {
            quota.bytes_exceeded()
        } else {
            quota.index_bytes_exceeded()
        })
    }
}
