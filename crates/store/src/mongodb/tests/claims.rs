//! Claims of room in a quota, when the caller of a write hangs up in its middle, and what is asked of the server where
//! there is no room.

use super::Fixture;
use super::data::{document, id, name};
use crate::Share;
use crate::fair::{self, Writes};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocumentBuf, doc, rawdoc};
use std::time::{Duration, Instant};
use tenantry_documents::document::{Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, Placement, Quota, QuotaLimit};
use tenantry_domain::store::Store;
use tenantry_test_mongod::Mongod;

/// How long a server holds the command that a caller hangs up on.
const HELD: Duration = Duration::from_millis(300);
/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that takes test commands, and a store on it as the service has one.
async fn start() -> (Mongod, Fixture, Store, Writes) {
    let mongod = Mongod::start_with(&["--setParameter=enableTestCommands=1"]);
    let fixture = Fixture::at(mongod.uri()).await;
    let (store, writes) = fair::decorate(fixture.open_store().await, Share::default());
    (mongod, fixture, store, writes)
}

impl Fixture {
    async fn admin(&self, command: Document) -> Document {
        self.client.database("admin").run_command(command).await.unwrap()
    }

    /// Runs `write` until the server has got `command`, and hangs up before that is carried out.
    async fn hang_up_at(&self, command: &str, write: impl Future<Output = ()> + Send + 'static) {
        let held = i64::try_from(HELD.as_millis()).unwrap();
        let data = doc! { "failCommands": [command], "blockConnection": true, "blockTimeMS": held,
        "appName": "tenantry" };
        let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
        let entered = self.admin(fail).await.get_i64("count").unwrap_or(0);
        let request = tokio::spawn(write);
        let wait =
            doc! { "waitForFailPoint": "failCommand", "timesEntered": entered + 1, "maxTimeMS": 20_000 };
        self.admin(wait).await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }

