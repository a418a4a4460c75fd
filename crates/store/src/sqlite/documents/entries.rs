//! The entries that a document has in the indexes of its collection.
//!
//! What a newcomer gets wrong: nothing in SQLite keeps a unique index unique. It is looked before each entry whether
//! another document has it, in the transaction that adds it; there is only one that writes at a time.

use crate::sqlite::collections::building::Building;
use crate::sqlite::collections::catalog::{self, Collection, StoredIndex};
use crate::sqlite::containers::open::Scope;
use crate::sqlite::failure::Attempt;
use crate::sqlite::statement::statements;
use bson::RawDocument;
use rusqlite::{Connection, params};
use std::sync::Arc;
use tenantry_domain::document::{EntriesError, index_entries, key, meets_array};
use tenantry_domain::fuel::Fuel;
use tenantry_domain::index::Index;
use tenantry_domain::limits::{DOCUMENT_MAX_STEPS, INDEX_ENTRIES_MAX_BYTES};
use tenantry_domain::{Error, ErrorCode, Result};

statements! {
    ADD = "INSERT INTO index_entries (index_id, key, id, document) VALUES (?1, ?2, ?3, ?4)";
    REMOVE = "DELETE FROM index_entries WHERE index_id = ?1 AND key = ?2 AND id = ?3";
    CLASH = "SELECT 1 FROM index_entries WHERE index_id = ?1 AND key = ?2 AND id <> ?3 LIMIT 1";
    MARK_MULTIKEY = "UPDATE indexes SET is_multikey = 1 WHERE id = ?1 AND is_multikey = 0";
}

/// The keys of a document's entries in one index, in their order, none twice.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Keys {
    pub(in crate::sqlite) keys: Vec<Vec<u8>>,
    /// Whether an indexed path goes through an array.
    pub(in crate::sqlite) is_multikey: bool,
}

impl Keys {
    /// Those of `body`.
    ///
    /// # Errors
    /// Why it cannot be indexed so.
    pub(in crate::sqlite) fn of(
        index: &Index,
        body: &RawDocument,
        fuel: &Fuel<'_>,
    ) -> Result<Self, EntriesError> {
        let paths = index.paths();
        let entries = index_entries(body, &paths, fuel)?;
        let is_multikey = entries.len() > 1 || meets_array(body, &paths);
        let mut keys: Vec<Vec<u8>> = Vec::with_capacity(entries.len());
        let mut total = 0;
        for entry in &entries {
            let mut bytes = Vec::with_capacity(entry.len() * 16);
            for (value, sort) in entry.iter().zip(&index.keys) {
                key::append(*value, sort.direction, &mut bytes);
            }
            total += bytes.len();
            // Making it, and its part in sorting all of them.
            fuel.spend(4 * bytes.len() as u64)?;
            if total > INDEX_ENTRIES_MAX_BYTES {
                return Err(EntriesError::Unsuitable(format!(
                    "The entries of one document may have at most {} MiB.",
                    INDEX_ENTRIES_MAX_BYTES >> 20
                )));
            }
            keys.push(bytes);
        }
        keys.sort_unstable();
        Ok(Self { keys, is_multikey })
    }
}

/// Which document it is.
#[derive(Clone, Copy)]
pub(super) struct Which<'a> {
    pub(super) number: i64,
    /// The key of its `_id`.
    pub(super) id: &'a [u8],
}

/// The indexes that have to be kept up: those that serve and those that are being made.
pub(super) struct Indexes<'a> {
    serving: &'a [StoredIndex],
    building: Vec<Arc<Building>>,
}

impl<'a> Indexes<'a> {
    /// Those of `collection`, which has that number.
    pub(super) fn of(scope: Scope<'_>, number: i64, collection: &'a Collection) -> Self {
        Self { serving: &collection.indexes, building: scope.building(number, collection) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.serving.is_empty() && self.building.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (&StoredIndex, Option<&Building>)> {
        let serving = self.serving.iter().map(|index| (index, None));
        serving.chain(self.building.iter().map(|building| (&building.index, Some(&**building))))
    }
}

/// What has to change in the indexes of a collection when a document comes, changes or goes.
pub(super) struct Changes<'a>(Vec<Change<'a>>);

struct Change<'a> {
    index: &'a StoredIndex,
    /// If it is being made.
    building: Option<&'a Building>,
    /// Whether there was a document before, which whoever makes the index may have read.
    had_old: bool,
    old: Keys,
    new: Keys,
}

