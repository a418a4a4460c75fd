//! Whether a document matches a filter.
//!
//! # Pitfalls
//! A negation (`$ne`, `$nin`, `$not`, `$exists: false`) negates the whole question "is there a value such
//! that", so it also holds where the path reaches nothing.

use super::syntax::{Clause, Comparison, ElementMatch, Filter, Predicate};
use crate::document::order::{Rank, compare};
use crate::document::{Leaf, Path, as_document, is_nan, items_within, size, visit};
use crate::fuel::{self, Fuel, Interruption};
use bson::raw::RawBson;
use bson::{RawArray, RawBsonRef, RawDocument};

/// Whether it matches; an error if there is not enough fuel to find out.
pub(super) type MatchResult = Result<bool, Interruption>;

/// The cost of checking a condition.
const CONDITION: u64 = 16;

pub fn filter(filter: &Filter, document: &RawDocument, fuel: &Fuel<'_>) -> MatchResult {
    all(&filter.clauses, |clause| {
        fuel.spend(CONDITION)?;
        match clause {
            Clause::And(filters) => all(filters, |each| each.evaluate(document, fuel)),
            Clause::Or(filters) => any(filters, |each| each.evaluate(document, fuel)),
            Clause::Nor(filters) => any(filters, |each| each.evaluate(document, fuel)).map(|found| !found),
            Clause::Field(path, predicates) => all(predicates, |each| holds_at(each, path, document, fuel)),
        }
    })
}

