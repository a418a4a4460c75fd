//! How much new documents take, as a quota counts them.

use super::index_entries::beyond;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_cache::IndexCache;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use tenantry_documents::document::StoredDocument;
use tenantry_domain::Result;

/// The size of each of these new documents, or why it cannot be stored.
pub(super) async fn sizes_of(
    handle: &mut CollectionHandle<'_>,
    indexes: &IndexCache,
    documents: &[&StoredDocument],
) -> EngineResult<Vec<Result<Size>>> {
    let counter = indexes.counter(handle).await?;
    let is_counted = handle.organization().quota.index_bytes.is_some();
    let one = |document: &StoredDocument| Size::one(document.bytes());
    if counter.is_empty() {
        return Ok(documents.iter().map(|document| Ok(one(document))).collect());
    }
    let counts = counter.count_all(documents.iter().map(|document| &*document.body).collect()).await?;
    let sized = documents.iter().zip(counts).map(|(document, entries)| {
        let entries = entries.map_err(|why| beyond("", &why))?;
        Ok(one(document).with_entries(if is_counted { entries } else { 0 }))
    });
    Ok(sized.collect())
}
