//! Pages of documents, and how many match.
//!
//! A page continues after a position: the values of the sort keys. MongoDB computes a document's own ([`SORT_KEY`])
//! and compares them in its order of all values.
//!
//! # Pitfalls
//! No filter can express "after this position". `{a: {$gt: 5}}` also finds `[1, 9]`, which sorts as 1, and does not
//! find a string, which sorts after all numbers.

use super::checked::count_checked;
use super::layout::{DocumentLayout, count_in};
use crate::collections::command::{Amount, Command, millis};
use crate::collections::handle::CollectionHandle;
use crate::collections::handle::select::DocumentSelector;
use crate::collections::index_cache::IndexCache;
use crate::collections::scan_hint::is_scan;
use crate::engine_error::EngineResult;
use bson::{RawBson, RawDocument};
use mongodb::bson::{Bson, Decimal128, Document, doc};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::document::StoredDocument;
use tenantry_documents::document::order::Direction;
use tenantry_documents::filter::Filter;
use tenantry_documents::query::{DocumentQuery, MatchCount, QueryPage};
use tenantry_documents::sort::{Position, Sort, SortKey};
use tenantry_domain::Error;
use tenantry_domain::offload;
use tenantry_domain::processor::Processor;

/// The sort keys of a document, as MongoDB has computed them.
const SORT_KEY: &str = "sortKey";
/// Up to this many documents are counted one by one. Beyond that the server's own number is used: it takes no time at
/// any size, and is exact except for a while after the server was killed.
const EXACT_COUNT_MAX: i64 = 2_000;
/// The most documents of a shared collection that are counted for a hint.
const SHARED_COUNT_MAX: i64 = 100_000;

/// Finds and counts documents.
pub(super) struct DocumentFinder {
    pub(super) indexes: IndexCache,
    pub(super) processor: Arc<Processor>,
}

impl DocumentFinder {
    pub(super) const fn new(indexes: IndexCache, processor: Arc<Processor>) -> Self {
        Self { indexes, processor }
    }

    /// A page of documents.
    pub(super) async fn find(
        &self,
        handle: &mut CollectionHandle<'_>,
        query: &DocumentQuery,
    ) -> EngineResult<QueryPage> {
        let layout = handle.layout().clone();
        let amount = Amount { documents: query.limit as usize, bytes: query.max_bytes };
        if query.limit == 0 {
            return Ok(QueryPage::default());
        }
        let scan = is_scan(handle, &self.indexes, &query.filter, Some(&query.sort)).await?;
        let deadline = query.time + handle.connection().deadline();
        let read = |document: &RawDocument| layout.decode(document);
        let selector = (!query.filter.is_decided_by_mongodb()).then(|| matching(&layout, &query.filter));
        let mut page: (Vec<StoredDocument>, bool) = (Vec::new(), false);
        let (own, asked) = (layout.clone(), query.clone());
        let commands = offload::by_price(query.filter.price(), move || commands(&own, &asked)).await??;
        for command in commands {
            page = match &selector {
                Some(selector) => {
                    handle.select(&self.processor, &command, amount, query.time, selector.clone()).await?
                }
                None => handle.read(&command, amount, deadline, read).await?,
            };
            if page.1 {
                break;
            }
        }
        let (documents, more) = page;
        let scanned = if scan { Some(size_for_hint(handle).await?) } else { None };
        Ok(QueryPage { documents, more, scanned })
    }

    /// How many documents match.
    pub(super) async fn count(
        &self,
        handle: &mut CollectionHandle<'_>,
        filter: &Filter,
        time: Duration,
    ) -> EngineResult<MatchCount> {
        let is_plain = matches!(handle.layout(), DocumentLayout::Plain { .. });
        if filter.is_empty() && is_plain {
            let few = count_up_to(handle, EXACT_COUNT_MAX + 1, time).await?;
            let documents =
                if few > EXACT_COUNT_MAX.unsigned_abs() { server_count(handle).await? } else { few };
            return Ok(MatchCount { documents, scanned: None });
        }
        let documents = if filter.is_decided_by_mongodb() {
            let (own, asked) = (handle.layout().clone(), filter.clone());
            let render = move || own.scoped(asked.to_mongodb(own.prefix()));
            let found = offload::by_price(filter.price(), render).await?;
            let stages = [doc! { "$match": found }, doc! { "$count": "documents" }];
            one_number(handle, &stages, time).await?
        } else {
            count_checked(handle, &self.processor, filter, time).await?
        };
        let is_scan = !filter.is_empty() && is_scan(handle, &self.indexes, filter, None).await?;
        let scanned = if is_scan { Some(size_for_hint(handle).await?) } else { None };
        Ok(MatchCount { documents, scanned })
    }
}

