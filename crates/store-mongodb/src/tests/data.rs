//! An organization's own data, where MongoDB has more to it than the contracts say: several instances, collections that
//! change hands, what is beside the documents, and whether an index is used.

mod shared_indexes;

use super::fixture::{Fixture, LONG, add, document, id, name, put};
use super::samples;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc, rawdoc};
use std::time::Duration;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::Index;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::sort::Sort;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Naming, Organization, Placement, Quota, QuotaLimit};
use tenantry_domain::store::{InsertOutcome, Store, UpdateOutcome};

fn query(filter: &str, sort: &str) -> DocumentQuery {
    DocumentQuery {
        filter: Filter::parse(filter, "").unwrap(),
        sort: Sort::parse(sort).unwrap(),
        after: None,
        limit: 10,
        max_bytes: 1 << 20,
        time: LONG,
    }
}

impl Fixture {
    /// The organization under another name, with its container and its record.
    async fn rename(&self, store: &Store, organization: &Organization, called: &str) -> Organization {
        let naming = Naming::new(OrganizationName::parse(called).unwrap(), &self.options.tenant_prefix);
        store.containers.rename_container(organization, &naming.namespace).await.unwrap();
        let renamed =
            Organization { reserved: naming.reserved(), naming, ..organization.successor(samples::NOW) };
        assert_eq!(store.organizations.update_organization(&renamed).await.unwrap(), UpdateOutcome::Done);
        renamed
    }
}

async fn has(store: &Store, organization: &Organization, collection: &str, number: i32) -> bool {
    store.documents.get_document(organization, &name(collection), &id(number)).await.unwrap().is_some()
}

/// After another instance deletes and recreates a collection, this one finds the new one only.
#[tokio::test]
async fn collection_recreated_by_another_instance_is_found() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.open_store().await, fixture.open_store().await);
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&first, number, &format!("Acme {number}"), placement).await;
        add(&first, &acme, "notes").await;
        put(&first, &acme, "notes", &[1]).await;
        assert!(second.collections.delete_collection(&acme, &name("notes")).await.unwrap());
        let gone = first.documents.get_document(&acme, &name("notes"), &id(1)).await.unwrap_err();
        assert_eq!(gone.code(), ErrorCode::CollectionNotFound, "{placement:?}");

        add(&first, &acme, "notes").await;
        put(&first, &acme, "notes", &[2]).await;
        assert!(second.collections.delete_collection(&acme, &name("notes")).await.unwrap());
        add(&second, &acme, "notes").await;
        assert!(!has(&first, &acme, "notes", 2).await, "{placement:?}");
        put(&first, &acme, "notes", &[3]).await;
        assert!(has(&second, &acme, "notes", 3).await, "{placement:?}");
    }
    fixture.remove().await;
}

/// A record with the old name reaches its own organization, never the one that holds the name now.
#[tokio::test]
async fn old_organization_name_never_reaches_its_next_holder() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.open_store().await, fixture.open_store().await);
    let before = fixture.home(&first, 1, "Acme", Placement::Collection).await;
    add(&first, &before, "notes").await;
    put(&first, &before, "notes", &[1]).await;
    put(&first, &before, "documents", &[1]).await;
    let after = fixture.rename(&second, &before, "Bolt").await;
    let other = fixture.home(&second, 2, "Acme", Placement::Collection).await;
    add(&second, &other, "notes").await;

    // An instance that remembers where the collection is, and one that does not.
    let third = fixture.open_store().await;
    for (store, new) in [(&first, 2), (&third, 3)] {
        for collection in ["notes", "documents"] {
            assert!(has(store, &before, collection, 1).await);
            assert!(put(store, &before, collection, &[new]).await[0].is_ok());
            assert!(has(&second, &after, collection, new).await);
            assert!(!has(&second, &other, collection, new).await);
        }
    }
    fixture.remove().await;
}

#[tokio::test]
async fn container_moved_elsewhere_is_used_there_and_returned() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Collection).await;
    put(&store, &acme, "documents", &[1]).await;
    let database = fixture.options.database.clone();
    let from = format!("{database}.{}", acme.naming.namespace);
    let rename =
        doc! { "renameCollection": from, "to": format!("{database}.{}_late", acme.naming.namespace) };
    fixture.client.database("admin").run_command(rename).await.unwrap();
    assert!(has(&store, &acme, "documents", 1).await);
    let home = fixture.collection(&acme.naming.namespace);
    assert_eq!(home.count_documents(doc! { "_id": 1 }).await.unwrap(), 1);
    fixture.remove().await;
}

