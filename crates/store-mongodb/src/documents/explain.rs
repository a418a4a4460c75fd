//! Explains a query: the server carries it out, and says how.
//!
//! # Pitfalls
//! Not every server checks the UUID of an explained command, so the location of the collection is checked before and
//! after, as for a list of indexes.

use super::find::{DocumentFinder, page_of};
use crate::collections::handle::CollectionHandle;
use crate::collections::indexes::update_location;
use crate::collections::scan_hint::is_scan;
use crate::engine_error::{EngineError, EngineResult, MAX_TIME_EXPIRED};
use mongodb::bson::{Bson, Document};
use tenantry_documents::index::IndexName;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::query::explanation::{ExplainedAccess, Explanation};
use tenantry_domain::{Error, offload};

/// How often the query is explained while the collection moves.
const MAX_ATTEMPTS: u32 = 8;

/// The server's index on the `_id`, and those of the shared collection that every organization uses.
const ID_INDEXES: [&str; 3] = ["_id_", "shared_documents_of", "shared_documents_listed"];

impl DocumentFinder {
    /// How a page is found.
    pub(super) async fn explain(
        &self,
        handle: &mut CollectionHandle<'_>,
        query: &DocumentQuery,
    ) -> EngineResult<Explanation> {
        let scan = is_scan(handle, &self.indexes, &query.filter, Some(&query.sort)).await?;
        let layout = handle.layout().clone();
        let (own, asked) = (layout.clone(), query.clone());
        let render = move || page_of(&own, &asked, asked.filter.to_mongodb(own.prefix()));
        let command = offload::by_price(query.filter.price(), render).await??.explained(query.time);
        let deadline = query.time + handle.connection().deadline();
        for _ in 0..MAX_ATTEMPTS {
            locate(handle).await?;
            let namespace = handle.namespace().to_owned();
            let reply = handle.run_within(&command, deadline).await?;
            locate(handle).await?;
            if handle.is_at(&namespace) {
                let has_metadata = layout.first_id().is_some();
                let mut explanation =
                    read(&reply, scan, has_metadata, |physical| handle.listed_name(physical))?;
                // One more is asked for than the page has.
                explanation.matched = explanation.matched.min(query.limit.into());
                return Ok(explanation);
            }
        }
        Err(Error::unavailable("the collection keeps moving").into())
    }
}

/// Updates the location of the collection. The one that many organizations share never moves.
async fn locate(handle: &mut CollectionHandle<'_>) -> EngineResult<()> {
    if handle.shared().is_none() { update_location(handle).await } else { Ok(()) }
}

/// Reads the server's explanation. `scan` says whether everything has to be examined, `has_metadata` whether the container's
/// metadata document is in the collection, and `name_of` gives the organization's name of an index.
fn read(
    reply: &Document,
    scan: bool,
    has_metadata: bool,
    name_of: impl Fn(&str) -> Option<IndexName>,
) -> EngineResult<Explanation> {
    let statistics = reply.get_document("executionStats").map_err(Error::internal)?;
    if matches!(statistics.get_bool("executionSuccess"), Ok(false)) {
        let code = statistics.get_i32("errorCode").unwrap_or(MAX_TIME_EXPIRED);
        let message = statistics.get_str("errorMessage").unwrap_or_default().to_owned();
        return Err(EngineError::ServerError { code, message });
    }
    let planner = reply.get_document("queryPlanner").map_err(Error::internal)?;
    let mut stages = Stages::default();
    planner.get("winningPlan").into_iter().for_each(|plan| stages.collect(plan));
    let access = stages.access(scan, name_of);
    let count = |field: &str| count(statistics.get(field));
    Ok(Explanation {
        entries_examined: if access == ExplainedAccess::Scan { 0 } else { count("totalKeysExamined") },
        // The metadata document is not the organization's. An index leaves it out, by its `_id`.
        documents_examined: count("totalDocsExamined")
            .saturating_sub(u64::from(has_metadata && stages.has("COLLSCAN"))),
        matched: count("nReturned"),
        is_sorted: stages.has("SORT"),
        access,
    })
}

fn count(number: Option<&Bson>) -> u64 {
    let number = number.and_then(|number| number.as_i64().or_else(|| number.as_i32().map(i64::from)));
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// The stages of a plan, on all shards.
#[derive(Default)]
struct Stages {
    names: Vec<String>,
    /// The names of the indexes that they use, each once.
    indexes: Vec<String>,
}

impl Stages {
    fn collect(&mut self, plan: &Bson) {
        match plan {
            Bson::Document(stage) => {
                self.names.extend(stage.get_str("stage").ok().map(str::to_owned));
                if let Ok(index) = stage.get_str("indexName")
                    && !self.indexes.iter().any(|known| known == index)
                {
                    self.indexes.push(index.to_owned());
                }
                stage.values().for_each(|inner| self.collect(inner));
            }
            Bson::Array(stages) => stages.iter().for_each(|stage| self.collect(stage)),
            _ => {}
        }
    }

    fn has(&self, stage: &str) -> bool {
        self.names.iter().any(|name| name == stage)
    }

    fn access(&self, scan: bool, name_of: impl Fn(&str) -> Option<IndexName>) -> ExplainedAccess {
        let own: Vec<&String> =
            self.indexes.iter().filter(|index| !ID_INDEXES.contains(&index.as_str())).collect();
        if self.has("COLLSCAN") {
            ExplainedAccess::Scan
        } else if !own.is_empty() {
            ExplainedAccess::Indexes(own.into_iter().filter_map(|index| name_of(index)).collect())
        } else if self.has("EOF") {
            ExplainedAccess::Nothing
        } else if scan {
            ExplainedAccess::Scan
        } else {
            ExplainedAccess::Id
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn access(plan: Document, scan: bool) -> ExplainedAccess {
        let mut stages = Stages::default();
        stages.collect(&Bson::from(plan));
        stages.access(scan, |name| IndexName::parse(name).ok())
    }

    #[test]
    fn explained_plan_names_indexes_and_hides_those_of_the_service() {
        let scan = |index: &str| doc! { "stage": "IXSCAN", "indexName": index };
        let or = doc! { "stage": "FETCH", "inputStage":
        { "stage": "OR", "inputStages": [scan("a_1"), scan("b_1"), scan("a_1"), scan("with space")] } };
        let name = |text| IndexName::parse(text).unwrap();
        assert_eq!(access(or, false), ExplainedAccess::Indexes(vec![name("a_1"), name("b_1")]));
        for index in ID_INDEXES {
            assert_eq!(access(scan(index), false), ExplainedAccess::Id);
            assert_eq!(access(scan(index), true), ExplainedAccess::Scan);
        }
        assert_eq!(access(doc! { "stage": "EOF" }, false), ExplainedAccess::Nothing);
        let whole = doc! { "shards": [{ "winningPlan": { "stage": "COLLSCAN" } }] };
        assert_eq!(access(whole, false), ExplainedAccess::Scan);
    }

    #[test]
    fn explanation_that_ran_out_of_time_is_an_error() {
        let reply = doc! { "executionStats": { "executionSuccess": false, "errorCode": MAX_TIME_EXPIRED } };
        let failure = read(&reply, false, false, |_| None).unwrap_err();
        assert!(matches!(failure, EngineError::ServerError { code: MAX_TIME_EXPIRED, .. }));
    }
}
