//! Whether every document that matches one filter matches another: only then may a query use a partial index.
//!
//! The answer "no" may be wrong, "yes" never is. Conditions on one path are compared value by value: a condition asks
//! whether the path reaches a value that meets it, so it implies another if every value that meets it meets the other.
//!
//! # Pitfalls
//! A condition that a missing value meets (`null`, a negation) implies no existence.

use super::partial::is_range_operand;
use super::syntax::{Clause, Comparison, Filter, Predicate};
use crate::document::Path;
use crate::document::order::{Rank, compare};
use bson::raw::RawBson;
use std::cmp::Ordering;

/// How many levels of `$and` and `$or` of a query are looked into. Each pair of conditions may be reached in several ways,
/// the more the deeper they are.
const LEVELS: usize = 4;

/// Whether `filter` implies `other`.
pub fn implies(filter: &Filter, other: &Filter) -> bool {
    implies_all(filter, other, LEVELS)
}

fn implies_all(filter: &Filter, other: &Filter, levels: usize) -> bool {
    other.clauses.iter().all(|clause| implies_clause(filter, clause, levels))
}

fn implies_clause(filter: &Filter, clause: &Clause, levels: usize) -> bool {
    let is_implied = match clause {
        Clause::And(filters) => filters.iter().all(|each| implies_all(filter, each, levels)),
        Clause::Or(filters) => filters.iter().any(|each| implies_all(filter, each, levels)),
        Clause::Nor(_) => false,
        Clause::Field(path, predicates) => {
            predicates.iter().all(|predicate| implies_predicate(filter, path, predicate, levels))
        }
    };
    // Each of its branches may imply it for a reason of its own.
    let by_branches = |own: &Clause| match own {
        Clause::And(filters) => filters.iter().any(|each| implies_clause(each, clause, levels - 1)),
        Clause::Or(filters) => filters.iter().all(|each| implies_clause(each, clause, levels - 1)),
        Clause::Nor(_) | Clause::Field(..) => false,
    };
    is_implied || (levels > 0 && filter.clauses.iter().any(by_branches))
}

/// Whether one of the filter's conditions that all hold implies the predicate.
fn implies_predicate(filter: &Filter, path: &Path, predicate: &Predicate, levels: usize) -> bool {
    filter.clauses.iter().any(|clause| match clause {
        Clause::Field(own, predicates) => {
            own.as_str() == path.as_str() && predicates.iter().any(|each| is_narrower(each, predicate))
        }
        Clause::And(filters) if levels > 0 => {
            filters.iter().any(|each| implies_predicate(each, path, predicate, levels - 1))
        }
        Clause::And(_) | Clause::Or(_) | Clause::Nor(_) => false,
    })
}

/// Whether every set of values that meets `one` meets `other`.
fn is_narrower(one: &Predicate, other: &Predicate) -> bool {
    match other {
        Predicate::Exists(true) => needs_value(one),
        Predicate::Compare(comparison, operand) => is_within(one, *comparison, operand),
        Predicate::In(operands) => match one {
            Predicate::Compare(Comparison::Equal, value) => has(operands, value),
            Predicate::In(values) => values.iter().all(|value| has(operands, value)),
            Predicate::All(values) => values.iter().any(|value| has(operands, value)),
            _ => false,
        },
        _ => false,
    }
}

/// Whether only documents meet it in which the path reaches something.
fn needs_value(predicate: &Predicate) -> bool {
    let is_present = |value: &RawBson| !matches!(value, RawBson::Null | RawBson::Undefined);
    match predicate {
        Predicate::Compare(Comparison::Equal, operand) => is_present(operand),
        Predicate::Compare(_, operand) => is_range_operand(operand),
        Predicate::In(operands) => operands.iter().all(is_present),
        Predicate::All(operands) => operands.iter().any(is_present),
        Predicate::Exists(exists) => *exists,
        Predicate::Regex(_) | Predicate::Size(_) | Predicate::ElementMatch(_) => true,
        Predicate::AllMatch(elements) => !elements.is_empty(),
        Predicate::NotEqual(_) | Predicate::NotIn(_) | Predicate::Not(_) => false,
    }
}

/// Whether every value that meets `one` compares so with `operand`.
fn is_within(one: &Predicate, comparison: Comparison, operand: &RawBson) -> bool {
    let value_is_within = |value: &RawBson| holds(value, comparison, operand);
    match one {
        Predicate::Compare(Comparison::Equal, value) => value_is_within(value),
        Predicate::In(values) => values.iter().all(value_is_within),
        Predicate::All(values) => values.iter().any(value_is_within),
        Predicate::Compare(own, bound) => range_is_within(*own, bound, comparison, operand),
        _ => false,
    }
}

