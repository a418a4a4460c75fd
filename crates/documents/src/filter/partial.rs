//! Filters of partial indexes: which conditions they may have, and how they are written down.
//!
//! They have the conditions that MongoDB allows in a `partialFilterExpression`, without those whose values depend on what
//! else the server knows of a path. They are written down as they were given, because the server keeps them so.

use super::syntax::{Clause, Comparison, Filter, Predicate};
use crate::document::order::Rank;
use crate::document::{FieldErrors, Path, is_nan};
use crate::error::Result;
use crate::limits::{PARTIAL_FILTER_MAX_BYTES, PARTIAL_FILTER_MAX_NODES, PARTIAL_FILTER_MAX_VALUES};
use bson::raw::RawBson;
use bson::{Bson, Document};

/// Refuses a filter that no partial index may have, at the pointer `at` of the request.
pub fn check(filter: &Filter, at: &str) -> Result<()> {
    let mut checker = Checker { problems: FieldErrors::new(at), is_nested: false };
    let price = filter.price();
    if filter.clauses.is_empty() {
        checker.problems.refuse("Must have a condition. For an index of all documents, leave it out.");
    } else if price.nodes > PARTIAL_FILTER_MAX_NODES || price.list_items > PARTIAL_FILTER_MAX_VALUES {
        checker.problems.refuse(format!(
            "The filter of an index may have at most {PARTIAL_FILTER_MAX_NODES} conditions, and {PARTIAL_FILTER_MAX_VALUES} \
             values in its lists."
        ));
    } else if price.bytes > PARTIAL_FILTER_MAX_BYTES {
        checker.problems.refuse(format!(
            "The filter of an index may have at most {PARTIAL_FILTER_MAX_BYTES} bytes of JSON."
        ));
    } else {
        checker.filter(filter);
    }
    checker.problems.finish()
}

struct Checker {
    problems: FieldErrors,
    /// Whether it is within an `$and` or `$or`. MongoDB allows few levels, and the shared collection adds one.
    is_nested: bool,
}

impl Checker {
    fn filter(&mut self, filter: &Filter) {
        for clause in &filter.clauses {
            match clause {
                Clause::And(filters) => self.list("$and", filters),
                Clause::Or(filters) => self.list("$or", filters),
                Clause::Nor(_) => self.refuse_at("$nor", NOT_ALLOWED),
                Clause::Field(path, predicates) => {
                    let length = self.problems.push(path.as_str());
                    predicates.iter().for_each(|predicate| self.predicate(predicate));
                    self.problems.pop(length);
                }
            }
        }
    }

    fn list(&mut self, operator: &str, filters: &[Filter]) {
        let length = self.problems.push(operator);
        if self.is_nested {
            self.problems.refuse("Must not be within another `$and` or `$or` in the filter of an index.");
        } else {
            self.is_nested = true;
            for (index, filter) in filters.iter().enumerate() {
                let length = self.problems.push_index(index);
                if filter.clauses.is_empty() {
                    self.problems.refuse("Must have a condition.");
                }
                self.filter(filter);
                self.problems.pop(length);
            }
            self.is_nested = false;
        }
        self.problems.pop(length);
    }

    fn predicate(&mut self, predicate: &Predicate) {
        match predicate {
            Predicate::Compare(Comparison::Equal, _) | Predicate::Exists(true) => {}
            Predicate::Compare(comparison, operand) => {
                if !is_range_operand(operand) {
                    self.refuse_at(
                        comparison.operator(),
                        "Must be a number, a string, a date, or another single value that has an order.",
                    );
                }
            }
            Predicate::In(operands) => {
                if operands.is_empty() {
                    self.refuse_at("$in", "Must have a value.");
                }
            }
            Predicate::Exists(false) => self.refuse_at("$exists", "Must be true in the filter of an index."),
            other => self.refuse_at(operator_of(other), NOT_ALLOWED),
        }
    }

    fn refuse_at(&mut self, operator: &str, detail: &str) {
        let length = self.problems.push(operator);
        self.problems.refuse(detail);
        self.problems.pop(length);
    }
}

const NOT_ALLOWED: &str = "Is not allowed in the filter of an index, which may have `$eq`, `$gt`, `$gte`, `$lt`, `$lte`, \
    `$in`, `$exists: true`, `$and` and `$or`.";

/// Whether a range of it holds for values of one type alone, in their order.
pub(super) fn is_range_operand(operand: &RawBson) -> bool {
    let operand = operand.as_raw_bson_ref();
    let ranks = [
        Rank::Number,
        Rank::String,
        Rank::Binary,
        Rank::ObjectId,
        Rank::Boolean,
        Rank::DateTime,
        Rank::Timestamp,
    ];
    ranks.contains(&Rank::of(operand)) && !is_nan(operand)
}

const fn operator_of(predicate: &Predicate) -> &'static str {
    match predicate {
        Predicate::Compare(comparison, _) => comparison.operator(),
        Predicate::NotEqual(_) => "$ne",
        Predicate::In(_) => "$in",
        Predicate::NotIn(_) => "$nin",
        Predicate::All(_) | Predicate::AllMatch(_) => "$all",
        Predicate::ElementMatch(_) => "$elemMatch",
        Predicate::Exists(_) => "$exists",
        Predicate::Size(_) => "$size",
        Predicate::Regex(_) => "$regex",
        Predicate::Not(_) => "$not",
    }
}

/// A filter that passed [`check`] as MongoDB takes it, with `prefix` before each path.
pub fn write(filter: &Filter, prefix: &str) -> Document {
    let mut written = Document::new();
    for clause in &filter.clauses {
        match clause {
            Clause::And(filters) => written.insert("$and", list(filters, prefix)),
            Clause::Or(filters) => written.insert("$or", list(filters, prefix)),
            // No other passes the check.
            Clause::Nor(_) => None,
            Clause::Field(path, predicates) => written.insert(format!("{prefix}{path}"), field(predicates)),
        };
    }
    written
}

