//! Explains a query: carries it out, and counts what it examines.

use super::budget::Budget;
use super::find::{candidates, find_within};
use crate::collections::catalog::Collection;
use crate::collections::scope::Scope;
use crate::engine_error::EngineResult;
use std::cell::Cell;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::query::explanation::{ExplainedAccess, Explanation};
use tenantry_documents::query::plan::{AccessPath, Plan, plan};
use tenantry_domain::collection::CollectionName;

/// How a page is found. `query_too_slow` when the budget is spent.
pub(super) fn explain(
    scope: Scope<'_>,
    name: &CollectionName,
    query: &DocumentQuery,
    budget: Budget<'_>,
) -> EngineResult<Explanation> {
    budget.spend(scope.close_signal, |fuel| {
        let collection = scope.collection(name)?;
        let plan = plan(&candidates(&collection), &query.filter, Some(&query.sort));
        let examined = Cell::new(0);
        let page = find_within(scope, name, query, fuel, &examined)?;
        let (access, documents_examined) = (access(&plan, &collection), examined.get());
        let has_entries = matches!(access, ExplainedAccess::Id | ExplainedAccess::Indexes(_));
        Ok(Explanation {
            access,
            is_sorted: plan.order.is_none(),
            // Each entry leads to its document.
            entries_examined: if has_entries { documents_examined } else { 0 },
            documents_examined,
            matched: page.documents.len() as u64,
        })
    })
}

fn access(plan: &Plan, collection: &Collection) -> ExplainedAccess {
    match plan.access {
        _ if collection.number.is_none() || plan.intervals.is_empty() => ExplainedAccess::Nothing,
        AccessPath::Index(index) => {
            ExplainedAccess::Indexes(vec![collection.indexes[index].definition.name.clone()])
        }
        AccessPath::Ids if plan.is_scan => ExplainedAccess::Scan,
        AccessPath::Ids => ExplainedAccess::Id,
    }
}
