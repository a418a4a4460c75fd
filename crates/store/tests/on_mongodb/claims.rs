//! Claims of room in a quota, when the caller of a write hangs up in its middle, and what is asked of the server where
//! there is no room.

mod usage;

use super::Fixture;
use super::fixture::{LONG, add, document, id, name, put};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocumentBuf, doc, rawdoc};
use std::time::{Duration, Instant};
use tenantry_documents::document::{Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, Placement, Quota, QuotaLimit};
use tenantry_domain::store::Store;
use tenantry_store::{OpenStore, StoreOptions};
use tenantry_test_mongod::Mongod;

/// How long a server holds the command that a caller hangs up on.
const HELD: Duration = Duration::from_millis(300);
/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that takes test commands, and a store on it as the service has one.
pub async fn start() -> (Mongod, Fixture, Store, OpenStore) {
    let mongod = Mongod::start_with(&["--setParameter=enableTestCommands=1"]);
    let fixture = Fixture::at(mongod.uri()).await;
    let options = StoreOptions { cache_bytes: 0, ..StoreOptions::default() };
    let opened = tenantry_store::open_mongodb(&fixture.options, &options).await.unwrap();
    (mongod, fixture, opened.store.clone(), opened)
}

impl Fixture {
    pub async fn admin(&self, command: Document) -> Document {
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

fn of_index_bytes(index_bytes: u64) -> Quota {
    Quota { index_bytes: QuotaLimit::new(index_bytes).ok(), ..Quota::default() }
}

impl Fixture {
    /// What is kept of an organization's usage.
    async fn usage_of(&self, organization: &Organization) -> Document {
        let of = doc! { "_id": ObjectId::from_bytes(*organization.id.as_bytes()) };
        self.collection("usage").find_one(of).await.unwrap().unwrap()
    }

    /// Waits until what is kept of an organization's usage is so.
    async fn usage_becomes(&self, organization: &Organization, is_so: impl Fn(&Document) -> bool + Send) {
        let began = Instant::now();
        loop {
            let usage = self.usage_of(organization).await;
            if is_so(&usage) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{usage}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes claims and what is due look as they will in an hour, and lets a write find that.
    async fn an_hour_later(&self, store: &Store, organization: &Organization, document: StoredDocument) {
        let claims = doc! { "$map": { "input": "$claims", "in": {
            "$mergeObjects": ["$$this", { "at": { "$subtract": ["$$this.at", 3_600_000] } }],
        } } };
        let due = doc! { "$subtract": ["$due", 3_600_000] };
        let of = doc! { "_id": ObjectId::from_bytes(*organization.id.as_bytes()) };
        let update = [doc! { "$set": { "claims": claims, "due": due } }];
        self.collection("usage").update_one(of, update.to_vec()).await.unwrap();
        assert_eq!(insert(store, organization, vec![document]).await, [""]);
    }

    /// The server drops the next connection that asks it for an index, and makes none.
    async fn lose_next_index(&self) {
        let data = doc! { "failCommands": ["createIndexes"], "closeConnection": true, "appName": "tenantry" };
        self.admin(doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data }).await;
    }
}

fn claims_in(usage: &Document) -> usize {
    usage.get_array("claims").map_or(0, Vec::len)
}

#[tokio::test]
async fn index_build_without_reply_keeps_its_claim() {
    let (_mongod, fixture, store, _opened) = start().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Collection).await;
    let acme = Organization { quota: of_index_bytes(1 << 20), ..acme };
    insert(&store, &acme, vec![text(1, 10_000), text(2, 10_000)]).await;
    let (collections, by_text) = (&store.collections, Index::parse(None, "text", false).unwrap());

    fixture.lose_next_index().await;
    let lost = collections.insert_index(&acme, &name("documents"), &by_text).await.unwrap_err();
    assert_eq!(lost.code(), ErrorCode::StoreUnavailable);
    let usage = fixture.usage_of(&acme).await;
    assert_eq!(claims_in(&usage), 1, "{usage}");
    assert!(usage.get_i64("index_bytes").unwrap() > 20_000, "{usage}");

    // As the server that was asked would: it begins the index, and is not done when the claim is old.
    let hang = |mode: &str| doc! { "configureFailPoint": "hangAfterStartingIndexBuild", "mode": mode };
    fixture.admin(hang("alwaysOn")).await;
    let namespace = acme.naming.namespace.clone();
    let keys = doc! { "name": "text_1~", "key": { "text": 1, "_id": 1 } };
    let build = doc! { "createIndexes": namespace, "indexes": [keys] };
    let database = fixture.database();
    let build = tokio::spawn(async move { database.run_command(build).await.unwrap() });
    fixture.admin(doc! { "waitForFailPoint": "hangAfterStartingIndexBuild", "timesEntered": 1, "maxTimeMS": 20_000 }).await;
    let counted_at = |usage: &Document| usage.get_datetime("counted_at").unwrap().timestamp_millis();
    let before = counted_at(&usage);
    fixture.an_hour_later(&store, &acme, text(3, 10)).await;
    fixture.usage_becomes(&acme, |usage| counted_at(usage) > before).await;
    let usage = fixture.usage_of(&acme).await;
    assert_eq!(claims_in(&usage), 1, "what is being made will be there: {usage}");
    assert!(usage.get_i64("index_bytes").unwrap() > 20_000, "{usage}");

    fixture.admin(hang("off")).await;
    build.await.unwrap();
    fixture.an_hour_later(&store, &acme, text(4, 10)).await;
    fixture.usage_becomes(&acme, |usage| claims_in(usage) == 0).await;
    let (usage, there) = (fixture.usage_of(&acme).await, collections.get_usage(&acme).await.unwrap());
    assert_eq!(usage.get_i64("index_bytes").unwrap().unsigned_abs(), there.index_bytes.unwrap());
    assert!(there.index_bytes.unwrap() > 20_000, "{there:?}");
    fixture.remove().await;
}

#[tokio::test]
async fn index_retry_beside_lost_claim_is_postponed() {
    let (_mongod, fixture, store, _opened) = start().await;
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let acme = Organization { quota: of_index_bytes(15_000), ..acme };
        insert(&store, &acme, vec![text(1, 10_000)]).await;
        let (collections, by_text) = (&store.collections, Index::parse(None, "text", false).unwrap());
        fixture.lose_next_index().await;
        for _ in 0..2 {
            let lost = collections.insert_index(&acme, &name("documents"), &by_text).await.unwrap_err();
            assert_eq!(lost.code(), ErrorCode::StoreUnavailable, "{placement:?}");
        }
        fixture
            .an_hour_later(
                &store,
                &acme,
                StoredDocument { body: rawdoc! { "_id": 2 }, revision: Revision(7) },
            )
            .await;
        let made = collections.insert_index(&acme, &name("documents"), &by_text).await;
        assert!(made.is_ok(), "{placement:?}: {made:?}");
    }
    fixture.remove().await;
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
async fn insert_canceled_by_caller_leaves_no_claim() {
    let (_mongod, fixture, store, opened) = start().await;
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
        opened.finish_writes(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let outcomes = insert(&store, &acme, (200..215).map(document).collect()).await;
        let refused = outcomes.iter().filter(|outcome| *outcome == "quota_exceeded").count();
        assert_eq!(refused, 10, "{placement:?}: the write came to its end: {outcomes:?}");
        assert_eq!(store.collections.get_usage(&acme).await.unwrap().documents, 100, "{placement:?}");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn update_canceled_by_caller_leaves_no_claim() {
    let (_mongod, fixture, store, opened) = start().await;
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
        opened.finish_writes(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let (documents, of) = (store.documents.clone(), acme.clone());
        let delete = async move {
            drop(documents.delete_document(&of, &name("documents"), &id(2), None).await);
        };
        fixture.hang_up_at("findAndModify", delete).await;
        opened.finish_writes(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let (documents, of) = (store.documents.clone(), acme.clone());
        let filter = Filter::parse("{\"_id\":{\"$gt\":1}}", "").unwrap();
        let delete = async move {
            drop(documents.delete_matching(&of, &name("documents"), &filter, LONG).await);
        };
        fixture.hang_up_at("findAndModify", delete).await;
        opened.finish_writes(PATIENCE).await;
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
async fn collection_insert_canceled_by_caller_leaves_no_claim() {
    let (_mongod, fixture, store, opened) = start().await;
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
        opened.finish_writes(PATIENCE).await;
        fixture.nothing_is_claimed(&acme).await;
        let made = store.collections.insert_collection(&acme, &name("second")).await;
        assert!(made.is_ok(), "{placement:?}: {made:?}");
        let third = store.collections.insert_collection(&acme, &name("third")).await.unwrap_err();
        assert_eq!(third.code(), ErrorCode::QuotaExceeded, "{placement:?}: the first was made");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn insert_into_dropped_collection_leaves_no_claim() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.open_store().await, fixture.open_store().await);
    let acme = fixture.home(&first, 1, "Acme", Placement::Collection).await;
    let acme =
        Organization { quota: Quota { documents: QuotaLimit::new(10).ok(), ..Quota::default() }, ..acme };
    add(&first, &acme, "notes").await;
    put(&first, &acme, "notes", &[1]).await;
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

/// The server sends ids, not documents, when it is asked which documents exist already.
#[tokio::test]
async fn documents_without_room_are_checked_by_ids_alone() {
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
