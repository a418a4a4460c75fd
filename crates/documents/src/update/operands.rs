//! The operands of the operators of an update.

use super::operator::{BitOperation, End, Push, PushSort, UpdateOperator, VALUE};
use super::values::key_of;
use crate::arithmetic::Number;
use crate::document::{ExtendedJsonReader, FieldErrors, Json, JsonMembers, is_reference, is_wrapper};
use crate::filter::{Filter, FilterPrice};
use crate::limits::{PATH_MAX_BYTES, PATH_MAX_PARTS, PUSH_SORT_MAX_KEYS};
use bson::Bson;
use std::collections::HashSet;

/// Reads members one by one, at their pointers.
pub trait ReadMembers: Sized {
    /// The errors so far.
    fn problems(&mut self) -> &mut FieldErrors;

    /// Records that the value at the current position is bad.
    fn refuse(&mut self, detail: impl Into<String>) {
        self.problems().refuse(detail);
    }

    /// Calls `read` for each member, at its pointer; refuses a duplicate name.
    fn each<'a>(&mut self, members: JsonMembers<'a>, mut read: impl FnMut(&mut Self, &str, Json<'a>)) {
        let mut seen = HashSet::new();
        for (name, json) in members {
            let length = self.problems().push(&name);
            if seen.contains(&name) {
                self.refuse("Is given twice: give it once.");
            } else {
                read(self, &name, json);
            }
            self.problems().pop(length);
            seen.insert(name);
        }
    }
}

/// Reads operands, and collects their errors.
pub struct OperandReader {
    pub reader: ExtendedJsonReader,
    /// That of all filters of the update together.
    pub price: FilterPrice,
}

impl ReadMembers for OperandReader {
    fn problems(&mut self) -> &mut FieldErrors {
        &mut self.reader.problems
    }
}

/// Reads the operand of `operator`; `None` if it was refused.
pub fn read(parser: &mut OperandReader, operator: &str, json: Json<'_>) -> Option<UpdateOperator> {
    match operator {
        "$set" | "$setOnInsert" => Some(UpdateOperator::Set(parser.reader.value(json))),
        "$unset" => {
            // Its value means nothing, but is checked like any other.
            parser.reader.value(json);
            Some(UpdateOperator::Unset)
        }
        "$inc" => number(parser, json).map(UpdateOperator::Add),
        "$mul" => number(parser, json).map(UpdateOperator::Multiply),
        "$min" => Some(UpdateOperator::Min(parser.reader.value(json))),
        "$max" => Some(UpdateOperator::Max(parser.reader.value(json))),
        "$currentDate" => current_date(parser, json),
        "$push" => push(parser, json).map(UpdateOperator::Push),
        "$addToSet" => add_to_set(parser, json).map(UpdateOperator::AddToSet),
        "$pull" => pull(parser, json),
        "$pullAll" => match parser.reader.value(json) {
            Bson::Array(values) => {
                Some(UpdateOperator::PullEqual(values.iter().filter_map(key_of).collect()))
            }
            _ => refuse(parser, "Must be a list of values."),
        },
        "$pop" => match parser.reader.value(json) {
            value if whole(&value) == Some(1) => Some(UpdateOperator::Pop(End::Last)),
            value if whole(&value) == Some(-1) => Some(UpdateOperator::Pop(End::First)),
            _ => refuse(parser, "Must be 1, for the last value, or -1, for the first."),
        },
        "$bit" => bits(parser, json),
        _ => refuse(parser, "Is not an operator of an update."),
    }
}

fn refuse<T>(parser: &mut OperandReader, detail: &str) -> Option<T> {
    parser.refuse(detail);
    None
}

fn whole(value: &Bson) -> Option<i64> {
    Number::of(value).and_then(Number::whole)
}

fn number(parser: &mut OperandReader, json: Json<'_>) -> Option<Number> {
    let value = parser.reader.value(json);
    Number::of(&value).or_else(|| refuse(parser, "Must be a number."))
}

/// Whether an object is one of operators or fields, and not a value of Extended JSON.
fn is_plain(members: &JsonMembers<'_>) -> bool {
    !members.iter().any(|(name, _)| is_wrapper(name)) && !is_reference(members)
}

fn current_date(parser: &mut OperandReader, json: Json<'_>) -> Option<UpdateOperator> {
    match json {
        Json::Bool(_) => Some(UpdateOperator::CurrentDate),
        Json::Object(members) => match members.as_slice() {
            [(name, Json::String(kind))] if name == "$type" && kind == "date" => {
                Some(UpdateOperator::CurrentDate)
            }
            [(name, Json::String(kind))] if name == "$type" && kind == "timestamp" => {
                Some(UpdateOperator::CurrentTimestamp)
            }
            _ => refuse(parser, "Must be `true`, `{\"$type\": \"date\"}` or `{\"$type\": \"timestamp\"}`."),
        },
        _ => refuse(parser, "Must be `true`, `{\"$type\": \"date\"}` or `{\"$type\": \"timestamp\"}`."),
    }
}

/// What `$push` takes beside `$each` alone.
const EACH_MODIFIERS: [&str; 3] = ["$position", "$slice", "$sort"];

