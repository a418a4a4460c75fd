//! Aggregates: the server selects the documents, sorts them if need be, and sends the fields that are used; the service
//! computes the rest, with the same code as for the embedded engine.

use super::find::{DocumentFinder, size_for_hint};
use super::layout::DocumentLayout;
use crate::collections::command::{Command, millis};
use crate::collections::handle::CollectionHandle;
use crate::collections::handle::fold::DocumentFold;
use crate::collections::scan_hint::is_scan;
use crate::engine_error::EngineResult;
use bson::RawDocument;
use bson::raw::RawBson;
use mongodb::bson::{Bson, Document, doc};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tenantry_documents::aggregate::{AggregateResult, Aggregation, AggregationRun, Source};
use tenantry_documents::fuel::Fuel;
use tenantry_domain::Error;
use tenantry_domain::offload;

impl DocumentFinder {
    /// What an aggregate computes.
    pub(super) async fn aggregate(
        &self,
        handle: &mut CollectionHandle<'_>,
        aggregation: &Arc<Aggregation>,
        time: Duration,
    ) -> EngineResult<AggregateResult> {
        let source = aggregation.source();
        let is_scan = is_scan(handle, &self.indexes, &source.filter, source.sort.as_ref()).await?;
        let layout = handle.layout().clone();
        let (own, asked) = (layout.clone(), aggregation.clone());
        let command = move || command(&own, asked.source(), time);
        let command = offload::by_price(source.filter.price(), command).await??;
        let begin = || AggregateFold {
            layout: layout.clone(),
            aggregation: aggregation.clone(),
            run: AggregationRun::new(aggregation.clone()),
            left: aggregation.source().limit.unwrap_or(u64::MAX),
        };
        let items = handle.fold(&self.processor, &command, time, begin).await?;
        let scanned = if is_scan { Some(size_for_hint(handle).await?) } else { None };
        Ok(AggregateResult { items, scanned })
    }
}

/// The command that reads the documents of a source.
fn command(layout: &DocumentLayout, source: &Source, time: Duration) -> EngineResult<Command> {
    let prefix = layout.prefix();
    let mut find = doc! {
        "filter": layout.scoped(source.filter.to_mongodb(prefix)),
        "maxTimeMS": millis(time),
    };
    if let Some(fields) = fields(layout, source) {
        find.insert("projection", fields);
    }
    if let Some(sort) = &source.sort {
        find.insert("sort", sort.to_mongodb(prefix));
        find.insert("allowDiskUse", true);
    }
    // Some of those that MongoDB finds may not match.
    let limit = source.limit.filter(|_| source.filter.is_decided_by_mongodb());
    if let Some(limit) = limit.and_then(|limit| i64::try_from(limit).ok()) {
        find.insert("limit", limit);
    }
    Command::reading("find", find)
}

/// The fields to send; `None` for all of them.
fn fields(layout: &DocumentLayout, source: &Source) -> Option<Document> {
    let prefix = layout.prefix();
    let mut heads = source.heads.clone()?;
    if !source.filter.is_decided_by_mongodb() {
        heads.extend(source.filter.heads().into_iter().map(str::to_owned));
    }
    // What names no field would name all.
    heads.insert("_id".to_owned());
    let mut fields: Document = heads.iter().map(|head| (format!("{prefix}{head}"), Bson::Int32(1))).collect();
    if !prefix.is_empty() {
        fields.insert("_id", 0);
    }
    // With this one, no index has all fields, and the server reads the documents. From an index alone a field that is
    // missing would come as null, and all of them in the order of the index.
    fields.insert(layout.revision_field(), 1);
    Some(fields)
}

/// Hands documents to an aggregate.
struct AggregateFold {
    layout: DocumentLayout,
    aggregation: Arc<Aggregation>,
    run: AggregationRun,
    /// How many more documents it takes.
    left: u64,
}

impl DocumentFold for AggregateFold {
    type Output = Vec<RawBson>;

    fn add(&mut self, document: &RawDocument, fuel: &Fuel<'_>) -> EngineResult<ControlFlow<()>> {
        let source = self.aggregation.source();
        let fields = self.layout.selected_fields(document)?;
        let fields = fields.as_ref();
        if !source.filter.is_decided_by_mongodb()
            && !source.filter.evaluate(fields, fuel).map_err(Error::from)?
        {
            return Ok(ControlFlow::Continue(()));
        }
        if self.left == 0 {
            return Ok(ControlFlow::Break(()));
        }
        self.left -= 1;
        Ok(self.run.add(fields, fuel)?)
    }

    fn finish(self, fuel: &Fuel<'_>) -> EngineResult<Self::Output> {
        Ok(self.run.finish(fuel)?)
    }
}
