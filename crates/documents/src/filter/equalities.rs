//! The values that a filter demands: of these an upsert makes its document, as MongoDB does.

use super::syntax::{Clause, Comparison, ElementMatch, Filter, Predicate};
use crate::document::Path;
use bson::raw::RawBson;

pub fn of_filter(filter: &Filter) -> Vec<(&Path, &RawBson)> {
    let mut found = Vec::new();
    collect(filter, &mut found);
    found
}

fn collect<'a>(filter: &'a Filter, found: &mut Vec<(&'a Path, &'a RawBson)>) {
    for clause in &filter.clauses {
        match clause {
            Clause::And(filters) => filters.iter().for_each(|each| collect(each, found)),
            Clause::Or(filters) => {
                if let [only] = filters.as_slice() {
                    collect(only, found);
                }
            }
            Clause::Nor(_) => {}
            Clause::Field(path, predicates) => {
                let values = predicates.iter().flat_map(demanded);
                found.extend(values.map(|value| (path, value)));
            }
        }
    }
}

/// Whether a condition is on an empty list, so that it holds for no value or for all. MongoDB then leaves out conditions
/// beside it.
pub fn has_empty_list(filter: &Filter) -> bool {
    filter.clauses.iter().any(|clause| match clause {
        Clause::And(filters) | Clause::Or(filters) | Clause::Nor(filters) => {
            filters.iter().any(has_empty_list)
        }
        Clause::Field(_, predicates) => predicates.iter().any(is_on_empty_list),
    })
}

fn is_on_empty_list(predicate: &Predicate) -> bool {
    let is_empty = |element: &ElementMatch| match element {
        ElementMatch::Document(filter) => has_empty_list(filter),
        ElementMatch::Value(predicates) => predicates.iter().any(is_on_empty_list),
    };
    match predicate {
        Predicate::In(values) | Predicate::NotIn(values) => values.is_empty(),
        Predicate::All(values) => values.is_empty(),
        Predicate::Not(predicates) => predicates.iter().any(is_on_empty_list),
        Predicate::ElementMatch(element) => is_empty(element),
        Predicate::AllMatch(elements) => elements.iter().any(is_empty),
        _ => false,
    }
}

/// The values that a condition demands; one that it names twice is among them twice.
fn demanded(predicate: &Predicate) -> impl Iterator<Item = &RawBson> {
    let (values, repeated) = match predicate {
        Predicate::Compare(Comparison::Equal, value) => (std::slice::from_ref(value), None),
        Predicate::In(values) if values.len() == 1 => (&values[..], None),
        Predicate::All(values) => (&values[..], values.repeated.as_ref()),
        _ => (&[][..], None),
    };
    values.iter().chain(repeated)
}