fn push(parser: &mut OperandReader, json: Json<'_>) -> Option<Push> {
    let members = match json {
        Json::Object(members) if members.iter().any(|(name, _)| name == "$each") => members,
        Json::Object(members) if members.iter().any(|(name, _)| EACH_MODIFIERS.contains(&&**name)) => {
            let modifiers = "`$position`, `$slice` and `$sort` need `$each` beside them, a list of the values to add: \
                             `{\"$each\": [], \"$slice\": 5}` adds none.";
            return refuse(parser, modifiers);
        }
        value => return Some(Push { values: vec![parser.reader.value(value)], ..Push::default() }),
    };
    let mut push = Push::default();
    parser.each(members, |parser, name, json| match name {
        "$each" => push.values = each(parser, json),
        "$position" => push.position = integer(parser, json),
        "$slice" => push.slice = integer(parser, json),
        "$sort" => push.sort = sort(parser, json),
        _ => parser.refuse("Beside `$each` there may be `$position`, `$slice` and `$sort`."),
    });
    Some(push)
}

fn each(parser: &mut OperandReader, json: Json<'_>) -> Vec<Bson> {
    match parser.reader.value(json) {
        Bson::Array(values) => values,
        _ => {
            parser.refuse("Must be a list of values.");
            Vec::new()
        }
    }
}

fn integer(parser: &mut OperandReader, json: Json<'_>) -> Option<i64> {
    let value = parser.reader.value(json);
    whole(&value).or_else(|| refuse(parser, "Must be a whole number of at most 64 bits."))
}

fn sort(parser: &mut OperandReader, json: Json<'_>) -> Option<PushSort> {
    match json {
        Json::Object(members) if is_plain(&members) => {
            if members.is_empty() {
                return refuse(parser, "Must name at least one field.");
            }
            if members.len() > PUSH_SORT_MAX_KEYS {
                parser.refuse(format!("May have at most {PUSH_SORT_MAX_KEYS} fields."));
                return None;
            }
            let mut keys = Vec::with_capacity(members.len());
            parser.each(members, |parser, path, json| {
                let names = sort_path(path);
                let names = parser.reader.problems.check("", names);
                let descending = is_descending(parser, json);
                keys.extend(names.zip(descending));
            });
            Some(PushSort::Fields(keys))
        }
        json => is_descending(parser, json).map(|descending| PushSort::Values { descending }),
    }
}

fn is_descending(parser: &mut OperandReader, json: Json<'_>) -> Option<bool> {
    match whole(&parser.reader.value(json)) {
        Some(1) => Some(false),
        Some(-1) => Some(true),
        _ => refuse(parser, "Must be 1 or -1."),
    }
}

fn sort_path(text: &str) -> Result<Vec<Box<str>>, String> {
    let names: Vec<Box<str>> = text.split('.').map(Box::from).collect();
    if text.len() > PATH_MAX_BYTES || names.len() > PATH_MAX_PARTS {
        return Err(format!("A path may have at most {PATH_MAX_BYTES} bytes and {PATH_MAX_PARTS} parts."));
    }
    if names.iter().any(|name| name.is_empty()) {
        return Err("A path must not have an empty part.".into());
    }
    if names.iter().any(|name| name.starts_with('$') || name.contains('\0')) {
        return Err("No part of a path may begin with `$` or contain NUL.".into());
    }
    Ok(names)
}

fn add_to_set(parser: &mut OperandReader, json: Json<'_>) -> Option<Vec<Bson>> {
    let values = match json {
        Json::Object(members) if members.first().is_some_and(|(name, _)| name == "$each") => {
            if members.len() > 1 {
                return refuse(parser, "Beside `$each` there may be nothing.");
            }
            let mut values = Vec::new();
            parser.each(members, |parser, _, json| values = each(parser, json));
            values
        }
        value => vec![parser.reader.value(value)],
    };
    let mut seen = HashSet::new();
    Some(values.into_iter().filter(|value| key_of(value).is_some_and(|key| seen.insert(key))).collect())
}

fn pull(parser: &mut OperandReader, json: Json<'_>) -> Option<UpdateOperator> {
    match json {
        Json::Object(members) if is_reference(&members) => {
            refuse(parser, "A reference is no condition: write one on its fields, or use `$pullAll`.")
        }
        Json::Object(members) if is_plain(&members) => {
            let first = members.first().map_or("", |(name, _)| name);
            let (reader, price) = (&mut parser.reader, &mut parser.price);
            match first {
                "$not" => refuse(parser, "`$not` must not be the first condition."),
                _ if first.starts_with('$') && !matches!(first, "$and" | "$or" | "$nor") => {
                    Some(UpdateOperator::PullValues(Filter::of_operators(VALUE, members, reader, price)))
                }
                _ => Some(UpdateOperator::PullDocuments(Filter::of_members(members, reader, price))),
            }
        }
        json => match parser.reader.value(json) {
            Bson::RegularExpression(_) => refuse(parser, "Must not be a regular expression; use `$regex`."),
            value => Some(UpdateOperator::PullEqual(key_of(&value).into_iter().collect())),
        },
    }
}

fn bits(parser: &mut OperandReader, json: Json<'_>) -> Option<UpdateOperator> {
    let members = match json {
        Json::Object(members) if !members.is_empty() => members,
        _ => return refuse(parser, "Must be an object with `and`, `or` or `xor`."),
    };
    let mut operations: Vec<BitOperation> = Vec::new();
    parser.each(members, |parser, name, json| {
        let combine: fn(i64, i64) -> i64 = match name {
            "and" => |a, b| a & b,
            "or" => |a, b| a | b,
            "xor" => |a, b| a ^ b,
            _ => return parser.refuse("Must be `and`, `or` or `xor`."),
        };
        let value = parser.reader.value(json);
        match Number::of(&value).filter(|number| number.integer().is_some()) {
            Some(number) => operations.push((combine, number)),
            None => parser.refuse("Must be an integer of 32 or 64 bits."),
        }
    });
    Some(UpdateOperator::Bits(operations))
}
