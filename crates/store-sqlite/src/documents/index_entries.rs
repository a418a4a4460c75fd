//! The entries that a document has in the indexes of its collection.
//!
//! # Pitfalls
//! Nothing in SQLite keeps a unique index unique. Before each entry, the transaction that adds it checks
//! whether another document has it; only one transaction writes at a time.

use crate::collections::catalog::{self, Collection};
use crate::collections::index_builds::IndexBuild;
use crate::collections::scope::Scope;
use crate::collections::stored_index::StoredIndex;
use crate::engine_error::EngineResult;
use crate::statement::{integer, statements};
use bson::RawDocument;
use rusqlite::{Connection, params};
use std::sync::Arc;
use tenantry_documents::document::{EntryBudget, IndexKey, IndexKeys, IndexKeysError, entry_bytes};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::Index;
use tenantry_domain::{Error, ErrorCode, Result};

statements! {
    ADD = "INSERT INTO index_entries (index_id, key, id, document) VALUES (?1, ?2, ?3, ?4)";
    REMOVE = "DELETE FROM index_entries WHERE index_id = ?1 AND key = ?2 AND id = ?3";
    CLASH = "SELECT 1 FROM index_entries WHERE index_id = ?1 AND key = ?2 AND id <> ?3 LIMIT 1";
    MARK_MULTIKEY = "UPDATE indexes SET is_multikey = 1 WHERE id = ?1 AND is_multikey = 0";
    MARK_CUT = "UPDATE indexes SET cut = 2 WHERE id = ?1 AND cut = 1";
    GROW = "UPDATE index_sizes SET bytes = bytes + ?2 WHERE index_id = ?1";
}

/// The growth of index entries in a transaction: the bytes of each index, as a quota counts them.
#[derive(Default)]
pub(crate) struct IndexSizes(Vec<(i64, i64)>);

impl IndexSizes {
    /// Adds `bytes` to the growth of the index of that number; there are few indexes.
    pub(crate) fn add(&mut self, index: i64, bytes: i64) {
        match self.0.iter_mut().find(|(number, _)| *number == index) {
            Some((_, sum)) => *sum += bytes,
            None => self.0.push((index, bytes)),
        }
    }

    /// Saves the growth, in the transaction of the change.
    pub(crate) fn note(self, connection: &Connection) -> EngineResult<()> {
        for (index, bytes) in self.0 {
            if bytes != 0 {
                GROW.execute(connection, [index, bytes])?;
            }
        }
        Ok(())
    }
}

/// The keys of `body` in an index, taken off `budget`, for as much of `fuel` as they cost.
///
/// # Errors
/// Why it cannot be indexed so.
pub(crate) fn keys(
    index: &StoredIndex,
    body: &RawDocument,
    budget: &mut EntryBudget,
    fuel: &Fuel<'_>,
) -> Result<IndexKeys, IndexKeysError> {
    IndexKeys::of(&index.definition, index.format, body, budget, fuel)
}

/// Identifies a document.
#[derive(Clone, Copy)]
pub(super) struct DocumentRef<'a> {
    pub(super) number: i64,
    /// The key of its `_id`.
    pub(super) id: &'a [u8],
}

/// The indexes to maintain: the finished ones and those being built.
pub(super) struct Indexes<'a> {
    serving: &'a [StoredIndex],
    building: Vec<Arc<IndexBuild>>,
}

impl<'a> Indexes<'a> {
    /// The indexes of `collection`, which has that number.
    pub(super) fn of(scope: Scope<'_>, number: i64, collection: &'a Collection) -> Self {
        Self { serving: &collection.indexes, building: scope.building(number, collection) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.serving.is_empty() && self.building.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (&StoredIndex, Option<&IndexBuild>)> {
        let serving = self.serving.iter().map(|index| (index, None));
        serving.chain(self.building.iter().map(|building| (&building.index, Some(&**building))))
    }
}

/// The changes in the indexes of a collection when a document is inserted, changed or removed.
pub(super) struct Changes<'a>(Vec<EntryChange<'a>>);

struct EntryChange<'a> {
    index: &'a StoredIndex,
    /// The build, if the index is being built.
    building: Option<&'a IndexBuild>,
    /// Whether there was a document before, which a running index build may have read.
    had_old: bool,
    old: IndexKeys,
    new: IndexKeys,
}

