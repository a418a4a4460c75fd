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
mod records;
mod sessions;

#[cfg(feature = "mongodb")]
pub(crate) use invalidation::SharedCache;

use coherence::Coherence;
use memory::Memory;
use std::sync::Arc;
use tenantry_domain::store::Store;

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

#[cfg(test)]
mod tests;
