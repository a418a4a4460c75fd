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
mod organizations;
mod sessions;
mod weight;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder};
use std::hash::Hash;
use std::sync::Arc;
use tenantry_domain::store::Store;
use tenantry_domain::{Error, Result};
use weight::{ByBytes, Weigh};

/// `store` with the records of organizations, accounts and sessions kept in up to `bytes` of memory.
pub(crate) fn decorate(store: Store, bytes: u64) -> Store {
    if bytes == 0 {
        return store;
    }
    let share = bytes / 16;
    Store {
        organizations: Arc::new(organizations::Cached::new(store.organizations, 5 * share, share)),
        accounts: Arc::new(accounts::Cached::new(store.accounts, 5 * share, share)),
        sessions: Arc::new(sessions::Cached::new(store.sessions, 4 * share)),
        ..store
    }
}

/// A cache bounded by the bytes that its entries take.
type Bounded<K, V> = Cache<K, V, ByBytes>;

/// What an entry is expected to take, in bytes; only a hint for the cache's own tables.
const USUAL_ENTRY_BYTES: u64 = 1000;

fn bounded<K, V>(bytes: u64) -> Bounded<K, V>
where
    K: Eq + Hash + Clone + Weigh,
    V: Clone + Weigh,
{
    let entries = usize::try_from(bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .estimated_items_capacity(entries)
        .weight_capacity(bytes)
        .build()
        .expect("both capacities are set, and nothing else is required");
    Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

/// Records by their id.
struct Records<K, V> {
    cache: Bounded<K, Arc<V>>,
}

impl<K, V> Records<K, V>
where
    K: Eq + Hash + Copy + Weigh + Send + Sync + 'static,
    V: Weigh + Send + Sync + 'static,
{
    fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { cache: bounded(bytes) })
    }

    /// The record of `key`, from memory or by `load`. Those who ask for the same one meanwhile wait for it.
    async fn get<L>(&self, key: K, load: impl FnOnce() -> L + Send) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        let placeholder = match self.cache.get_value_or_guard_async(&key).await {
            Ok(record) => return Ok(Some(record)),
            Err(placeholder) => placeholder,
        };
        let found = load().await?;
        if let Some(record) = &found {
            // Refused if the record was forgotten meanwhile: this reader may still have it, the next may not.
            let _ = placeholder.insert(record.clone());
        }
        Ok(found)
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
            records.cache.remove(&key);
            outcome
        })
        .await
    }

    /// Carries out `write` and forgets those records that `changed` finds in what came of it; all of them if
    /// the write failed and nobody can say which.
    async fn write_some<T: Send + 'static>(
        self: &Arc<Self>,
        write: impl Future<Output = Result<T>> + Send + 'static,
        changed: fn(&T) -> Vec<K>,
    ) -> Result<T> {
        let records = self.clone();
        whole(async move {
            let outcome = write.await;
            match &outcome {
                Ok(done) => changed(done).iter().for_each(|key| drop(records.cache.remove(key))),
                Err(_) => records.cache.clear(),
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
