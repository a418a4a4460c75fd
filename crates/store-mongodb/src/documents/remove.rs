//! Removes the documents that match a filter, some hundred at a time.

use super::checked::{conditions, deciding_fields, matching};
use super::find::size_for_hint;
use super::layout::Trace;
use super::traces::traces;
use super::write::{delete_by, delete_by_raw};
use crate::collections::command::Amount;
use crate::collections::handle::CollectionHandle;
use crate::collections::index_cache::IndexCache;
use crate::collections::scan_hint::is_scan;
use crate::engine_error::EngineResult;
use crate::quota::claim::Claims;
use crate::quota::size::Size;
use crate::quota::usage::UsageRecords;
use crate::record_codec::integer;
use bson::RawDocumentBuf;
use mongodb::bson::{Document, serialize_to_vec};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::DeleteResult;
use tenantry_domain::offload;
use tenantry_domain::processor::Processor;
use tenantry_domain::{Error, ErrorCode};

/// The most documents of one command.
const BATCH_DOCUMENTS: usize = 500;
/// About how many bytes of filters one command has.
const BATCH_BYTES: usize = 4 << 20;

/// See [`self`].
pub(super) struct DocumentRemover {
    claims: Claims,
    usage: UsageRecords,
    indexes: IndexCache,
    processor: Arc<Processor>,
}

/// What one round of deletes did.
struct RoundResult {
    documents: u64,
    more: bool,
}

impl DocumentRemover {
    pub(super) const fn new(
        claims: Claims,
        usage: UsageRecords,
        indexes: IndexCache,
        processor: Arc<Processor>,
    ) -> Self {
        Self { claims, usage, indexes, processor }
    }

    /// Removes documents that match, as many as it finds in that time.
    pub(super) async fn delete_matching(
        &self,
        handle: &mut CollectionHandle<'_>,
        filter: &Filter,
        time: Duration,
    ) -> EngineResult<DeleteResult> {
        let began = Instant::now();
        let (prefix, asked) = (handle.layout().prefix(), filter.clone());
        let rendered = offload::by_price(filter.price(), move || asked.to_mongodb(prefix)).await?;
        // Before there are fewer. No index serves a filter that all documents match, and none is missing.
        let is_scan = !filter.is_empty() && is_scan(handle, &self.indexes, filter, None).await?;
        let scanned = if is_scan { Some(size_for_hint(handle).await?) } else { None };
        let mut documents = 0;
        loop {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(DeleteResult::in_time(documents, true, scanned)?);
            }
            let round = match filter.is_decided_by_mongodb() {
                true => self.delete_round(handle, &rendered, left).await,
                false => self.delete_checked_round(handle, filter, &rendered, left).await,
            };
            match round {
                Ok(round) => {
                    documents += round.documents;
                    if !round.more {
                        return Ok(DeleteResult { documents, more: false, scanned });
                    }
                }
                Err(failure) => {
                    let error = Error::from(failure);
                    if error.code() == ErrorCode::QueryTooSlow {
                        return Ok(DeleteResult::in_time(documents, true, scanned)?);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Removes some of the documents that the filter matches.
    async fn delete_round(
        &self,
        handle: &mut CollectionHandle<'_>,
        filter: &Document,
        left: Duration,
    ) -> EngineResult<RoundResult> {
        // Each of the deletes repeats the filter.
        let filter_bytes = serialize_to_vec(filter)?.len();
        let most = (BATCH_BYTES / (filter_bytes + 100)).clamp(1, BATCH_DOCUMENTS);
        let change = self.claims.begin_removal(handle.organization()).await?;
        let scoped = handle.layout().scoped(filter.clone());
        let found = traces(handle, &self.indexes, scoped, most, Some(left)).await;
        let (found, more) = match found {
            Ok((found, more)) if !found.is_empty() => (found, more),
            other => {
                self.claims.end_change(change, Size::default()).await;
                return other.map(|_| RoundResult { documents: 0, more: false });
            }
        };
        change.check()?;
        let filters: Vec<Document> =
            found.iter().map(|trace| handle.layout().of_trace(trace, filter)).collect();
        let deleted = delete_by(handle, &filters).await?;
        let sizes: Vec<Size> = found.iter().map(Trace::size).collect();
        self.claims.end_change(change, at_least(&sizes, deleted).negative()).await;
        let is_last = !more && found.len() < most && deleted == found.len() as u64;
        Ok(RoundResult { documents: deleted, more: !is_last })
    }

    /// Removes some of the documents that match, where each is checked here.
    async fn delete_checked_round(
        &self,
        handle: &mut CollectionHandle<'_>,
        filter: &Filter,
        rendered: &Document,
        left: Duration,
    ) -> EngineResult<RoundResult> {
        // Each of the deletes repeats the filter.
        let filter_bytes = serialize_to_vec(rendered)?.len();
        let most = (BATCH_BYTES / (filter_bytes + 100)).clamp(1, BATCH_DOCUMENTS);
        let amount = Amount { documents: most, bytes: BATCH_BYTES };
        let command = deciding_fields(handle.layout(), filter, left).await?;
        let change = self.claims.begin_removal(handle.organization()).await?;
        let selector = Arc::new(matching(handle.layout().clone(), filter.clone()));
        let (found, more) = match handle.select(&self.processor, &command, amount, left, selector).await {
            Ok((found, more)) if !found.is_empty() => (found, more),
            other => {
                self.claims.end_change(change, Size::default()).await;
                return other.map(|_| RoundResult { documents: 0, more: false });
            }
        };
        change.check()?;
        let (layout, asked, rendered, matched) =
            (handle.layout().clone(), filter.clone(), rendered.clone(), found.len());
        let found = offload::elsewhere(move || conditions(&layout, &asked, &rendered, &found)).await??;
        let (sizes, conditions): (Vec<Size>, Vec<RawDocumentBuf>) = found.into_iter().unzip();
        let count = sizes.len() as u64;
        let more = more || sizes.len() < matched;
        let deleted = delete_by_raw(handle, conditions).await?;
        self.claims.end_change(change, at_least(&sizes, deleted).negative()).await;
        // The bytes of their index entries are counted again when something does not fit.
        if handle.organization().quota.index_bytes.is_some() && deleted > 0 {
            self.usage.invalidate(handle.organization()).await;
        }
        Ok(RoundResult { documents: deleted, more: more || deleted < count })
    }
}

/// The least that `count` of them take.
fn at_least(found: &[Size], count: u64) -> Size {
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
