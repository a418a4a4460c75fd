//! The position in an array by which a document matches: what `$` means in an update.
//!
//! MongoDB takes the position of whichever condition it has evaluated last, in an order of its own. Where all conditions
//! give one position, the order does not matter; where they do not, there is none.

use super::matches::{MatchResult, has_element, holds_of, is_equal};
use super::syntax::{Clause, Filter, Predicate};
use crate::document::{Leaf, PathPart, field_within, items_within, visit};
use crate::fuel::{Fuel, Interruption};
use bson::{RawArray, RawBsonRef, RawDocument};

/// A position in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedPosition {
    /// No condition matches by a value of an array.
    Unknown,
    /// All that do match by this one.
    At(usize),
    /// They match by different ones, or it is not known by which.
    Several,
}

type PositionResult = Result<MatchedPosition, Interruption>;

impl MatchedPosition {
    /// The position if both conditions hold.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, position) | (position, Self::Unknown) => position,
            _ if self == other => self,
            _ => Self::Several,
        }
    }
}

pub fn of_filter(filter: &Filter, document: &RawDocument, fuel: &Fuel<'_>) -> PositionResult {
    let mut position = MatchedPosition::Unknown;
    for clause in &filter.clauses {
        let own = match clause {
            Clause::And(filters) => {
                let mut all = MatchedPosition::Unknown;
                for each in filters {
                    all = all.and(of_filter(each, document, fuel)?);
                }
                all
            }
            Clause::Or(filters) => any(filters, document, fuel)?,
            Clause::Nor(_) => MatchedPosition::Unknown,
            Clause::Field(path, predicates) => {
                let mut all = MatchedPosition::Unknown;
                for each in predicates {
                    all = all.and(at_path(each, document, path.parts(), fuel)?);
                }
                all
            }
        };
        position = position.and(own);
    }
    Ok(position)
}

/// Of several branches MongoDB takes no position, unless it makes one condition of them.
fn any(filters: &[Filter], document: &RawDocument, fuel: &Fuel<'_>) -> PositionResult {
    if let [only] = filters {
        return of_filter(only, document, fuel);
    }
    for each in filters {
        if each.evaluate(document, fuel)? && of_filter(each, document, fuel)? != MatchedPosition::Unknown {
            return Ok(MatchedPosition::Several);
        }
    }
    Ok(MatchedPosition::Unknown)
}

/// The position in the outermost array that the path goes through.
fn at_path(
    predicate: &Predicate,
    document: &RawDocument,
    parts: &[PathPart],
    fuel: &Fuel<'_>,
) -> PositionResult {
    let Some((part, rest)) = parts.split_first() else { return Ok(MatchedPosition::Unknown) };
    match field_within(document, &part.name, fuel)? {
        Some(RawBsonRef::Document(inner)) => at_path(predicate, inner, rest, fuel),
        Some(RawBsonRef::Array(array)) => in_array(predicate, array, rest, fuel),
        _ => Ok(MatchedPosition::Unknown),
    }
}

fn in_array(predicate: &Predicate, array: &RawArray, rest: &[PathPart], fuel: &Fuel<'_>) -> PositionResult {
    let is_number = rest.first().is_some_and(|part| part.position.is_some());
    match predicate {
        Predicate::NotEqual(_) | Predicate::NotIn(_) | Predicate::Exists(false) | Predicate::Not(_) => {
            Ok(MatchedPosition::Unknown)
        }
        Predicate::Size(_) if rest.is_empty() => Ok(MatchedPosition::Unknown),
        // A number is a position that the filter names, or the name of a field.
        _ if is_number => Ok(MatchedPosition::Several),
        Predicate::All(operands) => {
            let mut all = MatchedPosition::Unknown;
            for operand in operands.iter() {
                let holds = |value: Option<RawBsonRef<'_>>| is_equal(value, operand, fuel);
                all = all.and(first(array, rest, Leaf::Items, fuel, &holds)?);
            }
            Ok(all)
        }
        Predicate::AllMatch(matches) => {
            let mut all = MatchedPosition::Unknown;
            for element in matches {
                let one = Predicate::ElementMatch(element.clone());
                all = all.and(in_array(&one, array, rest, fuel)?);
            }
            Ok(all)
        }
        Predicate::ElementMatch(element) if rest.is_empty() => {
            for (position, item) in items_within(array, fuel).enumerate() {
                let alone = alone(item?);
                if has_element(Some(RawBsonRef::Array(&alone)), element, fuel)? {
                    return Ok(MatchedPosition::At(position));
                }
            }
            Ok(MatchedPosition::Unknown)
        }
        Predicate::ElementMatch(_) | Predicate::Size(_) => {
            first(array, rest, Leaf::Whole, fuel, &|value| holds_of(predicate, value, fuel))
        }
        Predicate::Compare(..) | Predicate::In(_) | Predicate::Exists(true) | Predicate::Regex(_) => {
            first(array, rest, Leaf::Items, fuel, &|value| holds_of(predicate, value, fuel))
        }
    }
}

/// An array of one item.
fn alone(item: RawBsonRef<'_>) -> bson::raw::RawArrayBuf {
    let mut array = bson::raw::RawArrayBuf::new();
    array.push(item);
    array
}

/// The first position from which `rest` reaches a value for which it holds.
fn first(
    array: &RawArray,
    rest: &[PathPart],
    leaf: Leaf,
    fuel: &Fuel<'_>,
    holds: &dyn Fn(Option<RawBsonRef<'_>>) -> MatchResult,
) -> PositionResult {
    for (position, item) in items_within(array, fuel).enumerate() {
        let item = item?;
        let is_found = match item {
            _ if rest.is_empty() => holds(Some(item))?,
            RawBsonRef::Document(inner) => visit(inner, rest, leaf, fuel, &mut |value| holds(value))?,
            _ => false,
        };
        if is_found {
            return Ok(MatchedPosition::At(position));
        }
    }
    Ok(MatchedPosition::Unknown)
}
