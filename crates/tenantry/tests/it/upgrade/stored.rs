//! See [`super`]: the documents and indexes of organizations, as requests show them and as they are on disk.

use super::programs::UNSORTED;
use super::write::INDEXES;
use super::{assert_still_says, groups, owner, path, text};
use crate::support::data_set::{DataSet, MASTER_DATABASE};
use crate::support::fixtures::encoded;
use crate::support::mongodb::run;
use crate::support::mongodb_dump::{dump, split};
use crate::support::test_env::TestEnv;
use bson::RawDocumentBuf;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The value with the options of each regular expression in their order.
fn sorted(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            if let Some(Value::String(options)) = members.get_mut("options") {
                let mut letters: Vec<char> = options.chars().collect();
                letters.sort_unstable();
                *options = letters.into_iter().collect();
            }
            members.values_mut().for_each(|member| *member = sorted(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = sorted(item.take())),
        _ => {}
    }
    value
}

#[tokio::test]
async fn earlier_documents_read_unchanged() {
    let data = DataSet::open();
    let app = data.start().await;
    for (placement, group) in groups(&data) {
        for role in ["acme", "tools", "full"] {
            let owner = owner(&app, &group[role]);
            let responses = group[role]["responses"].as_array().unwrap();
            assert!(responses.len() > 5);
            for response in responses {
                let request = text(&response["path"]);
                let answer = owner.get(request).await;
                let what = format!("{placement}/{role}: {answer}");
                assert_eq!(answer.status.as_u16(), response["status"], "{what}");
                let etag = answer.headers.get("etag").map(|etag| etag.to_str().unwrap());
                let (now, then) = (sorted(answer.json()), sorted(response["body"].clone()));
                if answer.status != 200 {
                    assert_eq!(now["code"], then["code"], "{what}");
                } else if request.contains("/documents/~") {
                    // A document has what it had and nothing else.
                    assert_eq!(now, then, "{what}");
                    assert_eq!(etag, response["etag"].as_str(), "{what}");
                } else {
                    assert_still_says(&now, &then, &what);
                }
            }
        }
    }
}

#[tokio::test]
async fn earlier_documents_are_changed_by_their_revision() {
    let data = DataSet::open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let owner = owner(&app, &group["acme"]);
        let document = format!("{}/collections/orders/documents/~1", path(&group["acme"]));
        let response = group["acme"]["responses"].as_array().unwrap();
        let response = response.iter().find(|response| response["path"] == *document).unwrap();
        let matching = owner.with_header("if-match", text(&response["etag"]));
        matching.patch(&document, &json!({ "status": "again" })).await.ok();
        matching.patch(&document, &json!({ "status": "never" })).await.refused("version_mismatch");
        assert_eq!(owner.get(&document).await.ok()["status"], "again");
        // What a program has written can be changed, too.
        let (tools, owner) = (&group["tools"], super::owner(&app, &group["tools"]));
        let document = format!("{}/collections/documents/documents/{UNSORTED}", path(tools));
        let changed = owner.patch(&document, &json!({ "more": 1 })).await.ok();
        assert_eq!(changed["more"], 1);
    }
}

#[tokio::test]
async fn earlier_indexes_exist_and_are_used() {
    let data = DataSet::open();
    let app = data.start_with(data.setup().with("--full-scan-notice=0")).await;
    for (placement, group) in groups(&data) {
        let owner = owner(&app, &group["acme"]);
        let orders = format!("{}/collections/orders", path(&group["acme"]));
        let listed = owner.get(&format!("{orders}/indexes")).await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), INDEXES.len(), "{placement}");
        for (keys, unique, _, filter) in INDEXES {
            let is_it = |index: &&Value| index["keys"] == keys && index["unique"] == unique;
            assert!(
                listed["items"].as_array().unwrap().iter().any(|index| is_it(&index)),
                "{placement}: {keys}"
            );
            let page = owner.get(&format!("{orders}/documents?filter={}", encoded(filter))).await;
            assert!(
                !page.headers.contains_key("full-scan"),
                "{placement}: {filter} is served by no index: {page}"
            );
            assert!(!page.ok()["items"].as_array().unwrap().is_empty(), "{placement}: {filter}");
        }
        let filter = encoded(r#"{"customer.name":"Customer 8"}"#);
        let page = owner.get(&format!("{orders}/documents?filter={filter}")).await;
        assert!(page.headers.contains_key("full-scan"), "{placement}: what no index serves says so");
        // Unique ones refuse, also what came before this version.
        let documents = format!("{orders}/documents");
        for twin in [json!({ "number": 17 }), json!({ "number": 1000, "note": "note 8" })] {
            let answer = owner.post(&documents, &twin).await;
            if twin["note"].is_string() {
                // Of the pair only one is the same.
                answer.created();
            } else {
                answer.refused("unique_violation");
            }
        }
        let made =
            owner.post(&format!("{orders}/indexes"), &json!({ "keys": "number", "unique": true })).await;
        assert_eq!(made.status, 200, "it is there already: {made}");
    }
}

