//! Whether a query has to read every document: callers are told, so that they can create an index.
//!
//! MongoDB plans queries by itself. This predicts the plan from the definitions of the indexes, which are cached for
//! some seconds ([`IndexCache`]): an outdated list makes a hint wrong, never a result.

use super::handle::CollectionHandle;
use super::index_cache::IndexCache;
use super::index_definition::keys;
use crate::engine_error::EngineResult;
use mongodb::bson::{Bson, Document};
use tenantry_documents::document::KeyFormat;
use tenantry_documents::filter::Filter;
use tenantry_documents::index::{Coverage, Index};
use tenantry_documents::query::plan::{Candidate, plan};
use tenantry_documents::sort::Sort;
use tenantry_domain::offload;

/// Whether a query has to read every document.
pub(crate) async fn is_scan(
    handle: &mut CollectionHandle<'_>,
    indexes: &IndexCache,
    filter: &Filter,
    sort: Option<&Sort>,
) -> EngineResult<bool> {
    let price = filter.price();
    let asked = (filter.clone(), sort.cloned());
    if !offload::by_price(price, move || needs_all(&[], &asked.0, asked.1.as_ref())).await? {
        return Ok(false);
    }
    let indexes = indexes.get(handle).await?;
    let asked = (filter.clone(), sort.cloned());
    Ok(offload::by_price(price, move || needs_all(&indexes, &asked.0, asked.1.as_ref())).await?)
}

/// Whether neither `_id` nor any index makes a full scan unnecessary.
fn needs_all(indexes: &[Index], filter: &Filter, sort: Option<&Sort>) -> bool {
    let candidates: Vec<Candidate<'_>> = indexes
        .iter()
        .map(|Index { keys, coverage, .. }| Candidate {
            keys,
            coverage,
            is_multikey: false,
            format: KeyFormat::Whole,
            has_cut: false,
        })
        .collect();
    let is_sorted = sort.is_some_and(|sort| !is_ordered(indexes, sort));
    plan(&candidates, filter, sort).is_scan || (filter.is_empty() && is_sorted)
}

/// Whether MongoDB takes the order from an index, forwards or backwards. An index that has the order up to `_id` is
/// not enough.
fn is_ordered(indexes: &[Index], sort: &Sort) -> bool {
    let asked = sort.to_mongodb("");
    let backwards = |direction: &Bson| Bson::Int32(-direction.as_i32().unwrap_or(0));
    let back: Document = asked.iter().map(|(path, direction)| (path.clone(), backwards(direction))).collect();
    let gives = |index: &Index| {
        let own = keys("", index);
        own.len() >= asked.len()
            && [&asked, &back].iter().any(|order| own.iter().zip(*order).all(|(a, b)| a == b))
    };
    // Only an index of all documents gives the order of all.
    asked.len() == 1 || indexes.iter().filter(|index| index.coverage == Coverage::All).any(gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_hint_needs_all_unless_index_narrows_or_sorts() {
        let index = |keys| Index::parse(None, keys, false).unwrap();
        for (indexes, filter, sort, expected) in [
            (vec![], "{}", "_id", false),
            (vec![], "{}", "a", true),
            (vec![index("a,b")], "{}", "a,b", false),
            (vec![index("a,b")], "{}", "-a,-b,-_id", false),
            (vec![index("a,b")], "{}", "-a,-b", true),
            (vec![index("a,b")], "{}", "a", true),
            (vec![index("a,b")], "{}", "b", true),
            (vec![index("a,b")], "{}", "a,-b", true),
            (vec![], r#"{"_id": {"$gt": 5}}"#, "_id", false),
            (vec![], r#"{"a": 5}"#, "_id", true),
            (vec![index("a")], r#"{"a": 5}"#, "b", false),
            (vec![index("a")], r#"{"a": {"$ne": 5}}"#, "a", true),
            (vec![index("b,a")], r#"{"a": 5}"#, "_id", true),
        ] {
            let filter = Filter::parse(filter, "").unwrap();
            let sort = Sort::parse(sort).unwrap();
            assert_eq!(needs_all(&indexes, &filter, Some(&sort)), expected, "{filter:?} {sort:?}");
        }
    }
}
