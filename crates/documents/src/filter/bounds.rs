//! The index entries that a filter allows, so that an engine need not read every document.
//!
//! The intervals may be wider than the filter, never narrower: an engine still checks every document with
//! [`Filter::evaluate`].
//!
//! # Pitfalls
//! If documents have several entries, two different entries may meet two conditions on one path, so their
//! intervals must not be intersected.

use super::syntax::{Clause, Comparison, ElementMatch, Filter, Predicate};
use crate::document::key;
use crate::document::order::{Direction, Rank};
use crate::document::{is_nan, items};
use crate::limits::FILTER_MAX_INTERVALS;
use bson::RawBsonRef;
use bson::raw::RawBson;
use std::cmp::Ordering;

/// How many entries a document may have in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// One each: no indexed path goes through an array in any document.
    One,
    /// More than one.
    Many,
}

/// The keys from those that begin with `low` up to those that begin with `high`, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The beginning of the lowest ones.
    pub low: Vec<u8>,
    /// The beginning of the highest ones.
    pub high: Vec<u8>,
}

impl Interval {
    /// The same entries where the index runs down.
    #[must_use]
    pub fn descending(&self) -> Self {
        let inverted = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            key::invert(&mut bytes);
            bytes
        };
        Self { low: inverted(&self.high), high: inverted(&self.low) }
    }

    /// The first key above all of its keys.
    #[must_use]
    pub fn end(&self) -> Vec<u8> {
        let mut end = self.high.clone();
        while end.last() == Some(&0xff) {
            end.pop();
        }
        // The first byte is a type's and never 255, in either direction.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        end
    }

    /// Whether `key` begins with one of its keys.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        *key >= *self.low && self.ends_after(key)
    }

    /// Whether one of `intervals`, which are in order and do not overlap, contains `key`.
    #[must_use]
    pub fn any_contains(intervals: &[Self], key: &[u8]) -> bool {
        let place = intervals.partition_point(|interval| !interval.ends_after(key));
        intervals.get(place).is_some_and(|interval| interval.contains(key))
    }

    /// Whether `key` is below [`Self::end`], without building that.
    fn ends_after(&self, key: &[u8]) -> bool {
        *key < *self.high || key.starts_with(&self.high)
    }

    /// The order of their ends.
    fn by_end(&self, other: &Self) -> Ordering {
        let common = self.high.len().min(other.high.len());
        let ((a, rest_of_a), (b, rest_of_b)) = (self.high.split_at(common), other.high.split_at(common));
        // What begins with the shorter one goes on to 255, and 255, and so on.
        let is_last = |rest: &[u8]| rest.iter().all(|byte| *byte == 0xff);
        a.cmp(b).then_with(|| is_last(rest_of_a).cmp(&is_last(rest_of_b)))
    }

    /// All keys.
    #[must_use]
    pub fn everything() -> Self {
        Self { low: Vec::new(), high: vec![0xfe] }
    }

    /// Whether it is the whole key of one value, of an index that runs up.
    #[must_use]
    pub fn is_point(&self) -> bool {
        const SINGLE: [u8; 4] =
            [Rank::MinKey as u8, Rank::Undefined as u8, Rank::Null as u8, Rank::MaxKey as u8];
        self.low == self.high
            && match self.low.as_slice() {
                [rank] => SINGLE.contains(rank),
                // It may be how texts begin; a whole one ends in two NULs, and a beginning never does.
                [rank, content @ ..] if *rank == Rank::String as u8 => content.ends_with(&[0, 0]),
                _ => !self.low.is_empty(),
            }
    }

    fn begins_with(start: Vec<u8>) -> Self {
        Self { low: start.clone(), high: start }
    }

    fn of_value(value: RawBsonRef<'_>) -> Self {
        Self::begins_with(key::encode(&[(value, Direction::Ascending)]))
    }

    fn of_rank(rank: Rank) -> Self {
        Self::begins_with(vec![rank as u8])
    }

    fn of_undefined() -> Self {
        Self::of_rank(Rank::Undefined)
    }
}

type IntervalSet = Vec<Interval>;

pub fn of_filter(filter: &Filter, path: &str, entries: Entries) -> Option<IntervalSet> {
    together(filter.clauses.iter().filter_map(|clause| of_clause(clause, path, entries)), entries)
}

fn of_clause(clause: &Clause, path: &str, entries: Entries) -> Option<IntervalSet> {
    match clause {
        Clause::And(filters) => {
            together(filters.iter().filter_map(|each| of_filter(each, path, entries)), entries)
        }
        Clause::Or(filters) => {
            let sets: Option<Vec<IntervalSet>> =
                filters.iter().map(|each| of_filter(each, path, entries)).collect();
            sets.map(|sets| union(sets.into_iter().flatten().collect()))
        }
        Clause::Nor(_) => None,
        Clause::Field(own, predicates) => {
            let below = path.strip_prefix(own.as_str())?;
            together(predicates.iter().filter_map(|each| of_predicate(each, below, entries)), entries)
        }
    }
}