#[tokio::test]
async fn metadata_document_is_unreachable_for_callers() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Collection).await;
    let first = ObjectId::from_bytes(*acme.id.as_bytes());
    let (documents, collection) = (&store.documents, CollectionName::default());
    let own_id = DocumentId::from(first);
    let unique = Index::parse(None, "metadata.x", true).unwrap();
    assert_eq!(
        store.collections.insert_index(&acme, &collection, &unique).await.unwrap(),
        InsertOutcome::New
    );

    assert_eq!(documents.get_document(&acme, &collection, &own_id).await.unwrap(), None);
    let body = rawdoc! { "_id": first, "metadata": 1 };
    let same = StoredDocument { body, revision: Revision(8) };
    let outcomes = documents.insert_documents(&acme, &collection, vec![same.clone()]).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap_err().code(), ErrorCode::DocumentExists);
    let updated = documents.update_document(&acme, &collection, same, Revision::UNKNOWN).await.unwrap();
    assert_eq!(updated, UpdateOutcome::Stale);
    for expected in [None, Some(Revision::UNKNOWN)] {
        let deleted = documents.delete_document(&acme, &collection, &own_id, expected).await.unwrap();
        assert_eq!(deleted, UpdateOutcome::Stale);
    }
    for filter in
        ["{}", r#"{"metadata": {"$exists": true}}"#, r#"{"$or": [{"metadata.schema_version": "1.0"}]}"#]
    {
        let query = query(filter, "-metadata.created_at");
        assert!(documents.find_documents(&acme, &collection, &query).await.unwrap().documents.is_empty());
        let counted = documents.count_matching(&acme, &collection, &query.filter, LONG).await.unwrap();
        assert_eq!(counted.documents, 0, "{filter}");
        let deleted = documents.delete_matching(&acme, &collection, &query.filter, LONG).await.unwrap();
        assert_eq!((deleted.documents, deleted.more), (0, false), "{filter}");
    }
    let info = store.collections.get_collection(&acme, &collection).await.unwrap().unwrap();
    assert_eq!((info.documents, info.bytes), (0, 0));
    let kept = fixture.collection(&acme.naming.namespace).find_one(doc! { "_id": first }).await.unwrap();
    assert_eq!(kept.unwrap().get_document("metadata").unwrap().get_str("schema_version").unwrap(), "1.0");
    fixture.remove().await;
}

/// A document that a program wrote directly is updated and deleted by its unknown revision.
#[tokio::test]
async fn document_without_revision_is_changed_and_deleted() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Collection).await;
    let home = fixture.collection(&acme.naming.namespace);
    let (documents, collection) = (&store.documents, CollectionName::default());
    let reserved = [
        doc! {},
        doc! { "_tenantry": 7_i64 },
        doc! { "_tenantry": { "rev": 7 } },
        doc! { "_tenantry": { "rev": -7_i64 } },
        doc! { "_tenantry": { "rev": 0_i64 } },
        doc! { "_tenantry": { "rev": [7_i64] } },
        doc! { "_tenantry": [{ "rev": 7_i64 }] },
    ];
    for (number, reserved) in (1..).zip(reserved) {
        let mut by_a_program = doc! { "_id": number, "by": "a program" };
        by_a_program.extend(reserved.clone());
        home.insert_one(&by_a_program).await.unwrap();
        let found = documents.get_document(&acme, &collection, &id(number)).await.unwrap().unwrap();
        assert_eq!(found.body, rawdoc! { "_id": number, "by": "a program" });
        assert_eq!(found.revision, Revision::UNKNOWN, "{reserved}");
        for expected in [UpdateOutcome::Done, UpdateOutcome::Stale] {
            let update =
                documents.update_document(&acme, &collection, document(number), Revision::UNKNOWN).await;
            assert_eq!(update.unwrap(), expected, "{reserved}");
        }
        home.replace_one(doc! { "_id": number }, &by_a_program).await.unwrap();
        let (own, unknown) = (id(number), Some(Revision::UNKNOWN));
        let deleted = documents.delete_document(&acme, &collection, &own, unknown).await;
        assert_eq!(deleted.unwrap(), UpdateOutcome::Done, "{reserved}");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn quota_claim_of_dead_process_expires() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let quota = Quota { documents: QuotaLimit::new(5).ok(), ..Quota::default() };
    let acme = Organization { quota, ..fixture.home(&store, 1, "Acme", Placement::Shared).await };
    assert!(put(&store, &acme, "documents", &[1, 2]).await.iter().all(Result::is_ok));
    // By the server's clock, as claims are.
    let claim = doc! { "$set": {
        "documents": { "$add": ["$documents", 3_i64] },
        "version": { "$add": ["$version", 1_i64] },
        "claims": [{ "id": ObjectId::new(), "at": "$$NOW" }],
    } };
    let usage = fixture.collection("usage");
    usage.update_one(doc! {}, vec![claim]).await.unwrap();
    let refused = put(&store, &acme, "documents", &[3]).await.pop().unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::QuotaExceeded);

    let long_ago = doc! { "$set": { "claims": { "at": { "$subtract": ["$$NOW", 3_600_000_i64] } } } };
    usage.update_one(doc! {}, vec![long_ago]).await.unwrap();
    let outcomes = put(&store, &acme, "documents", &[3, 4, 5, 6]).await;
    let inserted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(inserted, [true, true, true, false]);
    let counted = usage.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!((counted.get_i64("documents").unwrap(), counted.get_array("claims").unwrap().len()), (5, 0));
    store.containers.drop_container(&acme).await.unwrap();
    assert_eq!(usage.count_documents(doc! {}).await.unwrap(), 0);
    fixture.remove().await;
}

