//! The syntax tree of a filter.

use super::pattern::Pattern;
use super::price::FilterPrice;
use crate::document::Path;
use bson::raw::RawBson;

/// A filter that has been checked.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub(super) clauses: Vec<Clause>,
    /// The price of the whole filter; nothing for a filter within another.
    pub(super) price: FilterPrice,
}

/// A condition on a document.
#[derive(Debug, Clone)]
pub(super) enum Clause {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Nor(Vec<Filter>),
    /// All of these hold for the value at the path.
    Field(Path, Vec<Predicate>),
}

/// A condition on the value at a path, or on one value of an array.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    Compare(Comparison, RawBson),
    NotEqual(RawBson),
    /// One of these, which are in order.
    In(Vec<RawBson>),
    NotIn(Vec<RawBson>),
    /// Each of these occurs.
    All(Vec<RawBson>),
    /// For each of these there is a value.
    AllMatch(Vec<ElementMatch>),
    ElementMatch(ElementMatch),
    Exists(bool),
    Size(i64),
    Regex(Pattern),
    Not(Vec<Predicate>),
}

/// How a value compares with an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// The condition of `$elemMatch` on one value of an array.
#[derive(Debug, Clone)]
pub(super) enum ElementMatch {
    /// It is a document, or an array taken as one, that matches.
    Document(Filter),
    /// All of these hold for it.
    Value(Vec<Predicate>),
}
