//! A cache of records, in front of any engine, so that a hot read costs no statement.
//!
//! Coherent within one process: a read that begins after a write was acknowledged here never sees the state
//! before it. If other processes may write too, reads of a recent record see their writes soon, and all other
//! reads see them at once ([`coherence`]). Two things ensure this. A write evicts its record after the engine
//! is done and before the caller gets the result, in a task of its own, so that it also happens when the
//! caller has gone. And a reader that loads a record holds a placeholder in the cache; eviction removes that
//! too, and the cache then rejects what the reader loaded.
//!
//! # Pitfalls
//! Never put the new record into the cache after a write: two writes may be acknowledged in one order and
//! cached in the other.
//!
//! Absence is not cached, so an insert has nothing to evict.

mod accounts;
mod api_keys;
mod codec;
#[cfg_attr(not(feature = "mongodb"), expect(dead_code, reason = "the embedded engine has no others"))]
mod coherence;
mod decoded;
mod identities;
#[cfg(feature = "mongodb")]
mod invalidation;
mod memory;
mod organizations;
mod records;
mod sessions;

#[cfg(feature = "mongodb")]
pub(crate) use invalidation::SharedCache;

use coherence::Coherence;
use memory::Memory;
use std::sync::Arc;
use tenantry_domain::store::Store;

/// `store`, which only this process writes to, with a cache of organizations, accounts, sessions, API keys
/// and identities of up to `bytes`.
pub(crate) fn decorate(store: Store, bytes: u64) -> Store {
    if bytes == 0 { store } else { in_front_of(store, &Memory::new(bytes, Coherence::Exclusive)) }
}

fn in_front_of(store: Store, memory: &Arc<Memory>) -> Store {
    Store {
        organizations: Arc::new(organizations::CachedOrganizations::new(store.organizations, memory)),
        accounts: Arc::new(accounts::CachedAccounts::new(store.accounts, memory)),
        sessions: Arc::new(sessions::CachedSessions::new(store.sessions, memory)),
        api_keys: Arc::new(api_keys::CachedApiKeys::new(store.api_keys, memory)),
        identities: Arc::new(identities::CachedIdentities::new(store.identities, memory)),
        ..store
    }
}

#[cfg(test)]
mod tests;
