//! Turns at organizations' own data, in front of any engine, so that one organization that asks for much does not make
//! the others wait.
//!
//! While several are at work each has so many calls under way, its share, and the rest of its calls wait for one of
//! these to end. One that is alone has as many as come. What a newcomer gets wrong: the share bounds no rate. Whoever
//! waits for each answer before the next request never notices it.

mod collections;
mod documents;
mod tenant;
mod write;

use std::sync::Arc;
use tenant::TenantLimiter;
use tenantry_domain::store::Store;
pub(crate) use write::Writes;

/// Calls for its own data that an organization has under way while others are at work, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyLimits {
    /// Calls that read.
    pub reads: usize,
    /// Calls that write.
    pub writes: usize,
}

impl Default for ConcurrencyLimits {
    /// Enough for whoever asks one thing after the other, over a few connections.
    fn default() -> Self {
        Self { reads: 8, writes: 8 }
    }
}

/// `store`, in which an organization has up to its `share` of calls for its own data under way while others have some,
/// too; and the writes that its callers begin.
pub(crate) fn decorate(store: Store, limits: ConcurrencyLimits) -> (Store, Writes) {
    let (turns, writes) = (Arc::new(TenantLimiter::new(limits)), Writes::default());
    let store = Store {
        collections: Arc::new(collections::LimitedCollections::new(store.collections, &turns, &writes)),
        documents: Arc::new(documents::LimitedDocuments::new(store.documents, &turns, &writes)),
        ..store
    };
    (store, writes)
}
