//! Queries: which documents of a collection, in which order, how many, and where to start.
//!
//! A query is bounded in time and in the bytes of its response, not only in the number of documents.
//!
//! # Pitfalls
//! A short page is not the last one: it may have fewer documents than its limit and still be followed by
//! another.

pub mod explanation;
pub mod plan;

use crate::document::StoredDocument;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::sort::{Position, Sort};
use std::time::Duration;

/// The pointer that the store gives when it refuses a sort order. A caller whose request has the order
/// elsewhere replaces it.
pub const SORT_POINTER: &str = "?sort";

/// A query of one page.
#[derive(Debug, Clone)]
pub struct DocumentQuery {
    /// Which documents to find.
    pub filter: Filter,
    /// The order of the documents.
    pub sort: Sort,
    /// Only those after it.
    pub after: Option<Position>,
    /// How many documents at most.
    pub limit: u32,
    /// Bytes of documents after which a page ends, with at least one in it.
    pub max_bytes: usize,
    /// Its time limit; after that it is `query_too_slow`.
    pub time: Duration,
}

/// A page of documents.
#[derive(Debug, Clone, Default)]
pub struct QueryPage {
    /// In order.
    pub documents: Vec<StoredDocument>,
    /// Whether others follow.
    pub more: bool,
    /// About how many documents were examined, if no index served the query.
    pub scanned: Option<u64>,
}

/// How many documents match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchCount {
    /// The number, exactly.
    pub documents: u64,
    /// As in [`QueryPage`].
    pub scanned: Option<u64>,
}

/// The result of one round of a delete by filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteResult {
    /// How many documents it removed.
    pub documents: u64,
    /// Whether there may be others that match.
    pub more: bool,
    /// As in [`QueryPage`]: how many documents were there before, if no index served the filter.
    pub scanned: Option<u64>,
}

impl DeleteResult {
    /// The result when its time is over. Each round starts from the beginning, so if it found nothing, the
    /// next would find nothing either.
    ///
    /// # Errors
    /// `query_too_slow`.
    pub fn in_time(documents: u64, more: bool, scanned: Option<u64>) -> Result<Self> {
        if documents == 0 && more { Err(Error::TimedOut) } else { Ok(Self { documents, more, scanned }) }
    }
}
