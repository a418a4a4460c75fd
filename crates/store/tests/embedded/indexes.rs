//! Indexes that are made over what is there, while others are at work.

use crate::data::{assert_sound, count, document_id, fill, name, numbers, stored, until};
use crate::given::{open, organization};
use bson::{RawDocumentBuf, rawdoc};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tenantry_documents::document::{Revision, StoredDocument};
use tenantry_documents::index::Index;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, State};
use tenantry_domain::store::{InsertOutcome, Store, UpdateOutcome};
use tenantry_store::{OpenStore, container_file};

/// Documents there are before.
const DOCUMENTS: i32 = 4_000;
/// Tasks that write meanwhile.
const TASKS: i32 = 4;

/// A document with an entry long enough that the entries of all documents are not sorted in one run.
fn bulky(number: i32, mark: &str) -> RawDocumentBuf {
    let text = format!("{mark}{}", number.to_string().repeat(1_500));
    rawdoc! { "_id": number, "n": number, "text": text, "tags": [number % 3, number % 5, mark] }
}

async fn filled(directory: &Path) -> (OpenStore, Arc<Organization>) {
    let opened = open(directory).await.unwrap();
    let acme = Arc::new(organization(&opened.store, 1, State::Active).await);
    let documents = (0..DOCUMENTS).map(|number| stored(bulky(number, "old"))).collect();
    fill(&opened.store, &acme, "documents", documents).await;
    (opened, acme)
}

fn index(keys: &str, unique: bool) -> Index {
    Index::parse(None, keys, unique).unwrap()
}

/// Inserts, changes and removes documents that no other task touches, until it `is_over`; how many rounds it was.
async fn write_until(store: Store, acme: Arc<Organization>, task: i32, is_over: Arc<AtomicBool>) -> i32 {
    let (documents, collection, mut rounds) = (&store.documents, name("documents"), 0);
    // The highest first: those are read last.
    for number in (0..DOCUMENTS).rev().filter(|number| number % TASKS == task) {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let new = vec![stored(bulky(DOCUMENTS + number, "new"))];
        assert!(documents.insert_documents(&acme, &collection, new).await.unwrap()[0].is_ok());
        let next = StoredDocument { body: bulky(number, "changed"), revision: Revision(2) };
        let outcome = documents.update_document(&acme, &collection, next, Revision(1)).await;
        assert_eq!(outcome.unwrap(), UpdateOutcome::Done);
        if number % 3 == 0 {
            let outcome = documents.delete_document(&acme, &collection, &document_id(number), None).await;
            assert_eq!(outcome.unwrap(), UpdateOutcome::Done);
        }
        rounds += 1;
    }
    rounds
}

