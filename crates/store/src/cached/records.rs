//! The cached records of one kind, by their ids.

use super::codec::{Encode, pack, unpack};
use super::coherence::View;
use super::decoded::DecodedRecords;
use super::memory::{CacheKey, Entry, Memory, WriteMark};
use quick_cache::sync::GuardResult;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::{Error, Result};
use tracing::Instrument;

/// How long a reader waits for the load of another, which may be waiting for a frozen server.
pub(super) const LOAD_WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Records by their id.
pub(super) struct Records<K, V> {
    pub(super) memory: Arc<Memory>,
    decoded: DecodedRecords<V>,
    kind: PhantomData<fn(K)>,
}

impl<K, V> Records<K, V>
where
    K: Copy + Into<CacheKey> + Send + Sync + 'static,
    V: Encode + Send + Sync + 'static,
{
    pub(super) fn new(memory: &Arc<Memory>) -> Arc<Self> {
        Arc::new(Self { memory: memory.clone(), decoded: DecodedRecords::new(), kind: PhantomData })
    }

    /// The current record of `key`: from memory, if nobody else writes, or by `load`.
    pub(super) async fn get<L>(&self, key: K, load: impl FnOnce() -> L + Send) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        self.read(key.into(), self.memory.coherence.current(), load).await
    }

    /// The current or a recent record of `key`, from memory or by `load`.
    pub(super) async fn get_recent<L>(
        &self,
        key: K,
        load: impl FnOnce() -> L + Send,
    ) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        self.read(key.into(), self.memory.coherence.recent(), load).await
    }

    /// The record of `key`, from memory if `view` allows, or by `load`. Concurrent reads of the same record
    /// wait for one load.
    pub(super) async fn read<L>(
        &self,
        key: CacheKey,
        view: View,
        load: impl FnOnce() -> L + Send,
    ) -> Result<Option<Arc<V>>>
    where
        L: Future<Output = Result<Option<Arc<V>>>> + Send,
    {
        if let Some(entry) = self.memory.entries.get(&key).filter(|entry| view.allows(entry.read_at)) {
            return Ok(Some(self.unpacked(&entry.bytes)));
        }
        let Ok(kept) = tokio::time::timeout(LOAD_WAIT_TIMEOUT, self.memory.get_or_place(&key, view)).await
        else {
            return load().await;
        };
        let placeholder = match kept {
            Ok(bytes) => return Ok(Some(self.unpacked(&bytes))),
            Err(placeholder) => placeholder,
        };
        let read_at = self.memory.coherence.now();
        let found = load().await?;
        if let Some(bytes) = found.as_deref().and_then(pack) {
            // Refused if the record was evicted meanwhile: this reader may still return it, the next must
            // not.
            let _ = placeholder.insert(Entry { bytes, read_at });
        }
        Ok(found)
    }

    pub(super) fn unpacked(&self, bytes: &Arc<[u8]>) -> Arc<V> {
        self.decoded.get(bytes, |bytes| unpack(bytes).expect("these bytes were made of a record"))
    }

    /// The state before a search whose result goes to [`Self::insert_found`].
    pub(super) fn mark(&self) -> WriteMark {
        self.memory.mark()
    }

    /// Caches a record that a search found, unless a write has finished since that `mark`. A write that
    /// finishes from now on removes the placeholder.
    pub(super) fn insert_found(&self, key: K, record: &V, mark: WriteMark) {
        let entry = self.memory.entries.get_value_or_guard(&key.into(), Some(Duration::ZERO));
        if let GuardResult::Guard(placeholder) = entry
            && self.memory.is_unchanged_since(mark)
            && let Some(bytes) = pack(record)
        {
            let _ = placeholder.insert(Entry { bytes, read_at: mark.at });
        }
    }

    /// Executes `write`, which changes the record of `key`, then evicts that record, even if the caller has
    /// gone. Also if the write failed: an engine that cannot be reached may still have done it.
    pub(super) async fn write_one<T: Send + 'static>(
        self: &Arc<Self>,
        key: K,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let records = self.clone();
        run_detached(async move {
            let outcome = write.await;
            records.memory.evict([key.into()]);
            outcome
        })
        .await
    }

    /// Executes `write`, then evicts the records that `changed` finds in its result; everything if the write
    /// failed and it is unknown which.
    pub(super) async fn write_some<T: Send + 'static>(
        self: &Arc<Self>,
        write: impl Future<Output = Result<T>> + Send + 'static,
        changed: fn(&T) -> Vec<K>,
    ) -> Result<T> {
        let records = self.clone();
        run_detached(async move {
            let outcome = write.await;
            match &outcome {
                Ok(done) => records.memory.evict(changed(done).into_iter().map(Into::into)),
                Err(_) => records.memory.evict_all(),
            }
            outcome
        })
        .await
    }
}

/// Runs `write` to its end, even if the caller stops waiting.
async fn run_detached<T: Send + 'static>(
    write: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(write.in_current_span()).await.map_err(|_| Error::unavailable("a write was cut off"))?
}
