//! Counting and deleting where MongoDB finds more than what was asked for, and each document is looked at here.
//!
//! Only the fields that decide are sent. What a delete then removes must still have them: the server compares their
//! values, because a program that writes past the service does not change a revision.

use crate::mongodb::MongoDb;
use crate::mongodb::collections::{Amount, Command, Located};
use crate::mongodb::documents::find::millis;
use crate::mongodb::documents::form::{Form, Trace};
use crate::mongodb::documents::remove::{ROUND, ROUND_BYTES, at_least};
use crate::mongodb::failure::Attempt;
use crate::mongodb::quota::Size;
use bson::raw::{CString, RawArrayBuf, RawBson, cstr};
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::filter::Filter;
use tenantry_domain::fuel::Fuel;
use tenantry_domain::offload;
use tenantry_domain::query::Deleted;
use tenantry_domain::{Error, ErrorCode};

/// Bytes of a condition that a command has room for. Only a program can have written a document that has more.
const CONDITION_MAX_BYTES: usize = 15 << 20;

impl MongoDb {
    pub(super) async fn count_checked_at(
        &self,
        at: &mut Located<'_>,
        filter: &Filter,
        time: Duration,
    ) -> Attempt<u64> {
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
        at: &mut Located<'_>,
        filter: &Filter,
        left: Duration,
    ) -> Attempt<Deleted> {
        let amount = Amount { documents: ROUND, bytes: ROUND_BYTES };
        let command = deciding_fields(&at.form, filter, left).await?;
        let change = self.begin_removal(at.organization).await?;
        let (form, asked) = (at.form.clone(), filter.clone());
        let sieve = offload::by_price(filter.price(), move || conditions(form, asked)).await?;
        let (found, more) = match self.sift_at(at, &command, amount, left, Arc::new(sieve)).await {
            Ok((found, more)) if !found.is_empty() => (found, more),
            other => {
                self.end_change(change, Size::default()).await;
                return other.map(|_| Deleted { documents: 0, more: false });
            }
        };
        change.check()?;
        let (bytes, conditions): (Vec<u64>, Vec<RawDocumentBuf>) = found.into_iter().unzip();
        let count = bytes.len() as u64;
        let sizes: Vec<Size> = bytes.into_iter().map(Size::one).collect();
        let deleted = self.delete_by_raw(at, conditions).await?;
        self.end_change(change, at_least(&sizes, deleted).negative()).await;
        // What their index entries took is counted when something does not fit.
        if at.organization.quota.index_bytes.is_some() && deleted > 0 {
            self.doubt_usage(at.organization).await;
        }
        Ok(Deleted { documents: deleted, more: more || deleted < count })
    }
}

/// The command that finds all that may match, of each the fields that decide.
async fn deciding_fields(form: &Form, filter: &Filter, time: Duration) -> Attempt<Command> {
    let prefix = form.prefix();
    let fields: Document =
        filter.heads().into_iter().map(|head| (head.to_owned(), format!("${prefix}{head}").into())).collect();
    let (own, asked) = (form.clone(), filter.clone());
    let found = offload::by_price(filter.price(), move || own.scoped(asked.to_mongodb(prefix))).await?;
    let stages = [doc! { "$match": found }, doc! { "$replaceWith": form.deciding_projection(fields) }];
    Command::reading("aggregate", doc! { "pipeline": &stages[..], "cursor": {}, "maxTimeMS": millis(time) })
}

/// Leaves of each document that matches its size, and the condition that it is still the same in all that decides.
fn conditions(
    form: Form,
    filter: Filter,
) -> impl Fn(&RawDocument, &Fuel<'_>) -> Attempt<Option<(u64, RawDocumentBuf)>> + Send + Sync {
    let rendered = filter.to_mongodb(form.prefix());
    move |found, fuel| {
        let fields = form.deciding_fields(found)?;
        if !filter.evaluate(fields, fuel).map_err(Error::from)? {
            return Ok(None);
        }
        let trace = form.deciding_trace(found)?;
        let condition = condition(&form, &trace, &rendered, &filter, fields)?;
        if condition.as_bytes().len() > CONDITION_MAX_BYTES {
            let detail =
                format!("The document `{}` is too large for it; delete that by its `_id`.", trace.id);
            return Err(Error::from(ErrorCode::InvalidInput).detail(detail).into());
        }
        Ok(Some((trace.bytes, condition)))
    }
}

fn condition(
    form: &Form,
    trace: &Trace,
    rendered: &Document,
    filter: &Filter,
    fields: &RawDocument,
) -> Attempt<RawDocumentBuf> {
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
