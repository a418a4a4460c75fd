//! Reads of documents.
//!
//! A page that has to be sorted keeps the sort keys of as many documents as it needs, never of all that match, and
//! reads these documents again at the end.

use super::budget::Budget;
use super::index_entries::keys;
use super::index_scan::{Entries, IndexScan, ScannedEntry, reading, revision};
use crate::collections::catalog::Collection;
use crate::collections::scope::Scope;
use crate::collections::stored_index::StoredIndex;
use crate::engine_error::{EngineError, EngineResult};
use crate::statement::{integer, statements};
use bson::{RawDocument, RawDocumentBuf};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use tenantry_documents::document::{
    DocumentId, EntriesError, EntryBudget, IndexKey, IndexKeysError, Revision, StoredDocument,
};
use tenantry_documents::filter::{Filter, Interval};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::query::plan::{self, AccessPath, Order, Plan, PlanEntry, ScanKind, plan};
use tenantry_documents::query::{DocumentQuery, MatchCount, QueryPage, SORT_POINTER};
use tenantry_documents::sort::Sort;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::limits::SORT_MAX_BYTES;
use tenantry_domain::{Error, ErrorCode};

statements! {
    // The length is known without reading the body.
    GET = "SELECT revision, CASE WHEN length(body) <= ?3 THEN body END FROM documents \
        WHERE collection = (SELECT id FROM collections WHERE name = ?1) AND id = ?2";
    HAS_COLLECTION = "SELECT 1 FROM collections WHERE name = ?1";
    BY_NUMBER = "SELECT revision, body FROM documents WHERE number = ?1";
    COUNT = "SELECT documents FROM collection_counts WHERE collection = ?1";
}

/// Documents that are removed in one transaction.
const DELETE_DOCUMENTS: usize = 500;

/// The result of a read by id.
pub(super) enum DocumentLookup {
    Read(StoredDocument),
    /// It has more bytes than the limit of the read.
    TooLarge,
    Missing,
}

/// The document of that id, if it has no more than `max_bytes`.
pub(super) fn get(
    connection: &Connection,
    name: &CollectionName,
    id: &DocumentId,
    max_bytes: usize,
) -> EngineResult<DocumentLookup> {
    let max_bytes = integer(max_bytes as u64);
    let read = |row: &Row<'_>| Ok(if row.get_ref(1)? == ValueRef::Null { None } else { Some(document(row)) });
    if let Some(found) = GET.first(connection, params![name.as_str(), id.key(), max_bytes], read)? {
        return found.map_or(Ok(DocumentLookup::TooLarge), |document| document.map(DocumentLookup::Read));
    }
    if name.is_default() || HAS_COLLECTION.finds(connection, [name.as_str()])? {
        return Ok(DocumentLookup::Missing);
    }
    Err(Error::new(ErrorCode::CollectionNotFound).into())
}

/// The document of a row of revision and body.
fn document(row: &Row<'_>) -> EngineResult<StoredDocument> {
    let body = RawDocumentBuf::from_bytes(row.get(1)?).map_err(Error::internal)?;
    Ok(StoredDocument { body, revision: revision(row.get(0)?) })
}

/// The document of that number, which the same snapshot has.
pub(super) fn by_number(
    connection: &Connection,
    number: i64,
    fuel: &Fuel<'_>,
) -> EngineResult<StoredDocument> {
    let found = BY_NUMBER.first(connection, [number], |row| Ok(document(row)))?;
    let found = found.ok_or_else(|| Error::internal("a document has gone from a snapshot"))??;
    fuel.begin_document(reading(&found.body))?;
    Ok(found)
}

/// A page of documents. `query_too_slow` when the budget is spent.
pub(super) fn find(
    scope: Scope<'_>,
    name: &CollectionName,
    query: &DocumentQuery,
    budget: Budget<'_>,
) -> EngineResult<QueryPage> {
    budget.spend(scope.close_signal, |fuel| find_within(scope, name, query, fuel, &Cell::new(0)))
}

