//! Renders a filter for MongoDB.
//!
//! It is rendered from the parsed filter, not copied from the request: nothing that was not understood can
//! reach the server. Two kinds of condition are left out, because the server could find too little: a pattern
//! whose search may give up ([`super::pattern::Pattern::is_bounded`]), and conditions that an index narrows
//! too far (some ranges, and the negation of a list of null and `[]`). For these the server returns more, and
//! the service checks each document again ([`is_decided`]). The negation of null is rendered so that no partial index
//! serves it ([`negates_null`]).

use super::syntax::{Clause, Comparison, ElementMatch, Filter, Predicate};
use crate::document::{ID_FIELD, Path, items};
use bson::raw::RawBson;
use bson::{Bson, Document, doc};

/// The filter as a command has it, with `prefix` before every path.
pub fn to_bson(filter: &Filter, prefix: &str) -> Document {
    render(filter, prefix, Level::Document)
}

/// What a filter is applied to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Stored documents.
    Document,
    /// Objects in an array.
    Element,
}

fn render(filter: &Filter, prefix: &str, level: Level) -> Document {
    let mut rendered = Document::new();
    let mut others: Vec<Document> = Vec::new();
    for each in &filter.clauses {
        match each {
            Clause::And(filters) => {
                rendered.insert("$and", list(filters.iter(), prefix, level));
            }
            Clause::Or(filters) => {
                rendered.insert("$or", list(filters.iter(), prefix, level));
            }
            Clause::Nor(filters) => {
                // A condition that is too wide would become too narrow when negated.
                let decided: Vec<&Filter> = filters.iter().filter(|each| is_decided(each)).collect();
                if let [only] = decided[..]
                    && level == Level::Document
                    && is_null_alone(only)
                {
                    others.push(negated(render(only, prefix, level)));
                } else if !decided.is_empty() {
                    rendered.insert("$nor", list(decided.into_iter(), prefix, level));
                }
            }
            Clause::Field(path, all) => {
                let path_text = format!("{prefix}{path}");
                others.extend(all.iter().filter_map(|each| widened_pattern(each, &path_text)));
                let negates =
                    |each: &&Predicate| level == Level::Document && is_deep(path) && negates_null(each);
                let (negations, plain): (Vec<&Predicate>, Vec<&Predicate>) = all.iter().partition(negates);
                let negations = negations.into_iter().filter_map(inverse);
                others.extend(negations.map(|inverse| negated(doc! { &path_text: inverse })));
                let own = predicates(plain);
                if !own.is_empty() {
                    rendered.insert(path_text, own);
                }
            }
        }
    }
    if others.is_empty() {
        return rendered;
    }
    if !rendered.is_empty() {
        others.push(rendered);
    }
    doc! { "$and": others }
}

fn list<'a>(filters: impl Iterator<Item = &'a Filter>, prefix: &str, level: Level) -> Bson {
    filters.map(|each| Bson::from(render(each, prefix, level))).collect()
}

/// Whether arrays may be above what the path leads to.
fn is_deep(path: &Path) -> bool {
    path.parts().len() > 1
}

/// Whether a condition only says that the value is not null, or none of several that null is among.
///
/// For MongoDB this means that a path exists, so that it uses a partial index that demands that. But a path through an array
/// of scalars leads to nothing: it is not null, and does not exist.
fn negates_null(predicate: &Predicate) -> bool {
    is_about_null(predicate) == Some(false)
}

