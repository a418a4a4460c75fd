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

/// Containers that stay open though nobody uses them at the moment. Each has some file descriptors and up to 3 MiB of
/// pages in memory.
pub(super) const STAY_OPEN: usize = 64;
/// How long a container stays open that nobody uses.
pub(super) const IDLE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Pool(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    open: HashMap<OrganizationId, Entry>,
    /// Whether somebody comes by and closes what is idle.
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
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container, if it is open.
    pub(super) fn get(&self, id: OrganizationId) -> Option<Arc<Container>> {
        let mut inner = self.lock();
        let entry = inner.open.get_mut(&id)?;
        entry.used = Instant::now();
        Some(entry.container.clone())
    }

    /// Keeps a container that has been opened; whether it may be used. Nothing is opened any more once the pool
    /// is closed.
    pub(super) fn add(&self, id: OrganizationId, container: &Arc<Container>) -> bool {
        let mut inner = self.lock();
        if !inner.is_closed {
            inner.open.insert(id, Entry { container: container.clone(), used: Instant::now() });
        }
        !inner.is_closed
    }

    /// Takes the container out, used or not.
    pub(super) fn remove(&self, id: OrganizationId) -> Option<Arc<Container>> {
        self.lock().open.remove(&id).map(|entry| entry.container)
    }

    /// Takes the container out if nobody uses it at the moment.
    pub(super) fn remove_unused(&self, id: OrganizationId) -> Option<Arc<Container>> {
        let mut inner = self.lock();
        inner.open.get(&id).filter(|entry| entry.is_unused())?;
        inner.open.remove(&id).map(|entry| entry.container)
    }

    /// Those that are open.
    pub(super) fn all(&self) -> Vec<Arc<Container>> {
        self.lock().open.values().map(|entry| entry.container.clone()).collect()
    }

    /// Those to close: who is idle, and who was not used for the longest, until there are few enough.
    pub(super) fn surplus(&self) -> Vec<OrganizationId> {
        let inner = self.lock();
        let mut unused: Vec<_> = inner.open.iter().filter(|(_, entry)| entry.is_unused()).collect();
        unused.sort_by_key(|(_, entry)| entry.used);
        let too_many = inner.open.len().saturating_sub(STAY_OPEN);
        let now = Instant::now();
        let is_surplus =
            |(rank, (_, entry)): &(usize, (_, &Entry))| *rank < too_many || now - entry.used >= IDLE;
        unused.into_iter().enumerate().filter(is_surplus).map(|(_, (id, _))| *id).collect()
    }

    pub(super) fn is_too_full(&self) -> bool {
        self.lock().open.len() > STAY_OPEN
    }

    /// Whether the caller is the one who has to come by from now on, until [`Self::stop_sweeping`].
    pub(super) fn start_sweeping(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_swept, true)
    }

    /// Whether nothing is open, so that nobody needs to come by any more.
    pub(super) fn stop_sweeping(&self) -> bool {
        let mut inner = self.lock();
        inner.is_swept = !inner.open.is_empty();
        !inner.is_swept
    }

    /// All of them; none is added any more.
    pub(super) fn close(&self) -> Vec<Arc<Container>> {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.open.drain().map(|(_, entry)| entry.container).collect()
    }
}