impl<'a> Changes<'a> {
    /// What has to change when `new` comes in place of `old`; none is a document that is not there.
    /// `unique_violation`; `invalid_input` for one that cannot be indexed.
    pub(super) fn of(
        connection: &Connection,
        indexes: &'a Indexes<'_>,
        id: &[u8],
        old: Option<&RawDocument>,
        new: Option<&RawDocument>,
    ) -> Attempt<Self> {
        let mut changes = Vec::with_capacity(indexes.serving.len());
        // For all its indexes together. What is there already can always be removed.
        let (fuel, unlimited) = (Fuel::for_document(), Fuel::unlimited());
        for (index, building) in indexes.iter() {
            let had_old = old.is_some();
            let keys = |body: Option<&RawDocument>, fuel| match body {
                None => Ok(Keys::default()),
                Some(body) => Keys::of(&index.definition, body, fuel),
            };
            let new = keys(new, &fuel).map_err(|error| cannot_index(&index.definition, error))?;
            let old = match (keys(old, &unlimited), building) {
                // It was there before the index and has no entries yet.
                (Err(_), Some(_)) => Keys::default(),
                (old, _) => old.map_err(EntriesError::unexpected)?,
            };
            let change = Change { index, building, had_old, old, new };
            if index.definition.unique {
                change.check(connection, id)?;
            }
            changes.push(change);
        }
        Ok(Self(changes))
    }

    /// Makes them.
    pub(super) fn make(self, connection: &Connection, document: Which<'_>) -> Attempt<()> {
        let Which { number, id } = document;
        for change in self.0 {
            for key in change.gone() {
                REMOVE.execute(connection, params![change.index.number, key, id])?;
            }
            for key in change.added() {
                ADD.execute(connection, params![change.index.number, key, id, number])?;
            }
            if let Some(building) = change.building {
                if change.had_old {
                    building.note_change();
                }
                if change.new.is_multikey {
                    building.note_array();
                }
            } else if change.new.is_multikey && !change.index.is_multikey {
                MARK_MULTIKEY.execute(connection, [change.index.number])?;
                catalog::touch(connection)?;
            }
        }
        Ok(())
    }
}

impl Change<'_> {
    fn gone(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.old.keys.iter().filter(|key| self.new.keys.binary_search(key).is_err())
    }

    fn added(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.new.keys.iter().filter(|key| self.old.keys.binary_search(key).is_err())
    }

    fn check(&self, connection: &Connection, id: &[u8]) -> Attempt<()> {
        for key in self.added() {
            if is_taken(connection, self.index.number, key, id)? {
                return Err(taken(&self.index.definition).into());
            }
        }
        Ok(())
    }
}

/// Whether another document than that of `id` has an entry of that key.
pub(in crate::sqlite) fn is_taken(
    connection: &Connection,
    index: i64,
    key: &[u8],
    id: &[u8],
) -> Attempt<bool> {
    Ok(CLASH.finds(connection, params![index, key, id])?)
}

/// The refusal of an entry that another document has.
pub(in crate::sqlite) fn taken(index: &Index) -> Error {
    let detail = format!("Another document has the same value in the unique index `{}`.", index.name);
    Error::new(ErrorCode::UniqueViolation).detail(detail)
}

fn cannot_index(index: &Index, error: EntriesError) -> Error {
    let sentence = not_indexable(error);
    Error::invalid_field("", format!("The index `{}` cannot take it: {sentence}", index.name))
}

/// Why a document cannot be indexed, as a sentence.
pub(in crate::sqlite) fn not_indexable(error: EntriesError) -> String {
    match error {
        EntriesError::Unsuitable(sentence) => sentence,
        EntriesError::Stopped(_) => {
            format!("The entries of one document may take at most {DOCUMENT_MAX_STEPS} steps to find.")
        }
    }
}
