//! Writes of documents: each runs as a part of a transaction.

use super::budget::Budget;
use super::find::Candidate;
use super::index_entries::{Changes, DocumentRef, IndexSizes, Indexes};
use super::index_scan::revision;
use crate::collections::scope::Scope;
use crate::engine_error::{EngineError, EngineResult};
use crate::statement::{integer, statements};
use bson::RawDocument;
use rusqlite::{Connection, params};
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{DocumentId, ID_FIELD, Revision, StoredDocument, key};
use tenantry_documents::filter::Filter;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{Quota, Usage};
use tenantry_domain::store::UpdateOutcome;
use tenantry_domain::{Error, ErrorCode, Result};

statements! {
    INSERT = "INSERT INTO documents (collection, id, revision, body) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (collection, id) DO NOTHING";
    EXISTS = "SELECT 1 FROM documents WHERE collection = ?1 AND id = ?2";
    STORED = "SELECT number, revision, body FROM documents WHERE collection = ?1 AND id = ?2";
    CANDIDATE = "SELECT id, body, revision FROM documents WHERE number = ?1 AND collection = ?2";
    UPDATE = "UPDATE documents SET revision = ?2, body = ?3 WHERE number = ?1";
    DELETE = "DELETE FROM documents WHERE number = ?1";
    // There are at most as many collections as one organization may have.
    USED = "SELECT coalesce(sum(documents), 0), coalesce(sum(bytes), 0) FROM collection_counts \
        WHERE collection > 0";
    // At most one for each index.
    INDEXES_USED = "SELECT coalesce(sum(bytes), 0) FROM index_sizes WHERE index_id > 0";
    COUNT_IN_COLLECTION = "UPDATE collection_counts SET documents = documents + ?2, bytes = bytes + ?3 \
        WHERE collection = ?1";
    COUNT_IN_ALL = "UPDATE document_count SET documents = documents + ?1 WHERE id = 1";
}

/// The growth of a collection in documents and bytes, and that of its indexes.
#[derive(Default)]
struct UsageDelta {
    documents: i64,
    bytes: i64,
    indexes: IndexSizes,
}

impl UsageDelta {
    fn add(&mut self, body: &RawDocument) {
        self.documents += 1;
        self.bytes += integer(body.as_bytes().len() as u64);
    }

    fn take_off(&mut self, body: &RawDocument) {
        self.documents -= 1;
        self.bytes -= integer(body.as_bytes().len() as u64);
    }

    /// Saves it, in the transaction of the change.
    fn note(self, connection: &Connection, collection: i64) -> EngineResult<()> {
        COUNT_IN_COLLECTION.execute(connection, params![collection, self.documents, self.bytes])?;
        if self.documents != 0 {
            COUNT_IN_ALL.execute(connection, [self.documents])?;
        }
        self.indexes.note(connection)
    }
}

/// The rest of a quota, within one transaction.
struct QuotaRoom {
    quota: Quota,
    used: Usage,
}

impl QuotaRoom {
    fn of(connection: &Connection, quota: Quota) -> EngineResult<Self> {
        let used = if quota.limits_documents() { used(connection)? } else { Usage::default() };
        Ok(Self { quota, used })
    }

    /// Checks that the quota allows another document of `bytes` bytes.
    fn check(&self, bytes: u64) -> Result<()> {
        self.quota.check_documents(self.used.documents + 1)?;
        self.quota.check_bytes(self.used.bytes + bytes)
    }

    /// Checks that the quota allows index entries to grow by `growth` bytes.
    fn check_indexes(&self, growth: i64) -> Result<()> {
        check_indexes(self.quota, self.used, growth)
    }

    fn take(&mut self, bytes: u64, growth: i64) {
        self.used.documents += 1;
        self.used.bytes += bytes;
        self.used.index_bytes = self.used.index_bytes.map(|bytes| bytes.saturating_add_signed(growth));
    }
}

/// A write without growth is never refused.
fn check_indexes(quota: Quota, used: Usage, growth: i64) -> Result<()> {
    match u64::try_from(growth) {
        Ok(growth @ 1..) => quota.check_index_bytes(used.index_bytes.unwrap_or_default() + growth),
        _ => Ok(()),
    }
}