/// How many documents the collection has, approximately.
pub(super) async fn size_for_hint(handle: &mut CollectionHandle<'_>) -> EngineResult<u64> {
    match handle.layout() {
        DocumentLayout::Plain { .. } => server_count(handle).await,
        DocumentLayout::Shared { .. } => {
            let deadline = handle.connection().deadline();
            count_up_to(handle, SHARED_COUNT_MAX, deadline).await
        }
    }
}

async fn count_up_to(handle: &mut CollectionHandle<'_>, most: i64, time: Duration) -> EngineResult<u64> {
    let all = handle.layout().scoped(Document::new());
    let stages = [doc! { "$match": all }, doc! { "$limit": most }, doc! { "$count": "documents" }];
    one_number(handle, &stages, time).await
}

/// How many documents the server says the collection has.
async fn server_count(handle: &mut CollectionHandle<'_>) -> EngineResult<u64> {
    // A count takes no read concern.
    let stages = [
        doc! { "$collStats": { "count": {} } },
        doc! { "$group": { "_id": null, "documents": { "$sum": "$count" } } },
    ];
    let command = Command::new("aggregate", &doc! { "pipeline": &stages[..], "cursor": {} })?;
    let deadline = handle.connection().deadline();
    let server_count = read_number(handle, &command, deadline).await?;
    let first = u64::from(handle.layout().first_id().is_some());
    Ok(server_count.saturating_sub(first))
}

async fn one_number(
    handle: &mut CollectionHandle<'_>,
    stages: &[Document],
    time: Duration,
) -> EngineResult<u64> {
    let command =
        Command::reading("aggregate", doc! { "pipeline": stages, "cursor": {}, "maxTimeMS": millis(time) })?;
    let deadline = time + handle.connection().deadline();
    read_number(handle, &command, deadline).await
}

async fn read_number(
    handle: &mut CollectionHandle<'_>,
    command: &Command,
    deadline: Duration,
) -> EngineResult<u64> {
    let read = |document: &RawDocument| Ok(count_in(document, "documents"));
    let (numbers, _) = handle.read(command, Amount::ALL, deadline, read).await?;
    Ok(numbers.into_iter().sum())
}

/// The commands for a page. The page is complete if a command finds more than the page has room for; otherwise the
/// result of the last command counts.
fn commands(layout: &DocumentLayout, query: &DocumentQuery) -> EngineResult<Vec<Command>> {
    let filter = query.filter.to_mongodb(layout.prefix());
    let Some(after) = &query.after else { return Ok(vec![page_of(layout, query, filter)?]) };
    let mut commands = Vec::with_capacity(2);
    if let Some(beyond) = beyond(layout.prefix(), &query.sort, after) {
        commands.push(page_of(layout, query, both(filter, beyond))?);
    }
    commands.push(next_page(layout, query, after)?);
    Ok(commands)
}

/// The condition that the next documents meet, if the order is by one key, and while its values have the type of the
/// last one. A `find` with it is faster than [`next_page`], for which the server reads ahead by megabytes.
fn beyond(prefix: &str, sort: &Sort, after: &Position) -> Option<Document> {
    let ([key], [value]) = (sort.keys(), after.values()) else { return None };
    let value = bounded(key, value)?;
    let operator = if key.direction == Direction::Ascending { "$gt" } else { "$lt" };
    Some(doc! { format!("{prefix}{}", key.path): { operator: value } })
}

fn both(filter: Document, condition: Document) -> Document {
    if filter.is_empty() {
        return condition;
    }
    doc! { "$and": [filter, condition] }
}

/// Selects the documents that match, as they were stored.
fn matching(layout: &DocumentLayout, filter: &Filter) -> DocumentSelector<StoredDocument> {
    let (layout, filter) = (layout.clone(), filter.clone());
    Arc::new(move |document, fuel| {
        let stored = layout.decode(document)?;
        Ok(filter.evaluate(&stored.body, fuel).map_err(Error::from)?.then_some(stored))
    })
}

