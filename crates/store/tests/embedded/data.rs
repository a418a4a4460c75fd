//! What is SQLite's alone about an organization's own data: the file it is in, and what happens to that.

use crate::given::{id, new_container, open, organization};
use bson::{RawDocumentBuf, rawdoc};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_domain::Result;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, State};
use tenantry_domain::store::{InsertOutcome, Store, UpdateOutcome};
use tenantry_store::container_file;

const LONG: Duration = Duration::from_secs(60);

pub fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).unwrap()
}

pub fn stored(body: RawDocumentBuf) -> StoredDocument {
    StoredDocument { body, revision: Revision(1) }
}

fn numbered(first: i32, count: i32) -> Vec<StoredDocument> {
    (first..first + count).map(|n| stored(rawdoc! { "_id": n, "n": n, "tags": [n % 3, n % 5] })).collect()
}

pub fn document_id(number: i32) -> DocumentId {
    DocumentId::new(&number.into()).unwrap()
}

fn filter(json: &str) -> Filter {
    Filter::parse(json, "").unwrap()
}

pub async fn fill(
    store: &Store,
    organization: &Organization,
    collection: &str,
    documents: Vec<StoredDocument>,
) {
    for chunk in documents.chunks(500) {
        let inserted =
            store.documents.insert_documents(organization, &name(collection), chunk.to_vec()).await;
        assert!(inserted.unwrap().iter().all(Result::is_ok));
    }
}

pub async fn count(store: &Store, organization: &Organization, collection: &str, json: &str) -> u64 {
    let (collection, filter) = (name(collection), filter(json));
    let counted = store.documents.count_matching(organization, &collection, &filter, LONG).await;
    counted.unwrap().documents
}

async fn add_index(store: &Store, organization: &Organization, collection: &str, keys: &str) {
    let index = Index::parse(None, keys, false).unwrap();
    let made = store.collections.insert_index(organization, &name(collection), &index).await;
    assert_eq!(made.unwrap(), InsertOutcome::New);
}

pub fn numbers(container: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = container.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut numbers = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        numbers.extend((0..columns).map(|column| row.get::<_, i64>(column).unwrap()));
    }
    numbers
}

/// Whether everything that is counted or derived in the container fits what is there.
pub fn assert_sound(file: &Path) {
    let container = Connection::open(file).unwrap();
    let all = |sql| numbers(&container, sql);
    assert_eq!(all("SELECT documents FROM document_count"), all("SELECT count(*) FROM documents"));
    assert_eq!(
        all("SELECT collection, documents, bytes FROM collection_counts ORDER BY collection"),
        all("SELECT c.id, count(d.id), coalesce(sum(length(body)), 0) FROM collections AS c \
             LEFT JOIN documents AS d ON d.collection = c.id GROUP BY c.id ORDER BY c.id"),
    );
    // Of keys that are cut, what they were whole is in the count alone.
    assert_eq!(
        all("SELECT index_id, bytes FROM index_sizes JOIN indexes ON indexes.id = index_id \
             WHERE cut < 2 ORDER BY index_id"),
        all("SELECT i.id, coalesce(sum(length(e.key) + length(e.id)), 0) FROM indexes AS i \
             LEFT JOIN index_entries AS e ON e.index_id = i.id WHERE cut < 2 GROUP BY i.id ORDER BY i.id"),
    );
    let stray = "SELECT count(*) FROM index_entries AS e LEFT JOIN indexes AS i ON i.id = e.index_id \
                 LEFT JOIN documents AS d ON d.number = e.document AND d.collection = i.collection AND d.id = e.id \
                 WHERE d.number IS NULL";
    assert_eq!(all(stray), [0], "an entry without its document");
    let check: String = container.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert_eq!(all("PRAGMA foreign_key_check").len(), 0);
}

/// Waits for what happens in the background.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The tables and triggers of the first containers.
const FIRST_SCHEMA: &str = "
DROP TRIGGER document_changed;
DROP TRIGGER collection_added;
DROP TRIGGER collection_changed;
DROP TRIGGER collection_removed;
DROP TRIGGER index_added;
DROP TRIGGER index_changed;
DROP TRIGGER index_removed;
DROP TRIGGER document_added;
DROP TRIGGER document_removed;
DROP TABLE index_entries;
DROP TABLE removed_indexes;
DROP TABLE index_sizes;
DROP TABLE indexes;
DROP TABLE catalog;
DROP TABLE collection_counts;
ALTER TABLE collections DROP COLUMN schema;
CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN
    UPDATE document_count SET documents = documents + 1 WHERE id = 1;
END;
CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN
    UPDATE document_count SET documents = documents - 1 WHERE id = 1;