/// A page of documents; adds the documents that it examines to `examined`.
pub(super) fn find_within(
    scope: Scope<'_>,
    name: &CollectionName,
    query: &DocumentQuery,
    fuel: &Fuel<'_>,
    examined: &Cell<u64>,
) -> EngineResult<QueryPage> {
    let collection = scope.collection(name)?;
    let Some(number) = collection.number else { return Ok(QueryPage::default()) };
    let plan = plan(&candidates(&collection), &query.filter, Some(&query.sort));
    let scanned = if plan.is_scan { Some(count_all(scope.connection, number)?) } else { None };
    let source = QuerySource { scope, entries: entries(&plan, &collection, number), query, fuel, examined };
    let mut page = PageBuilder::new(query);
    match &plan.order {
        Some(order) => source.in_order(&plan.intervals, order, &mut page)?,
        None => source.sorted(&plan.intervals, &mut page)?,
    }
    Ok(QueryPage { documents: page.documents, more: page.more, scanned })
}

pub(super) fn candidates(collection: &Collection) -> Vec<plan::Candidate<'_>> {
    collection
        .indexes
        .iter()
        .map(|index| plan::Candidate {
            keys: &index.definition.keys,
            coverage: &index.definition.coverage,
            is_multikey: index.is_multikey,
            format: index.format,
            has_cut: index.has_cut,
        })
        .collect()
}

pub(super) fn entries(plan: &Plan, collection: &Collection, number: i64) -> Entries {
    match plan.access {
        AccessPath::Ids => Entries::Ids(number),
        AccessPath::Index(index) => Entries::Index(collection.indexes[index].number),
    }
}

/// How many documents are in the collection.
pub(super) fn count_all(connection: &Connection, collection: i64) -> EngineResult<u64> {
    let count: Option<i64> = COUNT.first(connection, [collection], |row| row.get(0))?;
    Ok(count.unwrap_or_default().unsigned_abs())
}

/// The source of the documents of a page.
struct QuerySource<'a> {
    scope: Scope<'a>,
    entries: Entries,
    query: &'a DocumentQuery,
    fuel: &'a Fuel<'a>,
    examined: &'a Cell<u64>,
}

