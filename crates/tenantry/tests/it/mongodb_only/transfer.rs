//! `tenantry transfer`: a whole installation to MongoDB and back, stopped in the middle, and what it refuses.

mod kinds;

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::command_output::{refused, said};
use crate::support::data_set::{DataSet, archives};
use crate::support::fixtures::{PASSWORD, credentials, find, organization, sign_in, with_access};
use crate::support::mongodb;
use crate::support::records::{contents, documents, put_documents};
use crate::support::store::{api_key, insert, invitation, with_store};
use crate::support::test_env::{Engine, TestEnv};
use ::mongodb::bson::doc;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tenantry_domain::api_key::{ApiKey, ApiKeyOwner};
use tenantry_domain::identity::{Identity, IdentityOrigin, identity_id};
use tenantry_domain::ids::{AccountId, OrganizationId};
use tenantry_domain::store::BoundedInsert;

const ISSUER: &str = "https://login.example.com/";

fn identity(subject: &str, account_id: AccountId) -> Identity {
    Identity {
        id: identity_id(ISSUER, subject),
        issuer: ISSUER.into(),
        subject: subject.into(),
        account_id,
        credential_epoch: 3,
        origin: IdentityOrigin::Address,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// The other engine than that of the directory.
fn command(test_env: &TestEnv, from: &str, to: &str, placement: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command
        .args(["transfer", "--from", from, "--to", to, "--mongo-timeout=30"])
        .arg(format!("--master-db={}", test_env.database().unwrap().name()))
        .arg(format!("--placement={placement}"))
        .env_clear()
        .env("MONGO_URI", mongodb::uri())
        .env("JWT_SECRET", "a secret of 32 bytes for these tests")
        .current_dir(test_env.data_dir().parent().unwrap())
        .stdin(Stdio::null());
    command
}

fn path(directory: &Path) -> String {
    directory.display().to_string()
}

/// A data directory with three organizations (one renamed, one suspended, one deleted) and documents in each.
async fn embedded() -> App {
    let app = App::at(TestEnv::on(Engine::Embedded)).await;
    for (name, count) in [("Acme", 700), ("Beta", 3), ("Gone", 5)] {
        let made = organization(&app, name).await;
        put_documents(&app, made.id(), count);
    }
    let acme = sign_in(&app, "owner@acme.example").await;
    let owner = with_access(&app, &acme);
    owner.post("/v1/organizations/acme/collections", &json!({ "name": "orders" })).await.created();
    for (collection, body) in [
        ("orders", json!({ "keys": "-total,kind", "unique": true, "name": "mine" })),
        ("orders", json!({ "keys": "kind" })),
        ("orders", json!({ "name": "some", "keys": "kind", "partial_filter": { "total": { "$gte": 1.0 } } })),
        ("orders", json!({ "keys": "mail", "unique": true, "sparse": true })),
        ("orders", json!({ "keys": "until", "expire_after_seconds": 60 })),
        ("documents", json!({ "keys": "number" })),
    ] {
        owner
            .post(&format!("/v1/organizations/acme/collections/{collection}/indexes"), &body)
            .await
            .created();
    }
    let schema = json!({ "schema": { "required": ["number"] }, "action": "warn" });
    owner.put("/v1/organizations/acme/collections/orders/schema", &schema).await.created();
    let rename = json!({ "organization_name": "Acme Global" });
    with_access(&app, &acme).put("/org/update", &rename).await.ok();
    app.operator().post_empty("/v1/organizations/beta/suspend").await.ok();
    app.operator().delete("/v1/organizations/gone").await.ok();
    app
}

/// The collections of Acme, their indexes and schemas.
async fn shape(app: &App, id: &str) -> Vec<Value> {
    let owner = with_access(app, &sign_in(app, "owner@acme.example").await);
    let path = format!("/v1/organizations/{id}/collections");
    let listed = owner.get(&path).await.ok();
    let mut shape = Vec::new();
    for collection in items(&listed) {
        let name = &collection["name"];
        let indexes = owner.get(&format!("{path}/{}/indexes", name.as_str().unwrap())).await.ok();
        let schema = owner.get(&format!("{path}/{}/schema", name.as_str().unwrap())).await.json();
        shape.push(json!([
            name,
            collection["documents"],
            indexes["items"],
            schema["schema"],
            schema["action"]
        ]));
    }
    shape
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_to_mongodb_and_back_keeps_everything() {
    for placement in ["collection", "database", "shared"] {
        let app = embedded().await;
        let listed = app.operator().get("/v1/organizations?show_deleted=true").await.ok();
        let ids: Vec<String> = ids(&listed);
        let before: Vec<_> = ids.iter().map(|id| documents(&app, id)).collect();
        let shape_before = shape(&app, &ids[0]).await;
        let (source, operator_key) = (app.stop().await, "operator.key");

        let test_env = TestEnv::new();
        let there = command(&test_env, &path(&source.data_dir()), "MONGO_URI", placement).output().unwrap();
        assert!(said(&there).contains("the same 3 organizations, 3 accounts"), "{there:?}");
        assert!(said(&there).contains("and 708 documents"), "{there:?}");
        // The operator copies the key file.
        std::fs::create_dir_all(test_env.data_dir()).unwrap();
        std::fs::copy(source.data_dir().join(operator_key), test_env.data_dir().join(operator_key)).unwrap();

        let app = App::at(test_env).await;
        let moved = app.operator().get("/v1/organizations?show_deleted=true").await.ok();
        for (one, other) in items(&listed).iter().zip(items(&moved)) {
            for field in
                ["id", "organization_name", "status", "admin_id", "created_at", "modified_at", "purge_at"]
            {
                assert_eq!(one[field], other[field], "{field}");
            }
            assert_eq!(other["placement"], placement);
        }
        assert_eq!(shape(&app, &ids[0]).await, shape_before, "{placement}");
        let acme = sign_in(&app, "owner@acme.example").await;
        let rename = json!({ "organization_name": "Acme Local" });
        let renamed = with_access(&app, &acme).put("/org/update", &rename).await.ok();
        assert_eq!(renamed["documents_migrated"], 700);
        app.operator().post_empty(&format!("/v1/organizations/{}/restore", ids[2])).await.ok();
        app.client()
            .post("/admin/login", &credentials("owner@beta.example", PASSWORD))
            .await
            .refused("organization_suspended");

        let test_env = app.stop().await;
        let back = TestEnv::on(Engine::Embedded);
        let home = command(&test_env, "MONGO_URI", &path(&back.data_dir()), placement).output().unwrap();
        assert!(said(&home).contains("and 708 documents"), "{home:?}");
        std::fs::copy(test_env.data_dir().join(operator_key), back.data_dir().join(operator_key)).unwrap();
        let app = App::at(back).await;
        find(&app, "Acme Local").await.ok();
        find(&app, "Gone").await.ok();
        let after: Vec<_> = ids.iter().map(|id| documents(&app, id)).collect();
        assert_eq!(before, after, "{placement}");
        assert_eq!(shape(&app, &ids[0]).await, shape_before, "{placement}");
        app.operator().get("/v1/organizations").await.ok();
    }
}

/// To MongoDB and back, with what the embedded engine keeps beside the record of a key and MongoDB in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_copies_keys_invitations_and_identities() {
    let organization_id = OrganizationId::from_bytes([1; 12]);
    let unused = ApiKey { last_used_at: None, ..api_key(2, ApiKeyOwner::Organization(organization_id)) };
    let keys = [api_key(1, ApiKeyOwner::Installation), unused, api_key(3, ApiKeyOwner::Installation)];
    let invitations = [
        invitation(1, organization_id, Timestamp::UNIX_EPOCH),
        invitation(2, organization_id, Timestamp::UNIX_EPOCH),
    ];
    let account_id = AccountId::from_bytes([7; 12]);
    let mut identities = ["ada", "650000000000000000000001"].map(|subject| identity(subject, account_id));
    identities.sort_by_key(|identity| identity.id);
    let source = TestEnv::on(Engine::Embedded);
    with_store(&source, async |store| {
        insert(&store, &keys, &invitations).await;
        for identity in &identities {
            let inserted = store.identities.insert_identity(identity, 20, None).await.unwrap();
            assert_eq!(inserted, BoundedInsert::New);
        }
    })
    .await;

    let test_env = TestEnv::new();
    let there = command(&test_env, &path(&source.data_dir()), "MONGO_URI", "collection").output().unwrap();
    assert!(said(&there).contains("3 API keys, 2 invitations, 2 identities"), "{there:?}");
    let back = TestEnv::on(Engine::Embedded);
    said(&command(&test_env, "MONGO_URI", &path(&back.data_dir()), "collection").output().unwrap());
    for test_env in [&test_env, &back] {
        with_store(test_env, async |store| {
            for key in &keys {
                assert_eq!(*store.api_keys.get_api_key(key.id).await.unwrap().unwrap(), *key);
            }
            let listed = store.invitations.list_invitations(organization_id, None, 10).await.unwrap();
            assert!(listed.iter().map(|one| &**one).eq(&invitations), "{listed:?}");
            let listed = store.identities.list_identities(account_id, 10).await.unwrap();
            assert!(listed.iter().map(|one| &**one).eq(&identities), "{listed:?}");
        })
        .await;
    }
}

/// A transfer that was killed resumes when it is started again; no service starts before its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_that_was_killed_resumes_and_blocks_use() {
    let source = embedded().await.stop().await;
    let test_env = TestEnv::new();
    let from = path(&source.data_dir());
    let mut killed = 0;
    for milliseconds in [40, 80, 160, 320, 640] {
        let mut running =
            command(&test_env, &from, "MONGO_URI", "collection").stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        running.kill().unwrap();
        killed += u32::from(running.wait().unwrap().code().is_none());
        if mark(&test_env) {
            let refusal = App::refused_at(&test_env).await;
            assert!(refusal.contains("run the same `tenantry transfer` again"), "{refusal}");
        }
    }
    assert!(killed > 0, "each was done before it was killed");
    let done = command(&test_env, &from, "MONGO_URI", "collection").output().unwrap();
    if done.status.success() {
        assert!(said(&done).contains("and 708 documents"), "{done:?}");
    } else {
        // The last of those that were killed was complete by then.
        assert!(refused(&done).contains("The target has organizations already"), "{done:?}");
    }
    assert!(!mark(&test_env));
    let app = App::at(test_env).await;
    find(&app, "Acme Global").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_refuses_used_target_and_running_source() {
    let app = embedded().await;
    let test_env = TestEnv::new();
    let from = path(&app.data_dir());
    let refusal = refused(&command(&test_env, &from, "MONGO_URI", "collection").output().unwrap());
    assert!(refusal.contains("is in use by another process"), "{refusal}");

    let other = App::start().await;
    let kept = organization(&other, "Kept").await;
    put_documents(&other, kept.id(), 4);
    let before = contents(&other, kept.id());
    let source = app.stop().await;
    let refusal =
        command(other.test_env(), &path(&source.data_dir()), "MONGO_URI", "collection").output().unwrap();
    assert!(refused(&refusal).contains("The target has organizations already"), "{refusal:?}");
    assert_eq!(contents(&other, kept.id()), before);
    find(&other, "Kept").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_of_earlier_version_to_mongodb_works() {
    let data = DataSet::open_on(Engine::Embedded);
    let test_env = TestEnv::new();
    let source = data.test_env().data_dir();
    said(&command(&test_env, &path(&source), "MONGO_URI", "collection").output().unwrap());
    std::fs::create_dir_all(test_env.data_dir()).unwrap();
    std::fs::copy(source.join("operator.key"), test_env.data_dir().join("operator.key")).unwrap();

    let app = data.setup().start_on(test_env).await;
    for account in data.facts["accounts"].as_array().unwrap() {
        let credentials =
            credentials(account["email"].as_str().unwrap(), account["password"].as_str().unwrap());
        let tokens = app.client().post("/admin/login", &credentials).await.ok();
        let path = format!("/v1/organizations/{}", account["id"].as_str().unwrap());
        assert_eq!(with_access(&app, &tokens).get(&path).await.ok()["id"], account["id"]);
    }
    for role in ["acme", "idle", "held"] {
        let organization = &data.facts["groups"]["files"][role];
        let export = format!("{}/export", organization["path"].as_str().unwrap());
        let now = app.operator().get(&export).await.text;
        let then = &archives()[&format!("Embedded/{role}-files.ndjson")];
        assert_eq!(crate::archives::data(&now), crate::archives::data(then), "{role}");
    }
    Snapshot::sound(&app.stop().await);
}

fn mark(test_env: &TestEnv) -> bool {
    !test_env.database().unwrap().find("installation", doc! { "_id": "transfer" }).is_empty()
}

fn items(listed: &Value) -> &Vec<Value> {
    listed["items"].as_array().unwrap()
}

fn ids(listed: &Value) -> Vec<String> {
    items(listed).iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}
