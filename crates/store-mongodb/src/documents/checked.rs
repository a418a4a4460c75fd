//! Counting and deleting where MongoDB finds more than what was asked for, and each document is looked at here.
//!
//! Only the fields that decide are sent. What a delete then removes must still have them: the server compares their
//! values, because a program that writes past the service does not change a revision.

use crate::MongoDb;
use crate::collections::{Amount, CollectionHandle, Command};
use crate::documents::find::millis;
use crate::documents::layout::{DocumentLayout, Trace};
use crate::documents::remove::{ROUND, ROUND_BYTES, at_least};
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use bson::raw::{CString, RawArrayBuf, RawBson, cstr};
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use mongodb::bson::{Document, doc, serialize_to_vec};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::query::DeleteResult;
use tenantry_domain::offload;
use tenantry_domain::{Error, ErrorCode};

/// Bytes of conditions that a command has room for. Only a program can have written a document that has more in one.
const CONDITION_MAX_BYTES: usize = 15 << 20;

impl MongoDb {
    pub(super) async fn count_checked_at(
        &self,
        at: &mut CollectionHandle<'_>,
        filter: &Filter,
        time: Duration,
    ) -> EngineResult<u64> {
        let command = deciding_fields(&at.form, filter, time).await?;
        let (form, filter) = (at.form.clone(), filter.clone());
        let is_match = move |found: &RawDocument, fuel: &Fuel<'_>| {
            let fields = form.deciding_fields(found)?;
            Ok(filter.evaluate(fields, fuel).map_err(Error::from)?.then_some(()))
        };
        let (matching, _) = self.sift_at(at, &command, Amount::ALL, time, Arc::new(is_match)).await?;
        Ok(matching.len() as u64)
    }

    /// Removes some of the documents that match.
    pub(super) async fn delete_checked_round(
        &self,
        at: &mut CollectionHandle<'_>,
        filter: &Filter,
        rendered: &Document,
        left: Duration,
    ) -> EngineResult<DeleteResult> {
        // The filter stands in each of the deletes.
        let filter_bytes = serialize_to_vec(rendered)?.len();
        let most = (ROUND_BYTES / (filter_bytes + 100)).clamp(1, ROUND);
        let amount = Amount { documents: most, bytes: ROUND_BYTES };
        let command = deciding_fields(&at.form, filter, left).await?;
        let change = self.begin_removal(at.organization).await?;
        let sieve = Arc::new(matching(at.form.clone(), filter.clone()));
        let (found, more) = match self.sift_at(at, &command, amount, left, sieve).await {
            Ok((found, more)) if !found.is_empty() => (found, more),
            other => {
                self.end_change(change, Size::default()).await;
                return other.map(|_| DeleteResult { documents: 0, more: false });
            }
        };
        change.check()?;
        let (form, asked, rendered, matched) =
            (at.form.clone(), filter.clone(), rendered.clone(), found.len());
        let found = offload::elsewhere(move || conditions(&form, &asked, &rendered, &found)).await??;
        let (sizes, conditions): (Vec<Size>, Vec<RawDocumentBuf>) = found.into_iter().unzip();
        let count = sizes.len() as u64;
        let more = more || sizes.len() < matched;
        let deleted = self.delete_by_raw(at, conditions).await?;
        self.end_change(change, at_least(&sizes, deleted).negative()).await;
        // What their index entries took is counted when something does not fit.
        if at.organization.quota.index_bytes.is_some() && deleted > 0 {
            self.usage.invalidate(at.organization).await;
        }
        Ok(DeleteResult { documents: deleted, more: more || deleted < count })
    }
}

/// The command that finds all that may match, of each the fields that decide.
async fn deciding_fields(form: &DocumentLayout, filter: &Filter, time: Duration) -> EngineResult<Command> {
    let prefix = form.prefix();
    let fields: Document =
        filter.heads().into_iter().map(|head| (head.to_owned(), format!("${prefix}{head}").into())).collect();
    let (own, asked) = (form.clone(), filter.clone());
    let found = offload::by_price(filter.price(), move || own.scoped(asked.to_mongodb(prefix))).await?;
    let stages = [doc! { "$match": found }, doc! { "$replaceWith": form.deciding_projection(fields) }];
    Command::reading("aggregate", doc! { "pipeline": &stages[..], "cursor": {}, "maxTimeMS": millis(time) })
}

/// Leaves of each document that matches what names it, and the fields that decide.
fn matching(
    form: DocumentLayout,
    filter: Filter,
) -> impl Fn(&RawDocument, &Fuel<'_>) -> EngineResult<Option<(Trace, RawDocumentBuf)>> + Send + Sync {
    move |found, fuel| {
        let fields = form.deciding_fields(found)?;
        if !filter.evaluate(fields, fuel).map_err(Error::from)? {
            return Ok(None);
        }
        Ok(Some((form.deciding_trace(found)?, fields.to_owned())))
    }
}

/// The sizes of documents, and the conditions that each is still the same in all that decides: of as many as one command
/// has room for.
fn conditions(
    form: &DocumentLayout,
    filter: &Filter,
    rendered: &Document,
    found: &[(Trace, RawDocumentBuf)],
) -> EngineResult<Vec<(Size, RawDocumentBuf)>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for (trace, fields) in found {
        let condition = condition(form, trace, rendered, filter, fields)?;
        bytes += condition.as_bytes().len();
        if bytes > CONDITION_MAX_BYTES && !all.is_empty() {
            break;
        }
        if bytes > CONDITION_MAX_BYTES {
            let detail =
                format!("The document `{}` is too large for it; delete that by its `_id`.", trace.id);
            return Err(Error::from(ErrorCode::InvalidInput).detail(detail).into());
        }
        all.push((Size::one(trace.bytes), condition));
    }
    Ok(all)
}

fn condition(
    form: &DocumentLayout,
    trace: &Trace,
    rendered: &Document,
    filter: &Filter,
    fields: &RawDocument,
) -> EngineResult<RawDocumentBuf> {
    let mut same = RawArrayBuf::new();
    for head in filter.heads() {
        let path = format!("${}{head}", form.prefix());
        let name = CString::try_from(head).map_err(Error::internal)?;
        let value = fields.get(&*name).map_err(Error::internal)?;
        same.push(match value {
            Some(value) => {
                let mut literal = rawdoc! {};
                literal.append(cstr!("$literal"), value);
                rawdoc! { "$eq": [path, literal] }
            }
            None => rawdoc! { "$eq": [{ "$type": path }, "missing"] },
        });
    }
    let found = RawDocumentBuf::try_from(&form.of_trace(trace, rendered)).map_err(Error::internal)?;
    let same = RawBson::Document(rawdoc! { "$expr": { "$and": same } });
    Ok(rawdoc! { "$and": [found, same] })
}
