//! Whether a document matches a filter.
//!
//! What a newcomer gets wrong: a negation (`$ne`, `$nin`, `$not`, `$exists: false`) negates the whole question
//! "is there a value such that", so it also holds where the path reaches nothing.

use super::{Clause, Comparison, ElementMatch, Filter, Predicate};
use crate::document::order::{Rank, compare};
use crate::document::{Leaf, Path, as_document, is_nan, items, visit};
use bson::raw::RawBson;
use bson::{RawArray, RawBsonRef, RawDocument};

pub fn filter(filter: &Filter, document: &RawDocument) -> bool {
    filter.0.iter().all(|clause| match clause {
        Clause::And(filters) => filters.iter().all(|each| each.matches(document)),
        Clause::Or(filters) => filters.iter().any(|each| each.matches(document)),
        Clause::Nor(filters) => !filters.iter().any(|each| each.matches(document)),
        Clause::Field(path, predicates) => predicates.iter().all(|each| holds_at(each, path, document)),
    })
}

/// Whether the predicate holds of what `path` reaches.
fn holds_at(predicate: &Predicate, path: &Path, document: &RawDocument) -> bool {
    let any = |leaf, test: &dyn Fn(Option<RawBsonRef<'_>>) -> bool| {
        visit(document, path.parts(), leaf, &mut |value| test(value))
    };
    match predicate {
        Predicate::NotEqual(operand) => !any(Leaf::Items, &|value| is_equal(value, operand)),
        Predicate::NotIn(operands) => !any(Leaf::Items, &|value| is_one_of(value, operands)),
        Predicate::Exists(false) => !any(Leaf::Items, &|value| value.is_some()),
        Predicate::Not(predicates) => !predicates.iter().all(|each| holds_at(each, path, document)),
        Predicate::All(operands) => has_all(document, path, operands),
        Predicate::AllMatch(matches) => {
            matches.iter().all(|each| any(Leaf::Whole, &|value| has_element(value, each)))
        }
        Predicate::ElementMatch(_) | Predicate::Size(_) => {
            any(Leaf::Whole, &|value| holds_of(predicate, value))
        }
        _ => any(Leaf::Items, &|value| holds_of(predicate, value)),
    }
}

/// Whether the predicate holds of one value, `None` for one that is missing.
fn holds_of(predicate: &Predicate, value: Option<RawBsonRef<'_>>) -> bool {
    match predicate {
        Predicate::Compare(comparison, operand) => compares(value, *comparison, operand.as_raw_bson_ref()),
        Predicate::NotEqual(operand) => !is_equal(value, operand),
        Predicate::In(operands) => is_one_of(value, operands),
        Predicate::NotIn(operands) => !is_one_of(value, operands),
        Predicate::All(operands) => !operands.is_empty() && operands.iter().all(|each| is_equal(value, each)),
        Predicate::AllMatch(matches) => matches.iter().all(|each| has_element(value, each)),
        Predicate::ElementMatch(element) => has_element(value, element),
        Predicate::Exists(exists) => value.is_some() == *exists,
        Predicate::Size(size) => value
            .and_then(RawBsonRef::as_array)
            .is_some_and(|array| usize::try_from(*size) == Ok(length(array))),
        Predicate::Regex(pattern) => value.is_some_and(|value| pattern.matches(value)),
        Predicate::Not(predicates) => !predicates.iter().all(|each| holds_of(each, value)),
    }
}

fn length(array: &RawArray) -> usize {
    items(array).count()
}

/// Whether `value` is an array with an element that matches.
fn has_element(value: Option<RawBsonRef<'_>>, element: &ElementMatch) -> bool {
    let Some(RawBsonRef::Array(array)) = value else { return false };
    items(array).any(|item| match (element, item) {
        (ElementMatch::Value(predicates), item) => predicates.iter().all(|each| holds_of(each, Some(item))),
        (ElementMatch::Document(filter), RawBsonRef::Document(inner)) => filter.matches(inner),
        (ElementMatch::Document(filter), RawBsonRef::Array(inner)) => filter.matches(as_document(inner)),
        _ => false,
    })
}

fn is_equal(value: Option<RawBsonRef<'_>>, operand: &RawBson) -> bool {
    compares(value, Comparison::Equal, operand.as_raw_bson_ref())
}

/// Whether `value` is among `operands`, which are in order.
fn is_one_of(value: Option<RawBsonRef<'_>>, operands: &[RawBson]) -> bool {
    place_among(value, operands).is_some()
}

/// Whether `path` reaches each of `operands`, which are in order. There may be many of both: it goes through the values
/// once.
fn has_all(document: &RawDocument, path: &Path, operands: &[RawBson]) -> bool {
    let (mut is_there, mut missing) = (vec![false; operands.len()], operands.len());
    let reaches_all = visit(document, path.parts(), Leaf::Items, &mut |value| {
        if let Some(place) = place_among(value, operands)
            && !std::mem::replace(&mut is_there[place], true)
        {
            missing -= 1;
        }
        missing == 0
    });
    reaches_all && !operands.is_empty()
}

/// Which of `operands`, which are in order, `value` equals.
fn place_among(value: Option<RawBsonRef<'_>>, operands: &[RawBson]) -> Option<usize> {
    let value = match value {
        // No operand is undefined; what is missing equals null.
        None | Some(RawBsonRef::Undefined) => RawBsonRef::Null,
        Some(value) => value,
    };
    operands.binary_search_by(|operand| compare(operand.as_raw_bson_ref(), value)).ok()
}

/// Whether `value` compares with `operand` so. Values of different types do not compare, but for `null`, which
/// equals what is missing, and the two ends of the order.
fn compares(value: Option<RawBsonRef<'_>>, comparison: Comparison, operand: RawBsonRef<'_>) -> bool {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let present = value.unwrap_or(RawBsonRef::Undefined);
    if Rank::of(present) != Rank::of(operand) {
        return match operand {
            RawBsonRef::Null => {
                present == RawBsonRef::Undefined && matches!(comparison, Equal | GreaterOrEqual | LessOrEqual)
            }
            RawBsonRef::MinKey => matches!(comparison, Greater | GreaterOrEqual),
            RawBsonRef::MaxKey => matches!(comparison, Less | LessOrEqual),
            _ => false,
        };
    }
    if is_nan(present) != is_nan(operand) {
        return false;
    }
    let order = compare(present, operand);
    match comparison {
        Equal => order.is_eq(),
        Greater => order.is_gt(),
        GreaterOrEqual => order.is_ge(),
        Less => order.is_lt(),
        LessOrEqual => order.is_le(),
    }
}
