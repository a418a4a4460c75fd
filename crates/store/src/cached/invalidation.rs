//! The invalidation side of a cache whose records others may change: the stream of their changes reports them
//! here.

use super::coherence::{Coherence, Stream};
use super::in_front_of;
use super::memory::{CacheKey, Memory};
use metrics::{counter, gauge};
use std::sync::Arc;
use std::time::Instant;
use tenantry_domain::metrics::{STORE_CACHE_INVALIDATIONS, STORE_CHANGE_STREAM_ALIVE};
use tenantry_domain::store::Store;
use tenantry_domain::store::invalidation::{Change, Invalidation};

/// Receives the changes of others.
pub(crate) struct SharedCache {
    memory: Arc<Memory>,
    stream: Arc<Stream>,
}

impl SharedCache {
    /// `store`, which others write to as well, behind a cache of up to `bytes`, and the receiver for their
    /// changes.
    pub(crate) fn decorate(store: Store, bytes: u64) -> (Store, Self) {
        let stream = Stream::new();
        let memory = Memory::new(bytes, Coherence::Shared(stream.clone()));
        (in_front_of(store, &memory), Self { memory, stream })
    }
}

impl Invalidation for SharedCache {
    fn begin(&self, at: Instant) {
        self.stream.begin(at);
    }

    fn invalidate(&self, change: Change) {
        counter!(STORE_CACHE_INVALIDATIONS).increment(1);
        let key: CacheKey = match change {
            Change::Organization(id) => id.into(),
            Change::Account(id) => id.into(),
            Change::Session(id) => id.into(),
            Change::ApiKey(id) => id.into(),
            Change::Identity(id) => id.into(),
            Change::Any => return self.memory.evict_all(),
        };
        self.memory.evict([key]);
    }

    fn prove(&self, asked: Instant) {
        gauge!(STORE_CHANGE_STREAM_ALIVE).set(1);
        self.stream.prove(asked);
    }

    fn end(&self) {
        gauge!(STORE_CHANGE_STREAM_ALIVE).set(0);
        self.stream.end();
    }
}

impl Drop for SharedCache {
    fn drop(&mut self) {
        self.end();
    }
}