fn list(filters: &[Filter], prefix: &str) -> Bson {
    filters.iter().map(|filter| Bson::from(write(filter, prefix))).collect()
}

fn field(predicates: &[Predicate]) -> Bson {
    if let [Predicate::Compare(Comparison::Equal, operand)] = predicates
        && !matches!(operand, RawBson::Document(_) | RawBson::RegularExpression(_))
    {
        return value(operand);
    }
    let mut operators = Document::new();
    for predicate in predicates {
        let operand = match predicate {
            Predicate::Compare(_, operand) => value(operand),
            Predicate::In(operands) => operands.iter().map(value).collect(),
            _ => Bson::Boolean(true),
        };
        operators.insert(operator_of(predicate), operand);
    }
    operators.into()
}

fn value(operand: &RawBson) -> Bson {
    // It was made from a `Bson`.
    Bson::try_from(operand.clone()).unwrap_or_default()
}

/// The filter of documents that have a value at one of `paths`.
pub fn any_exists(paths: &[&Path]) -> Filter {
    let exists = |path: &Path| Filter {
        clauses: vec![Clause::Field(path.clone(), vec![Predicate::Exists(true)])],
        ..Filter::default()
    };
    match paths {
        [only] => exists(only),
        paths => Filter {
            clauses: vec![Clause::Or(paths.iter().map(|path| exists(path)).collect())],
            ..Filter::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn partial_filter_is_written_as_it_was_given() {
        for (json, written) in [
            (
                r#"{"a": "x", "b.c": {"$gt": 1, "$lte": 5}}"#,
                doc! { "a": "x", "b.c": { "$gt": 1, "$lte": 5 } },
            ),
            (r#"{"a": {"$eq": {"x": 1}}}"#, doc! { "a": { "$eq": { "x": 1 } } }),
            (r#"{"a": {"$exists": 1}}"#, doc! { "a": { "$exists": true } }),
            (
                r#"{"$or": [{"a": null}, {"b": {"$in": [1, 2]}, "c": true}]}"#,
                doc! { "$or": [{ "a": null }, { "b": { "$in": [1, 2] }, "c": true }] },
            ),
        ] {
            let filter = Filter::parse(json, "").unwrap();
            check(&filter, "").unwrap();
            assert_eq!(write(&filter, ""), written);
        }
        let filter = Filter::parse(r#"{"$or": [{"a": 1}]}"#, "").unwrap();
        assert_eq!(write(&filter, "document."), doc! { "$or": [{ "document.a": 1 }] });
        let (a, b) = (Path::parse("a").unwrap(), Path::parse("b.c").unwrap());
        assert_eq!(write(&any_exists(&[&a]), ""), doc! { "a": { "$exists": true } });
        let both = doc! { "$or": [{ "x.a": { "$exists": true } }, { "x.b.c": { "$exists": true } }] };
        assert_eq!(write(&any_exists(&[&a, &b]), "x."), both);
    }

    #[test]
    fn partial_filter_refuses_other_conditions_by_pointer() {
        for (json, pointer) in [
            ("{}", "/f"),
            (r#"{"$nor": [{"a": 1}]}"#, "/f/$nor"),
            (r#"{"a": {"$ne": 1}}"#, "/f/a/$ne"),
            (r#"{"a": {"$gt": 1, "$nin": [1]}}"#, "/f/a/$nin"),
            (r#"{"a/b": {"$exists": false}}"#, "/f/a~1b/$exists"),
            (r#"{"$or": [{"a": 1}, {"a": {"$regex": "x"}}]}"#, "/f/$or/1/a/$regex"),
            (r#"{"$and": [{}]}"#, "/f/$and/0"),
            (r#"{"$and": [{"$or": [{"a": 1}]}]}"#, "/f/$and/0/$or"),
            (r#"{"a": {"$not": {"$gt": 1}}}"#, "/f/a/$not"),
            (r#"{"a": {"$all": [1]}}"#, "/f/a/$all"),
            (r#"{"a": {"$size": 1}}"#, "/f/a/$size"),
            (r#"{"a": {"$elemMatch": {"b": 1}}}"#, "/f/a/$elemMatch"),
            (r#"{"a": {"$in": []}}"#, "/f/a/$in"),
            (r#"{"a": {"$gt": [1]}}"#, "/f/a/$gt"),
            (r#"{"a": {"$gte": null}}"#, "/f/a/$gte"),
            (r#"{"a": {"$lt": {"$numberDouble": "NaN"}}}"#, "/f/a/$lt"),
            (r#"{"a": {"$lte": {"$minKey": 1}}}"#, "/f/a/$lte"),
        ] {
            let refused = check(&Filter::parse(json, "/f").unwrap(), "/f").unwrap_err();
            let pointers: Vec<_> = refused.fields().iter().map(|field| field.pointer.as_str()).collect();
            assert_eq!(pointers, [pointer], "{json}");
        }
        let many: Vec<String> = (0..=PARTIAL_FILTER_MAX_NODES).map(|n| format!(r#""a{n}": 1"#)).collect();
        let values: Vec<String> = (0..=PARTIAL_FILTER_MAX_VALUES).map(|n| n.to_string()).collect();
        for json in [
            format!("{{{}}}", many.join(",")),
            format!(r#"{{"a": {{"$in": [{}]}}}}"#, values.join(",")),
            format!(r#"{{"a": "{}"}}"#, "x".repeat(PARTIAL_FILTER_MAX_BYTES)),
        ] {
            assert!(check(&Filter::parse(&json, "").unwrap(), "").is_err());
        }
    }
}
