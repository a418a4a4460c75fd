//! How a query is carried out, and how much it examines.

use crate::index::IndexName;

/// How a page of a query is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What the documents are reached by.
    pub access: ExplainedAccess,
    /// Whether they have to be sorted: nothing they are reached by has the order.
    pub is_sorted: bool,
    /// Entries of indexes that were examined.
    pub entries_examined: u64,
    /// Documents that were examined.
    pub documents_examined: u64,
    /// Documents of the page.
    pub matched: u64,
}

/// What the documents of a query are reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainedAccess {
    /// Nothing: no document can match.
    Nothing,
    /// The whole collection.
    Scan,
    /// The index on the `_id`.
    Id,
    /// Indexes: several only where MongoDB combines them, none if it uses one that a program has made.
    Indexes(Vec<IndexName>),
}

impl ExplainedAccess {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Scan => "scan",
            Self::Id => "id",
            Self::Indexes(_) => "index",
        }
    }
}
