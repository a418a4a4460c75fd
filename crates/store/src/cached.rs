//! Records kept in memory, in front of any engine, so that a hot read costs no statement.
//!
//! Coherent within one process: no read that begins after a write was acknowledged here sees what was there before.
//! What other processes write, where there may be others, is seen soon by those who ask how a record recently was, and
//! at once by everybody else ([`coherence`]). Two things make it so. A write forgets its record after the engine is done and before the caller hears of
//! it, in a task of its own, so that it also happens when the caller has gone. And a reader that loads a
//! record holds a placeholder in the cache; forgetting removes that too, and what the reader then brings is
//! not taken in. What a newcomer gets wrong: putting the new record in after a write. Two writes may be
//! acknowledged in one order and put in in the other.
//!
//! Nothing is remembered about what is *not* there, so an insert has nothing to forget.

mod accounts;
mod codec;
#[cfg_attr(not(feature = "mongodb"), expect(dead_code, reason = "the embedded engine has no others"))]
mod coherence;
mod decoded;
#[cfg(feature = "mongodb")]
mod invalidation;
mod memory;
mod organizations;
mod sessions;

#[cfg(feature = "mongodb")]
pub(crate) use invalidation::SharedCache;

use codec::{Encode, pack, unpack};
use coherence::{Coherence, View};
use decoded::DecodedRecords;
use memory::{Entry, Key, Memory, WriteMark};
use quick_cache::sync::GuardResult;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::store::Store;
use tenantry_domain::{Error, Result};

/// How long one reader waits for what another one loads: that one may be waiting for a server that is frozen.
const PATIENCE: Duration = Duration::from_secs(1);

/// `store`, which this process alone writes to, with the records of organizations, accounts and sessions kept in up
/// to `bytes` of memory.
pub(crate) fn decorate(store: Store, bytes: u64) -> Store {
    if bytes == 0 { store } else { in_front_of(store, &Memory::new(bytes, Coherence::Exclusive)) }
}

fn in_front_of(store: Store, memory: &Arc<Memory>) -> Store {
    Store {
        organizations: Arc::new(organizations::CachedOrganizations::new(store.organizations, memory)),
        accounts: Arc::new(accounts::CachedAccounts::new(store.accounts, memory)),
        sessions: Arc::new(sessions::CachedSessions::new(store.sessions, memory)),
        ..store
    }
}

/// Records by their id.
struct Records<K, V> {
    memory: Arc<Memory>,
    recent: DecodedRecords<V>,
    kind: PhantomData<fn(K)>,
}

impl<K, V> Records<K, V>
where
    K: Copy + Into<Key> + Send + Sync + 'static,
    V: Encode + Send + Sync + 'static,
{
    fn new(memory: &Arc<Memory>) -> Arc<Self> {
        Arc::new(Self { memory: memory.clone(), recent: DecodedRecords::new(), kind: PhantomData })
    }

    /// The record of `key` as it is now: from memory, where nobody else writes, or by `load`.
    async fn get<L>(&self, key: K, load: impl FnOnce() -> L + Send) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        self.read(key.into(), self.memory.coherence.current(), load).await
    }

    /// The record of `key` as it is or recently was, from memory or by `load`.
    async fn get_recent<L>(&self, key: K, load: impl FnOnce() -> L + Send) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        self.read(key.into(), self.memory.coherence.recent(), load).await
    }

    /// The record of `key`, from memory if `view` allows, or by `load`. Those who ask for the same one meanwhile
    /// wait for it.
    async fn read<L>(&self, key: Key, view: View, load: impl FnOnce() -> L + Send) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        if let Some(entry) = self.memory.entries.get(&key).filter(|entry| view.allows(entry.read_at)) {
            return Ok(Some(self.unpacked(&entry.bytes)));
        }
        let Ok(kept) = tokio::time::timeout(PATIENCE, self.memory.get_or_place(&key, view)).await else {
            return load().await;
        };
        let placeholder = match kept {
            Ok(bytes) => return Ok(Some(self.unpacked(&bytes))),
            Err(placeholder) => placeholder,
        };
        let read_at = self.memory.coherence.now();
        let found = load().await?;
        if let Some(bytes) = found.as_deref().and_then(pack) {
            // Refused if the record was forgotten meanwhile: this reader may still have it, the next may not.
            let _ = placeholder.insert(Entry { bytes, read_at });
        }
        Ok(found)
    }

    fn unpacked(&self, bytes: &Arc<[u8]>) -> Arc<V> {
        self.recent.get(bytes, |bytes| unpack(bytes).expect("these bytes were made of a record"))
    }

    /// What is so before a search whose outcome [`Self::take_in`] gets.
    fn mark(&self) -> WriteMark {
        self.memory.mark()
    }

    /// Keeps a record that was not asked for by its key, unless a write was done since that `mark`. One that is done
    /// from now on removes the placeholder.
    fn take_in(&self, key: K, record: &V, mark: WriteMark) {
        let entry = self.memory.entries.get_value_or_guard(&key.into(), Some(Duration::ZERO));
        if let GuardResult::Guard(placeholder) = entry
            && self.memory.is_as_at(mark)
            && let Some(bytes) = pack(record)
        {
            let _ = placeholder.insert(Entry { bytes, read_at: mark.at });
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
            records.memory.forget([key.into()]);
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
            match &outcome {
                Ok(done) => records.memory.forget(changed(done).into_iter().map(Into::into)),
                Err(_) => records.memory.forget_all(),
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
