//! Removing the documents that match a filter, some hundred at a time.

use crate::MongoDb;
use crate::collections::{Amount, CollectionHandle, Command};
use crate::document::integer;
use crate::documents::EntryCounter;
use crate::documents::find::millis;
use crate::documents::layout::Trace;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use bson::RawDocument;
use mongodb::bson::{Document, doc, serialize_to_vec};
use std::time::{Duration, Instant};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::DeleteResult;
use tenantry_domain::limits::INDEX_ENTRIES_MAX_BYTES;
use tenantry_domain::offload;
use tenantry_domain::{Error, ErrorCode};

/// Documents of one round at most.
pub(super) const ROUND: usize = 500;
/// Bytes of what the index entries of one round are counted by, about.
const TRACE_BYTES: usize = 8 << 20;
/// Bytes of the filters of one round, about.
pub(super) const ROUND_BYTES: usize = 4 << 20;

impl MongoDb {
    pub(super) async fn delete_matching_at(
        &self,
        at: &mut CollectionHandle<'_>,
        filter: &Filter,
        time: Duration,
    ) -> EngineResult<DeleteResult> {
        let began = Instant::now();
        let (prefix, asked) = (at.form.prefix(), filter.clone());
        let rendered = offload::by_price(filter.price(), move || asked.to_mongodb(prefix)).await?;
        let mut documents = 0;
        loop {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(DeleteResult::in_time(documents, true)?);
            }
            let round = match filter.is_decided_by_mongodb() {
                true => self.delete_round(at, &rendered, left).await,
                false => self.delete_checked_round(at, filter, &rendered, left).await,
            };
            match round {
                Ok(round) => {
                    documents += round.documents;
                    if !round.more {
                        return Ok(DeleteResult { documents, more: false });
                    }
                }
                Err(failure) => {
                    let error = Error::from(failure);
                    if error.code() == ErrorCode::QueryTooSlow {
                        return Ok(DeleteResult::in_time(documents, true)?);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Removes some of the documents that the filter finds.
    async fn delete_round(
        &self,
        at: &mut CollectionHandle<'_>,
        filter: &Document,
        left: Duration,
    ) -> EngineResult<DeleteResult> {
        // The filter stands in each of the deletes.
        let filter_bytes = serialize_to_vec(filter)?.len();
        let most = (ROUND_BYTES / (filter_bytes + 100)).clamp(1, ROUND);
        let change = self.begin_removal(at.organization).await?;
        let found = self.traces(at, at.form.scoped(filter.clone()), most, Some(left)).await;
        let (found, more) = match found {
            Ok((found, more)) if !found.is_empty() => (found, more),
            other => {
                self.end_change(change, Size::default()).await;
                return other.map(|_| DeleteResult { documents: 0, more: false });
            }
        };
        change.check()?;
        let filters: Vec<Document> = found.iter().map(|trace| at.form.of_trace(trace, filter)).collect();
        let deleted = self.delete_by(at, &filters).await?;
        let sizes: Vec<Size> = found.iter().map(Trace::size).collect();
        self.end_change(change, at_least(&sizes, deleted).negative()).await;
        let is_last = !more && found.len() < most && deleted == found.len() as u64;
        Ok(DeleteResult { documents: deleted, more: !is_last })
    }

    /// Up to `most` of the documents that the filter finds, without what is in them; whether there are others of these, since
    /// what their index entries are counted by is bounded.
    pub(super) async fn traces(
        &self,
        at: &mut CollectionHandle<'_>,
        filter: Document,
        most: usize,
        time: Option<Duration>,
    ) -> EngineResult<(Vec<Trace>, bool)> {
        let form = at.form.clone();
        let counter = match at.organization.quota.index_bytes {
            Some(_) => self.known_indexes(at).await?,
            None => EntryCounter::new([].into()),
        };
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut find = doc! {
            "filter": filter, "projection": form.trace_projection(&counter), "limit": limit, "batchSize": limit,
        };
        if let Some(time) = time {
            find.insert("maxTimeMS", millis(time));
        }
        let deadline = time.unwrap_or_default() + self.connection.server().deadline();
        let find = Command::reading("find", find)?;
        let read = |document: &RawDocument| {
            let list = document
                .get_array("list")
                .ok()
                .and_then(|list| RawDocument::from_bytes(list.as_bytes()).ok());
            let body = list.map(|list| counter.rebuild(list)).transpose()?;
            Ok((form.trace(document)?, body.unwrap_or_default()))
        };
        let amount = Amount { bytes: TRACE_BYTES, ..Amount::ALL };
        let (found, more) = self.read_at(at, &find, amount, deadline, read).await?;
        let counts = counter.count_all(found.iter().map(|(_, body)| &**body).collect()).await?;
        let counted = found.into_iter().zip(counts).map(|((trace, _), entries)| {
            // One that has too many was stored before there was a bound.
            let index_bytes = entries.unwrap_or(INDEX_ENTRIES_MAX_BYTES as u64);
            Trace { index_bytes, ..trace }
        });
        Ok((counted.collect(), more))
    }
}

/// What so many of them have at least.
pub(super) fn at_least(found: &[Size], count: u64) -> Size {
    let least = |of: fn(&Size) -> i64| {
        let mut all: Vec<i64> = found.iter().map(of).collect();
        all.sort_unstable();
        all.into_iter().zip(0..count).map(|(one, _)| one).sum()
    };
    Size {
        documents: integer(count.min(found.len() as u64)),
        bytes: least(|size| size.bytes),
        index_bytes: least(|size| size.index_bytes),
    }
}