/// The bounds that a predicate gives for its own path continued by `below`.
fn of_predicate(predicate: &Predicate, below: &str, entries: Entries) -> Option<IntervalSet> {
    match predicate {
        Predicate::ElementMatch(element) => of_element(element, below),
        Predicate::AllMatch(matches) => matches.iter().find_map(|each| of_element(each, below)),
        _ if !below.is_empty() => None,
        Predicate::Compare(Comparison::Equal, operand) => Some(equal_to(operand)),
        Predicate::Compare(comparison, operand) => {
            range(*comparison, operand.as_raw_bson_ref()).map(|one| vec![one])
        }
        Predicate::In(operands) => Some(union(operands.iter().flat_map(equal_to).collect())),
        Predicate::All(operands) => match operands.is_empty() {
            true => Some(Vec::new()),
            false => together(operands.iter().map(equal_to), entries),
        },
        // A stored pattern matches, too, if it is the same.
        Predicate::Regex(pattern) => {
            let mut start = vec![Rank::String as u8];
            key::append_text_start(pattern.start().unwrap_or_default(), &mut start);
            Some(vec![Interval::begins_with(start), Interval::of_rank(Rank::Regex)])
        }
        Predicate::NotEqual(_)
        | Predicate::NotIn(_)
        | Predicate::Exists(_)
        | Predicate::Size(_)
        | Predicate::Not(_) => None,
    }
}

fn of_element(element: &ElementMatch, below: &str) -> Option<IntervalSet> {
    match element {
        ElementMatch::Document(filter) => of_filter(filter, below.strip_prefix('.')?, Entries::Many),
        // All hold of one value, and that value is one entry.
        ElementMatch::Value(predicates) if below.is_empty() => {
            let sets = predicates.iter().filter_map(of_value);
            sets.reduce(|a, b| intersection(&a, &b))
        }
        ElementMatch::Value(_) => None,
    }
}

/// The bounds that a predicate gives for the one value that meets it.
fn of_value(predicate: &Predicate) -> Option<IntervalSet> {
    match predicate {
        Predicate::ElementMatch(_) | Predicate::AllMatch(_) => None,
        _ => of_predicate(predicate, "", Entries::One),
    }
}

/// The bounds that follow from all of `sets`.
fn together(sets: impl Iterator<Item = IntervalSet>, entries: Entries) -> Option<IntervalSet> {
    match entries {
        Entries::One => sets.reduce(|a, b| intersection(&a, &b)),
        Entries::Many => sets.min_by_key(|set| (!set.iter().all(Interval::is_point), set.len())),
    }
}

/// The entries that a document has one of if it has a value that equals `operand`.
fn equal_to(operand: &RawBson) -> IntervalSet {
    match operand.as_raw_bson_ref() {
        // Also what is missing.
        RawBsonRef::Null => vec![Interval::of_undefined(), Interval::of_rank(Rank::Null)],
        // As an array its values are the entries; as a value of an array it is one itself.
        array @ RawBsonRef::Array(inner) => {
            let first = items(inner).next().map_or_else(Interval::of_undefined, Interval::of_value);
            union(vec![first, Interval::of_value(array)])
        }
        value => vec![Interval::of_value(value)],
    }
}

/// Only values of the operand's type compare with it.
fn range(comparison: Comparison, operand: RawBsonRef<'_>) -> Option<Interval> {
    let (value, rank) = (Interval::of_value(operand), Interval::of_rank(Rank::of(operand)));
    match operand {
        RawBsonRef::Array(_) | RawBsonRef::MinKey | RawBsonRef::MaxKey => None,
        RawBsonRef::Null => Some(Interval { low: Interval::of_undefined().low, high: value.high }),
        _ if is_nan(operand) => Some(value),
        _ => Some(match comparison {
            Comparison::Greater | Comparison::GreaterOrEqual => Interval { low: value.low, high: rank.high },
            Comparison::Less | Comparison::LessOrEqual => Interval { low: rank.low, high: value.high },
            Comparison::Equal => value,
        }),
    }
}

/// The union of `intervals`, which come in any order.
fn union(mut intervals: IntervalSet) -> IntervalSet {
    intervals.sort_by(|a, b| a.low.cmp(&b.low));
    let mut merged = IntervalSet::with_capacity(intervals.len());
    for next in intervals {
        match merged.last_mut() {
            Some(last) if last.ends_after(&next.low) => {
                if next.by_end(last).is_gt() {
                    last.high = next.high;
                }
            }
            _ => merged.push(next),
        }
    }
    widened(merged)
}

/// The intersection of both; the intervals of each are in order and do not overlap, so one pass finds it.
fn intersection(mut a: &[Interval], mut b: &[Interval]) -> IntervalSet {
    let mut common = IntervalSet::new();
    while let ([x, rest_of_a @ ..], [y, rest_of_b @ ..]) = (a, b) {
        let low = (&x.low).max(&y.low);
        let first = if x.by_end(y).is_lt() { x } else { y };
        if first.ends_after(low) {
            common.push(Interval { low: low.clone(), high: first.high.clone() });
        }
        // Nothing that comes later meets the one that ends first.
        if std::ptr::eq(first, x) { a = rest_of_a } else { b = rest_of_b }
    }
    widened(common)
}

/// The same intervals or, if there are too many, one that spans them all; they are in order and do not
/// overlap.
fn widened(intervals: IntervalSet) -> IntervalSet {
    match intervals.as_slice() {
        [first, .., last] if intervals.len() > FILTER_MAX_INTERVALS => {
            vec![Interval { low: first.low.clone(), high: last.high.clone() }]
        }
        _ => intervals,
    }
}