    /// Waits until nothing is claimed any more, by documents or collections.
    async fn nothing_is_claimed(&self, organization: &Organization) {
        let began = Instant::now();
        let of = doc! { "_id": ObjectId::from_bytes(*organization.id.as_bytes()) };
        loop {
            let usage = self.collection("usage").find_one(of.clone()).await.unwrap().unwrap();
            let left = |list: &str| usage.get_array(list).is_ok_and(|list| !list.is_empty());
            if !left("claims") && !left("creations") {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "a claim stays: {usage}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn text(id: i32, length: usize) -> StoredDocument {
    StoredDocument { body: rawdoc! { "_id": id, "text": "x".repeat(length) }, revision: Revision(7) }
}

async fn insert(store: &Store, organization: &Organization, documents: Vec<StoredDocument>) -> Vec<String> {
    let written =
        store.documents.insert_documents(organization, &name("documents"), documents).await.unwrap();
    written
        .into_iter()
        .map(|outcome| outcome.err().map_or(String::new(), |error| error.code().code().to_owned()))
        .collect()
}

#[tokio::test]
async fn insert_on_which_its_caller_hangs_up_leaves_no_claim() {
    let (_mongod, fixture, store, writes) = start().await;
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let acme = Organization {
            quota: Quota { documents: QuotaLimit::new(100).ok(), ..Quota::default() },
            ..acme
        };
        insert(&store, &acme, (0..85).map(document).collect()).await;
        let (asked, of) = (store.clone(), acme.clone());
        let write = async move { drop(insert(&asked, &of, (85..95).map(document).collect()).await) };
        fixture.hang_up_at("findAndModify", write).await;
        writes.finish(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let outcomes = insert(&store, &acme, (200..215).map(document).collect()).await;
        let refused = outcomes.iter().filter(|outcome| *outcome == "quota_exceeded").count();
        assert_eq!(refused, 10, "{placement:?}: the write came to its end: {outcomes:?}");
        assert_eq!(store.collections.get_usage(&acme).await.unwrap().documents, 100, "{placement:?}");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn change_on_which_its_caller_hangs_up_leaves_no_claim() {
    let (_mongod, fixture, store, writes) = start().await;
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let quota = Quota {
            bytes: QuotaLimit::new(2000).ok(),
            documents: QuotaLimit::new(10).ok(),
            ..Quota::default()
        };
        let acme = Organization { quota, ..acme };
        insert(&store, &acme, vec![text(1, 100), text(2, 100), text(3, 100)]).await;
        let (documents, of) = (store.documents.clone(), acme.clone());
        let next = StoredDocument { revision: Revision(8), ..text(1, 1000) };
        let grow = async move {
            drop(documents.update_document(&of, &name("documents"), next, Revision(7)).await);
        };
        fixture.hang_up_at("findAndModify", grow).await;
        writes.finish(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let (documents, of) = (store.documents.clone(), acme.clone());
        let delete = async move {
            drop(documents.delete_document(&of, &name("documents"), &id(2), None).await);
        };
        fixture.hang_up_at("findAndModify", delete).await;
        writes.finish(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let (documents, of) = (store.documents.clone(), acme.clone());
        let filter = Filter::parse("{\"_id\":{\"$gt\":1}}", "").unwrap();
        let delete = async move {
            drop(documents.delete_matching(&of, &name("documents"), &filter, super::data::LONG).await);
        };
        fixture.hang_up_at("findAndModify", delete).await;
        writes.finish(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        // All of them have come to their end, and the count is what is there.
        let usage = store.collections.get_usage(&acme).await.unwrap();
        assert_eq!((usage.documents, usage.bytes), (1, text(1, 1000).bytes()), "{placement:?}");
        let room = 2000 - usize::try_from(usage.bytes).unwrap();
        let empty = usize::try_from(text(9, 0).bytes()).unwrap();
        assert_eq!(insert(&store, &acme, vec![text(9, room - empty + 1)]).await, ["quota_exceeded"]);
        assert_eq!(insert(&store, &acme, vec![text(9, room - empty)]).await, [""], "{placement:?}");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn collection_on_which_its_caller_hangs_up_is_not_announced() {
    let (_mongod, fixture, store, writes) = start().await;
    for (number, placement) in [(1, Placement::Collection), (2, Placement::Database)] {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let acme = Organization {
            quota: Quota { collections: QuotaLimit::new(3).ok(), ..Quota::default() },
            ..acme
        };
        insert(&store, &acme, vec![document(1)]).await;
        let (collections, of) = (store.collections.clone(), acme.clone());
        let make = async move { drop(collections.insert_collection(&of, &name("first")).await) };
        fixture.hang_up_at("update", make).await;
        writes.finish(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let made = store.collections.insert_collection(&acme, &name("second")).await;
        assert!(made.is_ok(), "{placement:?}: {made:?}");
        let third = store.collections.insert_collection(&acme, &name("third")).await.unwrap_err();
        assert_eq!(third.code(), ErrorCode::QuotaExceeded, "{placement:?}: the first was made");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn insert_into_a_dropped_collection_leaves_no_claim() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.open_store().await, fixture.open_store().await);
    let acme = fixture.home(&first, 1, "Acme", Placement::Collection).await;
    let acme =
        Organization { quota: Quota { documents: QuotaLimit::new(10).ok(), ..Quota::default() }, ..acme };
    super::data::add(&first, &acme, "notes").await;
    super::data::put(&first, &acme, "notes", &[1]).await;
    assert!(second.collections.delete_collection(&acme, &name("notes")).await.unwrap());
    let gone = first.documents.insert_documents(&acme, &name("notes"), (0..9).map(document).collect()).await;
    assert_eq!(gone.unwrap_err().code(), ErrorCode::CollectionNotFound);
    fixture.nothing_is_claimed(&acme).await;
    assert_eq!(insert(&first, &acme, (0..10).map(document).collect()).await, [""; 10]);
    fixture.remove().await;
}

/// The largest answer that the store has got to a `find` on these collections since the profiler runs.
async fn largest_answer(fixture: &Fixture) -> i32 {
    let of_the_store = doc! { "appName": "tenantry", "command.find": { "$exists": true } };
    let profile = fixture.collection("system.profile");
    let found = profile.find_one(of_the_store).sort(doc! { "responseLength": -1 }).await.unwrap();
    found.unwrap().get_i32("responseLength").unwrap()
}

#[tokio::test]
async fn documents_without_room_are_looked_for_by_ids_alone() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    // A database of its own has a profiler of its own.
    for (number, placement) in [(1, Placement::Collection), (2, Placement::Shared)] {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let acme =
            Organization { quota: Quota { documents: QuotaLimit::new(20).ok(), ..Quota::default() }, ..acme };
        let large: Vec<StoredDocument> = (0..20).map(|id| text(id, 500_000)).collect();
        assert_eq!(insert(&store, &acme, large).await, [""; 20]);
        fixture.database().run_command(doc! { "profile": 2 }).await.unwrap();
        let mut asked: Vec<StoredDocument> = (0..20).map(document).collect();
        asked.push(document(20));
        asked.push(StoredDocument { body: with_double_id(3.0), revision: Revision(7) });
        let outcomes = insert(&store, &acme, asked).await;
        fixture.database().run_command(doc! { "profile": 0 }).await.unwrap();
        let mut expected = vec!["document_exists"; 20];
        expected.extend(["quota_exceeded", "document_exists"]);
        assert_eq!(outcomes, expected, "{placement:?}");
        let largest = largest_answer(&fixture).await;
        assert!(largest < 10_000, "{placement:?}: the server sent {largest} bytes at once");
        fixture.collection("system.profile").drop().await.unwrap();
    }
    fixture.remove().await;
}

/// A document whose `_id` is equal to a whole number, and another value.
fn with_double_id(id: f64) -> RawDocumentBuf {
    rawdoc! { "_id": id }
}
