//! `$group`: one document for each key.
//!
//! Equal keys are one group, as in MongoDB: `1`, `1.0` and the decimal `1` are equal. The groups come in the order of their
//! keys, so that what follows does not depend on the order of the documents.

use super::accumulator::AccumulatorState;
use super::build::{append, check_size};
use super::evaluate::evaluate;
use super::memory::Memory;
use super::summation::NumberSum;
use super::syntax::{Expression, Group};
use super::value::Value;
use crate::document::order::Direction;
use crate::document::{ID_FIELD, field_within, key, size};
use crate::error::{Error, Result};
use crate::fuel::{self, Fuel};
use crate::limits::AGGREGATE_MAX_GROUPS;
use bson::raw::RawBson;
use bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use std::collections::HashMap;

/// Bytes of a group without its key and values, and of one accumulator.
const GROUP_BYTES: usize = 160;
const ACCUMULATOR_BYTES: usize = size_of::<AccumulatorState>();

/// The groups so far.
#[derive(Debug, Default)]
pub struct Groups {
    by_key: HashMap<Box<[u8]>, usize>,
    groups: Vec<(RawBson, Vec<AccumulatorState>)>,
    /// The key of the document at hand.
    key: Vec<u8>,
}

impl Groups {
    /// Adds a document to its group.
    pub fn add(
        &mut self,
        group: &Group,
        document: &RawDocument,
        memory: &mut Memory,
        at: &str,
        fuel: &Fuel<'_>,
    ) -> Result<()> {
        let id = match evaluate(&group.key, document, fuel)? {
            Value::Missing => Value::Part(RawBsonRef::Null),
            id => id,
        };
        self.key.clear();
        fuel.spend(4 * fuel::comparison(id.bytes()))?;
        match (&group.key, id.comparable()) {
            // MongoDB compares the values of the fields that are asked for: a missing one equals undefined.
            (Expression::Object(names), RawBsonRef::Document(object)) => {
                for (name, _) in names {
                    let value = field_within(object, name, fuel)?.unwrap_or(RawBsonRef::Undefined);
                    key::append(value, Direction::Ascending, &mut self.key);
                }
            }
            (_, id) => key::append(id, Direction::Ascending, &mut self.key),
        }
        let place = match self.by_key.get(self.key.as_slice()) {
            Some(place) => *place,
            None => self.insert(group, id, memory, at)?,
        };
        let (_, states) = &mut self.groups[place];
        // As in MongoDB, an expression whose value would not be used refuses no document.
        for (state, field) in states.iter_mut().zip(&group.fields).filter(|(state, _)| state.takes_more()) {
            state.add(evaluate(&field.value, document, fuel)?, memory, at, fuel)?;
        }
        Ok(())
    }

    fn insert(&mut self, group: &Group, id: Value<'_>, memory: &mut Memory, at: &str) -> Result<usize> {
        if self.groups.len() == AGGREGATE_MAX_GROUPS {
            let detail = format!(
                "Makes more than {AGGREGATE_MAX_GROUPS} groups: filter first, or group by fewer values."
            );
            return Err(Error::invalid_field(at, detail));
        }
        let held = GROUP_BYTES + self.key.len() + id.bytes() + group.fields.len() * ACCUMULATOR_BYTES;
        memory.take(held, at)?;
        let new = |accumulator| AccumulatorState::new(accumulator, NumberSum::default());
        let states = group.fields.iter().map(|field| new(field.accumulator)).collect();
        self.groups.push((id.into_owned().unwrap_or(RawBson::Null), states));
        let place = self.groups.len() - 1;
        self.by_key.insert(self.key.as_slice().into(), place);
        Ok(place)
    }

    /// The documents of the groups, in the order of their keys.
    pub fn finish(
        self,
        group: &Group,
        at: &str,
        fuel: &Fuel<'_>,
    ) -> Result<impl Iterator<Item = Result<RawDocumentBuf>>> {
        let mut places: Vec<(Box<[u8]>, usize)> = self.by_key.into_iter().collect();
        let sorting = places.len() as u64 * 64;
        fuel.spend(sorting)?;
        places.sort_unstable();
        let mut groups: Vec<_> = self.groups.into_iter().map(Some).collect();
        Ok(places.into_iter().filter_map(move |(_, place)| {
            let (id, states) = groups[place].take()?;
            Some(document(group, &id, states, at))
        }))
    }
}

fn document(group: &Group, id: &RawBson, states: Vec<AccumulatorState>, at: &str) -> Result<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    append(&mut document, ID_FIELD, id.as_raw_bson_ref());
    for (field, state) in group.fields.iter().zip(states) {
        let value = state.finish();
        check_size(document.as_bytes().len() + size(value.as_raw_bson_ref()), at)?;
        append(&mut document, &field.name, value.as_raw_bson_ref());
    }
    Ok(document)
}
