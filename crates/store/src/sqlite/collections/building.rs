//! Indexes that are being made: whoever writes keeps them up already, nobody reads by them yet.
//!
//! What a newcomer gets wrong: they are in memory alone. In the file stands a number for each, as one that is to be
//! removed, so that after a crash their entries go and nothing else is left.

use super::catalog::StoredIndex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenantry_domain::{ErrorCode, Result};

/// An index that is being made.
#[derive(Debug)]
pub(in crate::sqlite) struct Building {
    /// Whose it is.
    pub(in crate::sqlite) collection: i64,
    pub(in crate::sqlite) index: StoredIndex,
    /// How often documents were changed or removed since it was begun.
    changes: AtomicU64,
    is_multikey: AtomicBool,
    /// Whether its collection has been removed.
    is_void: AtomicBool,
}

impl Building {
    pub(super) const fn new(collection: i64, index: StoredIndex) -> Self {
        let (changes, is_multikey) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { collection, index, changes, is_multikey, is_void: AtomicBool::new(false) }
    }

    /// Notes a document that was changed or removed: what has been read of it before holds no more.
    pub(in crate::sqlite) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// How many [`Self::note_change`] there were.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Notes a document in which an indexed path goes through an array.
    pub(in crate::sqlite) fn note_array(&self) {
        self.is_multikey.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_multikey(&self) -> bool {
        self.is_multikey.load(Ordering::SeqCst)
    }

    /// Notes that its collection is removed: what follows under its number may be another.
    pub(super) fn note_removal(&self) {
        self.is_void.store(true, Ordering::SeqCst);
    }

    /// Refuses to go on with one whose collection has been removed.
    pub(super) fn check(&self) -> Result<()> {
        match self.is_void.load(Ordering::SeqCst) {
            true => Err(ErrorCode::CollectionNotFound.into()),
            false => Ok(()),
        }
    }
}

/// Those of one container.
#[derive(Default)]
pub(in crate::sqlite) struct Buildings {
    under_way: Mutex<Vec<Arc<Building>>>,
    /// They are made one after the other, so that they take the memory of one.
    turn: tokio::sync::Mutex<()>,
}

impl Buildings {
    /// Those of that collection, but for one that is done, which it has by now.
    pub(super) fn of(&self, collection: i64, done: &[StoredIndex]) -> Vec<Arc<Building>> {
        let is_under_way = |building: &&Arc<Building>| {
            let number = building.index.number;
            building.collection == collection && done.iter().all(|index| index.number != number)
        };
        self.lock().iter().filter(is_under_way).cloned().collect()
    }

    /// Notes that the collection is removed.
    pub(super) fn note_removal(&self, collection: i64) {
        self.of(collection, &[]).iter().for_each(|building| building.note_removal());
    }

    /// Waits until no other one is being made.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(super) fn begin(&self, building: Arc<Building>) -> UnderWay<'_> {
        self.lock().push(building.clone());
        UnderWay { buildings: self, building }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Building>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever writes keeps it up, until this is dropped.
pub(super) struct UnderWay<'a> {
    buildings: &'a Buildings,
    pub(super) building: Arc<Building>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.buildings.lock().retain(|each| !Arc::ptr_eq(each, &self.building));
    }
}
