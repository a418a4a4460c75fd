//! Making and refusing databases.

use super::{Fixture, samples};
use crate::error::OpenError;
use crate::names::{ORGANIZATIONS, VERSION_ID};
use crate::schema::NEWEST_VERSION;
use crate::{MongoDb, MongoOptions};
use mongodb::bson::doc;
use tenantry_domain::store::InsertOutcome;
use tenantry_test_mongod::Mongod;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn schema_upgrade_by_parallel_instances_makes_one_schema() {
    let fixture = Fixture::new().await;
    let mut starts = JoinSet::new();
    for number in 1..=8 {
        let options = fixture.options.clone();
        starts.spawn(async move {
            let store = MongoDb::open(&options).await.unwrap().store();
            // Those that are still starting must not take this for another program's.
            assert_eq!(
                store.organizations.insert_organization(&samples::organization(number)).await.unwrap(),
                InsertOutcome::New
            );
        });
    }
    starts.join_all().await;
    let version = fixture.collection("installation").find_one(doc! { "_id": VERSION_ID }).await.unwrap();
    assert_eq!(version.unwrap().get_i64("version").unwrap(), NEWEST_VERSION);
    let mut indexes = fixture.collection(ORGANIZATIONS).list_index_names().await.unwrap();
    indexes.sort();
    assert!(indexes.iter().any(|name| name == "organizations_reserved"), "{indexes:?}");
    indexes.dedup();
    assert_eq!(indexes.len(), 9, "{indexes:?}");
    fixture.remove().await;
}

/// A kill in the middle of the first upgrade leaves an empty collection and some indexes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn schema_upgrade_by_parallel_instances_finishes_partial_one() {
    let whole = Fixture::new().await;
    drop(whole.open().await);
    let fixture = Fixture::new().await;
    for name in ["organizations_reserved", "organizations_shown"] {
        let mut made = whole.collection(ORGANIZATIONS).list_indexes().await.unwrap();
        while made.advance().await.unwrap() {
            let index = made.deserialize_current().unwrap();
            if index.options.as_ref().and_then(|options| options.name.as_deref()) == Some(name) {
                fixture.collection(ORGANIZATIONS).create_index(index).await.unwrap();
            }
        }
    }
    let starts: JoinSet<_> = (0..4)
        .map(|_| {
            let options = fixture.options.clone();
            async move { MongoDb::open(&options).await.map(|_| ()) }
        })
        .collect();
    for outcome in starts.join_all().await {
        outcome.unwrap();
    }
    for name in whole.database().list_collection_names().await.unwrap() {
        let mut expected = whole.collection(&name).list_index_names().await.unwrap();
        let mut found = fixture.collection(&name).list_index_names().await.unwrap();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "of {name}");
    }
    fixture.remove().await;
    whole.remove().await;
}

#[tokio::test]
async fn database_with_newer_schema_is_refused_unchanged() {
    let fixture = Fixture::new().await;
    let future = doc! { "_id": VERSION_ID, "version": NEWEST_VERSION + 1 };
    fixture.collection("installation").insert_one(future.clone()).await.unwrap();
    let refusal = MongoDb::open(&fixture.options).await.err().unwrap();
    assert!(
        matches!(refusal, OpenError::NewerSchema { found, .. } if found == NEWEST_VERSION + 1),
        "{refusal}"
    );
    assert_eq!(fixture.database().list_collection_names().await.unwrap(), ["installation"]);
    assert_eq!(fixture.collection("installation").find_one(doc! {}).await.unwrap().unwrap(), future);
    fixture.remove().await;
}

#[tokio::test]
async fn database_of_another_program_is_refused_unchanged() {
    let fixture = Fixture::new().await;
    let foreign = doc! { "_id": 1, "organization_name": "Acme" };
    fixture.collection(ORGANIZATIONS).insert_one(foreign).await.unwrap();
    let refusal = MongoDb::open(&fixture.options).await.err().unwrap();
    assert!(matches!(refusal, OpenError::Foreign { .. }), "{refusal}");
    assert_eq!(fixture.database().list_collection_names().await.unwrap(), [ORGANIZATIONS]);
    assert_eq!(fixture.collection(ORGANIZATIONS).list_index_names().await.unwrap(), ["_id_"]);
    fixture.remove().await;
}

#[tokio::test]
async fn open_reports_user_whom_server_rejects() {
    let mongod = Mongod::start_with(&["--auth"]);
    let refused = async |uri: String| {
        let refusal = MongoDb::open(&MongoOptions::new(uri, "tenantry")).await.err().unwrap();
        assert!(matches!(refusal, OpenError::Forbidden { .. }), "{refusal}");
        refusal.to_string()
    };
    refused(mongod.uri()).await;
    let refusal = refused(mongod.uri().replace("://", "://somebody:hunter2@")).await;
    assert!(!refusal.contains("hunter2"), "{refusal}");
}
