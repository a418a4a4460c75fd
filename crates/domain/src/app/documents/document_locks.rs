//! Lets changes of one document in this process wait for one another, in the order in which they came.
//!
//! Each change is a compare-and-set and needs no lock to be right. But of a hundred that read the same revision, one would
//! succeed and the others read again.

use crate::collection::CollectionName;
use crate::ids::OrganizationId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tenantry_documents::document::DocumentId;
use tokio::sync::OwnedMutexGuard;

type LockKey = (OrganizationId, CollectionName, Vec<u8>);
type Locks = Mutex<HashMap<LockKey, Arc<tokio::sync::Mutex<()>>>>;

/// The documents that are being changed.
#[derive(Default)]
pub struct DocumentLocks(Arc<Locks>);

/// The right to change a document, until it is dropped.
pub struct DocumentLock {
    locks: Arc<Locks>,
    key: LockKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl DocumentLocks {
    /// Waits until nobody else in this process changes the document.
    pub(super) async fn acquire(
        &self,
        organization: OrganizationId,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> DocumentLock {
        let key = (organization, collection.clone(), id.key());
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(key.clone()).or_default().clone()
        };
        // Without a guard yet: if the caller leaves while it waits, the entry goes all the same.
        let mut held = DocumentLock { locks: self.0.clone(), key, guard: None };
        held.guard = Some(lock.lock_owned().await);
        held
    }
}

impl Drop for DocumentLock {
    fn drop(&mut self) {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard.take();
        // One is the map's own: nobody else holds it or waits for it.
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::oid::ObjectId;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn document_lock_is_held_by_one_and_then_forgotten() {
        let locks = DocumentLocks::default();
        let organization = OrganizationId::from_bytes([1; 12]);
        let collection = CollectionName::parse("orders").unwrap();
        let id = |byte| DocumentId::from(ObjectId::from_bytes([byte; 12]));
        let first = locks.acquire(organization, &collection, &id(1)).await;
        let other = locks.acquire(organization, &collection, &id(2)).await;
        let (again, own) = (id(1), id(1));
        let mut waiting = Box::pin(locks.acquire(organization, &collection, &again));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        drop(waiting.await);
        let last = locks.acquire(organization, &collection, &own).now_or_never();
        assert!(last.is_some());
        drop((last, other));
        assert_eq!(locks.0.lock().unwrap().len(), 0);
    }
}
