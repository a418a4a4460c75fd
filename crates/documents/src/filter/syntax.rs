//! The syntax tree of a filter.

use super::pattern::Pattern;
use super::price::FilterPrice;
use crate::document::Path;
use crate::document::order::compare;
use bson::raw::RawBson;
use std::ops::Deref;

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
    All(RequiredValues),
    /// For each of these there is a value.
    AllMatch(Vec<ElementMatch>),
    ElementMatch(ElementMatch),
    Exists(bool),
    Size(i64),
    Regex(Pattern),
    Not(Vec<Predicate>),
}

/// The values of an `$all`, in order and each once.
#[derive(Debug, Clone)]
pub(super) struct RequiredValues {
    values: Vec<RawBson>,
    /// One that was given more than once. It makes no difference to what matches; an upsert is refused for it.
    pub(super) repeated: Option<RawBson>,
}

impl RequiredValues {
    /// Of values that are in order.
    pub(super) fn new(mut values: Vec<RawBson>) -> Self {
        let mut repeated = None;
        values.dedup_by(|later, first| {
            let is_equal = compare(later.as_raw_bson_ref(), first.as_raw_bson_ref()).is_eq();
            if is_equal {
                repeated = Some(first.clone());
            }
            is_equal
        });
        Self { values, repeated }
    }
}

impl Deref for RequiredValues {
    type Target = [RawBson];

    fn deref(&self) -> &Self::Target {
        &self.values
    }
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
