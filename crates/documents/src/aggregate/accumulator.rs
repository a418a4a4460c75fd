//! What a group keeps of the values it meets.

use super::memory::Memory;
use super::summation::NumberSum;
use super::syntax::Accumulator;
use super::value::Value;
use crate::document::key;
use crate::document::order::Direction;
use crate::error::Result;
use crate::fuel::{self, Fuel};
use bson::raw::{RawArrayBuf, RawBson};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Bytes of a value in a list or a set, beyond its own.
const ITEM_BYTES: usize = 48;

/// The state of an accumulator.
#[derive(Debug)]
pub enum AccumulatorState {
    Sum(NumberSum),
    Average(NumberSum),
    /// The lowest or the highest value so far.
    Extreme(Option<RawBson>, Ordering),
    /// The first value, which may be missing, once there is one.
    First(Option<Option<RawBson>>),
    Last(Option<RawBson>),
    List(Vec<RawBson>),
    /// By their keys, so that equal values are one.
    Set(BTreeMap<Vec<u8>, RawBson>),
}

impl AccumulatorState {
    pub const fn new(accumulator: Accumulator, empty: NumberSum) -> Self {
        match accumulator {
            Accumulator::Sum => Self::Sum(empty),
            Accumulator::Average => Self::Average(empty),
            Accumulator::Min => Self::Extreme(None, Ordering::Less),
            Accumulator::Max => Self::Extreme(None, Ordering::Greater),
            Accumulator::First => Self::First(None),
            Accumulator::Last => Self::Last(None),
            Accumulator::Push => Self::List(Vec::new()),
            Accumulator::AddToSet => Self::Set(BTreeMap::new()),
        }
    }

    /// Whether another value could change the result.
    pub const fn takes_more(&self) -> bool {
        !matches!(self, Self::First(Some(_)))
    }

    /// Takes the next value.
    pub fn add(&mut self, value: Value<'_>, memory: &mut Memory, at: &str, fuel: &Fuel<'_>) -> Result<()> {
        let bytes = value.bytes();
        match self {
            Self::Sum(sum) | Self::Average(sum) => {
                if let Some(value) = value.present() {
                    sum.add(value);
                }
                return Ok(());
            }
            Self::Extreme(kept, wanted) => {
                fuel.spend(fuel::comparison(bytes))?;
                let is_better = match kept {
                    _ if value.is_nullish() => false,
                    None => true,
                    Some(kept) => value.compare(&Value::Part(kept.as_raw_bson_ref())) == *wanted,
                };
                if is_better {
                    replace(kept, value.into_owned(), memory, at)?;
                }
            }
            Self::First(kept @ None) => {
                memory.take(bytes, at)?;
                *kept = Some(value.into_owned());
            }
            Self::First(Some(_)) => {}
            Self::Last(kept) => {
                fuel.spend(bytes as u64 / 2)?;
                replace(kept, value.into_owned(), memory, at)?;
            }
            Self::List(list) => {
                if let Some(value) = value.into_owned() {
                    memory.take(bytes + ITEM_BYTES, at)?;
                    fuel.spend(bytes as u64 / 2)?;
                    list.push(value);
                }
            }
            Self::Set(set) => {
                let Some(present) = value.present() else { return Ok(()) };
                fuel.spend(4 * fuel::comparison(bytes))?;
                let key = key::encode(&[(present, Direction::Ascending)]);
                if !set.contains_key(&key) {
                    memory.take(bytes + key.len() + 2 * ITEM_BYTES, at)?;
                    set.extend(value.into_owned().map(|value| (key, value)));
                }
            }
        }
        Ok(())
    }

    /// The value of the field in the group's document. A missing one is null.
    pub fn finish(self) -> RawBson {
        match self {
            Self::Sum(sum) => sum.to_bson(),
            Self::Average(sum) => sum.average(),
            Self::Extreme(kept, _) | Self::Last(kept) => kept.unwrap_or(RawBson::Null),
            Self::First(kept) => kept.flatten().unwrap_or(RawBson::Null),
            Self::List(list) => RawBson::Array(list.into_iter().collect::<RawArrayBuf>()),
            Self::Set(set) => RawBson::Array(set.into_values().collect::<RawArrayBuf>()),
        }
    }
}

fn replace(kept: &mut Option<RawBson>, new: Option<RawBson>, memory: &mut Memory, at: &str) -> Result<()> {
    let size = |value: &Option<RawBson>| {
        value.as_ref().map_or(0, |value| crate::document::size(value.as_raw_bson_ref()))
    };
    memory.release(size(kept));
    *kept = new;
    memory.take(size(kept), at)
}
