//! The further collections of an organization, `tenant_<identifier>.<name>`, follow its renames and its end.

use crate::support::app::App;
use crate::support::fixtures::{new_organization, organization};
use crate::support::mongodb::Database;
use mongodb::bson::{Document, doc};
use serde_json::json;

fn put(database: &Database, collection: &str, count: i64) {
    let collection = database.collection(collection);
    let documents = (0..count).map(|number| doc! { "_id": number });
    crate::support::mongodb::run(async move { collection.insert_many(documents).await.unwrap() });
}

/// The collections whose names begin so, with how many documents are in each.
fn found(database: &Database, prefix: &str) -> Vec<(String, usize)> {
    let mut names = database.collections();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names.into_iter().map(|name| (name.clone(), database.find(&name, doc! {}).len())).collect()
}

fn uuids(database: &Database, prefix: &str) -> Vec<Document> {
    let answer = database.command(doc! { "listCollections": 1 }).unwrap();
    let listed = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    let listed = listed.iter().map(|each| each.as_document().unwrap());
    let mut listed: Vec<&Document> =
        listed.filter(|each| each.get_str("name").unwrap().starts_with(prefix)).collect();
    listed.sort_by_key(|each| each.get_str("name").unwrap().to_owned());
    listed.into_iter().map(|each| each.get_document("info").unwrap().clone()).collect()
}

/// They follow a rename, a delete and a restore, and end with a purge.
#[tokio::test]
async fn extra_collections_follow_organization_until_purge() {
    let app = App::start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    organization(&app, "Acme Two").await;
    put(database, "tenant_acme.orders", 5);
    put(database, "tenant_acme.orders.old", 2);
    put(database, "tenant_acme_two.orders", 3);
    database
        .command(doc! { "createIndexes": "tenant_acme.orders", "indexes": [{ "key": { "x": 1 }, "name": "by_x" }] })
        .unwrap();
    let before = uuids(database, "tenant_acme.");

    let updated = acme.owner.put("/org/update", &json!({ "organization_name": "Global" })).await.ok();
    assert_eq!(updated["documents_migrated"], 7);
    let moved = |to: &str| {
        let counts = [("", 1), (".orders", 5), (".orders.old", 2)];
        counts.map(|(name, count)| (format!("{to}{name}"), count)).to_vec()
    };
    assert_eq!(found(database, "tenant_global"), moved("tenant_global"));
    assert_eq!(uuids(database, "tenant_global."), before);

    // Another organization takes the name, and finds nothing under it.
    app.client().post("/org/create", &new_organization("Acme", "next@acme.example")).await.created();
    assert_eq!(found(database, "tenant_acme."), []);
    put(database, "tenant_acme.orders", 1);

    app.operator().delete(&acme.path()).await.ok();
    assert_eq!(found(database, "tenant_global"), []);
    let trash = format!("deleted_{}", acme.id());
    assert_eq!(found(database, &trash), moved(&trash));
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    assert_eq!(found(database, "tenant_global"), moved("tenant_global"));
    assert_eq!(uuids(database, "tenant_global."), before);

    app.operator().delete(&format!("{}?purge=true", acme.path())).await.ok();
    assert_eq!(found(database, "tenant_global"), []);
    assert_eq!(found(database, &trash), []);
    assert_eq!(found(database, "tenant_acme.orders"), [("tenant_acme.orders".to_owned(), 1)]);
    assert_eq!(found(database, "tenant_acme_two.orders"), [("tenant_acme_two.orders".to_owned(), 3)]);
}

#[tokio::test]
async fn archive_lists_collections_it_leaves_out() {
    let app = App::start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    put(database, "tenant_acme.orders", 5);
    put(database, "tenant_acme.fs.files", 2);
    put(database, "tenant_acme._jobs", 2);
    let archive = app.operator().get(&format!("{}/export", acme.path())).await.text;
    let end: serde_json::Value = serde_json::from_str(archive.lines().last().unwrap()).unwrap();
    assert_eq!(end["end"]["documents"], 5);
    assert_eq!(end["end"]["left_out"], json!(["_jobs", "fs.files"]));
    let path = "/v1/organizations/import?id=new&organization_name=Copy&owner_email=copy%40acme.example";
    let body = Some(("application/x-ndjson", archive.into_bytes()));
    app.operator().send(reqwest::Method::POST, path, body).await.created();
}

