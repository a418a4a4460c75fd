//! Aggregates: reads the documents of the source, one by one, and hands them to the aggregate.
//!
//! Without an order, or with one that an index gives, no document is kept. Otherwise the sort keys of as many as are needed
//! are, and these are read again, as for a page.

use super::budget::Budget;
use super::find::{FirstVisits, TopDocuments, by_number, candidates, count_all, entries, sort_key};
use super::index_scan::IndexScan;
use crate::collections::catalog::Collection;
use crate::collections::scope::Scope;
use crate::engine_error::EngineResult;
use std::ops::ControlFlow;
use std::sync::Arc;
use tenantry_documents::aggregate::{AggregateResult, Aggregation, AggregationRun, Source};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::query::plan::{Plan, ScanKind, plan};
use tenantry_documents::sort::Sort;
use tenantry_domain::collection::CollectionName;

/// What an aggregate computes. `query_too_slow` when the budget is spent.
pub(super) fn aggregate(
    scope: Scope<'_>,
    name: &CollectionName,
    aggregation: &Arc<Aggregation>,
    budget: Budget<'_>,
) -> EngineResult<AggregateResult> {
    budget.spend(scope.close_signal, |fuel| {
        let collection = scope.collection(name)?;
        let mut run = AggregationRun::new(aggregation.clone());
        let scanned = match collection.number {
            Some(number) => {
                let source = aggregation.source();
                let plan = plan(&candidates(&collection), &source.filter, source.sort.as_ref());
                let reader = SourceReader { scope, collection: &collection, number, source, fuel };
                reader.read(&plan, &mut run)?;
                if plan.is_scan { Some(count_all(scope.connection, number)?) } else { None }
            }
            None => None,
        };
        Ok(AggregateResult { items: run.finish(fuel)?, scanned })
    })
}

/// Reads the documents of a source.
struct SourceReader<'a> {
    scope: Scope<'a>,
    collection: &'a Collection,
    number: i64,
    source: &'a Source,
    fuel: &'a Fuel<'a>,
}

impl SourceReader<'_> {
    fn read(&self, plan: &Plan, run: &mut AggregationRun) -> EngineResult<()> {
        match (&self.source.sort, &plan.order) {
            (Some(sort), None) => self.read_sorted(plan, sort, run),
            (_, order) => {
                self.read_walking(plan, order.as_ref().map_or(ScanKind::Up, |order| order.walk), run)
            }
        }
    }

    fn scan(&self, plan: &Plan, way: ScanKind) -> IndexScan<'_> {
        IndexScan::new(self.scope, entries(plan, self.collection, self.number), way, self.fuel)
    }

    /// In the order of the scan, each document once.
    fn read_walking(&self, plan: &Plan, way: ScanKind, run: &mut AggregationRun) -> EngineResult<()> {
        let first_visits = FirstVisits::new(plan, self.collection, self.fuel);
        let mut left = self.source.limit.unwrap_or(u64::MAX);
        self.scan(plan, way).walk(&plan.intervals, None, &mut |entry| {
            if !self.source.filter.evaluate(entry.body, self.fuel)? || !first_visits.is_first(entry)? {
                return Ok(ControlFlow::Continue(()));
            }
            left -= 1;
            let flow = run.add(entry.body, self.fuel)?;
            Ok(if left == 0 { ControlFlow::Break(()) } else { flow })
        })
    }

    fn read_sorted(&self, plan: &Plan, sort: &Sort, run: &mut AggregationRun) -> EngineResult<()> {
        let most = self.source.limit.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let mut first = TopDocuments::new(most);
        self.scan(plan, ScanKind::Up).walk(&plan.intervals, None, &mut |entry| {
            if self.source.filter.evaluate(entry.body, self.fuel)? {
                first.add(sort_key(sort, entry.body, self.fuel)?, entry.number)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for number in first.numbers.into_values() {
            let document = by_number(self.scope.connection, number, self.fuel)?;
            if run.add(&document.body, self.fuel)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
