//! What each operator makes of the value at its path, or of a path without one.

use super::apply::{Applier, Presence};
use super::arrays;
use super::operator::{BitOperation, Leaf, UpdateOperator, VALUE};
use super::values::{key_of, least_bytes, type_name};
use crate::arithmetic::Number;
use crate::error::{Error, Result};
use crate::fuel;
use bson::{Bson, DateTime, RawDocumentBuf, Timestamp};
use std::cmp::Ordering;

impl Applier<'_> {
    /// The value of a leaf whose path is missing; `None` if it stays so.
    pub(super) fn new_value(&self, leaf: &Leaf, in_array: bool) -> Result<Option<Bson>> {
        if leaf.operator.changes_only_existing() || (leaf.only_on_insert && !self.inserts) {
            return Ok(None);
        }
        let value = match &leaf.operator {
            UpdateOperator::Add(number) => number.to_bson(),
            UpdateOperator::Multiply(number) => {
                number.times(Number::Int32(0)).map_or(Bson::Null, Number::to_bson)
            }
            UpdateOperator::Push(_) | UpdateOperator::AddToSet(_) => {
                let mut items = Vec::new();
                arrays::change(self, leaf, &mut items)?;
                Bson::Array(items)
            }
            UpdateOperator::Bits(operations) => bits(leaf, Number::Int32(0), operations)?,
            _ => {
                let mut value = Bson::Undefined;
                return match self.assign(leaf, &mut value, in_array)? {
                    true => self.count(Some(leaf), least_bytes(&value)).map(|()| Some(value)),
                    false => Ok(None),
                };
            }
        };
        self.count(Some(leaf), least_bytes(&value))?;
        Ok(Some(value))
    }

    /// Replaces the value by that of an operator which does not look at it; whether it did.
    fn assign(&self, leaf: &Leaf, value: &mut Bson, in_array: bool) -> Result<bool> {
        match &leaf.operator {
            UpdateOperator::Set(new) | UpdateOperator::Min(new) | UpdateOperator::Max(new) => {
                *value = new.clone();
            }
            UpdateOperator::CurrentDate => *value = DateTime::from_millis(self.context.now).into(),
            UpdateOperator::CurrentTimestamp => {
                let increment = self.timestamps.get() + 1;
                self.timestamps.set(increment);
                let time = u32::try_from(self.context.now / 1000).unwrap_or(u32::MAX);
                *value = Bson::Timestamp(Timestamp { time, increment });
            }
            UpdateOperator::Rename(source) => {
                let Some(new) = self.renamed.get(*source).cloned().flatten() else { return Ok(false) };
                if in_array {
                    let detail = "`$rename` does not go through an array.";
                    return Err(Error::invalid_field(&*leaf.pointer, detail));
                }
                *value = new;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn leaf(&self, leaf: &Leaf, value: &mut Bson, in_array: bool) -> Result<Presence> {
        if leaf.only_on_insert && !self.inserts {
            return Ok(Presence::Stays);
        }
        match &leaf.operator {
            UpdateOperator::Unset => return Ok(Presence::Goes),
            UpdateOperator::RenameSource => return Ok(Presence::Stays),
            UpdateOperator::Min(new) | UpdateOperator::Max(new) => {
                let order = self.compare(new, value)?;
                let replaces = if matches!(leaf.operator, UpdateOperator::Min(_)) {
                    order.is_lt()
                } else {
                    order.is_gt()
                };
                if replaces {
                    *value = new.clone();
                }
            }
            UpdateOperator::Add(number) => *value = arithmetic(leaf, value, *number, Number::plus)?,
            UpdateOperator::Multiply(number) => *value = arithmetic(leaf, value, *number, Number::times)?,
            UpdateOperator::Bits(operations) => {
                let number = Number::of(value).filter(|number| number.integer().is_some());
                let number = number.ok_or_else(|| wrong_type(leaf, "an integer of 32 or 64 bits", value))?;
                *value = bits(leaf, number, operations)?;
            }
            UpdateOperator::Push(_)
            | UpdateOperator::AddToSet(_)
            | UpdateOperator::PullEqual(_)
            | UpdateOperator::PullValues(_)
            | UpdateOperator::PullDocuments(_)
            | UpdateOperator::Pop(_) => {
                let Bson::Array(items) = value else { return Err(wrong_type(leaf, "an array", value)) };
                arrays::change(self, leaf, items)?;
            }
            UpdateOperator::Set(_)
            | UpdateOperator::CurrentDate
            | UpdateOperator::CurrentTimestamp
            | UpdateOperator::Rename(_) => {
                self.assign(leaf, value, in_array)?;
            }
        }
        self.count(Some(leaf), least_bytes(value))?;
        Ok(Presence::Stays)
    }

    fn compare(&self, a: &Bson, b: &Bson) -> Result<Ordering> {
        self.context.fuel.spend(fuel::comparison(least_bytes(a) + least_bytes(b)))?;
        arrays::compare(a, b)
    }

    /// Whether a value of an array meets the conditions of a `$pull`.
    pub fn is_pulled(&self, operator: &UpdateOperator, item: &Bson) -> Result<bool> {
        match (operator, item) {
            (UpdateOperator::PullValues(filter), item) => self.matches(filter, VALUE, item),
            (UpdateOperator::PullDocuments(filter), Bson::Document(document)) => {
                self.context.fuel.spend(least_bytes(item) as u64)?;
                let raw = RawDocumentBuf::try_from(document).map_err(Error::internal)?;
                Ok(filter.evaluate(&raw, self.context.fuel)?)
            }
            (UpdateOperator::PullEqual(keys), item) => {
                self.context.fuel.spend(fuel::comparison(least_bytes(item)))?;
                Ok(key_of(item).is_some_and(|key| keys.contains(&key)))
            }
            _ => Ok(false),
        }
    }
}

/// The result of `combine` with the number at the path. One that compares as equal leaves the number as it was.
fn arithmetic(
    leaf: &Leaf,
    value: &Bson,
    operand: Number,
    combine: fn(Number, Number) -> Option<Number>,
) -> Result<Bson> {
    let current = Number::of(value).ok_or_else(|| wrong_type(leaf, "a number", value))?;
    let detail = "The result does not fit an Int64. Send the operand as a double or a decimal.";
    let result = combine(operand, current).ok_or_else(|| Error::invalid_field(&*leaf.pointer, detail))?;
    Ok(if result.is_identical(current) { value.clone() } else { result.to_bson() })
}

fn bits(leaf: &Leaf, start: Number, operations: &[BitOperation]) -> Result<Bson> {
    let mut result = start;
    for (combine, operand) in operations {
        let next = result.bits(*operand, *combine);
        result = next.ok_or_else(|| wrong_type(leaf, "an integer of 32 or 64 bits", &result.to_bson()))?;
    }
    Ok(result.to_bson())
}

fn wrong_type(leaf: &Leaf, wanted: &str, value: &Bson) -> Error {
    let detail = format!("The operator needs {wanted}, and the document has {} there.", type_name(value));
    Error::invalid_field(&*leaf.pointer, detail)
}