/// What each document of the container has to have in an index of its numbers, its texts or its tags.
fn entries(container: &Connection, keys: &str) -> i64 {
    let sql = "SELECT coalesce(sum(entries), 0) FROM (SELECT count(*) AS entries FROM index_entries \
               JOIN indexes ON indexes.id = index_id WHERE keys = ?1)";
    container.query_row(sql, [keys], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_build_blocks_no_writer_and_ends_complete() {
    let directory = TempDir::new().unwrap();
    let (opened, acme) = filled(directory.path()).await;
    let store = opened.store.clone();
    let is_over = Arc::new(AtomicBool::new(false));
    let writing: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(write_until(store.clone(), acme.clone(), task, is_over.clone())))
        .collect();
    for keys in ["text", "n", "tags"] {
        let made = store.collections.insert_index(&acme, &name("documents"), &index(keys, false)).await;
        assert_eq!(made.unwrap(), InsertOutcome::New);
    }
    is_over.store(true, Ordering::SeqCst);
    let mut rounds = 0;
    for task in writing {
        rounds += task.await.unwrap();
    }
    assert!(rounds > 3 * TASKS, "{rounds} rounds of writes: they have waited for the index");

    let file = container_file(directory.path(), acme.id);
    assert_sound(&file);
    let container = Connection::open(&file).unwrap();
    let documents = numbers(&container, "SELECT count(*) FROM documents")[0];
    assert_eq!(entries(&container, "n"), documents);
    assert_eq!(entries(&container, "text"), documents);
    let mut tags = 0;
    for tag in ["0", "1", "2", "3", "4", r#""old""#, r#""new""#, r#""changed""#] {
        tags += count(&store, &acme, "documents", &format!(r#"{{"tags":{tag}}}"#)).await;
    }
    assert_eq!(entries(&container, "tags"), i64::try_from(tags).unwrap());
    let changed = count(&store, &acme, "documents", r#"{"tags":"changed","text":{"$gte":"changed"}}"#).await;
    let new = count(&store, &acme, "documents", r#"{"tags":"new"}"#).await;
    let old = count(&store, &acme, "documents", r#"{"tags":"old"}"#).await;
    assert_eq!(i64::try_from(new).unwrap(), i64::from(rounds));
    assert_eq!(i64::try_from(old + changed + new).unwrap(), documents);
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unique_index_holds_from_start_of_its_build() {
    let directory = TempDir::new().unwrap();
    let (opened, acme) = filled(directory.path()).await;
    let store = opened.store.clone();
    let inserting = tokio::spawn({
        let (store, acme) = (store.clone(), acme.clone());
        async move {
            let mut outcomes = Vec::new();
            for number in 0..200 {
                let twin = stored(rawdoc! { "_id": format!("twin {number}"), "n": number * 17 });
                outcomes.extend(
                    store.documents.insert_documents(&acme, &name("documents"), vec![twin]).await.unwrap(),
                );
            }
            outcomes
        }
    });
    let made = store.collections.insert_index(&acme, &name("documents"), &index("n", true)).await;
    let refused = inserting.await.unwrap().into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(refused.iter().all(|error| error.code() == ErrorCode::UniqueViolation));
    match made {
        // Each twin came later and was refused, or there are none.
        Ok(_) => {
            assert_eq!(count(&store, &acme, "documents", "{}").await, u64::from(DOCUMENTS.unsigned_abs()));
        }
        Err(error) => assert_eq!(error.code(), ErrorCode::UniqueViolation),
    }
    let file = container_file(directory.path(), acme.id);
    let container = Connection::open(&file).unwrap();
    until("its rest goes", || numbers(&container, "SELECT count(*) FROM removed_indexes") == [0]).await;
    assert_sound(&file);
    drop(container);
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_build_in_deleted_collection_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let (opened, acme) = filled(directory.path()).await;
    let store = opened.store.clone();
    let file = container_file(directory.path(), acme.id);
    let container = Connection::open(&file).unwrap();
    for pause_ms in [0, 1, 5, 20, 50] {
        let orders = name("orders");
        assert_eq!(store.collections.insert_collection(&acme, &orders).await.unwrap(), InsertOutcome::New);
        let documents = (0..1500).map(|number| stored(bulky(number, "old"))).collect();
        fill(&store, &acme, "orders", documents).await;
        let making = tokio::spawn({
            let (store, acme, orders) = (store.clone(), acme.clone(), orders.clone());
            async move { store.collections.insert_index(&acme, &orders, &index("text", false)).await }
        });
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        assert!(store.collections.delete_collection(&acme, &orders).await.unwrap());
        if let Err(error) = making.await.unwrap() {
            assert_eq!(error.code(), ErrorCode::CollectionNotFound);
        }
        until("its rest goes", || numbers(&container, "SELECT count(*) FROM removed_indexes") == [0]).await;
        assert_eq!(numbers(&container, "SELECT count(*) FROM index_entries"), [0]);
    }
    drop(container);
    opened.close().await;
    assert_sound(&file);
}

/// The crash comes in the middle of the build.
#[tokio::test]
async fn index_left_by_crash_is_cleared_and_can_be_rebuilt() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let file = container_file(directory.path(), acme.id);
    let documents = (0..100).map(|n| stored(rawdoc! { "_id": n, "n": n })).collect();
    fill(&opened.store, &acme, "documents", documents).await;
    let made = opened.store.collections.insert_index(&acme, &name("documents"), &index("n", false)).await;
    assert_eq!(made.unwrap(), InsertOutcome::New);
    opened.close().await;
    let container = Connection::open(&file).unwrap();
    container
        .execute_batch("INSERT INTO removed_indexes SELECT -id FROM indexes; DELETE FROM indexes;")
        .unwrap();

    let opened = open(directory.path()).await.unwrap();
    assert_eq!(opened.store.collections.list_indexes(&acme, &name("documents")).await.unwrap(), []);
    for table in ["index_entries", "removed_indexes"] {
        until(table, || numbers(&container, &format!("SELECT count(*) FROM {table}")) == [0]).await;
    }
    let made = opened.store.collections.insert_index(&acme, &name("documents"), &index("n", true)).await;
    assert_eq!(made.unwrap(), InsertOutcome::New);
    assert_eq!(count(&opened.store, &acme, "documents", r#"{"n":{"$lt":50}}"#).await, 50);
    drop(container);
    opened.close().await;
    assert_sound(&file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn index_build_tolerates_bad_document_deleted_meanwhile() {
    let directory = TempDir::new().unwrap();
    let (opened, acme) = filled(directory.path()).await;
    let store = opened.store.clone();
    // They are read last.
    let odd = (0..4).map(|n| stored(rawdoc! { "_id": DOCUMENTS + n, "text": ["a", "b"], "n": [1, 2] }));
    fill(&store, &acme, "documents", odd.collect()).await;
    let making = tokio::spawn({
        let (store, acme) = (store.clone(), acme.clone());
        async move { store.collections.insert_index(&acme, &name("documents"), &index("text,n", false)).await }
    });
    tokio::task::yield_now().await;
    for n in 0..4 {
        let id = document_id(DOCUMENTS + n);
        let written = if n % 2 == 0 {
            store.documents.delete_document(&acme, &name("documents"), &id, None).await
        } else {
            let next = stored(rawdoc! { "_id": DOCUMENTS + n, "text": "a", "n": [1, 2] });
            let next = StoredDocument { revision: Revision(2), ..next };
            store.documents.update_document(&acme, &name("documents"), next, Revision(1)).await
        };
        assert_eq!(written.unwrap(), UpdateOutcome::Done);
    }
    if let Err(error) = making.await.unwrap() {
        assert_eq!((error.code(), error.fields()[0].pointer.as_str()), (ErrorCode::InvalidInput, "/keys"));
    }
    opened.close().await;
    assert_sound(&container_file(directory.path(), acme.id));
}
