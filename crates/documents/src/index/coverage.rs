//! Which documents of a collection an index has.

use crate::document::{Path, write_canonical_json, write_json};
use crate::error::Result;
use crate::filter::Filter;
use crate::fuel::{Fuel, Interruption};
use bson::{Document, RawDocument, RawDocumentBuf};

/// Which documents an index has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Coverage {
    /// All.
    #[default]
    All,
    /// Those that have a value at one of its paths, even if it is null.
    Sparse(PartialFilter),
    /// Those that match.
    Partial(PartialFilter),
}

impl Coverage {
    /// The coverage of a sparse index on `paths`.
    #[must_use]
    pub fn sparse(paths: &[&Path]) -> Self {
        Self::Sparse(PartialFilter::written(Filter::any_exists(paths)))
    }

    /// The filter of its documents; `None` if it has all.
    #[must_use]
    pub const fn filter(&self) -> Option<&PartialFilter> {
        match self {
            Self::All => None,
            Self::Sparse(filter) | Self::Partial(filter) => Some(filter),
        }
    }

    /// Whether both are the same documents, however that is written. MongoDB has no two indexes of the same keys of them.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self.filter(), other.filter()) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.filter.implies(&other.filter) && other.filter.implies(&one.filter)
            }
            _ => false,
        }
    }

    /// Whether `document` is in the index.
    ///
    /// # Errors
    /// There is not enough fuel to find out.
    pub fn includes(&self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<bool, Interruption> {
        self.filter().map_or(Ok(true), |partial| partial.filter.evaluate(document, fuel))
    }
}

/// The filter of a partial index.
#[derive(Debug, Clone)]
pub struct PartialFilter {
    filter: Filter,
    /// It as canonical Extended JSON: two are equal if they are written the same.
    text: Box<str>,
}

impl PartialFilter {
    /// Takes `filter`, which is at the pointer `at` of the request.
    ///
    /// # Errors
    /// `invalid_input` with every condition that such a filter cannot have.
    pub fn new(filter: Filter, at: &str) -> Result<Self> {
        filter.check_partial(at)?;
        Ok(Self::written(filter))
    }

    /// Reads a filter from Extended JSON.
    ///
    /// # Errors
    /// As [`Self::new`], and if it is no filter.
    pub fn parse(json: &str, at: &str) -> Result<Self> {
        Self::new(Filter::parse(json, at)?, at)
    }

    fn written(filter: Filter) -> Self {
        let text = json(&filter.to_partial(""), write_canonical_json);
        Self { filter, text: text.into() }
    }

    /// It as a filter.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// It as canonical Extended JSON, to be kept.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It as relaxed Extended JSON, to be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        json(&self.filter.to_partial(""), write_json)
    }

    /// It as MongoDB takes it, with `prefix` before each path.
    #[must_use]
    pub fn to_mongodb(&self, prefix: &str) -> Document {
        self.filter.to_partial(prefix)
    }

    /// The filter that MongoDB has as `definition`; `None` if it is not one of ours.
    #[must_use]
    pub fn from_mongodb(definition: &Document) -> Option<Self> {
        Self::parse(&json(definition, write_canonical_json), "").ok()
    }
}

impl PartialEq for PartialFilter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PartialFilter {}

fn json(document: &Document, write: fn(&RawDocument, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    if let Ok(document) = RawDocumentBuf::try_from(document) {
        write(&document, &mut out);
    }
    String::from_utf8(out).unwrap_or_default()
}
