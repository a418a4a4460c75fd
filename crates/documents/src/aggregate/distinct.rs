//! The distinct values of a field.

use super::memory::Memory;
use super::source::Source;
use crate::document::order::Direction;
use crate::document::{Path, PathPart, as_document, field_within, items_within, key, size};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::fuel::{self, Fuel};
use crate::limits::{AGGREGATE_MAX_RESULTS, AGGREGATE_RESULTS_MAX_BYTES};
use bson::raw::RawBson;
use bson::{RawBsonRef, RawDocument};
use std::collections::BTreeMap;

/// Bytes of a kept value beyond its own and those of its key.
const ENTRY_BYTES: usize = 96;

/// Which values.
#[derive(Debug, Clone)]
pub struct Distinct {
    pub(super) source: Source,
    path: Path,
    /// The pointer to the path, for errors that only documents cause.
    at: Box<str>,
}

impl Distinct {
    /// The values at `path` in the documents that match `filter`; `at` is the pointer of the path in the request.
    #[must_use]
    pub fn new(path: Path, filter: Filter, at: &str) -> Self {
        let heads = Some(std::iter::once(path.head().to_owned()).collect());
        Self { source: Source { filter, heads, ..Source::default() }, path, at: at.into() }
    }
}

/// The values so far, by their keys: in their order, equal ones once.
#[derive(Debug, Default)]
pub struct DistinctValues {
    values: BTreeMap<Vec<u8>, RawBson>,
    bytes: usize,
}

impl DistinctValues {
    /// Adds the values of a document: of an array, its items.
    pub fn add(
        &mut self,
        distinct: &Distinct,
        document: &RawDocument,
        memory: &mut Memory,
        fuel: &Fuel<'_>,
    ) -> Result<()> {
        self.collect(document, distinct.path.parts(), distinct, memory, fuel)
    }

    /// Adds the values at a path. As MongoDB's `distinct` follows it: a number after an array is a position, and never the
    /// name of a field in the array's documents, which it also is in a filter.
    fn collect(
        &mut self,
        document: &RawDocument,
        parts: &[PathPart],
        distinct: &Distinct,
        memory: &mut Memory,
        fuel: &Fuel<'_>,
    ) -> Result<()> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        match field_within(document, &part.name, fuel)? {
            Some(RawBsonRef::Array(array)) if rest.is_empty() => {
                items_within(array, fuel).try_for_each(|item| self.insert(item?, distinct, memory, fuel))
            }
            Some(value) if rest.is_empty() => self.insert(value, distinct, memory, fuel),
            Some(RawBsonRef::Document(inner)) => self.collect(inner, rest, distinct, memory, fuel),
            Some(RawBsonRef::Array(array)) if is_number(&rest[0].name) => {
                self.collect(as_document(array), rest, distinct, memory, fuel)
            }
            Some(RawBsonRef::Array(array)) => items_within(array, fuel).try_for_each(|item| match item? {
                RawBsonRef::Document(inner) => self.collect(inner, rest, distinct, memory, fuel),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }
    }

    fn insert(
        &mut self,
        value: RawBsonRef<'_>,
        distinct: &Distinct,
        memory: &mut Memory,
        fuel: &Fuel<'_>,
    ) -> Result<()> {
        let bytes = size(value);
        fuel.spend(4 * fuel::comparison(bytes))?;
        let key = key::encode(&[(value, Direction::Ascending)]);
        if self.values.contains_key(&key) {
            return Ok(());
        }
        self.bytes += bytes;
        let too_many = if self.values.len() == AGGREGATE_MAX_RESULTS {
            Some(format!(
                "There are more than {AGGREGATE_MAX_RESULTS} values: filter first, or group with a `$limit`."
            ))
        } else if self.bytes > AGGREGATE_RESULTS_MAX_BYTES {
            let most = AGGREGATE_RESULTS_MAX_BYTES >> 20;
            Some(format!("The values come to more than {most} MiB: filter first, or group with a `$limit`."))
        } else {
            None
        };
        if let Some(detail) = too_many {
            return Err(Error::invalid_field(&*distinct.at, detail));
        }
        memory.take(bytes + key.len() + ENTRY_BYTES, &distinct.at)?;
        self.values.insert(key, value.into());
        Ok(())
    }

    /// The values, in their order.
    pub fn finish(self) -> Vec<RawBson> {
        self.values.into_values().collect()
    }
}

/// Whether a part of a path consists of digits.
fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}
