//! Goes through the documents that a plan leads to, one by one, without keeping them.
//!
//! # Pitfalls
//! These are candidates. The caller checks whether each one matches, and an index that has met an array may
//! give the same document more than once.

use crate::collections::scope::Scope;
use crate::engine_error::EngineResult;
use crate::statement::{Statement, blob, statements};
use bson::RawDocument;
use rusqlite::{Params, Row, params};
use std::ops::ControlFlow;
use tenantry_documents::document::Revision;
use tenantry_documents::filter::Interval;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::query::plan::{PlanEntry, ScanKind};
use tenantry_domain::Error;

statements! {
    IDS_UP = "SELECT number, revision, body, id, x'' FROM documents \
        WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id";
    IDS_DOWN = "SELECT number, revision, body, id, x'' FROM documents \
        WHERE collection = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC";
    KEYS_UP = "SELECT number, revision, body, e.id, e.key FROM index_entries AS e \
        CROSS JOIN documents ON number = e.document \
        WHERE e.index_id = ?1 AND e.key >= ?2 AND e.key < ?3 ORDER BY e.key, e.id";
    KEYS_DOWN = "SELECT number, revision, body, e.id, e.key FROM index_entries AS e \
        CROSS JOIN documents ON number = e.document \
        WHERE e.index_id = ?1 AND e.key >= ?2 AND e.key < ?3 ORDER BY e.key DESC, e.id DESC";
    REST_OF_KEY_UP = "SELECT number, revision, body, e.id, e.key FROM index_entries AS e \
        CROSS JOIN documents ON number = e.document \
        WHERE e.index_id = ?1 AND e.key = ?2 AND e.id > ?3 ORDER BY e.id";
    REST_OF_KEY_DOWN = "SELECT number, revision, body, e.id, e.key FROM index_entries AS e \
        CROSS JOIN documents ON number = e.document \
        WHERE e.index_id = ?1 AND e.key = ?2 AND e.id < ?3 ORDER BY e.id DESC";
    LAST_KEY = "SELECT key FROM index_entries WHERE index_id = ?1 AND key >= ?2 AND key < ?3 \
        ORDER BY key DESC LIMIT 1";
}

/// The cost of finding the beginning of a range, and of reading a document apart from its bytes.
const SEEK_COST: u64 = 2_000;
const DOCUMENT_COST: u64 = 1_000;

/// A document that the walk has reached.
pub(super) struct ScannedEntry<'a> {
    /// The number by which indexes refer to it.
    pub(super) number: i64,
    pub(super) revision: Revision,
    pub(super) body: &'a RawDocument,
    /// The key of its `_id`.
    pub(super) id: &'a [u8],
    /// The entry that led to it; empty where it was the `_id`.
    pub(super) key: &'a [u8],
}

/// The entries to go through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entries {
    /// The `_id`s of the documents of this collection.
    Ids(i64),
    /// The entries of this index.
    Index(i64),
}

/// The callback for each document.
type EntryVisitor<'a> = dyn FnMut(&ScannedEntry<'_>) -> EngineResult<ControlFlow<()>> + 'a;

/// Goes through the entries within intervals, which are in order; if a place is given, only through those
/// after it.
pub(super) struct IndexScan<'a> {
    scope: Scope<'a>,
    entries: Entries,
    way: ScanKind,
    fuel: &'a Fuel<'a>,
}

impl<'a> IndexScan<'a> {
    pub(super) const fn new(scope: Scope<'a>, entries: Entries, way: ScanKind, fuel: &'a Fuel<'a>) -> Self {
        Self { scope, entries, way, fuel }
    }