/// Documents and bytes of all collections, and bytes of all index entries.
pub(crate) fn used(connection: &Connection) -> EngineResult<Usage> {
    let row = USED.first(connection, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let (documents, bytes) = row.unwrap_or_default();
    let index_bytes: Option<i64> = INDEXES_USED.first(connection, [], |row| row.get(0))?;
    Ok(Usage {
        documents: documents.unsigned_abs(),
        bytes: bytes.unsigned_abs(),
        collections: 0,
        index_bytes: Some(index_bytes.unwrap_or_default().unsigned_abs()),
    })
}

/// Inserts documents independently; returns the result of each.
pub(super) fn insert(
    scope: Scope<'_>,
    name: &CollectionName,
    quota: Quota,
    documents: &[StoredDocument],
) -> EngineResult<Vec<Result<()>>> {
    let (number, collection) = scope.numbered(name)?;
    let indexes = Indexes::of(scope, number, &collection);
    let mut room = QuotaRoom::of(scope.connection, quota)?;
    let mut tally = UsageDelta::default();
    let mut outcomes = Vec::with_capacity(documents.len());
    for document in documents {
        scope.close_signal.check_write()?;
        match insert_one(scope.connection, number, &indexes, &mut room, &mut tally.indexes, document) {
            Ok(()) => {
                tally.add(&document.body);
                outcomes.push(Ok(()));
            }
            Err(EngineError::Refused(error)) => outcomes.push(Err(error)),
            Err(failure) => return Err(failure),
        }
    }
    tally.note(scope.connection, number)?;
    Ok(outcomes)
}

fn insert_one(
    connection: &Connection,
    number: i64,
    indexes: &Indexes<'_>,
    room: &mut QuotaRoom,
    sizes: &mut IndexSizes,
    document: &StoredDocument,
) -> EngineResult<()> {
    let id = id_key(&document.body)?;
    if let Err(full) = room.check(document.bytes()) {
        // That the document exists says more than the quota: a client that sends it again gets the same error
        // as before.
        return Err(match EXISTS.finds(connection, params![number, id])? {
            true => Error::new(ErrorCode::DocumentExists).into(),
            false => full.into(),
        });
    }
    let body = document.body.as_bytes();
    if INSERT.execute(connection, params![number, id, integer(document.revision.0), body])? == 0 {
        return Err(Error::new(ErrorCode::DocumentExists).into());
    }
    let mut growth = 0;
    if !indexes.is_empty() {
        let document_ref = DocumentRef { number: connection.last_insert_rowid(), id: &id };
        let changes = Changes::of(connection, indexes, &id, None, Some(&document.body));
        let fitting = changes.and_then(|changes| {
            growth = changes.growth(id.len());
            room.check_indexes(growth)?;
            Ok(changes)
        });
        match fitting {
            Ok(changes) => changes.make(connection, document_ref, sizes)?,
            Err(refused) => {
                DELETE.execute(connection, [document_ref.number])?;
                return Err(refused);
            }
        }
    }
    room.take(document.bytes(), growth);
    Ok(())
}

/// A document as it is stored.
struct StoredRow {
    number: i64,
    revision: Revision,
    body: Vec<u8>,
}

fn stored(connection: &Connection, collection: i64, id: &[u8]) -> EngineResult<Option<StoredRow>> {
    Ok(STORED.first(connection, params![collection, id], |row| {
        Ok(StoredRow { number: row.get(0)?, revision: revision(row.get(1)?), body: row.get(2)? })
    })?)
}

/// Replaces the document of the same id by `document`, if it has the revision `expected`.
pub(super) fn update(
    scope: Scope<'_>,
    name: &CollectionName,
    quota: Quota,
    document: &StoredDocument,
    expected: Revision,
) -> EngineResult<UpdateOutcome> {
    let (collection, connection) = (scope.collection(name)?, scope.connection);
    let Some(number) = collection.number else { return Ok(UpdateOutcome::Stale) };
    let id = id_key(&document.body)?;
    let Some(old) = stored(connection, number, &id)?.filter(|old| old.revision == expected) else {
        return Ok(UpdateOutcome::Stale);
    };
    let grown = document.bytes().saturating_sub(old.body.len() as u64);
    if grown > 0 && quota.bytes.is_some() {
        quota.check_bytes(used(connection)?.bytes + grown)?;
    }
    let before = readable(&old.body)?;
    let indexes = Indexes::of(scope, number, &collection);
    let changes = Changes::of(connection, &indexes, &id, Some(before), Some(&document.body))?;
    let growth = changes.growth(id.len());
    if growth > 0 && quota.index_bytes.is_some() {
        check_indexes(quota, used(connection)?, growth)?;
    }
    let body = document.body.as_bytes();
    UPDATE.execute(connection, params![old.number, integer(document.revision.0), body])?;
    let mut tally = UsageDelta::default();
    changes.make(connection, DocumentRef { number: old.number, id: &id }, &mut tally.indexes)?;
    tally.take_off(before);
    tally.add(&document.body);
    tally.note(connection, number)?;
    Ok(UpdateOutcome::Done)
}

/// Removes the document of that id if it has that revision, or any revision if none is given.
pub(super) fn delete(
    scope: Scope<'_>,
    name: &CollectionName,
    id: &DocumentId,
    expected: Option<Revision>,
) -> EngineResult<UpdateOutcome> {
    let collection = scope.collection(name)?;
    let Some(number) = collection.number else { return Ok(UpdateOutcome::Stale) };
    let id = id.key();
    let is_expected = |old: &StoredRow| expected.is_none_or(|expected| old.revision == expected);
    let Some(old) = stored(scope.connection, number, &id)?.filter(is_expected) else {
        return Ok(UpdateOutcome::Stale);
    };
    let body = readable(&old.body)?;
    let indexes = Indexes::of(scope, number, &collection);
    let mut tally = UsageDelta::default();
    remove(
        scope.connection,
        &indexes,
        DocumentRef { number: old.number, id: &id },
        body,
        &mut tally.indexes,
    )?;
    tally.take_off(body);
    tally.note(scope.connection, number)?;
    Ok(UpdateOutcome::Done)
}

/// The result of removing candidates.
#[derive(Default)]
pub(super) struct RemovedDocuments {
    pub(super) documents: u64,
    /// Why some were not checked, if the budget ran out.
    pub(super) stopped: Option<Error>,
}

/// Removes those of these documents that are unchanged since they matched, or still match.
pub(super) fn delete_those(
    scope: Scope<'_>,
    name: &CollectionName,
    filter: &Filter,
    candidates: &[Candidate],
    budget: Budget<'_>,
) -> EngineResult<RemovedDocuments> {
    let collection = scope.collection(name)?;
    let Some(of) = collection.number else { return Ok(RemovedDocuments::default()) };
    let indexes = Indexes::of(scope, of, &collection);
    let (mut removed, mut tally) = (RemovedDocuments::default(), UsageDelta::default());
    for candidate in candidates {
        let number = candidate.number;
        let Some((id, old)) = candidate_now(scope.connection, number, of)? else { continue };
        let body = readable(&old.body)?;
        // Nearly always it is unchanged, and the filter need not run while other writes wait.
        let matches = old.revision == candidate.revision
            || match budget.spend(scope.close_signal, |fuel| filter.evaluate(body, fuel)) {
                Ok(matches) => matches,
                Err(stopped) => {
                    removed.stopped = Some(stopped.into());
                    break;
                }
            };
        if matches {
            let document_ref = DocumentRef { number, id: &id };
            remove(scope.connection, &indexes, document_ref, body, &mut tally.indexes)?;
            tally.take_off(body);
            removed.documents += 1;
        }
    }
    tally.note(scope.connection, of)?;
    Ok(removed)
}

/// The document of that number as it is now, and the key of its `_id`.
fn candidate_now(
    connection: &Connection,
    number: i64,
    of: i64,
) -> EngineResult<Option<(Vec<u8>, StoredRow)>> {
    Ok(CANDIDATE.first(connection, params![number, of], |row| {
        let stored = StoredRow { number, revision: revision(row.get(2)?), body: row.get(1)? };
        Ok((row.get(0)?, stored))
    })?)
}

fn remove(
    connection: &Connection,
    indexes: &Indexes<'_>,
    document_ref: DocumentRef<'_>,
    body: &RawDocument,
    sizes: &mut IndexSizes,
) -> EngineResult<()> {
    Changes::of(connection, indexes, document_ref.id, Some(body), None)?.make(
        connection,
        document_ref,
        sizes,
    )?;
    DELETE.execute(connection, [document_ref.number])?;
    Ok(())
}

/// The key of a document's `_id`.
fn id_key(body: &RawDocument) -> Result<Vec<u8>> {
    let id = body.get(ID_FIELD).ok().flatten();
    let id = id.ok_or_else(|| Error::internal("a document without an _id"))?;
    Ok(key::encode(&[(id, Direction::Ascending)]))
}

fn readable(body: &[u8]) -> Result<&RawDocument> {
    RawDocument::from_bytes(body).map_err(Error::internal)
}
