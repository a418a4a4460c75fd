//! The operators that change arrays.

use super::apply::Applier;
use super::operator::{End, Leaf, Push, PushSort, UpdateOperator};
use super::values::{key_of, least_bytes};
use crate::document::order;
use crate::error::{Error, Result};
use crate::fuel;
use bson::raw::RawBson;
use bson::{Bson, Document};
use std::cmp::Ordering;
use std::collections::HashSet;

/// Changes an array by the operator of `leaf`.
pub fn change(applier: &Applier<'_>, leaf: &Leaf, items: &mut Vec<Bson>) -> Result<()> {
    match &leaf.operator {
        UpdateOperator::Push(push) => self::push(applier, push, items),
        UpdateOperator::AddToSet(values) => add_to_set(applier, values, items),
        UpdateOperator::Pop(End::First) if !items.is_empty() => {
            applier.fuel().spend(items.len() as u64)?;
            items.remove(0);
            Ok(())
        }
        UpdateOperator::Pop(_) => {
            items.pop();
            Ok(())
        }
        operator => {
            let mut kept = Vec::with_capacity(items.len());
            for item in items.drain(..) {
                if !applier.is_pulled(operator, &item)? {
                    kept.push(item);
                }
            }
            *items = kept;
            Ok(())
        }
    }
}

fn push(applier: &Applier<'_>, push: &Push, items: &mut Vec<Bson>) -> Result<()> {
    let added: usize = push.values.iter().map(least_bytes).sum();
    applier.fuel().spend((added + items.len()) as u64)?;
    let place = match push.position {
        None => items.len(),
        Some(position) => place_of(position, items.len()),
    };
    items.splice(place..place, push.values.iter().cloned());
    if let Some(sort) = &push.sort {
        self::sort(applier, sort, items)?;
    }
    match push.slice {
        Some(count @ 0..) => items.truncate(usize::try_from(count).unwrap_or(usize::MAX)),
        Some(count) => {
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            items.drain(..items.len().saturating_sub(count));
        }
        None => {}
    }
    Ok(())
}

/// The place of a position that may be negative, and then counts from the end.
fn place_of(position: i64, length: usize) -> usize {
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    if position < 0 { length.saturating_sub(distance) } else { distance.min(length) }
}

fn sort(applier: &Applier<'_>, sort: &PushSort, items: &mut Vec<Bson>) -> Result<()> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        applier.fuel().spend(fuel::VALUE + least_bytes(&item) as u64)?;
        let key = match sort {
            PushSort::Values { .. } => vec![raw(&item)?],
            PushSort::Fields(fields) => {
                let value = |(path, _): &(Vec<Box<str>>, bool)| raw(value_at(&item, path));
                fields.iter().map(value).collect::<Result<_>>()?
            }
        };
        keyed.push((key, item));
    }
    let bytes: usize = keyed.iter().map(|(_, item)| least_bytes(item)).sum();
    let halvings = keyed.len().checked_ilog2().map_or(0, |log| u64::from(log) + 1);
    applier.fuel().spend(halvings * fuel::comparison(bytes + 32 * keyed.len()))?;
    keyed.sort_by(|(a, _), (b, _)| compare_keys(sort, a, b));
    items.extend(keyed.into_iter().map(|(_, item)| item));
    Ok(())
}

fn compare_keys(sort: &PushSort, a: &[RawBson], b: &[RawBson]) -> Ordering {
    let is_descending = |index: usize| match sort {
        PushSort::Values { descending } => *descending,
        PushSort::Fields(fields) => fields.get(index).is_some_and(|(_, descending)| *descending),
    };
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        let order = order::compare(a.as_raw_bson_ref(), b.as_raw_bson_ref());
        let order = if is_descending(index) { order.reverse() } else { order };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The value at a path of an item, or null. Only objects have fields here; below them, an array has its positions.
fn value_at<'a>(item: &'a Bson, path: &[Box<str>]) -> &'a Bson {
    let Bson::Document(document) = item else { return &Bson::Null };
    let Some((first, rest)) = path.split_first() else { return &Bson::Null };
    let mut value = document.get(&**first);
    for name in rest {
        value = match value {
            Some(Bson::Document(inner)) => Document::get(inner, &**name),
            Some(Bson::Array(items)) => {
                let position = name.parse::<usize>().ok().filter(|position| position.to_string() == **name);
                position.and_then(|position| items.get(position))
            }
            _ => None,
        };
    }
    value.unwrap_or(&Bson::Null)
}

fn add_to_set(applier: &Applier<'_>, values: &[Bson], items: &mut Vec<Bson>) -> Result<()> {
    let bytes: usize = items.iter().chain(values).map(least_bytes).sum();
    applier.fuel().spend(fuel::comparison(bytes) + fuel::VALUE * (items.len() + values.len()) as u64)?;
    let present: HashSet<Vec<u8>> = items.iter().filter_map(key_of).collect();
    let is_new = |value: &&Bson| key_of(value).is_some_and(|key| !present.contains(&key));
    items.extend(values.iter().filter(is_new).cloned());
    Ok(())
}

/// Compares two values in MongoDB's order.
pub fn compare(a: &Bson, b: &Bson) -> Result<Ordering> {
    Ok(order::compare(raw(a)?.as_raw_bson_ref(), raw(b)?.as_raw_bson_ref()))
}

fn raw(value: &Bson) -> Result<RawBson> {
    RawBson::try_from(value.clone()).map_err(Error::internal)
}
