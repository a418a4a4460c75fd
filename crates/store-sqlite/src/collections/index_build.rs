//! Builds an index while others read and write.
//!
//! First, writes begin to maintain the index; then the entries of existing documents are added, some thousand
//! at a time. The build reads a batch of documents in one go, sorts its entries, and adds them in several
//! transactions, between those of others. Added in document order, each entry would go to another page, and a
//! large index would take many times as long.
//!
//! # Pitfalls
//! A document may change after it was read and before its entries are added. Then the transaction that adds
//! them reads the document again.

use super::index_builds::{IndexBuild, RunningBuild};
use super::indexes::{self, BuildStart};
use super::scope::Scope;
use super::stored_index::StoredIndex;
use crate::containers::tenant_db::Container;
use crate::documents::{IndexSizes, have_duplicate, is_taken, keys, used};
use crate::engine_error::EngineResult;
use crate::statement::{blob, integer, statements};
use bson::RawDocument;
use rusqlite::params;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use tenantry_documents::document::{EntryBudget, IndexKey, IndexKeys, IndexKeysError, entry_bytes};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::Index;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::limits::{INDEX_ENTRIES_MAX_BYTES, INDEXES_MAX};
use tenantry_domain::organization::Quota;
use tenantry_domain::store::InsertOutcome;
use tenantry_domain::{Error, Result};

statements! {
    DOCUMENTS = "SELECT number, id, revision, body FROM documents WHERE collection = ?1 AND id > ?2 ORDER BY id";
    AS_READ = "SELECT 1 FROM documents WHERE number = ?1 AND collection = ?2 AND id = ?3 AND revision = ?4";
    AS_IT_IS = "SELECT number, body FROM documents WHERE collection = ?1 AND id = ?2";
    ADD_ENTRY = "INSERT INTO index_entries (index_id, key, id, document) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT DO NOTHING";
}

/// Bytes of entries that are sorted in one go.
const SORT_BATCH_BYTES: usize = 4 << 20;
/// Bytes of documents that are read in one go: during the read the write-ahead log cannot be checkpointed.
const READ_BATCH_BYTES: usize = 64 << 20;
/// Entries that are added in one transaction, for which others wait.
const BATCH_ENTRIES: usize = 2000;

/// Creates an index of that collection, with its entries. If it cannot be built, or takes more than the quota
/// allows, the build is undone.
pub(super) async fn build(
    container: &Arc<Container>,
    name: &CollectionName,
    index: &Index,
    quota: Quota,
    budget: EntryBudget,
) -> Result<InsertOutcome> {
    // An existing or impossible index need not wait for other builds.
    let (of, definition) = (name.clone(), index.clone());
    if container.scan(move |scope| indexes::is_there(scope, &of, &definition)).await? {
        return Ok(InsertOutcome::Exists);
    }
    let builds = container.builds();
    let _permit = builds.acquire().await;
    let (of, definition) = (name.clone(), index.clone());
    let begun = container.write(move |scope| indexes::begin(scope, &of, &definition)).await?;
    let BuildStart::New(building) = begun else { return Ok(InsertOutcome::Exists) };
    let number = building.index.number;
    let under_way = builds.begin(Arc::new(building));
    let built = fill(container, name, &under_way, quota, budget).await;
    drop(under_way);
    if built.is_err() {
        match container.write(move |scope| indexes::abandon(scope, number)).await {
            Ok(()) => container.clear_remains(),
            Err(error) => {
                tracing::warn!(%error, "what was begun of an index is cleared up when the container is opened next");
            }
        }
    }
    built.map(|()| InsertOutcome::New)
}

async fn fill(
    container: &Arc<Container>,
    name: &CollectionName,
    under_way: &RunningBuild<'_>,
    quota: Quota,
    budget: EntryBudget,
) -> Result<()> {
    let building = &under_way.building;
    let mut after = Some(Vec::new());
    while let Some(place) = after {
        // Through the queue of writes: once this is done, all earlier writes are visible to the read, and
        // later ones know the index and note their changes.
        let (noted, of) = (building.clone(), name.clone());
        let changes = container.write(move |scope| indexes::changes(scope, &of, &noted)).await?;
        let (read, of) = (building.clone(), name.clone());
        let batch = container.scan(move |scope| EntryBatch::read(scope, &of, &read, &place, budget)).await?;
        after = batch.next;
        let mut entries = batch.entries.into_iter().peekable();
        while entries.peek().is_some() {
            let some: Vec<NewEntry> = entries.by_ref().take(BATCH_ENTRIES).collect();
            let building = building.clone();
            container.write(move |scope| add(scope, &building, &some, changes, quota)).await?;
        }
    }
    let (name, building) = (name.clone(), building.clone());
    container.write(move |scope| indexes::finish(scope, &name, &building)).await
}

