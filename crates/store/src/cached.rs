//! Records kept in memory, in front of any engine, so that a hot read costs no statement.
//!
//! Coherent within one process: no read that begins after a write was acknowledged sees what was there before.
//! Two things make it so. A write forgets its record after the engine is done and before the caller hears of
//! it, in a task of its own, so that it also happens when the caller has gone. And a reader that loads a
//! record holds a placeholder in the cache; forgetting removes that too, and what the reader then brings is
//! not taken in. What a newcomer gets wrong: putting the new record in after a write. Two writes may be
//! acknowledged in one order and put in in the other.
//!
//! Nothing is remembered about what is *not* there, so an insert has nothing to forget.

mod accounts;
mod memory;
mod organizations;
mod packed;
mod recent;
mod sessions;

use memory::{Key, Memory};
use packed::{Pack, pack, unpack};
use quick_cache::sync::GuardResult;
use recent::Recent;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tenantry_domain::store::Store;
use tenantry_domain::{Error, Result};

/// `store` with the records of organizations, accounts and sessions kept in up to `bytes` of memory.
pub(crate) fn decorate(store: Store, bytes: u64) -> Store {
    if bytes == 0 {
        return store;
    }
    let memory = Memory::new(bytes);
    Store {
        organizations: Arc::new(organizations::Cached::new(store.organizations, &memory)),
        accounts: Arc::new(accounts::Cached::new(store.accounts, &memory)),
        sessions: Arc::new(sessions::Cached::new(store.sessions, &memory)),
        ..store
    }
}

/// Records by their id.
struct Records<K, V> {
    memory: Arc<Memory>,
    /// Counts the writes that are done, before what they changed is forgotten.
    writes: AtomicU64,
    recent: Recent<V>,
    kind: PhantomData<fn(K)>,
}

impl<K, V> Records<K, V>
where
    K: Copy + Into<Key> + Send + Sync + 'static,
    V: Pack + Send + Sync + 'static,
{
    fn new(memory: &Arc<Memory>) -> Arc<Self> {
        Arc::new(Self {
            memory: memory.clone(),
            writes: AtomicU64::new(0),
            recent: Recent::new(),
            kind: PhantomData,
        })
    }

    /// The record of `key`, from memory or by `load`. Those who ask for the same one meanwhile wait for it.
    async fn get<L>(&self, key: K, load: impl FnOnce() -> L + Send) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        let placeholder = match self.memory.entries.get_value_or_guard_async(&key.into()).await {
            Ok(bytes) => {
                let read = |bytes: &[u8]| unpack(bytes).expect("these bytes were made of a record");
                return Ok(Some(self.recent.get(&bytes, read)));
            }
            Err(placeholder) => placeholder,
        };
        let found = load().await?;
        if let Some(bytes) = found.as_deref().and_then(pack) {
            // Refused if the record was forgotten meanwhile: this reader may still have it, the next may not.
            let _ = placeholder.insert(bytes);
        }
        Ok(found)
    }

    /// How many writes are done; to be asked before a read whose outcome [`Self::take_in`] gets.
    fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Keeps a record that was not asked for by its key, unless a write was done since there were `writes`. One
    /// that is done from now on removes the placeholder.
    fn take_in(&self, key: K, record: &V, writes: u64) {
        let entry = self.memory.entries.get_value_or_guard(&key.into(), Some(Duration::ZERO));
        if let GuardResult::Guard(placeholder) = entry
            && self.writes() == writes
            && let Some(bytes) = pack(record)
        {
            let _ = placeholder.insert(bytes);
        }
    }

    /// Carries out `write`, which changes the record of `key`, and forgets that, whoever still waits. Also if
    /// the write failed: an engine that cannot be reached may have done it all the same.
    async fn write_one<T: Send + 'static>(
        self: &Arc<Self>,
        key: K,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let records = self.clone();
        whole(async move {
            let outcome = write.await;
            records.writes.fetch_add(1, Ordering::SeqCst);
            records.memory.entries.remove(&key.into());
            outcome
        })
        .await
    }

    /// Carries out `write` and forgets those records that `changed` finds in what came of it; everything if the
    /// write failed and nobody can say which.
    async fn write_some<T: Send + 'static>(
        self: &Arc<Self>,
        write: impl Future<Output = Result<T>> + Send + 'static,
        changed: fn(&T) -> Vec<K>,
    ) -> Result<T> {
        let records = self.clone();
        whole(async move {
            let outcome = write.await;
            records.writes.fetch_add(1, Ordering::SeqCst);
            let entries = &records.memory.entries;
            match &outcome {
                Ok(done) => changed(done).into_iter().for_each(|key| drop(entries.remove(&key.into()))),
                Err(_) => entries.clear(),
            }
            outcome
        })
        .await
    }
}

/// Carries out `write` to its end, also when the caller stops waiting.
async fn whole<T: Send + 'static>(write: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(write).await.map_err(|_| Error::unavailable("a write was cut off"))?
}

#[cfg(test)]
mod tests;