/// The count goes on by itself; until its end, inserts of that organization alone are told to retry.
#[tokio::test]
async fn quota_first_count_that_is_slow_blocks_no_other_call() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let quota = Quota { documents: QuotaLimit::new(5).ok(), ..Quota::default() };
    let acme = fixture.home(&store, 1, "Acme", Placement::Collection).await;
    put(&store, &acme, "documents", &[1, 2, 3]).await;
    let acme = Organization { quota, ..acme };
    // An addition that is under way, and in no count.
    let usage = fixture.collection("usage");
    let id = ObjectId::from_bytes(*acme.id.as_bytes());
    let claim = vec![doc! { "$set": { "version": 1_i64, "claims": [{ "id": "x", "at": "$$NOW" }] } }];
    usage.update_one(doc! { "_id": id }, claim).upsert(true).await.unwrap();
    let documents = vec![document(4)];
    let waits = store.documents.insert_documents(&acme, &CollectionName::default(), documents).await;
    let error = waits.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreUnavailable);
    assert!(error.wait().is_some());
    // What adds nothing does not wait, nor do those of the same lane.
    let began = std::time::Instant::now();
    let (collection, third) = (CollectionName::default(), self::id(3));
    let removed = store.documents.delete_document(&acme, &collection, &third, None).await;
    assert_eq!(removed.unwrap(), UpdateOutcome::Done);
    for number in [33, 65] {
        let other = fixture.home(&store, number, &format!("Other {number}"), Placement::Collection).await;
        add(&store, &other, "notes").await;
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    let over = doc! { "$set": { "claims": [] }, "$inc": { "version": 1_i64 } };
    usage.update_one(doc! { "_id": id }, over).await.unwrap();
    let deadline = std::time::Instant::now() + LONG;
    let counted = doc! { "_id": id, "counted_at": { "$exists": true }, "documents": 2_i64 };
    while usage.count_documents(counted.clone()).await.unwrap() == 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let outcomes = put(&store, &acme, "documents", &[4, 5, 6, 7]).await;
    let inserted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(inserted, [true, true, true, false]);
    fixture.remove().await;
}

#[tokio::test]
async fn database_dropped_is_never_recreated_by_late_writes() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.home(&store, 1, "Acme", Placement::Database).await;
    put(&store, &acme, "documents", &[1]).await;
    store.containers.drop_container(&acme).await.unwrap();
    let another = fixture.open_store().await;
    for store in [&store, &another] {
        let documents = vec![document(2)];
        let insert = store.documents.insert_documents(&acme, &CollectionName::default(), documents).await;
        assert_eq!(insert.unwrap_err().code(), ErrorCode::StoreUnavailable);
        let make = store.collections.insert_collection(&acme, &name("notes")).await;
        assert_eq!(make.unwrap_err().code(), ErrorCode::StoreUnavailable);
    }
    let names = fixture.client.list_database_names().await.unwrap();
    assert!(!names.iter().any(|name| name.ends_with(&acme.id.to_string())), "{names:?}");
    fixture.remove().await;
}

