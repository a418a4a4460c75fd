//! Evaluates an expression on a document.
//!
//! # Pitfalls
//! A path goes through the documents of an array, but not through arrays in it, and a number in it is only a name: that
//! differs from the paths of a filter.

use super::arithmetic;
use super::build::append;
use super::date_trunc;
use super::syntax::{AggregateOperation, AggregateOperator, Expression, Relation};
use super::value::Value;
use crate::document::{PathPart, field_within, items_within};
use crate::error::Result;
use crate::fuel::{self, Fuel, Interruption};
use bson::raw::{RawArrayBuf, RawBson};
use bson::{RawArray, RawBsonRef, RawDocument, RawDocumentBuf};

/// The value of `expression` on `root`.
///
/// # Errors
/// `invalid_input` at the operator that has no value for its operands; what fuel says.
pub fn evaluate<'a>(expression: &'a Expression, root: &'a RawDocument, fuel: &Fuel<'_>) -> Result<Value<'a>> {
    fuel.spend(fuel::VALUE)?;
    Ok(match expression {
        Expression::Field(path) => follow(root, path.parts(), fuel)?,
        Expression::Root => Value::Part(RawBsonRef::Document(root)),
        Expression::Remove => Value::Missing,
        Expression::Literal(value) => Value::Part(value.as_raw_bson_ref()),
        Expression::Object(fields) => {
            let mut object = RawDocumentBuf::new();
            for (name, each) in fields {
                let value = evaluate(each, root, fuel)?;
                fuel.spend(fuel::comparison(value.bytes()))?;
                if let Some(value) = value.present() {
                    append(&mut object, name, value);
                }
            }
            Value::Made(RawBson::Document(object))
        }
        Expression::Array(items) => {
            let mut array = RawArrayBuf::new();
            for each in items {
                let value = evaluate(each, root, fuel)?;
                fuel.spend(fuel::comparison(value.bytes()))?;
                array.push(value.into_owned().unwrap_or(RawBson::Null));
            }
            Value::Made(RawBson::Array(array))
        }
        Expression::Operation(operation) => operate(operation, root, fuel)?,
    })
}

fn operate<'a>(
    operation: &'a AggregateOperation,
    root: &'a RawDocument,
    fuel: &Fuel<'_>,
) -> Result<Value<'a>> {
    let AggregateOperation { at, operator, operands } = operation;
    let operand = |index: usize| match operands.get(index) {
        Some(operand) => evaluate(operand, root, fuel),
        None => Ok(Value::Missing),
    };
    let boolean = |value| Ok(Value::Made(RawBson::Boolean(value)));
    match operator {
        AggregateOperator::Compare(relation) => {
            let (a, b) = (operand(0)?, operand(1)?);
            fuel.spend(fuel::comparison(a.bytes().min(b.bytes())))?;
            let order = a.compare(&b);
            boolean(match relation {
                Relation::Equal => order.is_eq(),
                Relation::NotEqual => order.is_ne(),
                Relation::Greater => order.is_gt(),
                Relation::GreaterOrEqual => order.is_ge(),
                Relation::Less => order.is_lt(),
                Relation::LessOrEqual => order.is_le(),
            })
        }
        AggregateOperator::And | AggregateOperator::Or => {
            let ends_at = *operator == AggregateOperator::Or;
            for each in operands {
                if evaluate(each, root, fuel)?.is_true() == ends_at {
                    return boolean(ends_at);
                }
            }
            boolean(!ends_at)
        }
        AggregateOperator::Not => boolean(!operand(0)?.is_true()),
        AggregateOperator::Condition => operand(if operand(0)?.is_true() { 1 } else { 2 }),
        AggregateOperator::IfNull => {
            let (last, others) =
                operands.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
            for each in others {
                let value = evaluate(each, root, fuel)?;
                if !value.is_nullish() {
                    return Ok(value);
                }
            }
            last.map_or(Ok(Value::Missing), |last| evaluate(last, root, fuel))
        }
        AggregateOperator::Add => {
            arithmetic::add(operands.iter().map(|each| evaluate(each, root, fuel)), at, fuel)
        }
        AggregateOperator::Multiply => {
            arithmetic::multiply(operands.iter().map(|each| evaluate(each, root, fuel)), at, fuel)
        }
        AggregateOperator::Subtract => arithmetic::subtract(&operand(0)?, &operand(1)?, at, fuel),
        AggregateOperator::Divide => arithmetic::divide(&operand(0)?, &operand(1)?, at, fuel),
        AggregateOperator::Modulo => arithmetic::modulo(&operand(0)?, &operand(1)?, at, fuel),
        AggregateOperator::Absolute => arithmetic::absolute(&operand(0)?, at),
        AggregateOperator::Truncate(bins) => date_trunc::truncate(&operand(0)?, bins, at, fuel),
    }
}

/// The value at a path.
fn follow<'a>(
    document: &'a RawDocument,
    parts: &[PathPart],
    fuel: &Fuel<'_>,
) -> Result<Value<'a>, Interruption> {
    let (mut document, mut parts) = (document, parts);
    loop {
        let Some((part, rest)) = parts.split_first() else { return Ok(Value::Missing) };
        let value = field_within(document, &part.name, fuel)?;
        match value {
            None => return Ok(Value::Missing),
            Some(value) if rest.is_empty() => return Ok(Value::Part(value)),
            Some(RawBsonRef::Document(inner)) => (document, parts) = (inner, rest),
            Some(RawBsonRef::Array(array)) => {
                return Ok(Value::Made(RawBson::Array(follow_each(array, rest, fuel)?)));
            }
            Some(_) => return Ok(Value::Missing),
        }
    }
}

/// The values at a path in each document of an array.
fn follow_each(array: &RawArray, parts: &[PathPart], fuel: &Fuel<'_>) -> Result<RawArrayBuf, Interruption> {
    let mut found = RawArrayBuf::new();
    for item in items_within(array, fuel) {
        let RawBsonRef::Document(inner) = item? else { continue };
        let value = follow(inner, parts, fuel)?;
        fuel.spend(fuel::comparison(value.bytes()))?;
        if let Some(value) = value.into_owned() {
            found.push(value);
        }
    }
    Ok(found)
}
