//! A lock for each organization, over the files of its container.
//!
//! Hold the lock to open, create, close or remove a container. So no file is removed while it is open,
//! nothing opens one that is being closed, and many concurrent calls open it once.
//!
//! # Pitfalls
//! Wait for the lock before going to a blocking thread. It may be held for as long as a write takes, and
//! waiting calls must not occupy the threads that all others need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tenantry_domain::ids::OrganizationId;
use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// The locks that are held or waited for.
#[derive(Clone, Default)]
pub(super) struct ContainerLocks(Arc<Mutex<HashMap<OrganizationId, Arc<Lock<()>>>>>);

/// A held lock of an organization, or a place in its queue.
pub(super) struct ContainerLock {
    guards: ContainerLocks,
    id: OrganizationId,
    held: Option<OwnedMutexGuard<()>>,
}

impl ContainerLocks {
    /// Waits for the lock of that organization.
    pub(super) async fn of(&self, id: OrganizationId) -> ContainerLock {
        let lock = self.with(|locks| locks.entry(id).or_default().clone());
        // A caller that gives up waiting leaves nothing behind either.
        let mut guard = ContainerLock { guards: self.clone(), id, held: None };
        guard.held = Some(lock.lock_owned().await);
        guard
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<OrganizationId, Arc<Lock<()>>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for ContainerLock {
    fn drop(&mut self) {
        let (id, held) = (self.id, self.held.take());
        self.guards.with(|locks| {
            drop(held);
            // Every caller takes the lock from this map, under the lock of the map.
            if locks.get(&id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                locks.remove(&id);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn container_lock_blocks_only_its_organization_and_is_freed() {
        let guards = ContainerLocks::default();
        // As the lanes of a hash would have them in common.
        let (acme, other) = (OrganizationId::from_bytes([1; 12]), OrganizationId::from_bytes([65; 12]));
        let held = guards.of(acme).await;
        drop(tokio::time::timeout(SHORT, guards.of(other)).await.expect("it is another's"));
        assert!(tokio::time::timeout(SHORT, guards.of(acme)).await.is_err());
        let waiting = tokio::spawn({
            let guards = guards.clone();
            async move { drop(guards.of(acme).await) }
        });
        tokio::time::sleep(SHORT).await;
        assert!(!waiting.is_finished());
        drop(held);
        waiting.await.unwrap();
        assert!(guards.with(|locks| locks.is_empty()));
    }
}