fn all<T>(of: &[T], holds: impl Fn(&T) -> MatchResult) -> MatchResult {
    for each in of {
        if !holds(each)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any<T>(of: &[T], holds: impl Fn(&T) -> MatchResult) -> MatchResult {
    for each in of {
        if holds(each)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the predicate holds for the values that `path` reaches.
fn holds_at(predicate: &Predicate, path: &Path, document: &RawDocument, fuel: &Fuel<'_>) -> MatchResult {
    let reaches = |leaf, test: &dyn Fn(Option<RawBsonRef<'_>>) -> MatchResult| {
        visit(document, path.parts(), leaf, fuel, &mut |value| test(value))
    };
    let not = |answer: MatchResult| answer.map(|holds| !holds);
    match predicate {
        Predicate::NotEqual(operand) => not(reaches(Leaf::Items, &|value| is_equal(value, operand, fuel))),
        Predicate::NotIn(operands) => not(reaches(Leaf::Items, &|value| is_one_of(value, operands, fuel))),
        Predicate::Exists(false) => not(reaches(Leaf::Items, &|value| Ok(value.is_some()))),
        Predicate::Not(predicates) => not(all(predicates, |each| holds_at(each, path, document, fuel))),
        Predicate::All(operands) => has_all(document, path, operands, fuel),
        Predicate::AllMatch(matches) => {
            all(matches, |each| reaches(Leaf::Whole, &|value| has_element(value, each, fuel)))
        }
        Predicate::ElementMatch(_) | Predicate::Size(_) => {
            reaches(Leaf::Whole, &|value| holds_of(predicate, value, fuel))
        }
        _ => reaches(Leaf::Items, &|value| holds_of(predicate, value, fuel)),
    }
}

/// Whether the predicate holds for one value; `None` is a missing one.
pub(super) fn holds_of(predicate: &Predicate, value: Option<RawBsonRef<'_>>, fuel: &Fuel<'_>) -> MatchResult {
    fuel.spend(CONDITION)?;
    match predicate {
        Predicate::Compare(comparison, operand) => {
            compares(value, *comparison, operand.as_raw_bson_ref(), fuel)
        }
        Predicate::NotEqual(operand) => is_equal(value, operand, fuel).map(|is_equal| !is_equal),
        Predicate::In(operands) => is_one_of(value, operands, fuel),
        Predicate::NotIn(operands) => is_one_of(value, operands, fuel).map(|found| !found),
        Predicate::All(operands) => {
            Ok(!operands.is_empty() && all(operands, |each| is_equal(value, each, fuel))?)
        }
        Predicate::AllMatch(matches) => all(matches, |each| has_element(value, each, fuel)),
        Predicate::ElementMatch(element) => has_element(value, element, fuel),
        Predicate::Exists(exists) => Ok(value.is_some() == *exists),
        Predicate::Size(size) => match value.and_then(RawBsonRef::as_array) {
            Some(array) => length(array, fuel).map(|length| i64::try_from(length) == Ok(*size)),
            None => Ok(false),
        },
        Predicate::Regex(pattern) => value.map_or(Ok(false), |value| pattern.matches(value, fuel)),
        Predicate::Not(predicates) => all(predicates, |each| holds_of(each, value, fuel)).map(|holds| !holds),
    }
}

fn length(array: &RawArray, fuel: &Fuel<'_>) -> Result<usize, Interruption> {
    let mut length = 0;
    for _ in array.iter_elements().map_while(Result::ok) {
        fuel.spend(fuel::FIELD)?;
        length += 1;
    }
    Ok(length)
}

/// Whether `value` is an array with an element that matches.
pub(super) fn has_element(
    value: Option<RawBsonRef<'_>>,
    element: &ElementMatch,
    fuel: &Fuel<'_>,
) -> MatchResult {
    let Some(RawBsonRef::Array(array)) = value else { return Ok(false) };
    for item in items_within(array, fuel) {
        let item = item?;
        let holds = match (element, item) {
            (ElementMatch::Value(predicates), item) => {
                all(predicates, |each| holds_of(each, Some(item), fuel))?
            }
            (ElementMatch::Document(filter), RawBsonRef::Document(inner)) => filter.evaluate(inner, fuel)?,
            (ElementMatch::Document(filter), RawBsonRef::Array(inner)) => {
                filter.evaluate(as_document(inner), fuel)?
            }
            _ => false,
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn is_equal(value: Option<RawBsonRef<'_>>, operand: &RawBson, fuel: &Fuel<'_>) -> MatchResult {
    compares(value, Comparison::Equal, operand.as_raw_bson_ref(), fuel)
}

/// Whether `value` is among `operands`, which are in order.
fn is_one_of(value: Option<RawBsonRef<'_>>, operands: &[RawBson], fuel: &Fuel<'_>) -> MatchResult {
    place_among(value, operands, fuel).map(|place| place.is_some())
}

/// Whether `path` reaches each of `operands`, which are in order. There may be many of both: it goes through the values
/// once.
fn has_all(document: &RawDocument, path: &Path, operands: &[RawBson], fuel: &Fuel<'_>) -> MatchResult {
    fuel.spend(operands.len() as u64)?;
    let (mut is_there, mut missing) = (vec![false; operands.len()], operands.len());
    let reaches_all = visit(document, path.parts(), Leaf::Items, fuel, &mut |value| {
        if let Some(place) = place_among(value, operands, fuel)?
            && !std::mem::replace(&mut is_there[place], true)
        {
            missing -= 1;
        }
        Ok(missing == 0)
    })?;
    Ok(reaches_all && !operands.is_empty())
}

/// Which of `operands`, which are in order, `value` equals.
fn place_among(
    value: Option<RawBsonRef<'_>>,
    operands: &[RawBson],
    fuel: &Fuel<'_>,
) -> Result<Option<usize>, Interruption> {
    let value = match value {
        // No operand is undefined; a missing value equals null.
        None | Some(RawBsonRef::Undefined) => RawBsonRef::Null,
        Some(value) => value,
    };
    // Each comparison halves what is left.
    let comparisons = u64::from(operands.len().checked_ilog2().map_or(0, |halvings| halvings + 1));
    fuel.spend(comparisons * fuel::comparison(size(value)))?;
    Ok(operands.binary_search_by(|operand| compare(operand.as_raw_bson_ref(), value)).ok())
}

/// Whether the comparison of `value` with `operand` holds. Values of different types do not compare, except
/// `null`, which equals a missing value, and the two ends of the order.
fn compares(
    value: Option<RawBsonRef<'_>>,
    comparison: Comparison,
    operand: RawBsonRef<'_>,
    fuel: &Fuel<'_>,
) -> MatchResult {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let present = value.unwrap_or(RawBsonRef::Undefined);
    if Rank::of(present) != Rank::of(operand) {
        return Ok(match operand {
            RawBsonRef::Null => {
                present == RawBsonRef::Undefined && matches!(comparison, Equal | GreaterOrEqual | LessOrEqual)
            }
            RawBsonRef::MinKey => matches!(comparison, Greater | GreaterOrEqual),
            RawBsonRef::MaxKey => matches!(comparison, Less | LessOrEqual),
            _ => false,
        });
    }
    if is_nan(present) != is_nan(operand) {
        return Ok(false);
    }
    // The shorter one ends it.
    fuel.spend(fuel::comparison(size(present).min(size(operand))))?;
    let order = compare(present, operand);
    Ok(match comparison {
        Equal => order.is_eq(),
        Greater => order.is_gt(),
        GreaterOrEqual => order.is_ge(),
        Less => order.is_lt(),
        LessOrEqual => order.is_le(),
    })
}
