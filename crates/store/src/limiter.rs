//! Limits how many calls each organization may run at once, in front of any engine, so that one with many
//! requests does not make the others wait.
//!
//! While several organizations are active, each may have a fixed number of calls running, and its other calls
//! wait for one of these to end. While only one is active, it has no limit. The limit bounds
//! concurrency, not a rate: a client that waits for each response before the next request never notices it.

mod collections;
mod concurrency;
mod documents;
mod expensive;
mod merged_inserts;
mod tenant;
mod write;

pub use concurrency::ConcurrencyLimits;
pub(crate) use expensive::ExpensiveQueries;

use std::sync::Arc;
use tenant::TenantLimiter;
use tenantry_domain::store::Store;
pub(crate) use write::Writes;

/// `store` with limits on the calls for an organization's own data while other organizations are active; also
/// returns the running writes. Where `merges_inserts`, single inserts that come together become one call.
pub(crate) fn decorate(
    store: Store,
    limits: ConcurrencyLimits,
    expensive: ExpensiveQueries,
    merges_inserts: bool,
) -> (Store, Writes) {
    let (limiter, writes) = (Arc::new(TenantLimiter::new(limits)), Writes::default());
    let store = Store {
        collections: Arc::new(collections::LimitedCollections::new(store.collections, &limiter, &writes)),
        documents: Arc::new(documents::LimitedDocuments::new(
            store.documents,
            &limiter,
            expensive,
            &writes,
            merges_inserts,
        )),
        ..store
    };
    (store, writes)
}
