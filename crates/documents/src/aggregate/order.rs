//! `$sort` between two stages, and how many of the sorted documents are kept.
//!
//! Documents that are equal in the order stay in the order in which they came.

use super::memory::Memory;
use crate::document::{EntriesError, ID_FIELD, field_within, key, size};
use crate::error::{Error, Result};
use crate::fuel::{self, Fuel};
use crate::sort::{Sort, SortKey};
use bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use std::collections::BTreeMap;

/// Bytes of a kept document beyond its own and those of its key.
const ENTRY_BYTES: usize = 96;

/// The documents so far.
#[derive(Debug)]
pub struct SortedDocuments {
    sort: Sort,
    /// How many are needed.
    most: usize,
    /// How many have come.
    count: u64,
    documents: BTreeMap<(Vec<u8>, u64), RawDocumentBuf>,
}

impl SortedDocuments {
    pub fn new(keys: &[SortKey], most: Option<u64>) -> Self {
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        Self { sort: Sort::by_keys_alone(keys.to_vec()), most, count: 0, documents: BTreeMap::new() }
    }

    /// Adds a document.
    pub fn add(
        &mut self,
        document: &RawDocument,
        memory: &mut Memory,
        at: &str,
        fuel: &Fuel<'_>,
    ) -> Result<()> {
        let key = self.key(document, at, fuel)?;
        self.count += 1;
        let key = (key, self.count);
        let is_full = self.documents.len() == self.most;
        if is_full && self.documents.last_key_value().is_none_or(|(last, _)| key > *last) {
            return Ok(());
        }
        memory.take(document.as_bytes().len() + key.0.len() + ENTRY_BYTES, at)?;
        fuel.spend(document.as_bytes().len() as u64 / 2 + 200)?;
        self.documents.insert(key, document.to_owned());
        if is_full && let Some((key, last)) = self.documents.pop_last() {
            memory.release(last.as_bytes().len() + key.0.len() + ENTRY_BYTES);
        }
        Ok(())
    }

    fn key(&self, document: &RawDocument, at: &str, fuel: &Fuel<'_>) -> Result<Vec<u8>> {
        if let [SortKey { path, direction }] = self.sort.keys()
            && path.as_str() == ID_FIELD
        {
            // MongoDB sorts by the `_id` alone as by any value: an array is not taken apart.
            let id = field_within(document, ID_FIELD, fuel)?.unwrap_or(RawBsonRef::Null);
            fuel.spend(fuel::comparison(size(id)))?;
            return Ok(key::encode(&[(id, *direction)]));
        }
        self.sort.key(document, fuel).map_err(|error| match error {
            EntriesError::Unsuitable(sentence) => Error::invalid_field(at, sentence),
            EntriesError::Stopped(stopped) => stopped.into(),
        })
    }

    /// The documents in their order.
    pub fn finish(self) -> impl Iterator<Item = RawDocumentBuf> {
        self.documents.into_values()
    }
}