END;
PRAGMA user_version = 0;
";

#[tokio::test]
async fn container_of_first_version_is_upgraded_with_contents() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let file = container_file(directory.path(), acme.id);
    let old = Connection::open(&file).unwrap();
    old.execute_batch(FIRST_SCHEMA).unwrap();
    old.execute_batch("INSERT INTO collections VALUES (1, 'notes'), (2, 'documents')").unwrap();
    for document in numbered(0, 10) {
        let row = (document.id().unwrap().key(), document.body.as_bytes());
        old.execute("INSERT INTO documents (collection, id, revision, body) VALUES (1, ?1, 1, ?2)", row)
            .unwrap();
    }
    old.close().unwrap();

    assert_eq!(count(&opened.store, &acme, "notes", r#"{"n":{"$gte":4}}"#).await, 6);
    add_index(&opened.store, &acme, "notes", "n").await;
    fill(&opened.store, &acme, "notes", numbered(10, 5)).await;
    assert_eq!(count(&opened.store, &acme, "notes", r#"{"n":{"$gte":4}}"#).await, 11);
    let usage = opened.store.collections.get_usage(&acme).await.unwrap();
    let bytes: u64 = numbered(0, 15).iter().map(StoredDocument::bytes).sum();
    assert_eq!((usage.documents, usage.bytes, usage.collections), (15, bytes, 2));
    opened.close().await;
    assert_sound(&file);
}

#[tokio::test]
async fn container_of_second_version_keeps_its_indexes() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    fill(&opened.store, &acme, "documents", numbered(0, 10)).await;
    add_index(&opened.store, &acme, "documents", "n").await;
    let before = opened.store.collections.get_usage(&acme).await.unwrap().index_bytes;
    opened.close().await;
    let file = container_file(directory.path(), acme.id);
    let old = Connection::open(&file).unwrap();
    old.execute_batch(
        "DROP TABLE index_sizes; ALTER TABLE indexes DROP COLUMN cut;
         ALTER TABLE indexes DROP COLUMN options; ALTER TABLE collections DROP COLUMN schema;
         PRAGMA user_version = 2",
    )
    .unwrap();
    old.close().unwrap();

    let opened = open(directory.path()).await.unwrap();
    let usage = opened.store.collections.get_usage(&acme).await.unwrap();
    assert_eq!(usage.index_bytes, before, "counted once more");
    assert!(usage.index_bytes.is_some_and(|bytes| bytes > 0));
    // Its keys stay whole, so that the order of the index holds.
    let long = |last: &str| rawdoc! { "_id": last, "n": format!("{}{last}", "x".repeat(2000)) };
    let documents = ["c", "a", "b"].map(|last| StoredDocument { body: long(last), revision: Revision(1) });
    fill(&opened.store, &acme, "documents", documents.to_vec()).await;
    opened.close().await;
    let container = Connection::open(&file).unwrap();
    assert_eq!(numbers(&container, "SELECT cut FROM indexes"), [0]);
    assert_eq!(numbers(&container, "SELECT count(*) FROM index_entries WHERE length(key) > 2000"), [3]);
    container.close().unwrap();
    assert_sound(&file);
}

#[tokio::test]
async fn container_of_newer_version_is_unavailable_and_unchanged() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let file = container_file(directory.path(), acme.id);
    let newer = Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    newer.close().unwrap();
    let refused = opened.store.collections.get_usage(&acme).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StoreUnavailable);
    assert!(refused.cause().unwrap().contains("newer"), "{refused}");
    opened.close().await;
    assert_eq!(numbers(&Connection::open(&file).unwrap(), "PRAGMA user_version"), [99]);
}