/// Whether `value` compares so with `operand`; the same as in [`super::matches`], for the operands that are ranges here.
fn holds(value: &RawBson, comparison: Comparison, operand: &RawBson) -> bool {
    let order = compare(value.as_raw_bson_ref(), operand.as_raw_bson_ref());
    if comparison == Comparison::Equal {
        return order.is_eq();
    }
    are_comparable(value, operand)
        && match comparison {
            Comparison::Equal => order.is_eq(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
        }
}

/// Whether a range from `bound` lies within the one from `operand`: in the same direction, and not wider.
fn range_is_within(own: Comparison, bound: &RawBson, comparison: Comparison, operand: &RawBson) -> bool {
    if !are_comparable(bound, operand) {
        return false;
    }
    let order = compare(bound.as_raw_bson_ref(), operand.as_raw_bson_ref());
    match (own, comparison) {
        (Comparison::GreaterOrEqual, Comparison::Greater) => order == Ordering::Greater,
        (Comparison::LessOrEqual, Comparison::Less) => order == Ordering::Less,
        (
            Comparison::Greater | Comparison::GreaterOrEqual,
            Comparison::Greater | Comparison::GreaterOrEqual,
        ) => order.is_ge(),
        (Comparison::Less | Comparison::LessOrEqual, Comparison::Less | Comparison::LessOrEqual) => {
            order.is_le()
        }
        _ => false,
    }
}

fn are_comparable(one: &RawBson, other: &RawBson) -> bool {
    is_range_operand(one)
        && is_range_operand(other)
        && Rank::of(one.as_raw_bson_ref()) == Rank::of(other.as_raw_bson_ref())
}

/// Whether `value` is among `operands`, which are in order.
fn has(operands: &[RawBson], value: &RawBson) -> bool {
    operands.binary_search_by(|operand| compare(operand.as_raw_bson_ref(), value.as_raw_bson_ref())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn implied(filter: &str, other: &str) -> bool {
        let parse = |json| Filter::parse(json, "").unwrap();
        implies(&parse(filter), &parse(other))
    }

    #[test]
    fn narrower_filter_implies_the_wider_one() {
        for (filter, other) in [
            (r#"{"a": 5}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": 5}"#, r#"{"a": 5.0}"#),
            (r#"{"a": null}"#, r#"{"a": null}"#),
            (r#"{"b": 1, "a": {"$gt": 5, "$lt": 9}}"#, r#"{"a": {"$gt": 3}}"#),
            (r#"{"a": {"$gt": 3}}"#, r#"{"a": {"$gte": 3}}"#),
            (r#"{"a": {"$gte": 4}}"#, r#"{"a": {"$gt": 3}}"#),
            (r#"{"a": {"$lt": "b"}}"#, r#"{"a": {"$lte": "b"}}"#),
            (r#"{"a": {"$in": [5, 6]}}"#, r#"{"a": {"$in": [4, 5, 6]}}"#),
            (r#"{"a": {"$in": [5, 6]}}"#, r#"{"a": {"$gte": 5}}"#),
            (r#"{"a": {"$all": [null, 6]}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$all": [1, 6]}}"#, r#"{"a": {"$gte": 5}}"#),
            (r#"{"a": {"$size": 0}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$regex": "x"}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$elemMatch": {"b": 1}}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"$and": [{"b": 1}, {"a": 5}]}"#, r#"{"$or": [{"a": 5}, {"c": 7}]}"#),
            (r#"{"$or": [{"a": 5}, {"a": 6, "c": 1}]}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"$or": [{"a": 5}, {"c": 7}]}"#, r#"{"$or": [{"c": 7}, {"a": 5}]}"#),
            (r#"{"$and": [{"a": {"$gt": 5}}, {"a": {"$lt": 8}}]}"#, r#"{"a": {"$gt": 5, "$lt": 9}}"#),
            (r#"{"a": 5, "c": 7}"#, r#"{"$and": [{"c": 7}, {"a": {"$gt": 1}}]}"#),
        ] {
            assert!(implied(filter, other), "{filter} {other}");
        }
    }

    #[test]
    fn filter_implies_nothing_that_may_not_hold() {
        for (filter, other) in [
            ("{}", r#"{"a": {"$exists": true}}"#),
            (r#"{"a": null}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$in": [1, null]}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$ne": 5}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$exists": false}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$gte": {"$minKey": 1}}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": {"$not": {"$gt": 5}}}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a.b": 5}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"a": 5}"#, r#"{"a": 6}"#),
            (r#"{"a": {"$gt": 3}}"#, r#"{"a": {"$gt": 4}}"#),
            (r#"{"a": {"$gte": 3}}"#, r#"{"a": {"$gt": 3}}"#),
            (r#"{"a": {"$gt": 3}}"#, r#"{"a": {"$lt": 9}}"#),
            (r#"{"a": {"$gt": "x"}}"#, r#"{"a": {"$gt": 3}}"#),
            (r#"{"a": {"$numberDouble": "NaN"}}"#, r#"{"a": {"$lte": 3}}"#),
            (r#"{"a": {"$in": [5, 7]}}"#, r#"{"a": {"$in": [4, 5, 6]}}"#),
            (r#"{"a": {"$elemMatch": {"$gt": 5}}}"#, r#"{"a": {"$gt": 5}}"#),
            (r#"{"$or": [{"a": 5}, {"b": 6}]}"#, r#"{"a": {"$exists": true}}"#),
            (r#"{"$nor": [{"a": 5}]}"#, r#"{"a": 5}"#),
            (r#"{"a": 5}"#, r#"{"a": 5, "b": 1}"#),
        ] {
            assert!(!implied(filter, other), "{filter} {other}");
        }
    }
}
