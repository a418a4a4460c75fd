//! A filter as MongoDB takes it.
//!
//! It is written anew from what was understood, not copied from what was sent: nothing that was not understood
//! can reach the server.

use super::{Clause, Comparison, ElementMatch, Filter, Predicate};
use bson::raw::RawBson;
use bson::{Bson, Document, doc};

pub fn filter(filter: &Filter, prefix: &str) -> Document {
    filter.clauses.iter().map(|each| clause(each, prefix)).collect()
}

fn clause(clause: &Clause, prefix: &str) -> (String, Bson) {
    let list =
        |filters: &[Filter]| Bson::Array(filters.iter().map(|each| filter(each, prefix).into()).collect());
    match clause {
        Clause::And(filters) => ("$and".into(), list(filters)),
        Clause::Or(filters) => ("$or".into(), list(filters)),
        Clause::Nor(filters) => ("$nor".into(), list(filters)),
        Clause::Field(path, all) => (format!("{prefix}{path}"), predicates(all).into()),
    }
}

fn predicates(all: &[Predicate]) -> Document {
    let mut operators = Document::new();
    for each in all {
        if let Predicate::Regex(pattern) = each {
            operators.insert("$regex", pattern.text());
            operators.insert("$options", pattern.options());
            continue;
        }
        let (operator, operand) = predicate(each);
        operators.insert(operator, operand);
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
        ElementMatch::Document(inner) => filter(inner, ""),
        ElementMatch::Value(all) => predicates(all),
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
    /// The operator that asks for it.
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