impl<'a> Changes<'a> {
    /// The changes when `new` replaces `old`; `None` stands for no document. `unique_violation`;
    /// `invalid_input` for a document that cannot be indexed.
    pub(super) fn of(
        connection: &Connection,
        indexes: &'a Indexes<'_>,
        id: &[u8],
        old: Option<&RawDocument>,
        new: Option<&RawDocument>,
    ) -> EngineResult<Self> {
        let mut changes = Vec::with_capacity(indexes.serving.len());
        let mut budget = EntryBudget::of_document();
        // For all its indexes together. Existing entries can always be removed.
        let (fuel, unlimited) = (Fuel::for_document(), Fuel::unlimited());
        for (index, building) in indexes.iter() {
            let had_old = old.is_some();
            let keys = |body: Option<&RawDocument>, budget: &mut EntryBudget, fuel: &Fuel<'_>| match body {
                None => Ok(IndexKeys::default()),
                Some(body) => keys(index, body, budget, fuel),
            };
            let new = keys(new, &mut budget, &fuel).map_err(|why| cannot_index(&index.definition, &why))?;
            let old = match (keys(old, &mut EntryBudget::unbounded(), &unlimited), building) {
                // The document is older than the index and has no entries yet.
                (Err(_), Some(_)) => IndexKeys::default(),
                (old, _) => old.map_err(IndexKeysError::unexpected)?,
            };
            let change = EntryChange { index, building, had_old, old, new };
            if index.definition.unique {
                change.check(connection, id)?;
            }
            changes.push(change);
        }
        Ok(Self(changes))
    }

    /// How many bytes the entries grow by, for a document whose `_id` has a key of `id_bytes`.
    pub(super) fn growth(&self, id_bytes: usize) -> i64 {
        let growth = |change: &EntryChange<'_>| {
            integer(change.new.bytes(id_bytes)) - integer(change.old.bytes(id_bytes))
        };
        self.0.iter().map(growth).sum()
    }

    /// Applies the changes, and adds the growth of the indexes to `sizes`.
    pub(super) fn make(
        self,
        connection: &Connection,
        document: DocumentRef<'_>,
        sizes: &mut IndexSizes,
    ) -> EngineResult<()> {
        let DocumentRef { number, id } = document;
        for change in self.0 {
            let index = change.index.number;
            for entry in change.gone() {
                // In an index that is being built the entry may not exist yet.
                if REMOVE.execute(connection, params![index, entry.key, id])? > 0 {
                    sizes.add(index, -integer(entry_bytes(entry, id.len())));
                }
            }
            for entry in change.added() {
                ADD.execute(connection, params![index, entry.key, id, number])?;
                sizes.add(index, integer(entry_bytes(entry, id.len())));
            }
            if let Some(building) = change.building {
                if change.had_old {
                    building.note_change();
                }
                building.note_keys(&change.new);
            } else {
                change.index.mark(connection, &change.new)?;
            }
        }
        Ok(())
    }
}

impl EntryChange<'_> {
    fn gone(&self) -> impl Iterator<Item = &IndexKey> {
        self.old.keys.iter().filter(|entry| !self.new.contains(&entry.key))
    }

    fn added(&self) -> impl Iterator<Item = &IndexKey> {
        self.new.keys.iter().filter(|entry| !self.old.contains(&entry.key))
    }

    fn check(&self, connection: &Connection, id: &[u8]) -> EngineResult<()> {
        for entry in self.added() {
            if is_taken(connection, self.index.number, &entry.key, id)? {
                return Err(taken(&self.index.definition).into());
            }
        }
        Ok(())
    }
}

impl StoredIndex {
    /// Notes what queries must know about the index.
    fn mark(&self, connection: &Connection, keys: &IndexKeys) -> EngineResult<()> {
        let marks = [
            (keys.is_multikey && !self.is_multikey, MARK_MULTIKEY),
            (keys.has_cut && !self.has_cut, MARK_CUT),
        ];
        for (is_new, mark) in marks {
            if is_new {
                mark.execute(connection, [self.number])?;
                catalog::touch(connection)?;
            }
        }
        Ok(())
    }
}

/// Whether a document other than that of `id` has an entry with that key.
pub(crate) fn is_taken(connection: &Connection, index: i64, key: &[u8], id: &[u8]) -> EngineResult<bool> {
    Ok(CLASH.finds(connection, params![index, key, id])?)
}

/// The error for an entry that another document has.
pub(crate) fn taken(index: &Index) -> Error {
    let detail = format!("Another document has the same value in the unique index `{}`.", index.name);
    Error::new(ErrorCode::UniqueViolation).detail(detail)
}

/// The error for an index that cannot be unique.
pub(crate) fn have_duplicate(index: &Index) -> Error {
    let detail =
        format!("Two documents have the same value, so the index `{}` cannot be unique.", index.name);
    Error::new(ErrorCode::UniqueViolation).detail(detail)
}

fn cannot_index(index: &Index, why: &IndexKeysError) -> Error {
    Error::invalid_field("", format!("The index `{}` cannot take it: {why}", index.name))
}
