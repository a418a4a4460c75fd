//! What the embedded engine holds of one request at most: memory, and time.

use crate::given::{open, organization};
use bson::{RawDocumentBuf, rawdoc};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_documents::query::{DeleteResult, DocumentQuery, SORT_POINTER};
use tenantry_documents::sort::Sort;
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, State};
use tenantry_domain::store::{InsertOutcome, Store, UpdateOutcome};

const LONG: Duration = Duration::from_secs(60);

fn stored(body: RawDocumentBuf) -> StoredDocument {
    StoredDocument { body, revision: Revision(1) }
}

/// A document of half a mebibyte; an index of both fields has `values` entries, each of that size.
fn wide(id: i32, values: i32) -> StoredDocument {
    let mut tags = bson::RawArrayBuf::new();
    (0..values).for_each(|tag| tags.push(tag));
    stored(rawdoc! { "_id": id, "tags": tags, "text": "x".repeat(500 << 10) })
}

async fn insert(store: &Store, acme: &Organization, document: StoredDocument) -> Result<(), Error> {
    let collection = CollectionName::default();
    let mut outcomes = store.documents.insert_documents(acme, &collection, vec![document]).await.unwrap();
    outcomes.remove(0)
}

fn query(sort: &str, limit: u32) -> DocumentQuery {
    DocumentQuery {
        filter: Filter::default(),
        sort: Sort::parse(sort).unwrap(),
        after: None,
        limit,
        max_bytes: 4 << 20,
        time: LONG,
    }
}

fn pointer(refused: &Error) -> &str {
    assert_eq!(refused.code(), ErrorCode::InvalidInput, "{refused}");
    &refused.fields()[0].pointer
}

#[tokio::test]
async fn document_with_oversized_index_entries_is_refused() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let collection = CollectionName::default();
    let (documents, collections) = (&opened.store.documents, &opened.store.collections);
    for keys in ["tags,text", "text,tags"] {
        let index = Index::parse(None, keys, false).unwrap();
        let made = collections.insert_index(&acme, &collection, &index).await;
        assert_eq!(made.unwrap(), InsertOutcome::New);
        let start = Instant::now();
        let refused = insert(&opened.store, &acme, wide(1, 40_000)).await.unwrap_err();
        assert_eq!(pointer(&refused), "");
        insert(&opened.store, &acme, wide(2, 10)).await.unwrap();
        let updated =
            documents.update_document(&acme, &collection, wide(2, 40_000), Revision(1)).await.unwrap_err();
        assert_eq!(pointer(&updated), "");
        collections.delete_index(&acme, &collection, &index.name).await.unwrap();
        // Without the index it is a document as any other, and then there is no such index.
        insert(&opened.store, &acme, wide(1, 40_000)).await.unwrap();
        let built = collections.insert_index(&acme, &collection, &index).await.unwrap_err();
        assert_eq!(pointer(&built), "/keys");
        assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
        for id in [1, 2] {
            let id = DocumentId::new(&id.into()).unwrap();
            let deleted = documents.delete_document(&acme, &collection, &id, None).await;
            assert_eq!(deleted.unwrap(), UpdateOutcome::Done);
        }
    }
    opened.close().await;
}

#[tokio::test]
async fn page_sorted_by_long_values_is_bounded_by_bytes() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    for id in 0..70 {
        let text = format!("{id:03}{}", "x".repeat(1 << 20));
        insert(&opened.store, &acme, stored(rawdoc! { "_id": id, "text": text })).await.unwrap();
    }
    let find = async |limit| {
        let query = query("text", limit);
        opened.store.documents.find_documents(&acme, &CollectionName::default(), &query).await
    };
    assert_eq!(pointer(&find(200).await.unwrap_err()), SORT_POINTER);
    let page = find(20).await.unwrap();
    assert!(page.more && page.documents[0].body.get_i32("_id").is_ok_and(|id| id == 0));
    opened.close().await;
}

#[tokio::test]
async fn delete_without_match_in_time_is_too_slow() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    let collection = CollectionName::default();
    for first in 0..10 {
        let documents = (0..500).map(|n| stored(rawdoc! { "_id": first * 500 + n, "n": first * 500 + n }));
        opened.store.documents.insert_documents(&acme, &collection, documents.collect()).await.unwrap();
    }
    let delete = async |filter: &str, time| {
        let filter = Filter::parse(filter, "").unwrap();
        opened.store.documents.delete_matching(&acme, &collection, &filter, time).await
    };
    let last = r#"{"n":4999}"#;
    let refused = delete(last, Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::QueryTooSlow);
    // What it finds in its time it removes, and says that there may be others.
    assert_eq!(
        delete(r#"{"n":0}"#, Duration::ZERO).await.unwrap(),
        DeleteResult { documents: 1, more: true, scanned: Some(5000) }
    );
    assert_eq!(
        delete(last, LONG).await.unwrap(),
        DeleteResult { documents: 1, more: false, scanned: Some(4999) }
    );
    opened.close().await;
}

#[tokio::test]
async fn query_checks_time_after_few_large_documents() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    for id in 0..10 {
        insert(&opened.store, &acme, stored(rawdoc! { "_id": id, "text": "x".repeat(600 << 10) }))
            .await
            .unwrap();
    }
    let late = DocumentQuery { time: Duration::ZERO, ..query("text", 10) };
    let refused = opened.store.documents.find_documents(&acme, &CollectionName::default(), &late).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::QueryTooSlow);
    opened.close().await;
}

#[tokio::test]
async fn document_of_any_size_is_read_by_id() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    for kibibytes in [1, 600] {
        let document = stored(rawdoc! { "_id": kibibytes, "text": "x".repeat(kibibytes as usize * 1024) });
        insert(&opened.store, &acme, document.clone()).await.unwrap();
        let id = DocumentId::new(&kibibytes.into()).unwrap();
        let found = opened.store.documents.get_document(&acme, &CollectionName::default(), &id).await;
        assert_eq!(found.unwrap(), Some(document));
    }
    opened.close().await;
}

#[tokio::test]
async fn delete_by_filter_deletes_matches_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = organization(&opened.store, 1, State::Active).await;
    for id in 0..3 {
        insert(&opened.store, &acme, stored(rawdoc! { "_id": id, "n": id })).await.unwrap();
    }
    let (collection, filter) = (CollectionName::default(), Filter::parse(r#"{"n":{"$gte":1}}"#, "").unwrap());
    let deleted = opened.store.documents.delete_matching(&acme, &collection, &filter, LONG).await;
    assert_eq!(deleted.unwrap(), DeleteResult { documents: 2, more: false, scanned: Some(3) });
    let left = opened.store.documents.count_matching(&acme, &collection, &Filter::default(), LONG).await;
    assert_eq!(left.unwrap().documents, 1);
    opened.close().await;
}