/// The documents of every container as bytes, by file or collection, in an order.
fn stored_documents(test_env: &TestEnv) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut stored = match test_env.database() {
        None => in_files(&test_env.data_dir().join("containers")),
        Some(database) => in_collections(&dump(database)),
    };
    stored.values_mut().for_each(|documents| documents.sort());
    stored
}

fn in_files(directory: &Path) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(in_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "db") {
            let container = Connection::open(&path).unwrap();
            let mut rows = container.prepare("SELECT collection, id, revision, body FROM documents").unwrap();
            let row = |row: &rusqlite::Row<'_>| {
                let numbers = [row.get::<_, i64>(0)?, row.get(2)?].map(i64::to_be_bytes).concat();
                Ok([numbers, row.get(1)?, row.get(3)?].concat())
            };
            let rows = rows.query_map([], row).unwrap().map(Result::unwrap).collect();
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), rows);
        }
    }
    found
}

/// The files of organizations' collections; the service may write its own records in any form.
fn in_collections(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<Vec<u8>>> {
    let of_organizations = |name: &str| {
        let (database, collection) = name.split_once('/').unwrap();
        database != MASTER_DATABASE
            || ["tenant_", "deleted_"].iter().any(|prefix| collection.starts_with(prefix))
            || collection == "shared_documents.bson"
    };
    let documents = files.iter().filter(|(name, _)| name.ends_with(".bson") && of_organizations(name));
    let documents = documents.map(|(name, bytes)| {
        (name.clone(), split(bytes).into_iter().map(RawDocumentBuf::into_bytes).collect::<Vec<_>>())
    });
    documents.collect()
}

#[tokio::test]
async fn earlier_documents_stay_unchanged_on_disk() {
    let data = DataSet::open();
    let before = stored_documents(data.test_env());
    assert!(before.len() > 3, "{:?}", before.keys());
    if data.test_env().database().is_some() {
        // What was restored is what was written, to the byte.
        let mut written = in_collections(&data.collections());
        written.values_mut().for_each(|documents| documents.sort());
        assert_eq!(before, written);
    }
    let app = data.start().await;
    app.maintain().await;
    for (_, group) in groups(&data) {
        for role in ["acme", "tools", "full"] {
            let listed = format!("{}/collections/documents/documents", path(&group[role]));
            owner(&app, &group[role]).get(&listed).await;
        }
    }
    let test_env = app.restart().await.stop().await;
    let after = stored_documents(&test_env);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, documents) in &before {
        assert!(documents == &after[name], "documents of {name} have changed");
    }
}

/// The options, the indexes and the UUID of each collection of organizations.
fn metadata(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    let of_organizations = |name: &&String| {
        let is_theirs = ["/tenant_", "/shared_documents", "/reports", "/strict", "/fs.files"];
        name.ends_with(".metadata.json") && is_theirs.iter().any(|part| name.contains(part))
    };
    let names = files.keys().filter(of_organizations);
    names.map(|name| (name.clone(), String::from_utf8(files[name].clone()).unwrap())).collect()
}

#[tokio::test]
async fn indexes_made_by_other_programs_stay() {
    let data = DataSet::open();
    let Some(database) = data.test_env().database() else {
        // Programs make indexes in MongoDB alone.
        return;
    };
    let before = metadata(&data.collections());
    assert!(before.keys().any(|name| name.ends_with("reports.metadata.json")));
    assert_eq!(metadata(&dump(database)), before, "they are not restored as they were written");
    let app = data.start().await;
    app.maintain().await;
    for (_, group) in groups(&data) {
        let tools = &group["tools"];
        owner(&app, tools).get(&format!("{}/collections", path(tools))).await.ok();
    }
    assert_eq!(metadata(&dump(database)), before);
    // MongoDB uses them: a text is found by words only with an index.
    let found = |database: &mongodb::Database, collection: &str| {
        let reports = database.collection::<bson::Document>(collection);
        run(
            async move { reports.count_documents(bson::doc! { "$text": { "$search": "report" } }).await.unwrap() },
        )
    };
    let tools = &data.facts["groups"];
    let own =
        database.handle().client().database(&format!("tenant_{}", text(&tools["database"]["tools"]["id"])));
    assert_eq!(found(&own, "reports"), 20);
    assert_eq!(found(&database.handle(), "tenant_tools_collection.reports"), 20);
}
