//! Going through the documents that a plan leads to, one by one, without keeping them.
//!
//! What a newcomer gets wrong: these are candidates. Whether one matches is for whoever looks at them, and by an index
//! that has met an array the same one may come more than once.

use crate::sqlite::containers::open::Scope;
use crate::sqlite::failure::Attempt;
use crate::sqlite::statement::{Statement, blob, statements};
use bson::RawDocument;
use rusqlite::{Params, Row, params};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tenantry_domain::document::Revision;
use tenantry_domain::filter::Interval;
use tenantry_domain::query::plan::{Place, Walk};
use tenantry_domain::{Error, ErrorCode};

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

/// How long a read may keep an async thread from its other work: some hundred documents take less, if they are in
/// memory, and handing them to another thread and back takes as long as fifty.
const GLANCE: Duration = Duration::from_micros(500);

/// A document that is passed.
pub(super) struct Passed<'a> {
    /// What indexes refer to it by.
    pub(super) number: i64,
    pub(super) revision: Revision,
    pub(super) body: &'a RawDocument,
    /// The key of its `_id`.
    pub(super) id: &'a [u8],
    /// The entry that led to it; empty where it was the `_id`.
    pub(super) key: &'a [u8],
}

/// The entries that are gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entries {
    /// The `_id`s of the documents of this collection.
    Ids(i64),
    /// Those of this index.
    Index(i64),
}

/// A moment by which a query has to be done, if there is one, and how closely it is kept to.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    end: Option<Instant>,
    /// Documents between two looks at the clock.
    documents: u32,
    /// Bytes of documents between two looks at the clock.
    bytes: usize,
}

impl Deadline {
    pub(super) const NONE: Self = Self { end: None, documents: 128, bytes: 1 << 20 };

    pub(super) fn after(time: Duration) -> Self {
        Self { end: Instant::now().checked_add(time), ..Self::NONE }
    }

    /// For a read on an async thread.
    pub(super) fn of_a_glance() -> Self {
        Self { documents: 8, bytes: 64 << 10, ..Self::after(GLANCE) }
    }

    pub(super) fn is_over(self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// What is done with each document that is passed.
type Look<'a> = dyn FnMut(&Passed<'_>) -> Attempt<ControlFlow<()>> + 'a;

/// Goes through entries within intervals, which are in order; only those after a place, if one is given.
pub(super) struct Walker<'a> {
    scope: Scope<'a>,
    entries: Entries,
    way: Walk,
    deadline: Deadline,
    /// Documents since the clock was looked at.
    passed: u32,
    /// Their bytes.
    bytes: usize,
}

impl<'a> Walker<'a> {
    pub(super) const fn new(scope: Scope<'a>, entries: Entries, way: Walk, deadline: Deadline) -> Self {
        Self { scope, entries, way, deadline, passed: 0, bytes: 0 }
    }

    /// Shows `look` document after document, until it has seen enough. `query_too_slow` after the deadline.
    pub(super) fn walk(
        mut self,
        intervals: &[Interval],
        after: Option<&Place>,
        look: &mut Look<'_>,
    ) -> Attempt<()> {
        let mut ranges: Vec<(Vec<u8>, Vec<u8>)> =
            intervals.iter().map(|each| (each.low.clone(), each.end())).collect();
        if let Some(place) = after {
            if self.rest_of_key(place, look)?.is_break() {
                return Ok(());
            }
            self.cut(&mut ranges, place);
        }
        if self.way != Walk::Up {
            ranges.reverse();
        }
        for (low, end) in ranges {
            // There may be thousands in which there is nothing.
            self.look_at_clock()?;
            if self.range(&low, end, look)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What follows `place` under the same key.
    fn rest_of_key(&mut self, place: &Place, look: &mut Look<'_>) -> Attempt<ControlFlow<()>> {
        let Entries::Index(index) = self.entries else { return Ok(ControlFlow::Continue(())) };
        let statement = if self.way == Walk::Down { REST_OF_KEY_DOWN } else { REST_OF_KEY_UP };
        self.pass(statement, params![index, place.key, place.id], look)
    }

    /// Takes out of the ranges what does not come after the key of `place`.
    fn cut(&self, ranges: &mut Vec<(Vec<u8>, Vec<u8>)>, place: &Place) {
        let mut key = match self.entries {
            Entries::Ids(_) => place.id.clone(),
            Entries::Index(_) => place.key.clone(),
        };
        for (low, end) in ranges.iter_mut() {
            if self.way == Walk::Up {
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

    fn range(&mut self, low: &[u8], mut end: Vec<u8>, look: &mut Look<'_>) -> Attempt<ControlFlow<()>> {
        match (self.entries, self.way) {
            (Entries::Ids(collection), Walk::Up) => self.pass(IDS_UP, params![collection, low, end], look),
            (Entries::Ids(collection), _) => self.pass(IDS_DOWN, params![collection, low, end], look),
            (Entries::Index(index), Walk::Up) => self.pass(KEYS_UP, params![index, low, end], look),
            (Entries::Index(index), Walk::Down) => self.pass(KEYS_DOWN, params![index, low, end], look),
            (Entries::Index(index), Walk::DownByKey) => {
                let connection = self.scope.connection;
                while let Some(key) =
                    LAST_KEY.first(connection, params![index, low, end], |row| row.get(0))?
                {
                    end = key;
                    self.look_at_clock()?;
                    if self.pass(REST_OF_KEY_UP, params![index, end, b""], look)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn pass(
        &mut self,
        statement: Statement,
        params: impl Params,
        look: &mut Look<'_>,
    ) -> Attempt<ControlFlow<()>> {
        let connection = self.scope.connection;
        statement.each(connection, params, |row| {
            let passed = passed(row)?;
            self.check_time(passed.body.as_bytes().len())?;
            look(&passed)
        })
    }

    /// `query_too_slow` after the deadline. Not every document is worth a look at the clock.
    fn check_time(&mut self, bytes: usize) -> Result<(), Error> {
        self.passed += 1;
        self.bytes += bytes;
        if self.passed < self.deadline.documents && self.bytes < self.deadline.bytes {
            return Ok(());
        }
        (self.passed, self.bytes) = (0, 0);
        self.look_at_clock()
    }

    fn look_at_clock(&self) -> Result<(), Error> {
        if self.deadline.is_over() { Err(ErrorCode::QueryTooSlow.into()) } else { Ok(()) }
    }
}

fn passed<'a>(row: &'a Row<'_>) -> Attempt<Passed<'a>> {
    Ok(Passed {
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