/// `Some(true)` if a condition is equality with null, or with one of several that null is among; `Some(false)` if it is the
/// negation of that.
fn is_about_null(predicate: &Predicate) -> Option<bool> {
    let is_null = |operand: &RawBson| matches!(operand, RawBson::Null);
    match predicate {
        Predicate::Compare(Comparison::Equal, operand) => is_null(operand).then_some(true),
        Predicate::In(operands) => operands.iter().any(is_null).then_some(true),
        Predicate::All(operands) => matches!(&operands[..], [RawBson::Null]).then_some(true),
        Predicate::NotEqual(operand) => is_null(operand).then_some(false),
        Predicate::NotIn(operands) => operands.iter().any(is_null).then_some(false),
        Predicate::Not(all) => match all.as_slice() {
            [only] => is_about_null(only).map(|is_null| !is_null),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a filter is that one condition.
fn is_null_alone(filter: &Filter) -> bool {
    match filter.clauses.as_slice() {
        [Clause::And(filters) | Clause::Or(filters)] => match filters.as_slice() {
            [only] => is_null_alone(only),
            _ => false,
        },
        [Clause::Field(path, all)] => match all.as_slice() {
            [only] => is_deep(path) && is_about_null(only) == Some(true),
            _ => false,
        },
        _ => false,
    }
}

/// What a negation is the opposite of; `None` if MongoDB is not asked for it.
fn inverse(negation: &Predicate) -> Option<Document> {
    if !is_predicate_decided(negation) {
        return None;
    }
    match negation {
        Predicate::NotEqual(operand) => Some(doc! { "$eq": value(operand) }),
        Predicate::NotIn(operands) => Some(doc! { "$in": values(operands) }),
        Predicate::Not(all) => Some(predicates(all)),
        _ => None,
    }
}

/// The opposite of a condition on stored documents. With a second condition, which no document meets, MongoDB does not make
/// it a condition on a path.
fn negated(condition: Document) -> Document {
    doc! { "$nor": [condition, { ID_FIELD: { "$exists": false } }] }
}

/// Whether MongoDB finds exactly the matching documents with the rendered filter.
pub fn is_decided(filter: &Filter) -> bool {
    filter.clauses.iter().all(|clause| match clause {
        Clause::And(filters) | Clause::Or(filters) | Clause::Nor(filters) => filters.iter().all(is_decided),
        Clause::Field(_, all) => all.iter().all(is_predicate_decided),
    })
}

fn is_predicate_decided(predicate: &Predicate) -> bool {
    let is_element_decided = |element: &ElementMatch| match element {
        ElementMatch::Document(filter) => is_decided(filter),
        ElementMatch::Value(all) => all.iter().all(is_predicate_decided),
    };
    match predicate {
        Predicate::Regex(pattern) => pattern.is_bounded(),
        Predicate::Compare(comparison, operand) => !is_hidden_by_indexes(*comparison, operand),
        Predicate::In(operands) | Predicate::NotIn(operands) => !is_null_or_empty(operands),
        Predicate::Not(all) => all.iter().all(is_predicate_decided),
        Predicate::ElementMatch(element) => is_element_decided(element),
        Predicate::AllMatch(elements) => elements.iter().all(is_element_decided),
        _ => true,
    }
}

/// Whether MongoDB finds fewer documents where an index has the path: for a range above an array that begins
/// with an array, it looks for entries that are such arrays, and an array that is the field's own value has
/// none.
fn is_hidden_by_indexes(comparison: Comparison, operand: &RawBson) -> bool {
    let begins_with_array = || {
        operand
            .as_array()
            .and_then(|array| items(array).next())
            .is_some_and(|first| first.as_array().is_some())
    };
    comparison != Comparison::Equal && begins_with_array()
}

/// Whether the values of a list are null and the empty array, and both: negated, an index on a path of several parts hides
/// the documents in which the path ends in an array of scalars. It has them as null, which they are not.
fn is_null_or_empty(operands: &[RawBson]) -> bool {
    let is_null = |operand: &RawBson| matches!(operand, RawBson::Null);
    let is_empty = |operand: &RawBson| operand.as_array().is_some_and(|array| items(array).next().is_none());
    operands.iter().all(|operand| is_null(operand) || is_empty(operand))
        && operands.iter().any(is_null)
        && operands.iter().any(is_empty)
}

/// A wider condition that every value meets that the pattern matches; `None` if MongoDB decides the pattern itself.
fn widened_pattern(predicate: &Predicate, path: &str) -> Option<Document> {
    let Predicate::Regex(pattern) = predicate else { return None };
    if pattern.is_bounded() {
        return None;
    }
    let text = match pattern.required() {
        Some(required) => doc! { "$regex": required, "$options": pattern.options() },
        None => doc! { "$gte": "" },
    };
    // As a value, not as a pattern: a stored one matches if it is the same.
    let same = Bson::RegularExpression(pattern.as_value()?);
    Some(doc! { "$or": [{ path: text }, { path: { "$eq": same } }] })
}

/// The conditions that can be asked of one field or value. Others are left out, so that the server returns more.
fn predicates<'a>(all: impl IntoIterator<Item = &'a Predicate>) -> Document {
    let mut operators = Document::new();
    for each in all {
        match each {
            Predicate::Regex(pattern) if pattern.is_bounded() => {
                operators.insert("$regex", pattern.text());
                operators.insert("$options", pattern.options());
            }
            Predicate::Regex(_) => {}
            // Only an array compares with one.
            Predicate::Compare(comparison, operand) if is_hidden_by_indexes(*comparison, operand) => {
                operators.insert("$type", "array");
            }
            Predicate::Not(_) | Predicate::NotIn(_) if !is_predicate_decided(each) => {}
            _ => {
                let (operator, operand) = predicate(each);
                operators.insert(operator, operand);
            }
        }
    }
    operators
}

fn predicate(predicate: &Predicate) -> (&'static str, Bson) {
    match predicate {
        Predicate::Compare(comparison, operand) => (comparison.operator(), value(operand)),
        Predicate::NotEqual(operand) => ("$ne", value(operand)),
        Predicate::In(operands) => ("$in", values(operands)),
        Predicate::NotIn(operands) => ("$nin", values(operands)),
        Predicate::All(operands) => ("$all", values(operands)),
        Predicate::AllMatch(matches) => {
            let each = |element: &ElementMatch| doc! { "$elemMatch": element_match(element) };
            ("$all", matches.iter().map(each).collect())
        }
        Predicate::ElementMatch(element) => ("$elemMatch", element_match(element).into()),
        Predicate::Exists(exists) => ("$exists", (*exists).into()),
        // MongoDB takes no more than 32 bits, and no array is as long.
        Predicate::Size(size) => ("$size", i32::try_from(*size).unwrap_or(i32::MAX).into()),
        Predicate::Regex(pattern) => ("$regex", pattern.text().into()),
        Predicate::Not(all) => ("$not", predicates(all).into()),
    }
}

fn element_match(element: &ElementMatch) -> Document {
    match element {
        ElementMatch::Document(inner) => render(inner, "", Level::Element),
        ElementMatch::Value(all) => {
            let own = predicates(all);
            // An array may have any value; no operators at all would ask for an object in it.
            if own.is_empty() {
                doc! { "$exists": true }
            } else {
                own
            }
        }
    }
}

fn values(operands: &[RawBson]) -> Bson {
    operands.iter().map(value).collect()
}

fn value(operand: &RawBson) -> Bson {
    // It was made from a `Bson`.
    Bson::try_from(operand.clone()).unwrap_or_default()
}

impl Comparison {
    /// The operator for it.
    pub const fn operator(self) -> &'static str {
        match self {
            Self::Equal => "$eq",
            Self::Greater => "$gt",
            Self::GreaterOrEqual => "$gte",
            Self::Less => "$lt",
            Self::LessOrEqual => "$lte",
        }
    }
}
