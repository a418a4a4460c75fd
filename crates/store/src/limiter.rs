//! Limits how many calls each organization may run at once, in front of any engine, so that one with many
//! requests does not make the others wait.
//!
//! While several organizations are active, each may have a fixed number of calls under way, and its other
//! calls wait for one of these to end. An organization that is alone has no limit. The limit bounds
//! concurrency, not a rate: a client that waits for each response before the next request never notices it.

mod collections;
mod documents;
mod expensive;
mod limits;
mod tenant;
mod write;

pub(crate) use expensive::ExpensiveQueries;
pub use limits::ConcurrencyLimits;

use std::sync::Arc;
use tenant::TenantLimiter;
use tenantry_domain::store::Store;
pub(crate) use write::Writes;

/// `store` with limits on the calls for an organization's own data while other organizations are active; also
/// returns the running writes.
pub(crate) fn decorate(
    store: Store,
    limits: ConcurrencyLimits,
    expensive: ExpensiveQueries,
) -> (Store, Writes) {
    let (turns, writes) = (Arc::new(TenantLimiter::new(limits)), Writes::default());
    let store = Store {
        collections: Arc::new(collections::LimitedCollections::new(store.collections, &turns, &writes)),
        documents: Arc::new(documents::LimitedDocuments::new(store.documents, &turns, expensive, &writes)),
        ..store
    };
    (store, writes)
}