/// What is written late into a dropped shared collection is not in the next one of the same name.
#[tokio::test]
async fn shared_collection_recreated_hides_late_writes() {
    let fixture = Fixture::new().await;
    let engine = fixture.open().await;
    let store = engine.store();
    let acme = fixture.home(&store, 1, "Acme", Placement::Shared).await;
    add(&store, &acme, "notes").await;
    put(&store, &acme, "notes", &[1]).await;
    let shared = fixture.collection("shared_documents");
    let late = shared.find_one(doc! {}).await.unwrap().unwrap();
    for keys in ["n", "a,b"] {
        let index = Index::parse(None, keys, false).unwrap();
        assert_eq!(
            store.collections.insert_index(&acme, &name("notes"), &index).await.unwrap(),
            InsertOutcome::New
        );
    }
    assert!(store.collections.delete_collection(&acme, &name("notes")).await.unwrap());
    add(&store, &acme, "notes").await;
    shared.insert_one(late.clone()).await.unwrap();
    assert!(!has(&store, &acme, "notes", 1).await);

    // As one leaves it who dies while it drops.
    let dropped = doc! { "$push": { "dropped": late.get_str("collection").unwrap() } };
    fixture.collection("shared_containers").update_one(doc! {}, dropped).await.unwrap();
    engine.tidy().await.unwrap();
    assert_eq!(shared.count_documents(doc! {}).await.unwrap(), 0);
    let mut indexes = shared.list_index_names().await.unwrap();
    indexes.sort();
    assert_eq!(indexes, ["_id_", "shared_documents_listed", "shared_documents_of"]);
    fixture.remove().await;
}

#[tokio::test]
async fn query_uses_index_in_every_placement() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let location = store.containers.locate(&acme);
        let index = Index::parse(None, "n", false).unwrap();
        for collection in ["documents", "notes"] {
            if collection == "notes" {
                add(&store, &acme, collection).await;
            }
            let ids: Vec<i32> = (0..200).collect();
            put(&store, &acme, collection, &ids).await;
            let made = store.collections.insert_index(&acme, &name(collection), &index).await.unwrap();
            assert_eq!(made, InsertOutcome::New);
        }
        let database = fixture.client.database(&location.database);
        database.run_command(doc! { "profile": 2 }).await.unwrap();
        for collection in ["documents", "notes"] {
            assert!(has(&store, &acme, collection, 5).await);
            for (filter, sort) in
                [("{}", "_id"), ("{}", "n"), (r#"{"n": {"$gt": 190}}"#, "_id"), (r#"{"n": 7}"#, "-n")]
            {
                let mut query = query(filter, sort);
                let found = store.documents.find_documents(&acme, &name(collection), &query).await.unwrap();
                assert_eq!(found.scanned, None, "{filter}");
                query.after = Some(
                    query.sort.position(&found.documents.last().unwrap().body, &Fuel::unlimited()).unwrap(),
                );
                store.documents.find_documents(&acme, &name(collection), &query).await.unwrap();
                if query.filter.is_empty() {
                    // Up to 2,000 are counted one by one, with any index.
                    continue;
                }
                store.documents.count_matching(&acme, &name(collection), &query.filter, LONG).await.unwrap();
            }
            let narrow = Filter::parse(r#"{"n": {"$lt": 3}}"#, "").unwrap();
            store.documents.delete_matching(&acme, &name(collection), &narrow, LONG).await.unwrap();
        }
        database.run_command(doc! { "profile": 0 }).await.unwrap();
        let profile = database.collection::<Document>("system.profile");
        let looked =
            profile.count_documents(doc! { "planSummary": { "$regex": "IXSCAN|IDHACK" } }).await.unwrap();
        assert!(looked >= 20, "{placement:?}: {looked}");
        // The look that says where a collection is takes the first document it meets.
        let scan = doc! { "planSummary": { "$regex": "COLLSCAN" }, "docsExamined": { "$gt": 1 } };
        assert_eq!(profile.find_one(scan).await.unwrap(), None, "{placement:?}");
    }
    fixture.remove().await;
}

#[tokio::test]
async fn query_last_page_over_objects_examines_few_documents() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let collection = CollectionName::default();
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let stored = |n: i32| StoredDocument {
            body: rawdoc! { "_id": { "year": 2000 + n / 100, "number": n } },
            revision: Revision(1),
        };
        let documents = (0..500).map(stored).collect();
        let outcomes = store.documents.insert_documents(&acme, &collection, documents).await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
        let mut query = query("{}", "_id");
        query.after = Some(query.sort.position(&stored(479).body, &Fuel::unlimited()).unwrap());
        let database = fixture.client.database(&store.containers.locate(&acme).database);
        database.run_command(doc! { "profile": 2 }).await.unwrap();
        let found = store.documents.find_documents(&acme, &collection, &query).await.unwrap();
        database.run_command(doc! { "profile": 0 }).await.unwrap();
        assert_eq!(found.documents.first().map(|first| &first.body), Some(&stored(480).body));
        let profile = database.collection::<Document>("system.profile");
        let page = doc! { "nreturned": 11 };
        let page = profile.find_one(page).sort(doc! { "ts": -1 }).await.unwrap().unwrap();
        let looked = page.get_i32("docsExamined").unwrap();
        assert!(looked < 50, "{placement:?}: {looked}");
    }
    fixture.remove().await;
}
