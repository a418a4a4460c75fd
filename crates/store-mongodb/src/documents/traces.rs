//! Reads documents without their contents: enough to count them, and to remove each if it is unchanged.

use super::index_entries::EntryCounter;
use super::layout::Trace;
use crate::collections::command::{Amount, Command, millis};
use crate::collections::handle::CollectionHandle;
use crate::collections::index_cache::IndexCache;
use crate::engine_error::EngineResult;
use bson::RawDocument;
use mongodb::bson::{Document, doc};
use std::time::Duration;
use tenantry_domain::limits::INDEX_ENTRIES_MAX_BYTES;

/// About how many bytes of indexed fields one command reads.
const INDEXED_FIELDS_BYTES: usize = 8 << 20;

/// Up to `most` of the documents that the filter matches, without their contents; also returns whether there are
/// more, because the bytes read for counting index entries are limited.
pub(super) async fn traces(
    handle: &mut CollectionHandle<'_>,
    indexes: &IndexCache,
    filter: Document,
    most: usize,
    time: Option<Duration>,
) -> EngineResult<(Vec<Trace>, bool)> {
    let layout = handle.layout().clone();
    let counter = match handle.organization().quota.index_bytes {
        Some(_) => indexes.counter(handle).await?,
        None => EntryCounter::new([].into()),
    };
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut find = doc! {
        "filter": filter, "projection": layout.trace_projection(&counter), "limit": limit, "batchSize": limit,
    };
    if let Some(time) = time {
        find.insert("maxTimeMS", millis(time));
    }
    let deadline = time.unwrap_or_default() + handle.connection().deadline();
    let find = Command::reading("find", find)?;
    let read = |document: &RawDocument| {
        let list =
            document.get_array("list").ok().and_then(|list| RawDocument::from_bytes(list.as_bytes()).ok());
        let body = list.map(|list| counter.rebuild(list)).transpose()?;
        Ok((layout.trace(document)?, body.unwrap_or_default()))
    };
    let amount = Amount { bytes: INDEXED_FIELDS_BYTES, ..Amount::ALL };
    let (found, more) = handle.read(&find, amount, deadline, read).await?;
    let counts = counter.count_all(found.iter().map(|(_, body)| &**body).collect()).await?;
    let counted = found.into_iter().zip(counts).map(|((trace, _), entries)| {
        // A document with too many entries was stored before there was a limit.
        let index_bytes = entries.unwrap_or(INDEX_ENTRIES_MAX_BYTES as u64);
        Trace { index_bytes, ..trace }
    });
    Ok((counted.collect(), more))
}
