//! Turns at organizations' own data, in front of any engine, so that one organization that asks for much does not make
//! the others wait.
//!
//! While several are at work each has so many calls under way, its share, and the rest of its calls wait for one of
//! these to end. One that is alone has as many as come. What a newcomer gets wrong: the share bounds no rate. Whoever
//! waits for each answer before the next request never notices it.

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

/// `store`, in which an organization has up to its `share` of calls for its own data under way while others have some,
/// too; and the writes that its callers begin.
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