#[tokio::test]
async fn document_that_is_not_utf_8_is_named_and_never_shown() {
    let app = App::start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    let mut bytes = bson::rawdoc! { "_id": "bad", "s": "ab", "t": 1 }.into_bytes();
    let text = bytes.windows(3).position(|three| three == b"ab\0").unwrap();
    bytes[text..text + 2].copy_from_slice(&[0xff, 0xfe]);
    let broken = bson::RawDocumentBuf::from_bytes(bytes).unwrap();
    let collection = database.collection("tenant_acme.orders").clone_with_type::<bson::RawDocumentBuf>();
    crate::support::mongodb::run(async move { collection.insert_one(broken).await.unwrap() });
    let documents = format!("{}/collections/orders/documents", acme.path());
    for path in [format!("{documents}/bad"), documents.clone()] {
        let problem = acme.owner.get(&path).await.refused("document_unreadable");
        assert!(problem["detail"].as_str().unwrap().contains("`bad`"), "{problem}");
    }
    let patch = json!({ "more": 1 });
    acme.owner.patch(&format!("{documents}/bad"), &patch).await.refused("document_unreadable");
    acme.owner.delete(&format!("{documents}/bad")).await.done();
}

#[tokio::test]
async fn document_with_malformed_binary_names_its_field() {
    let app = App::start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    let old = bson::Binary { subtype: bson::spec::BinarySubtype::BinaryOld, bytes: vec![1, 2, 3] };
    let mut bytes = bson::rawdoc! { "_id": "bad", "in": { "b": [0, old] } }.into_bytes();
    // The length within the binary, which subtype 02 has, is one too much.
    let inner = bytes.windows(7).position(|seven| seven == [3, 0, 0, 0, 1, 2, 3]).unwrap();
    bytes[inner] = 4;
    let broken = bson::RawDocumentBuf::from_bytes(bytes).unwrap();
    let collection = database.collection("tenant_acme.orders").clone_with_type::<bson::RawDocumentBuf>();
    crate::support::mongodb::run(async move { collection.insert_one(broken).await.unwrap() });
    let documents = format!("{}/collections/orders/documents", acme.path());
    let problem = acme.owner.get(&format!("{documents}/bad")).await.refused("document_unreadable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("binary") && detail.contains("`in.b.1`") && !detail.contains("UTF-8"),
        "{detail}"
    );
    acme.owner.delete(&format!("{documents}/bad")).await.done();
}

#[tokio::test]
async fn regex_options_stored_unsorted_are_returned_sorted() {
    let app = App::start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    let regex = bson::Regex { pattern: "a".try_into().unwrap(), options: "xmi".try_into().unwrap() };
    let collection = database.collection("tenant_acme.orders").clone_with_type::<bson::RawDocumentBuf>();
    let document = bson::rawdoc! { "_id": "r", "re": regex };
    crate::support::mongodb::run(async move { collection.insert_one(document).await.unwrap() });
    let path = format!("{}/collections/orders/documents/r", acme.path());
    let found = acme.owner.get(&path).await.ok();
    assert_eq!(found["re"], json!({ "$regularExpression": { "pattern": "a", "options": "imx" } }));
}

/// Names that Extended JSON cannot tell from its own are read, exported and imported as they are.
#[tokio::test]
async fn names_written_by_programs_survive_export_and_import() {
    let app = App::start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    let odd =
        bson::rawdoc! { "_id": "odd", "a.b": 1, "$x": { "$oid": "text" }, "r": { "$id": 1, "$ref": "c" } };
    let reference =
        bson::rawdoc! { "_id": "ref", "r": { "$ref": "c", "$id": 5_i64, "$db": "d", "more": [1] } };
    let collection = database.collection("tenant_acme.orders").clone_with_type::<bson::RawDocumentBuf>();
    let documents = [odd.clone(), reference.clone()];
    crate::support::mongodb::run(async move { collection.insert_many(documents).await.unwrap() });
    let shown = acme.owner.get(&format!("{}/collections/orders/documents/odd", acme.path())).await.ok();
    assert_eq!(
        shown,
        json!({ "_id": "odd", "a.b": 1, "$x": { "$oid": "text" }, "r": { "$id": 1, "$ref": "c" } })
    );
    let archive = app.operator().get(&format!("{}/export", acme.path())).await.text;
    let path = "/v1/organizations/import?id=new&organization_name=Copy&owner_email=copy%40acme.example";
    let body = Some(("application/x-ndjson", archive.into_bytes()));
    let copy = app.operator().send(reqwest::Method::POST, path, body).await.created();
    assert_eq!(copy["organization_name"], "Copy");
    let stored = database.collection("tenant_copy.orders").clone_with_type::<bson::RawDocumentBuf>();
    for expected in [odd, reference] {
        let (id, stored) = (expected.get_str("_id").unwrap().to_owned(), stored.clone());
        let found = crate::support::mongodb::run(async move {
            let find = stored.find_one(doc! { "_id": id }).projection(doc! { "_tenantry": 0 });
            find.await.unwrap().unwrap()
        });
        assert_eq!(found.as_bytes(), expected.as_bytes());
    }
}
