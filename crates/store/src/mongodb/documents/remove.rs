//! Removing the documents that match a filter, some hundred at a time.

use crate::mongodb::MongoDb;
use crate::mongodb::collections::{Amount, Command, Located};
use crate::mongodb::documents::find::millis;
use crate::mongodb::documents::form::Trace;
use crate::mongodb::failure::Attempt;
use crate::mongodb::quota::Size;
use bson::RawDocument;
use mongodb::bson::{Document, doc, serialize_to_vec};
use std::time::{Duration, Instant};
use tenantry_domain::filter::Filter;
use tenantry_domain::offload;
use tenantry_domain::query::Deleted;
use tenantry_domain::{Error, ErrorCode};

/// Documents of one round at most.
pub(super) const ROUND: usize = 500;
/// Bytes of the filters of one round, about.
pub(super) const ROUND_BYTES: usize = 4 << 20;

impl MongoDb {
    pub(super) async fn delete_matching_at(
        &self,
        at: &mut Located<'_>,
        filter: &Filter,
        time: Duration,
    ) -> Attempt<Deleted> {
        let began = Instant::now();
        let (prefix, asked) = (at.form.prefix(), filter.clone());
        let rendered = offload::by_price(filter.price(), move || asked.to_mongodb(prefix)).await?;
        let mut documents = 0;
        loop {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(Deleted::in_time(documents, true)?);
            }
            let round = match filter.is_decided_by_mongodb() {
                true => self.delete_round(at, &rendered, left).await,
                false => self.delete_checked_round(at, filter, left).await,
            };
            match round {
                Ok(round) => {
                    documents += round.documents;
                    if !round.more {
                        return Ok(Deleted { documents, more: false });
                    }
                }
                Err(failure) => {
                    let error = Error::from(failure);
                    if error.code() == ErrorCode::QueryTooSlow {
                        return Ok(Deleted::in_time(documents, true)?);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Removes some of the documents that the filter finds.
    async fn delete_round(
        &self,
        at: &mut Located<'_>,
        filter: &Document,
        left: Duration,
    ) -> Attempt<Deleted> {
        // The filter stands in each of the deletes.
        let filter_bytes = serialize_to_vec(filter)?.len();
        let most = (ROUND_BYTES / (filter_bytes + 100)).clamp(1, ROUND);
        let change = self.begin_removal(at.organization).await?;
        let found = self.traces(at, at.form.scoped(filter.clone()), most, Some(left)).await;
        let found = match found {
            Ok(found) if !found.is_empty() => found,
            other => {
                self.end_change(change, Size::default()).await;
                return other.map(|_| Deleted { documents: 0, more: false });
            }
        };
        change.check()?;
        let filters: Vec<Document> = found.iter().map(|trace| at.form.of_trace(trace, filter)).collect();
        let deleted = self.delete_by(at, &filters).await?;
        let bytes = found.iter().map(|trace| trace.bytes).collect();
        self.end_change(change, at_least(bytes, deleted).negative()).await;
        let is_last = found.len() < most && deleted == found.len() as u64;
        Ok(Deleted { documents: deleted, more: !is_last })
    }

    /// Up to `most` of the documents that the filter finds, without what is in them.
    pub(super) async fn traces(
        &self,
        at: &mut Located<'_>,
        filter: Document,
        most: usize,
        time: Option<Duration>,
    ) -> Attempt<Vec<Trace>> {
        let form = at.form.clone();
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut find = doc! {
            "filter": filter, "projection": form.trace_projection(), "limit": limit, "batchSize": limit,
        };
        if let Some(time) = time {
            find.insert("maxTimeMS", millis(time));
        }
        let deadline = time.unwrap_or_default() + self.server.deadline();
        let find = Command::reading("find", find)?;
        let read = |document: &RawDocument| form.trace(document);
        Ok(self.read_at(at, &find, Amount::ALL, deadline, read).await?.0)
    }
}

/// What so many of them have at least.
pub(super) fn at_least(mut bytes: Vec<u64>, count: u64) -> Size {
    bytes.sort_unstable();
    let counted = bytes.into_iter().zip(0..count);
    counted.fold(Size::default(), |sum, (bytes, _)| sum.plus(Size::one(bytes)))
}