/// The entries of a batch of documents, in their order.
struct EntryBatch {
    entries: Vec<NewEntry>,
    /// The `_id` of the last document, if there may be others.
    next: Option<Vec<u8>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct NewEntry {
    key: IndexKey,
    id: Box<[u8]>,
    document: i64,
    revision: i64,
}

impl EntryBatch {
    /// Those of the documents after that `_id`.
    fn read(
        scope: Scope<'_>,
        name: &CollectionName,
        building: &IndexBuild,
        after: &[u8],
        budget: EntryBudget,
    ) -> EngineResult<Self> {
        let mut batch = Self { entries: Vec::new(), next: None };
        let collection = scope.collection(name)?;
        let (mut sorted, mut read) = (0, 0);
        let _ = DOCUMENTS.each(scope.connection, params![building.collection, after], |row| {
            scope.close_signal.check()?;
            let (document, id, revision) = (row.get(0)?, blob(row, 1)?, row.get(2)?);
            let body = blob(row, 3)?;
            for key in keys_of(building, &collection.indexes, body, budget)? {
                sorted += key.key.capacity() + id.len() + size_of::<NewEntry>();
                batch.entries.push(NewEntry { key, id: id.into(), document, revision });
            }
            read += body.len();
            if sorted < SORT_BATCH_BYTES && read < READ_BATCH_BYTES {
                return Ok(ControlFlow::Continue(()));
            }
            batch.next = Some(id.to_vec());
            Ok(ControlFlow::Break(()))
        })?;
        batch.entries.sort_unstable();
        Ok(batch)
    }
}

/// The keys of a document that is older than the index, which exists beside `serving`.
fn keys_of(
    building: &IndexBuild,
    serving: &[StoredIndex],
    body: &[u8],
    mut budget: EntryBudget,
) -> EngineResult<Vec<IndexKey>> {
    let body = RawDocument::from_bytes(body).map_err(Error::internal)?;
    let cannot = |why: IndexKeysError| Error::invalid_field("/keys", why.to_string());
    let fuel = Fuel::for_document();
    let found = keys(&building.index, body, &mut budget, &fuel).map_err(cannot)?;
    if is_large(&found) {
        for index in serving {
            keys(index, body, &mut budget, &fuel).map_err(cannot)?;
        }
    }
    building.note_keys(&found);
    Ok(found.keys)
}

/// Whether the entries of a document must be checked against the bound together with its other indexes. If
/// they are not large, those of all indexes that a collection may have stay within the bound.
fn is_large(keys: &IndexKeys) -> bool {
    keys.keys.len() > 1 || keys.bytes(0) > (INDEX_ENTRIES_MAX_BYTES / INDEXES_MAX as usize) as u64
}

/// Adds entries that were read at change number `changes`, as long as the quota allows them.
fn add(
    scope: Scope<'_>,
    building: &IndexBuild,
    entries: &[NewEntry],
    changes: u64,
    quota: Quota,
) -> EngineResult<()> {
    building.check()?;
    let mut sizes = IndexSizes::default();
    let is_unchanged = building.changes() == changes;
    // Each document is read again only once: it may have thousands of entries.
    let mut renewed = HashSet::new();
    for NewEntry { key, id, document, revision } in entries {
        scope.close_signal.check()?;
        let read = params![document, building.collection, id, revision];
        if is_unchanged || AS_READ.finds(scope.connection, read)? {
            add_one(scope, building, key, id, *document, &mut sizes)?;
            continue;
        }
        if !renewed.insert(id) {
            continue;
        }
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let now = AS_IT_IS.first(scope.connection, params![building.collection, id], read)?;
        if let Some((document, body)) = now {
            for key in keys_of(building, &[], &body, EntryBudget::of_document())? {
                add_one(scope, building, &key, id, document, &mut sizes)?;
            }
        }
    }
    sizes.note(scope.connection)?;
    if quota.index_bytes.is_some() {
        quota.check_index_bytes(used(scope.connection)?.index_bytes.unwrap_or_default())?;
    }
    Ok(())
}

/// Adds an entry, unless the write of the document has added it.
fn add_one(
    scope: Scope<'_>,
    building: &IndexBuild,
    entry: &IndexKey,
    id: &[u8],
    document: i64,
    sizes: &mut IndexSizes,
) -> EngineResult<()> {
    let StoredIndex { number, definition, .. } = &building.index;
    if definition.unique && is_taken(scope.connection, *number, &entry.key, id)? {
        return Err(have_duplicate(definition).into());
    }
    if ADD_ENTRY.execute(scope.connection, params![number, entry.key, id, document])? > 0 {
        sizes.add(*number, integer(entry_bytes(entry, id.len())));
    }
    Ok(())
}