/// The first documents that match, in their order.
pub(super) fn page_of(
    layout: &DocumentLayout,
    query: &DocumentQuery,
    filter: Document,
) -> EngineResult<Command> {
    let limit = i64::from(query.limit) + 1;
    let mut find = doc! {
        "filter": layout.scoped(filter),
        "sort": query.sort.to_mongodb(layout.prefix()),
        "batchSize": limit,
        "allowDiskUse": true,
        "maxTimeMS": millis(query.time),
    };
    // Some of those that MongoDB finds may not match.
    if query.filter.is_decided_by_mongodb() {
        find.insert("limit", limit);
    }
    Command::reading("find", find)
}

fn next_page(layout: &DocumentLayout, query: &DocumentQuery, after: &Position) -> EngineResult<Command> {
    let limit = i64::from(query.limit) + 1;
    let prefix = layout.prefix();
    let mut filter = query.filter.to_mongodb(prefix);
    if let Some(coarse) = not_before(prefix, &query.sort, after) {
        filter = both(filter, coarse);
    }
    // The key goes beside the document, not into it: any field name may be in use.
    let mut stages = vec![
        doc! { "$match": layout.scoped(filter) },
        doc! { "$sort": query.sort.to_mongodb(prefix) },
        doc! { "$replaceWith": { "document": "$$ROOT", "key": { "$meta": SORT_KEY } } },
        doc! { "$match": { "$expr": is_after(query.sort.keys(), after)? } },
    ];
    if query.filter.is_decided_by_mongodb() {
        stages.push(doc! { "$limit": limit });
    }
    stages.push(doc! { "$replaceWith": "$document" });
    Command::reading(
        "aggregate",
        doc! {
            "pipeline": stages,
            "cursor": { "batchSize": limit },
            "allowDiskUse": true,
            "maxTimeMS": millis(query.time),
        },
    )
}

/// A condition that every document after the position meets and most before it do not, and whose bounds an index can
/// use. `None` if there is no such condition.
fn not_before(prefix: &str, sort: &Sort, after: &Position) -> Option<Document> {
    let (key, value) = (sort.keys().first()?, after.values().first()?);
    let value = bounded(key, value)?;
    let before = if key.direction == Direction::Ascending { "$lt" } else { "$gt" };
    Some(doc! { "$nor": [{ format!("{prefix}{}", key.path): { before: value } }] })
}

/// The value, if conditions compare it as sorts do.
fn bounded(key: &SortKey, value: &RawBson) -> Option<Bson> {
    let value = Bson::try_from(value.clone()).ok()?;
    let is_simple = match &value {
        Bson::Double(number) => !number.is_nan(),
        Bson::Decimal128(number) => is_finite(*number),
        Bson::String(_)
        | Bson::Int32(_)
        | Bson::Int64(_)
        | Bson::ObjectId(_)
        | Bson::DateTime(_)
        | Bson::Boolean(_)
        | Bson::Binary(_)
        | Bson::Document(_) => true,
        _ => false,
    };
    // A condition follows a number in a path in more ways than a sort does.
    (is_simple && !key.path.has_position()).then_some(value)
}

/// Whether the number is finite: five bits mark infinities and NaN.
fn is_finite(number: Decimal128) -> bool {
    number.bytes()[15] & 0x78 != 0x78
}

/// Whether the key of a document comes after the position.
fn is_after(keys: &[SortKey], after: &Position) -> EngineResult<Bson> {
    let mut is_after = Bson::Boolean(false);
    for (place, (key, value)) in keys.iter().zip(after.values()).enumerate().rev() {
        let own = doc! { "$arrayElemAt": ["$key", i32::try_from(place).map_err(Error::internal)?] };
        let value = doc! { "$literal": Bson::try_from(value.clone()).map_err(Error::internal)? };
        let beyond = if key.direction == Direction::Ascending { "$gt" } else { "$lt" };
        let same = doc! { "$and": [{ "$eq": [&own, &value] }, is_after] };
        is_after = doc! { "$or": [{ beyond: [own, value] }, same] }.into();
    }
    Ok(is_after)
}