impl QuerySource<'_> {
    fn scan(&self, way: ScanKind) -> IndexScan<'_> {
        IndexScan::new(self.scope, self.entries, way, self.fuel)
    }

    /// A page from an index in the order of the page.
    fn in_order(&self, intervals: &[Interval], order: &Order, page: &mut PageBuilder) -> EngineResult<()> {
        let after = self.query.after.as_ref().map(|position| order.place(position));
        self.scan(order.walk).walk(intervals, after.as_ref(), &mut |entry| {
            self.examined.set(self.examined.get() + 1);
            if !self.query.filter.evaluate(entry.body, self.fuel)? {
                return Ok(ControlFlow::Continue(()));
            }
            page.add(|| Ok(StoredDocument { body: entry.body.to_owned(), revision: entry.revision }))
        })
    }

    /// A page that has to be sorted.
    fn sorted(&self, intervals: &[Interval], page: &mut PageBuilder) -> EngineResult<()> {
        let DocumentQuery { filter, sort, .. } = self.query;
        let after = self.query.after.as_ref().map(|position| sort.key_at(position));
        let mut first = TopDocuments::new(page.limit + 1);
        self.scan(ScanKind::Up).walk(intervals, None, &mut |entry| {
            self.examined.set(self.examined.get() + 1);
            if filter.evaluate(entry.body, self.fuel)? {
                let key = sort_key(sort, entry.body, self.fuel)?;
                if after.as_ref().is_none_or(|after| key > *after) {
                    first.add(key, entry.number)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for number in first.numbers.into_values() {
            if page.add(|| by_number(self.scope.connection, number, self.fuel))?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

pub(super) fn sort_key(sort: &Sort, body: &RawDocument, fuel: &Fuel<'_>) -> Result<Vec<u8>, Error> {
    sort.key(body, fuel).map_err(|error| match error {
        EntriesError::Unsuitable(sentence) => Error::invalid_field(SORT_POINTER, sentence),
        EntriesError::Stopped(stopped) => stopped.into(),
    })
}

/// Keeps the first documents of a sort order.
pub(super) struct TopDocuments {
    most: usize,
    /// Of the sort keys that are kept.
    bytes: usize,
    /// By their sort keys, which end with the `_id`: a document that comes twice is kept once.
    pub(super) numbers: BTreeMap<Vec<u8>, i64>,
}

impl TopDocuments {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, bytes: 0, numbers: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, key: Vec<u8>, number: i64) -> Result<(), Error> {
        if self.numbers.len() == self.most
            && self.numbers.last_key_value().is_some_and(|(last, _)| key > *last)
        {
            return Ok(());
        }
        let bytes = key.len();
        if self.numbers.insert(key, number).is_none() {
            self.bytes += bytes;
        }
        if self.numbers.len() > self.most
            && let Some((last, _)) = self.numbers.pop_last()
        {
            self.bytes -= last.len();
        }
        if self.bytes <= SORT_MAX_BYTES {
            return Ok(());
        }
        Err(Error::invalid_field(
            SORT_POINTER,
            format!(
                "The values to sort a page by come to more than {} MiB: ask for fewer documents, or make an index for it.",
                SORT_MAX_BYTES >> 20
            ),
        ))
    }
}

/// A page that is being filled.
struct PageBuilder {
    limit: usize,
    max_bytes: usize,
    documents: Vec<StoredDocument>,
    bytes: usize,
    more: bool,
}

impl PageBuilder {
    fn new(query: &DocumentQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        Self { limit, max_bytes: query.max_bytes, documents: Vec::new(), bytes: 0, more: false }
    }

    /// Adds the next document, or notes that there is one more.
    fn add(&mut self, read: impl FnOnce() -> EngineResult<StoredDocument>) -> EngineResult<ControlFlow<()>> {
        let has_bytes = !self.documents.is_empty() && self.bytes >= self.max_bytes;
        if self.documents.len() >= self.limit || has_bytes {
            self.more = true;
            return Ok(ControlFlow::Break(()));
        }
        let document = read()?;
        self.bytes += document.body.as_bytes().len();
        self.documents.push(document);
        Ok(ControlFlow::Continue(()))
    }
}

/// How many documents match. `query_too_slow` when the budget is spent.
pub(super) fn count(
    scope: Scope<'_>,
    name: &CollectionName,
    filter: &Filter,
    budget: Budget<'_>,
) -> EngineResult<MatchCount> {
    budget.spend(scope.close_signal, |fuel| count_within(scope, name, filter, fuel))
}

fn count_within(
    scope: Scope<'_>,
    name: &CollectionName,
    filter: &Filter,
    fuel: &Fuel<'_>,
) -> EngineResult<MatchCount> {
    let collection = scope.collection(name)?;
    let Some(number) = collection.number else { return Ok(MatchCount { documents: 0, scanned: None }) };
    let all = count_all(scope.connection, number)?;
    if filter.is_empty() {
        return Ok(MatchCount { documents: all, scanned: None });
    }
    let plan = plan(&candidates(&collection), filter, None);
    let first_visits = FirstVisits::new(&plan, &collection, fuel);
    let mut documents = 0;
    let entries = entries(&plan, &collection, number);
    let scan = IndexScan::new(scope, entries, ScanKind::Up, fuel);
    scan.walk(&plan.intervals, None, &mut |entry| {
        if filter.evaluate(entry.body, fuel)? && first_visits.is_first(entry)? {
            documents += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(MatchCount { documents, scanned: plan.is_scan.then_some(all) })
}

/// Tells the first visit of a document from later ones, without remembering documents.
pub(super) struct FirstVisits<'a> {
    /// The index in use, if it may give a document more than once.
    index: Option<&'a StoredIndex>,
    intervals: &'a [Interval],
    fuel: &'a Fuel<'a>,
}

impl<'a> FirstVisits<'a> {
    pub(super) fn new(plan: &'a Plan, collection: &'a Collection, fuel: &'a Fuel<'a>) -> Self {
        let index = match plan.access {
            AccessPath::Ids => None,
            AccessPath::Index(index) => Some(&collection.indexes[index]),
        };
        let index = index.filter(|index| index.is_multikey);
        Self { index, intervals: &plan.intervals, fuel }
    }

    pub(super) fn is_first(&self, entry: &ScannedEntry<'_>) -> EngineResult<bool> {
        let Some(index) = self.index else { return Ok(true) };
        let keys = keys(index, entry.body, &mut EntryBudget::unbounded(), self.fuel);
        let keys = keys.map_err(IndexKeysError::unexpected)?.keys;
        let is_within = |entry: &&IndexKey| Interval::any_contains(self.intervals, &entry.key);
        Ok(keys.iter().find(is_within).is_some_and(|first| first.key == entry.key))
    }
}

/// Documents to remove.
pub(super) struct MatchingBatch {
    pub(super) candidates: Vec<Candidate>,
    /// Where to continue; `None` at the end.
    pub(super) next: Option<ScanPosition>,
    /// Why the search stopped, if the budget ran out.
    pub(super) stopped: Option<Error>,
    /// As in `DeleteResult`.
    pub(super) scanned: Option<u64>,
}

/// A document that matched when it was read.
pub(super) struct Candidate {
    pub(super) number: i64,
    pub(super) revision: Revision,
}

/// Where to continue, if the plan is still the same.
pub(super) struct ScanPosition {
    entries: Entries,
    place: PlanEntry,
}

/// Documents that match, from `next` on, up to a limit.
pub(super) fn matching(
    scope: Scope<'_>,
    name: &CollectionName,
    filter: &Filter,
    next: Option<&ScanPosition>,
    budget: Budget<'_>,
) -> EngineResult<MatchingBatch> {
    let collection = scope.collection(name)?;
    let mut matching = MatchingBatch { candidates: Vec::new(), next: None, stopped: None, scanned: None };
    let Some(number) = collection.number else { return Ok(matching) };
    let plan = plan(&candidates(&collection), filter, None);
    // No index serves a filter that all documents match, and none is missing.
    if plan.is_scan && !filter.is_empty() {
        matching.scanned = Some(count_all(scope.connection, number)?);
    }
    let entries = entries(&plan, &collection, number);
    let after = next.filter(|next| next.entries == entries).map(|next| &next.place);
    let outcome = budget.spend(scope.close_signal, |fuel| {
        let scan = IndexScan::new(scope, entries, ScanKind::Up, fuel);
        scan.walk(&plan.intervals, after, &mut |entry| {
            if filter.evaluate(entry.body, fuel)? {
                matching.candidates.push(Candidate { number: entry.number, revision: entry.revision });
            }
            if matching.candidates.len() < DELETE_DOCUMENTS {
                return Ok(ControlFlow::Continue(()));
            }
            let place = PlanEntry { key: entry.key.to_vec(), id: entry.id.to_vec() };
            matching.next = Some(ScanPosition { entries, place });
            Ok(ControlFlow::Break(()))
        })
    });
    match outcome {
        Err(EngineError::Refused(error)) if error.code() == ErrorCode::QueryTooSlow => {
            matching.stopped = Some(error);
        }
        outcome => outcome?,
    }
    Ok(matching)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_kept_for_page_are_bounded_among_a_million() {
        let mut first = TopDocuments::new(10);
        for number in 0..1_000_000_i64 {
            // Every number below a million once, and in no order.
            let number = number * 7919 % 1_000_000;
            first.add(number.to_be_bytes().to_vec(), number).unwrap();
            // By another entry of the same document.
            first.add(number.to_be_bytes().to_vec(), number).unwrap();
            assert!(first.numbers.len() <= 10 && first.bytes == 8 * first.numbers.len());
        }
        assert_eq!(first.numbers.into_values().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
    #[test]
    fn sort_keys_in_memory_are_bounded_by_bytes() {
        let key = |first: u8| [vec![first], vec![0; 1 << 20]].concat();
        let mut first = TopDocuments::new(200);
        for number in 0..63 {
            first.add(key(number), number.into()).unwrap();
        }
        // Adding the same document again changes nothing.
        first.add(key(0), 0).unwrap();
        let refused = first.add(key(63), 63).unwrap_err();
        assert_eq!(
            (refused.code(), refused.fields()[0].pointer.as_str()),
            (ErrorCode::InvalidInput, SORT_POINTER)
        );
    }
}
