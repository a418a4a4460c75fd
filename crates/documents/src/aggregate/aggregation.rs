//! What is computed, and what comes out.

use super::build::count_document;
use super::distinct::Distinct;
use super::pipeline::Pipeline;
use super::source::Source;
use super::syntax::{Stage, StageKind};
use crate::document::size;
use crate::filter::Filter;
use crate::query::MatchCount;
use bson::raw::RawBson;

/// What is computed from the documents of a collection.
#[derive(Debug, Clone)]
pub enum Aggregation {
    /// The documents that a pipeline makes.
    Pipeline(Pipeline),
    /// The distinct values of a field.
    Distinct(Distinct),
}

impl Aggregation {
    /// The documents that it reads.
    #[must_use]
    pub const fn source(&self) -> &Source {
        match self {
            Self::Pipeline(pipeline) => &pipeline.source,
            Self::Distinct(distinct) => &distinct.source,
        }
    }

    /// The filter and the name of the number, if it only counts documents: an engine may know how many there are.
    #[must_use]
    pub fn as_count(&self) -> Option<(&Filter, &str)> {
        match self {
            Self::Pipeline(Pipeline { source, stages }) => match stages.as_slice() {
                [Stage { kind: StageKind::Count(name), .. }] if source.sort.is_none() => {
                    Some((&source.filter, name))
                }
                _ => None,
            },
            Self::Distinct(_) => None,
        }
    }
}

/// What an aggregate has computed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AggregateResult {
    /// Documents of a pipeline, or values.
    pub items: Vec<RawBson>,
    /// About how many documents were examined, if no index served the query.
    pub scanned: Option<u64>,
}

impl AggregateResult {
    /// Bytes of the items, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.iter().map(|item| size(item.as_raw_bson_ref())).sum()
    }

    /// What `$count` makes of a number of documents: nothing of none.
    #[must_use]
    pub fn of_count(name: &str, count: MatchCount) -> Self {
        let item = (count.documents > 0).then(|| RawBson::Document(count_document(name, count.documents)));
        Self { items: item.into_iter().collect(), scanned: count.scanned }
    }
}
