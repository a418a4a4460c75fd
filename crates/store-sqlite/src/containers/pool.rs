//! The containers that are open.
//!
//! Opening one takes some hundred microseconds, so it stays open while it is used, and for a while after.
//!
//! # Pitfalls
//! Take a container out and close it only under its lock ([`super::locks`]): so the holder of the lock knows
//! that nobody is still closing the file.

use super::tenant_db::Container;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tenantry_domain::ids::OrganizationId;

/// The number of unused containers that stay open. Each has some file descriptors and up to 3 MiB of pages in
/// memory.
pub(super) const MAX_IDLE_OPEN: usize = 64;
/// How long an unused container stays open.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Pool(Mutex<PoolState>);

#[derive(Default)]
struct PoolState {
    open: HashMap<OrganizationId, Entry>,
    /// Whether a task is running that closes idle containers.
    is_swept: bool,
    is_closed: bool,
}

struct Entry {
    container: Arc<Container>,
    used: Instant,
}

impl Entry {
    fn is_unused(&self) -> bool {
        Arc::strong_count(&self.container) == 1
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container, if it is open.
    pub(super) fn get(&self, id: OrganizationId) -> Option<Arc<Container>> {
        let mut state = self.lock();
        let entry = state.open.get_mut(&id)?;
        entry.used = Instant::now();
        Some(entry.container.clone())
    }

    /// Adds a container that has been opened; returns whether it may be used. A closed pool takes no more.
    pub(super) fn add(&self, id: OrganizationId, container: &Arc<Container>) -> bool {
        let mut state = self.lock();
        if !state.is_closed {
            state.open.insert(id, Entry { container: container.clone(), used: Instant::now() });
        }
        !state.is_closed
    }

    /// Takes the container out, used or not.
    pub(super) fn remove(&self, id: OrganizationId) -> Option<Arc<Container>> {
        self.lock().open.remove(&id).map(|entry| entry.container)
    }

    /// Takes the container out if it is not in use.
    pub(super) fn remove_unused(&self, id: OrganizationId) -> Option<Arc<Container>> {
        let mut state = self.lock();
        state.open.get(&id).filter(|entry| entry.is_unused())?;
        state.open.remove(&id).map(|entry| entry.container)
    }

    /// All open containers.
    pub(super) fn all(&self) -> Vec<Arc<Container>> {
        self.lock().open.values().map(|entry| entry.container.clone()).collect()
    }

    /// The containers to close: the idle ones, and then the least recently used until there are few enough.
    pub(super) fn surplus(&self) -> Vec<OrganizationId> {
        let state = self.lock();
        let mut unused: Vec<_> = state.open.iter().filter(|(_, entry)| entry.is_unused()).collect();
        unused.sort_by_key(|(_, entry)| entry.used);
        let too_many = state.open.len().saturating_sub(MAX_IDLE_OPEN);
        let now = Instant::now();
        let is_surplus =
            |(rank, (_, entry)): &(usize, (_, &Entry))| *rank < too_many || now - entry.used >= IDLE_TIMEOUT;
        unused.into_iter().enumerate().filter(is_surplus).map(|(_, (id, _))| *id).collect()
    }

    pub(super) fn is_too_full(&self) -> bool {
        self.lock().open.len() > MAX_IDLE_OPEN
    }

    /// Whether the caller has to start the task that closes idle containers, which runs until
    /// [`Self::stop_sweeping`].
    pub(super) fn start_sweeping(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_swept, true)
    }

    /// Whether nothing is open, so that the task may end.
    pub(super) fn stop_sweeping(&self) -> bool {
        let mut state = self.lock();
        state.is_swept = !state.open.is_empty();
        !state.is_swept
    }

    /// Closes the pool: returns all containers, and takes no more.
    pub(super) fn close(&self) -> Vec<Arc<Container>> {
        let mut state = self.lock();
        state.is_closed = true;
        state.open.drain().map(|(_, entry)| entry.container).collect()
    }
}
