//! Counts and deletes where MongoDB finds more than was asked for, so that each document is checked here.
//!
//! Only the fields that the filter uses are sent. A delete then removes a document only if these fields are
//! unchanged: the server compares their values, because a program that bypasses the service does not change the
//! revision.

use super::layout::{DocumentLayout, Trace};
use crate::collections::command::{Amount, Command, millis};
use crate::collections::handle::CollectionHandle;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use bson::raw::{CString, RawArrayBuf, RawBson, cstr};
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_domain::offload;
use tenantry_domain::processor::Processor;
use tenantry_domain::{Error, ErrorCode};

/// Bytes of conditions for which a command has room. Only a program can have written a document that needs more.
const CONDITION_MAX_BYTES: usize = 15 << 20;

/// How many documents match.
pub(super) async fn count_checked(
    handle: &mut CollectionHandle<'_>,
    processor: &Arc<Processor>,
    filter: &Filter,
    time: Duration,
) -> EngineResult<u64> {
    let command = deciding_fields(handle.layout(), filter, time).await?;
    let (layout, filter) = (handle.layout().clone(), filter.clone());
    let is_match = move |found: &RawDocument, fuel: &Fuel<'_>| {
        let fields = layout.deciding_fields(found)?;
        Ok(filter.evaluate(fields, fuel).map_err(Error::from)?.then_some(()))
    };
    let (matching, _) = handle.select(processor, &command, Amount::ALL, time, Arc::new(is_match)).await?;
    Ok(matching.len() as u64)
}

/// The command that reads, of all documents that may match, the fields that the filter uses.
pub(super) async fn deciding_fields(
    layout: &DocumentLayout,
    filter: &Filter,
    time: Duration,
) -> EngineResult<Command> {
    let prefix = layout.prefix();
    let fields: Document =
        filter.heads().into_iter().map(|head| (head.to_owned(), format!("${prefix}{head}").into())).collect();
    let (own, asked) = (layout.clone(), filter.clone());
    let found = offload::by_price(filter.price(), move || own.scoped(asked.to_mongodb(prefix))).await?;
    let stages = [doc! { "$match": found }, doc! { "$replaceWith": layout.deciding_projection(fields) }];
    Command::reading("aggregate", doc! { "pipeline": &stages[..], "cursor": {}, "maxTimeMS": millis(time) })
}

/// Selects the documents that match: of each, its identity and the fields that the filter uses.
pub(super) fn matching(
    layout: DocumentLayout,
    filter: Filter,
) -> impl Fn(&RawDocument, &Fuel<'_>) -> EngineResult<Option<(Trace, RawDocumentBuf)>> + Send + Sync {
    move |found, fuel| {
        let fields = layout.deciding_fields(found)?;
        if !filter.evaluate(fields, fuel).map_err(Error::from)? {
            return Ok(None);
        }
        Ok(Some((layout.deciding_trace(found)?, fields.to_owned())))
    }
}

/// The sizes of documents, and for each the condition that the fields the filter uses are unchanged: as many as one
/// command has room for.
pub(super) fn conditions(
    layout: &DocumentLayout,
    filter: &Filter,
    rendered: &Document,
    found: &[(Trace, RawDocumentBuf)],
) -> EngineResult<Vec<(Size, RawDocumentBuf)>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for (trace, fields) in found {
        let condition = condition(layout, trace, rendered, filter, fields)?;
        bytes += condition.as_bytes().len();
        if bytes > CONDITION_MAX_BYTES && !all.is_empty() {
            break;
        }
        if bytes > CONDITION_MAX_BYTES {
            let detail = format!(
                "The document `{}` is too large to be deleted by a filter. Delete it by its `_id`.",
                trace.id
            );
            return Err(Error::from(ErrorCode::InvalidInput).detail(detail).into());
        }
        all.push((Size::one(trace.bytes), condition));
    }
    Ok(all)
}

fn condition(
    layout: &DocumentLayout,
    trace: &Trace,
    rendered: &Document,
    filter: &Filter,
    fields: &RawDocument,
) -> EngineResult<RawDocumentBuf> {
    let mut same = RawArrayBuf::new();
    for head in filter.heads() {
        let path = format!("${}{head}", layout.prefix());
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
    let found = RawDocumentBuf::try_from(&layout.of_trace(trace, rendered)).map_err(Error::internal)?;
    let same = RawBson::Document(rawdoc! { "$expr": { "$and": same } });
    Ok(rawdoc! { "$and": [found, same] })
}