#[tokio::test]
async fn container_copied_from_another_organization_is_not_opened() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let (acme, other) = (
        organization(&opened.store, 1, State::Active).await,
        organization(&opened.store, 2, State::Active).await,
    );
    std::fs::copy(container_file(directory.path(), acme.id), container_file(directory.path(), other.id))
        .unwrap();
    let refused = opened.store.collections.get_usage(&other).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StoreUnavailable);
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_are_exact_after_parallel_changes() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = Arc::new(organization(&opened.store, 1, State::Active).await);
    let notes = name("notes");
    assert_eq!(opened.store.collections.insert_collection(&acme, &notes).await.unwrap(), InsertOutcome::New);
    for collection in ["notes", "documents"] {
        add_index(&opened.store, &acme, collection, "n").await;
        add_index(&opened.store, &acme, collection, "tags,-n").await;
        let unique = Index::parse(None, "u", true).unwrap();
        let _ = opened.store.collections.insert_index(&acme, &name(collection), &unique).await.unwrap();
    }
    let tasks = (0..8).map(|task| {
        let (store, acme) = (opened.store.clone(), acme.clone());
        tokio::spawn(async move { mixed_writes(&store, &acme, task).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let removed =
        opened.store.documents.delete_matching(&acme, &notes, &filter(r#"{"tags":1}"#), LONG).await.unwrap();
    assert!(removed.documents > 0 && !removed.more);
    assert_sound(&container_file(directory.path(), acme.id));
    opened.close().await;
    assert_sound(&container_file(directory.path(), acme.id));
}

/// Inserts, some of which are refused, changes and removes.
async fn mixed_writes(store: &Store, acme: &Organization, task: i32) {
    for round in 0..20 {
        let collection = name(if round % 2 == 0 { "notes" } else { "documents" });
        let first = task * 1000 + round * 10;
        let mut batch: Vec<_> = (first..first + 10)
            .map(|n| stored(rawdoc! { "_id": n, "n": n, "u": n, "tags": [n % 3, n % 5], "text": "x".repeat(n as usize % 90) }))
            .collect();
        // The same id, the same unique value, and what no index can take.
        batch.push(stored(rawdoc! { "_id": first, "u": -first }));
        batch.push(stored(rawdoc! { "_id": first + 500, "u": first }));
        batch.push(stored(rawdoc! { "_id": first + 501, "u": -1 - first, "tags": [1], "n": [2] }));
        let outcomes = store.documents.insert_documents(acme, &collection, batch).await.unwrap();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 3);
        let next = stored(rawdoc! { "_id": first, "n": "changed", "u": first, "tags": [] });
        let next = StoredDocument { revision: Revision(2), ..next };
        let written = store.documents.update_document(acme, &collection, next, Revision(1)).await.unwrap();
        assert_eq!(written, UpdateOutcome::Done);
        let gone = document_id(first + 1);
        let deleted = store.documents.delete_document(acme, &collection, &gone, None).await.unwrap();
        assert_eq!(deleted, UpdateOutcome::Done);
    }
}

#[tokio::test]
async fn collection_delete_hides_at_once_and_deletes_later() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let file = container_file(directory.path(), acme.id);
    let collections = &opened.store.collections;
    let orders = name("orders");
    assert_eq!(collections.insert_collection(&acme, &orders).await.unwrap(), InsertOutcome::New);
    add_index(&opened.store, &acme, "orders", "tags").await;
    add_index(&opened.store, &acme, "orders", "n").await;
    fill(&opened.store, &acme, "orders", numbered(0, 12_000)).await;
    fill(&opened.store, &acme, "documents", numbered(0, 3)).await;

    assert!(collections.delete_collection(&acme, &orders).await.unwrap());
    let usage = collections.get_usage(&acme).await.unwrap();
    assert_eq!((usage.documents, usage.collections), (3, 1), "nobody counts it any more");
    assert_eq!(collections.insert_collection(&acme, &orders).await.unwrap(), InsertOutcome::New);
    assert_eq!(count(&opened.store, &acme, "orders", "{}").await, 0);
    fill(&opened.store, &acme, "orders", numbered(0, 5)).await;
    let container = Connection::open(&file).unwrap();
    until("the rest goes", || numbers(&container, "SELECT count(*) FROM documents") == [8]).await;
    until("the entries go", || numbers(&container, "SELECT count(*) FROM removed_indexes") == [0]).await;
    until("its row goes", || numbers(&container, "SELECT count(*) FROM collections") == [2]).await;
    drop(container);
    opened.close().await;
    assert_sound(&file);
}

/// The crash comes after the name is removed and before anything else.
#[tokio::test]
async fn collection_deleted_before_crash_stays_hidden_and_is_cleared() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let file = container_file(directory.path(), acme.id);
    let orders = name("orders");
    let made = opened.store.collections.insert_collection(&acme, &orders).await;
    assert_eq!(made.unwrap(), InsertOutcome::New);
    add_index(&opened.store, &acme, "orders", "n").await;
    fill(&opened.store, &acme, "orders", numbered(0, 1500)).await;
    opened.close().await;
    let container = Connection::open(&file).unwrap();
    container
        .execute_batch(
            "INSERT INTO removed_indexes SELECT id FROM indexes; DELETE FROM indexes;
             DELETE FROM collection_counts; UPDATE collections SET name = '/' || id;",
        )
        .unwrap();

    let opened = open(directory.path()).await.unwrap();
    assert_eq!(opened.store.collections.get_collection(&acme, &orders).await.unwrap(), None);
    let listed = opened.store.collections.list_collections(&acme, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    for table in ["documents", "collections", "index_entries", "removed_indexes"] {
        until(table, || numbers(&container, &format!("SELECT count(*) FROM {table}")) == [0]).await;
    }
    drop(container);
    opened.close().await;
    assert_sound(&file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn container_drop_during_use_is_never_undone() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    for round in 0..5_u8 {
        let acme = organization(&opened.store, 10 + round, State::Active).await;
        fill(&opened.store, &acme, "documents", numbered(0, 200)).await;
        let acme = Arc::new(Organization { state: State::Purging, version: 2, ..acme });
        assert_eq!(opened.store.organizations.update_organization(&acme).await.unwrap(), UpdateOutcome::Done);
        let has_ended = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, acme, has_ended) = (opened.store.clone(), acme.clone(), has_ended.clone());
                tokio::spawn(async move { work_until_it_is_gone(&store, &acme, task, &has_ended).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        opened.store.containers.drop_container(&acme).await.unwrap();
        has_ended.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        let shard = container_file(directory.path(), acme.id).parent().unwrap().to_owned();
        let left: Vec<_> = std::fs::read_dir(shard).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
        // Another one under the same id begins empty.
        opened.store.containers.create_container(&new_container(10 + round)).await.unwrap();
        assert_eq!(count(&opened.store, &acme, "documents", "{}").await, 0);
    }
    opened.close().await;
}

async fn work_until_it_is_gone(store: &Store, acme: &Organization, task: i32, has_ended: &AtomicBool) {
    let collection = CollectionName::default();
    for round in 0.. {
        let is_over = has_ended.load(Ordering::SeqCst);
        let outcome = match task % 4 {
            0 => store.documents.get_document(acme, &collection, &document_id(7)).await.map(|found| {
                assert!(found.is_some(), "it is never empty");
            }),
            1 => store
                .documents
                .count_matching(acme, &collection, &filter(r#"{"n":{"$lt":200}}"#), LONG)
                .await
                .map(|counted| assert_eq!(counted.documents, 200)),
            2 => {
                let next = numbered(1000 + task * 100_000 + round, 1);
                store.documents.insert_documents(acme, &collection, next).await.map(|_| ())
            }
            _ => store.collections.list_collections(acme, None, 10).await.map(|_| ()),
        };
        match outcome {
            Ok(()) => assert!(!is_over, "it is gone"),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::StoreUnavailable, "{error}");
                return;
            }
        }
    }
}

/// Databases of containers below `directory` that this process has open.
fn open_containers(directory: &Path) -> BTreeSet<std::path::PathBuf> {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let containers = directory.join("containers");
    targets
        .filter(|target| target.starts_with(&containers) && target.extension().is_some_and(|e| e == "db"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn containers_stay_open_up_to_a_bound_and_lose_nothing() {
    const CONTAINERS: u8 = 100;
    let directory = TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap());
    let opened = open(directory.path()).await.unwrap();
    let mut organizations = Vec::new();
    for number in 0..CONTAINERS {
        organizations.push(organization(&opened.store, number, State::Active).await);
    }
    let organizations = Arc::new(organizations);
    let tasks: Vec<_> = (0..4)
        .map(|task: i32| {
            let (store, organizations) = (opened.store.clone(), organizations.clone());
            tokio::spawn(async move {
                for (place, organization) in organizations.iter().enumerate() {
                    let first = task * 10 + i32::try_from(place).unwrap() * 1000;
                    fill(&store, organization, "documents", numbered(first, 3)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    until("the others are closed", || open_containers(directory.path()).len() <= 64).await;
    assert!(!open_containers(directory.path()).is_empty(), "and not all of them");
    for (place, organization) in organizations.iter().enumerate() {
        assert_eq!(count(&opened.store, organization, "documents", "{}").await, 12);
        let own = document_id(i32::try_from(place).unwrap() * 1000);
        let found = opened.store.documents.get_document(organization, &CollectionName::default(), &own).await;
        assert!(found.unwrap().is_some());
    }
    opened.close().await;
    assert!(open_containers(directory.path()).is_empty());
    for number in 0..CONTAINERS {
        let log = container_file(directory.path(), id(number)).with_extension("db-wal");
        assert!(!log.exists(), "{} is folded in", log.display());
    }
}

#[tokio::test]
async fn container_of_closed_store_is_unavailable() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let (used, unused) = (
        organization(&opened.store, 1, State::Active).await,
        organization(&opened.store, 2, State::Active).await,
    );
    fill(&opened.store, &used, "documents", numbered(0, 1)).await;
    let store = opened.store.clone();
    opened.close().await;
    for organization in [&used, &unused] {
        let refused = store.collections.get_usage(organization).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::StoreUnavailable);
    }
}
