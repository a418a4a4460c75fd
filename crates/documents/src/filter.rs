//! Filters: a safe part of MongoDB's filter language, with MongoDB's meaning.
//!
//! Filters are parsed by allow-list: an unknown operator is refused at any depth, and so is a condition that
//! MongoDB would answer differently. The embedded engine asks [`Filter::evaluate`]; MongoDB gets
//! [`Filter::to_mongodb`]. A filter never becomes SQL: an index gives candidates ([`Filter::bounds`]), and each is evaluated.
//!
//! # Pitfalls
//! MongoDB decides what a filter means: a rule that looks odd here is odd there. The differential test
//! compares both on random documents.

mod automaton;
mod bounds;
mod equalities;
mod implication;
mod matches;
mod parse;
mod partial;
mod pattern;
mod position;
mod price;
mod render;
mod syntax;
#[cfg(test)]
mod tests;

pub use bounds::{Entries, Interval};
pub use position::MatchedPosition;
pub use price::FilterPrice;
pub use syntax::Filter;

pub(crate) use pattern::Pattern;

use crate::document::{ExtendedJsonReader, Json, JsonMembers, Path};
use crate::error::Result;
use crate::fuel::{Fuel, Interruption};
use bson::raw::RawBson;
use bson::{Document, RawDocument};
use std::borrow::Cow;
use std::collections::BTreeSet;
use syntax::Clause;

impl Filter {
    /// Reads a filter from Extended JSON; `at` is the pointer of the filter within the request.
    ///
    /// # Errors
    /// `invalid_input` with everything that is not allowed.
    pub fn parse(json: &str, at: &str) -> Result<Self> {
        parse::parse(json, at)
    }

    /// Reads a filter within a larger input, of `bytes` bytes, that is already parsed.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn parse_members(
        members: Vec<(Cow<'_, str>, Json<'_>)>,
        at: &str,
        bytes: usize,
    ) -> Result<Self> {
        parse::parse_members(members, at, bytes)
    }

    /// Reads the filter of a value within an update.
    pub(crate) fn of_members(
        members: JsonMembers<'_>,
        reader: &mut ExtendedJsonReader,
        price: &mut FilterPrice,
    ) -> Self {
        parse::within(members, reader, price)
    }

    /// Reads operators as conditions on the field `name`.
    pub(crate) fn of_operators(
        name: &str,
        members: JsonMembers<'_>,
        reader: &mut ExtendedJsonReader,
        price: &mut FilterPrice,
    ) -> Self {
        parse::operators_on(name, members, reader, price)
    }

    /// The paths for which it demands one value, with these values: what an upsert begins with.
    #[must_use]
    pub fn equalities(&self) -> Vec<(&Path, &RawBson)> {
        equalities::of_filter(self)
    }

    /// Whether a condition of it is on an empty list.
    #[must_use]
    pub fn has_empty_list(&self) -> bool {
        equalities::has_empty_list(self)
    }

    /// The position in an array by which `document` matches, as the `$` of an update takes it.
    ///
    /// # Errors
    /// There is not enough fuel to find out.
    pub fn matched_position(
        &self,
        document: &RawDocument,
        fuel: &Fuel<'_>,
    ) -> Result<MatchedPosition, Interruption> {
        position::of_filter(self, document, fuel)
    }

    /// Whether it has no conditions, so that every document matches.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Its price, which is known without any document.
    #[must_use]
    pub const fn price(&self) -> FilterPrice {
        self.price
    }

    /// Whether `document` matches.
    ///
    /// # Errors
    /// There is not enough fuel to find out.
    pub fn evaluate(&self, document: &RawDocument, fuel: &Fuel<'_>) -> Result<bool, Interruption> {
        matches::filter(self, document, fuel)
    }

    /// Whether `document` matches, at any cost: for tests.
    #[must_use]
    pub fn matches(&self, document: &RawDocument) -> bool {
        self.evaluate(document, &Fuel::unlimited()) == Ok(true)
    }

    /// The same filter for MongoDB, with `prefix` (such as `doc.`) before each path from the top. It finds every document
    /// that matches, and no other if [`Self::is_decided_by_mongodb`].
    #[must_use]
    pub fn to_mongodb(&self, prefix: &str) -> Document {
        render::to_bson(self, prefix)
    }

    /// Whether MongoDB evaluates exactly this filter. If not, it finds too much, and [`Self::evaluate`] must
    /// decide: for some patterns, the server's search gives up in a long text and then reports no match.
    #[must_use]
    pub fn is_decided_by_mongodb(&self) -> bool {
        render::is_decided(self)
    }

    /// Whether every document that matches it also matches `other`; `false` also where that is not known.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        implication::implies(self, other)
    }

    /// Refuses a filter that no partial index may have; `at` is its pointer within the request.
    pub(crate) fn check_partial(&self, at: &str) -> Result<()> {
        partial::check(self, at)
    }

    /// The same filter as the definition of a partial index, with `prefix` before each path.
    pub(crate) fn to_partial(&self, prefix: &str) -> Document {
        partial::write(self, prefix)
    }

    /// The filter of documents that have a value at one of `paths`.
    pub(crate) fn any_exists(paths: &[&Path]) -> Self {
        partial::any_exists(paths)
    }

    /// The fields at the top of a document whose values decide whether it matches.
    #[must_use]
    pub fn heads(&self) -> BTreeSet<&str> {
        let mut heads = BTreeSet::new();
        self.collect_heads(&mut heads);
        heads
    }

    fn collect_heads<'a>(&'a self, heads: &mut BTreeSet<&'a str>) {
        for clause in &self.clauses {
            match clause {
                Clause::And(filters) | Clause::Or(filters) | Clause::Nor(filters) => {
                    filters.iter().for_each(|filter| filter.collect_heads(heads));
                }
                Clause::Field(path, _) => {
                    heads.insert(path.head());
                }
            }
        }
    }

    /// The intervals of an ascending index on `path` that contain at least one entry of each matching
    /// document. `None` if that is unknown. The intervals do not overlap and are in order; entries within
    /// them may belong to documents that do not match.
    ///
    /// In a compound index this holds of the first path, and of the others only if each document has one entry.
    #[must_use]
    pub fn bounds(&self, path: &Path, entries: Entries) -> Option<Vec<Interval>> {
        bounds::of_filter(self, path.as_str(), entries)
    }
}
