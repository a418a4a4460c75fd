//! Space on disk: what an organization takes, and how it gets smaller again.

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::{
    Organization, insert_lines, new_organization, organization, sign_in, with_access,
};
use mongodb::bson::doc;
use serde_json::{Value, json};
use tenantry_domain::organization::Placement;

const DOCUMENTS: usize = 3000;

async fn disk_bytes(owner: &Client, path: &str) -> Value {
    owner.get(&format!("{path}/usage")).await.ok()["disk_bytes"].take()
}

async fn fill(acme: &Organization) {
    let lines: Vec<String> =
        (0..DOCUMENTS).map(|number| json!({ "_id": number, "text": "x".repeat(2000) }).to_string()).collect();
    let answer = insert_lines(&acme.owner, &acme.documents(), &lines.join("\n")).await;
    assert_eq!(answer.lines().last().unwrap()["inserted"], DOCUMENTS, "{answer}");
}

#[tokio::test]
async fn compaction_gives_space_of_deleted_documents_back() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    fill(&acme).await;
    let kept = acme.owner.get(&format!("{}/~7", acme.documents())).await.ok();
    let filter = json!({ "filter": { "_id": { "$gt": 10 } } });
    let collection = acme.documents().strip_suffix("/documents").unwrap().to_owned();
    assert_eq!(
        acme.owner.post(&format!("{collection}/delete"), &filter).await.ok()["deleted"],
        DOCUMENTS - 11
    );
    let done = app.operator().post_empty(&format!("{}/compact", acme.path())).await.ok();
    let (before, after) = (done["disk_bytes_before"].as_u64().unwrap(), done["disk_bytes"].as_u64().unwrap());
    // MongoDB tells what its files had at their last checkpoint.
    assert!(before > 0 && after > 0, "{done}");
    if app.test_env().database().is_none() {
        assert!(before > 6_000_000 && after < 300_000, "{done}");
    }
    // Nothing has changed for a reader, and writes go on.
    assert_eq!(acme.owner.get(&format!("{}/~7", acme.documents())).await.ok(), kept);
    acme.owner.post(&acme.documents(), &json!({ "_id": "new" })).await.created();
    let usage = acme.owner.get(&format!("{}/usage", acme.path())).await.ok();
    assert_eq!(usage["documents"], 12);
}

#[tokio::test]
async fn disk_bytes_are_null_where_files_are_shared() {
    let app = App::start().await;
    let placements =
        if app.test_env().database().is_some() { Placement::ALL.to_vec() } else { vec![Placement::Database] };
    for placement in placements {
        let name = format!("In {}", placement.as_str());
        let email = format!("{}@acme.example", placement.as_str());
        let mut new = new_organization(&name, &email);
        new["placement"] = json!(placement.as_str());
        let made = app.operator().post("/v1/organizations", &new).await.created();
        let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
        let owner = with_access(&app, &sign_in(&app, &email).await);
        owner.post(&format!("{path}/collections/documents/documents"), &json!({ "_id": 1 })).await.created();
        let compacted = app.operator().post_empty(&format!("{path}/compact")).await;
        if placement == Placement::Shared {
            assert_eq!(disk_bytes(&owner, &path).await, Value::Null);
            compacted.refused("compaction_unsupported");
        } else {
            assert!(disk_bytes(&owner, &path).await.as_u64().unwrap() > 0);
            compacted.ok();
        }
    }
}

#[tokio::test]
async fn only_operator_compacts_organization() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/compact", acme.path());
    acme.owner.post_empty(&path).await.refused("operator_only");
    app.client().post_empty(&path).await.refused("operator_key_required");
    app.operator().post_empty("/v1/organizations/nobody/compact").await.refused("organization_not_found");
    app.operator().delete(&acme.path()).await.ok();
    let gone = app.operator().post_empty(&path).await;
    gone.refused("organization_not_active");
}

/// MongoDB alone has such databases.
#[tokio::test]
async fn disk_bytes_count_each_collection_once() {
    let app = App::start().await;
    let Some(database) = app.test_env().database() else { return };
    let mut new = new_organization("Acme", "owner@acme.example");
    new["placement"] = json!("database");
    let made = app.operator().post("/v1/organizations", &new).await.created();
    let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    let owner = with_access(&app, &sign_in(&app, "owner@acme.example").await);
    owner.post(&format!("{path}/collections/documents/documents"), &json!({ "_id": 1 })).await.created();
    owner.post(&format!("{path}/collections"), &json!({ "name": "notes" })).await.created();
    let own = database.handle().client().database(made["tenant_database"].as_str().unwrap());
    let stored = async || {
        let own = own.clone();
        crate::support::mongodb::spawn(async move {
            let mut sum = 0;
            for name in ["documents", "notes"] {
                let stats = own.run_command(doc! { "collStats": name }).await.unwrap();
                let bytes = |field: &str| {
                    stats.get_i32(field).map_or_else(|_| stats.get_i64(field).unwrap(), i64::from)
                };
                sum += bytes("storageSize") + bytes("totalIndexSize");
            }
            sum
        })
        .await
        .unwrap()
    };
    // A checkpoint may come between.
    loop {
        let before = stored().await;
        let told = disk_bytes(&owner, &path).await;
        if stored().await == before {
            assert_eq!(told, before);
            return;
        }
    }
}
