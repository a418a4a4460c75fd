//! Indexes that are being built: writes already maintain them, no query uses them yet.
//!
//! They exist in memory alone. The file lists the number of each as an index to be removed, so that after a
//! crash their entries are removed and nothing else is left.

use super::stored_index::StoredIndex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenantry_documents::document::IndexKeys;
use tenantry_domain::{ErrorCode, Result};

/// An index that is being built.
#[derive(Debug)]
pub(crate) struct IndexBuild {
    /// Its collection.
    pub(crate) collection: i64,
    pub(crate) index: StoredIndex,
    /// How often documents were changed or removed since the build began.
    changes: AtomicU64,
    is_multikey: AtomicBool,
    has_cut: AtomicBool,
    /// Whether its collection or the index itself was removed, or the build ended.
    is_ended: AtomicBool,
}

impl IndexBuild {
    pub(super) const fn new(collection: i64, index: StoredIndex) -> Self {
        Self {
            collection,
            index,
            changes: AtomicU64::new(0),
            is_multikey: AtomicBool::new(false),
            has_cut: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
        }
    }

    /// Notes a document that was changed or removed: what the build has read of it is out of date.
    pub(crate) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// How many [`Self::note_change`] there were.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Notes the keys of a document: whether an indexed path goes through an array, and whether one is cut.
    pub(crate) fn note_keys(&self, keys: &IndexKeys) {
        if keys.is_multikey {
            self.is_multikey.store(true, Ordering::SeqCst);
        }
        if keys.has_cut {
            self.has_cut.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn has_cut(&self) -> bool {
        self.has_cut.load(Ordering::SeqCst)
    }

    pub(super) fn is_multikey(&self) -> bool {
        self.is_multikey.load(Ordering::SeqCst)
    }

    /// Ends the build: writes no longer maintain the index.
    fn end(&self) {
        self.is_ended.store(true, Ordering::SeqCst);
    }

    fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst)
    }

    /// Refuses to continue if the collection was removed: its number may later belong to another.
    pub(super) fn check(&self) -> Result<()> {
        match self.is_ended() {
            true => Err(ErrorCode::CollectionNotFound.into()),
            false => Ok(()),
        }
    }
}

/// The index builds of one container.
#[derive(Default)]
pub(crate) struct IndexBuilds {
    running: Mutex<Vec<Arc<IndexBuild>>>,
    /// They run one after the other, so that they take the memory of one.
    slot: tokio::sync::Mutex<()>,
}

impl IndexBuilds {
    /// The builds of that collection, except those that are `done`: these are indexes of the collection now.
    pub(super) fn of(&self, collection: i64, done: &[StoredIndex]) -> Vec<Arc<IndexBuild>> {
        let is_running = |building: &&Arc<IndexBuild>| {
            let is_done = done.iter().any(|index| index.number == building.index.number);
            building.collection == collection && !is_done && !building.is_ended()
        };
        self.lock().iter().filter(is_running).cloned().collect()
    }

    /// Notes that the collection is removed.
    pub(super) fn note_removal(&self, collection: i64) {
        self.of(collection, &[]).iter().for_each(|building| building.end());
    }

    /// Notes that the index of that number is removed; its build may just have ended.
    pub(super) fn note_end(&self, number: i64) {
        let all = self.lock();
        all.iter().filter(|building| building.index.number == number).for_each(|building| building.end());
    }

    /// Waits until no other index is being built.
    pub(super) async fn acquire(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.slot.lock().await
    }

    pub(super) fn begin(&self, building: Arc<IndexBuild>) -> RunningBuild<'_> {
        self.lock().push(building.clone());
        RunningBuild { builds: self, building }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<IndexBuild>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes maintain the index until this is dropped.
pub(super) struct RunningBuild<'a> {
    builds: &'a IndexBuilds,
    pub(super) building: Arc<IndexBuild>,
}

impl Drop for RunningBuild<'_> {
    fn drop(&mut self) {
        // If the build did not finish, its queued writes must not either.
        self.building.end();
        self.builds.lock().retain(|each| !Arc::ptr_eq(each, &self.building));
    }
}
