//! Organizations that have written nothing have no file, and get it before their first write.

use crate::data::{count, document_id, fill, stored};
use crate::given::{id, new_container, new_organization, open, organization};
use bson::rawdoc;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tenantry_documents::document::StoredDocument;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, State};
use tenantry_domain::store::{InsertOutcome, Store, UpdateOutcome};
use tenantry_store::{CleanupReport, container_file};

/// An organization of that number as the service creates it.
async fn created(store: &Store, number: u8) -> Organization {
    let organization = new_organization(number, State::Active);
    assert_eq!(store.organizations.insert_organization(&organization).await.unwrap(), InsertOutcome::New);
    store.containers.create_container(&new_container(number)).await.unwrap();
    organization
}

fn has_file(data_dir: &Path, number: u8) -> bool {
    container_file(data_dir, id(number)).exists()
}

fn one(number: i32) -> Vec<StoredDocument> {
    vec![stored(rawdoc! { "_id": number, "n": number })]
}

#[tokio::test]
async fn organization_without_file_reads_as_empty() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = created(&opened.store, 1).await;
    let (store, documents) = (&opened.store, CollectionName::default());
    let missing = CollectionName::parse("missing").unwrap();
    for _ in 0..2 {
        assert_eq!(store.containers.count_documents(&acme).await.unwrap(), 0);
        assert_eq!(store.containers.disk_bytes(&acme).await.unwrap(), Some(0));
        store.containers.compact_container(&acme).await.unwrap();
        let listed = store.collections.list_collections(&acme, None, 10).await.unwrap();
        assert_eq!(listed.len(), 1, "the one that is always there");
        assert_eq!(store.collections.get_usage(&acme).await.unwrap().documents, 0);
        assert!(store.collections.get_schema(&acme, &documents).await.unwrap().is_none());
        assert_eq!(count(store, &acme, "documents", "{}").await, 0);
        assert!(store.documents.get_document(&acme, &documents, &document_id(1)).await.unwrap().is_none());
        let unknown = store.documents.get_document(&acme, &missing, &document_id(1)).await;
        assert_eq!(unknown.unwrap_err().code(), ErrorCode::CollectionNotFound);
    }
    assert!(!has_file(directory.path(), 1), "to look makes none");
    assert_eq!(opened.tidy().await.unwrap(), CleanupReport::default());
    let deleted = store.documents.delete_document(&acme, &documents, &document_id(1), None).await;
    assert_eq!(deleted.unwrap(), UpdateOutcome::Stale);
    let unknown = store.documents.delete_document(&acme, &missing, &document_id(1), None).await;
    assert_eq!(unknown.unwrap_err().code(), ErrorCode::CollectionNotFound);
    assert!(!store.collections.delete_collection(&acme, &missing).await.unwrap());
    opened.close().await;
}

#[tokio::test]
async fn first_write_makes_file_that_is_missed_later() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = created(&opened.store, 1).await;
    assert_eq!(count(&opened.store, &acme, "documents", "{}").await, 0);
    fill(&opened.store, &acme, "documents", one(1)).await;
    assert_eq!(count(&opened.store, &acme, "documents", "{}").await, 1, "the next read sees it");
    assert!(has_file(directory.path(), 1));
    opened.close().await;

    let opened = open(directory.path()).await.unwrap();
    assert_eq!(count(&opened.store, &acme, "documents", "{}").await, 1);
    opened.close().await;
    fs::remove_file(container_file(directory.path(), id(1))).unwrap();
    let opened = open(directory.path()).await.unwrap();
    let counted = opened.store.containers.count_documents(&acme).await;
    assert_eq!(counted.unwrap_err().code(), ErrorCode::StoreUnavailable, "lost is not empty");
    let listed = opened.store.collections.list_collections(&acme, None, 10).await;
    assert_eq!(listed.unwrap_err().code(), ErrorCode::StoreUnavailable);
    let written = opened.store.documents.insert_documents(&acme, &CollectionName::default(), one(2)).await;
    assert_eq!(written.unwrap_err().code(), ErrorCode::StoreUnavailable);
    assert!(!has_file(directory.path(), 1), "and no empty one takes its place");
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_writes_at_once_make_one_file() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    for round in 0..10 {
        let acme = Arc::new(created(&opened.store, round).await);
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let (store, acme) = (opened.store.clone(), acme.clone());
                tokio::spawn(async move {
                    // Some read first, so that the empty container is open when the first write comes.
                    if task % 2 == 0 {
                        assert!(count(&store, &acme, "documents", "{}").await <= 8);
                    } else {
                        fill(&store, &acme, "documents", one(task)).await;
                        let found = count(&store, &acme, "documents", &format!("{{\"n\":{task}}}")).await;
                        assert_eq!(found, 1, "an acknowledged write is seen");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(count(&opened.store, &acme, "documents", "{}").await, 8);
    }
    opened.close().await;
}

#[tokio::test]
async fn file_of_killed_first_write_is_used() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    // Killed after the file, before the row.
    let acme = organization(&opened.store, 1, State::Active).await;
    fill(&opened.store, &acme, "documents", one(1)).await;
    opened.close().await;
    let opened = open(directory.path()).await.unwrap();
    assert_eq!(count(&opened.store, &acme, "documents", "{}").await, 1);
    opened.close().await;
    fs::remove_file(container_file(directory.path(), id(1))).unwrap();
    let opened = open(directory.path()).await.unwrap();
    let counted = opened.store.containers.count_documents(&acme).await;
    assert_eq!(counted.unwrap_err().code(), ErrorCode::StoreUnavailable, "the row says that it was there");
    opened.close().await;
}

#[tokio::test]
async fn first_write_during_purge_leaves_no_file() {
    let directory = TempDir::new().unwrap();
    let opened = open(directory.path()).await.unwrap();
    let acme = created(&opened.store, 1).await;
    let purging = Organization { state: State::Purging, version: 2, ..acme.clone() };
    let store = &opened.store;
    assert_eq!(store.organizations.update_organization(&purging).await.unwrap(), UpdateOutcome::Done);
    for _ in 0..2 {
        // Of a request that still has the record of before.
        let late = store.documents.insert_documents(&acme, &CollectionName::default(), one(1)).await;
        assert_eq!(late.unwrap_err().code(), ErrorCode::StoreUnavailable);
        assert!(!has_file(directory.path(), 1));
        store.containers.drop_container(&purging).await.unwrap();
    }
    assert_eq!(store.organizations.delete_organization(acme.id, 2).await.unwrap(), UpdateOutcome::Done);
    let late = store.documents.insert_documents(&acme, &CollectionName::default(), one(1)).await;
    assert_eq!(late.unwrap_err().code(), ErrorCode::StoreUnavailable);
    assert!(!has_file(directory.path(), 1));
    opened.close().await;
}