    /// Calls `visit` with document after document, until it stops or no fuel is left (`query_too_slow`).
    pub(super) fn walk(
        self,
        intervals: &[Interval],
        after: Option<&PlanEntry>,
        visit: &mut EntryVisitor<'_>,
    ) -> EngineResult<()> {
        let mut ranges: Vec<(Vec<u8>, Vec<u8>)> =
            intervals.iter().map(|each| (each.low.clone(), each.end())).collect();
        if let Some(place) = after {
            if self.rest_of_key(place, visit)?.is_break() {
                return Ok(());
            }
            self.cut(&mut ranges, place);
        }
        if self.way != ScanKind::Up {
            ranges.reverse();
        }
        for (low, end) in ranges {
            // There may be thousands of empty intervals.
            self.fuel.spend(SEEK_COST)?;
            if self.range(&low, end, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The entries that follow `place` under the same key.
    fn rest_of_key(&self, place: &PlanEntry, visit: &mut EntryVisitor<'_>) -> EngineResult<ControlFlow<()>> {
        let Entries::Index(index) = self.entries else { return Ok(ControlFlow::Continue(())) };
        let statement = if self.way == ScanKind::Down { REST_OF_KEY_DOWN } else { REST_OF_KEY_UP };
        self.pass(statement, params![index, place.key, place.id], visit)
    }

    /// Removes from the ranges all that is not after the key of `place`.
    fn cut(&self, ranges: &mut Vec<(Vec<u8>, Vec<u8>)>, place: &PlanEntry) {
        let mut key = match self.entries {
            Entries::Ids(_) => place.id.clone(),
            Entries::Index(_) => place.key.clone(),
        };
        for (low, end) in ranges.iter_mut() {
            if self.way == ScanKind::Up {
                // The next of all possible keys.
                key.push(0);
                if *low < key {
                    low.clone_from(&key);
                }
                key.pop();
            } else if *end > key {
                end.clone_from(&key);
            }
        }
        ranges.retain(|(low, end)| low < end);
    }

    fn range(
        &self,
        low: &[u8],
        mut end: Vec<u8>,
        visit: &mut EntryVisitor<'_>,
    ) -> EngineResult<ControlFlow<()>> {
        match (self.entries, self.way) {
            (Entries::Ids(collection), ScanKind::Up) => {
                self.pass(IDS_UP, params![collection, low, end], visit)
            }
            (Entries::Ids(collection), _) => self.pass(IDS_DOWN, params![collection, low, end], visit),
            (Entries::Index(index), ScanKind::Up) => self.pass(KEYS_UP, params![index, low, end], visit),
            (Entries::Index(index), ScanKind::Down) => self.pass(KEYS_DOWN, params![index, low, end], visit),
            (Entries::Index(index), ScanKind::DownByKey) => {
                let connection = self.scope.connection;
                while let Some(key) =
                    LAST_KEY.first(connection, params![index, low, end], |row| row.get(0))?
                {
                    end = key;
                    self.fuel.spend(SEEK_COST)?;
                    if self.pass(REST_OF_KEY_UP, params![index, end, b""], visit)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn pass(
        &self,
        statement: Statement,
        params: impl Params,
        visit: &mut EntryVisitor<'_>,
    ) -> EngineResult<ControlFlow<()>> {
        let connection = self.scope.connection;
        statement.each(connection, params, |row| {
            let entry = entry(row)?;
            self.fuel.begin_document(reading(entry.body))?;
            visit(&entry)
        })
    }
}

/// The cost of reading a document that is in memory.
pub(super) fn reading(body: &RawDocument) -> u64 {
    DOCUMENT_COST + body.as_bytes().len() as u64 / 2
}

fn entry<'a>(row: &'a Row<'_>) -> EngineResult<ScannedEntry<'a>> {
    Ok(ScannedEntry {
        number: row.get(0)?,
        revision: revision(row.get(1)?),
        body: RawDocument::from_bytes(blob(row, 2)?).map_err(Error::internal)?,
        id: blob(row, 3)?,
        key: blob(row, 4)?,
    })
}

/// A revision as SQLite keeps it.
pub(super) fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or_default())
}
