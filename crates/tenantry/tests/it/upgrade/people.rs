//! What the second data set has: members and their roles, keys, links, trails, schemas, indexes of some documents, archives
//! of version 2, a backup.

mod write;

use super::{assert_repeated, assert_still_says, groups, import, path, repeat, text};
use crate::backup::Backups;
use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::client::Client;
use crate::support::data_set::{DataSet, Writer, archives_of};
use crate::support::fixtures::{PASSWORD, encoded, sign_in, with_access};
use crate::support::keys::{exchange, with_key};
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_domain::audit::AuditChain;
use tenantry_domain::audit::chain::ChainVerifier;

fn open() -> DataSet {
    DataSet::open_of(Writer::Second, crate::engine())
}

fn documents(group: &Value) -> String {
    format!("{}/collections/documents/documents", path(group))
}

fn about(group: &Value, what: &str) -> String {
    format!("{}/collections/documents/{what}", path(group))
}

fn member(app: &App, group: &Value, role: &str) -> Client {
    app.client().with_token(text(&group["members"][role]))
}

fn owner(app: &App, group: &Value) -> Client {
    with_access(app, &group["owner"])
}

#[tokio::test]
async fn earlier_members_keep_their_roles() {
    let data = open();
    let app = data.start().await;
    app.maintain().await;
    for (_, group) in groups(&data) {
        let owner = owner(&app, group);
        let members = format!("{}/members", path(group));
        assert_still_says(&owner.get(&members).await.ok(), &group["listed"], "members");
        assert_still_says(&owner.get(&format!("{}/roles", path(group))).await.ok(), &group["roles"], "roles");
        for role in ["admin", "member", "viewer", "auditor"] {
            let client = member(&app, group, role);
            client.get(&documents(group)).await.ok();
            let written = client.post(&documents(group), &json!({ "_id": role })).await;
            let may_write = ["admin", "member"].contains(&role);
            assert_eq!(written.status.as_u16(), if may_write { 201 } else { 403 }, "{role}: {written}");
            let may_audit = ["admin", "auditor"].contains(&role);
            let trail = client.get(&format!("{}/audit", path(group))).await;
            assert_eq!(trail.status.as_u16(), if may_audit { 200 } else { 403 }, "{role}: {trail}");
            sign_in(&app, text(&group["members"][format!("{role}_email")])).await;
        }
        let viewer = &group["listed"]["items"].as_array().unwrap().iter().find(|one| one["role"] == "viewer");
        let viewer = format!("{members}/{}", text(&viewer.unwrap()["account_id"]));
        owner.patch(&viewer, &json!({ "role": "member" })).await.ok();
        member(&app, group, "viewer").post(&documents(group), &json!({ "_id": "v" })).await.created();
    }
    Snapshot::sound(&app.stop().await);
}

#[tokio::test]
async fn earlier_keys_open_what_they_did() {
    let data = open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let keys = &group["keys"];
        for key in ["own", "renewed"] {
            with_key(&app, &keys[key]).get(&documents(group)).await.ok();
            with_key(&app, &keys[key]).get(path(group)).await.refused("permission_missing");
        }
        for key in ["rotated", "revoked"] {
            with_key(&app, &keys[key]).get(&documents(group)).await.refused("key_invalid");
        }
        let exchanged = app.client().with_token(text(&keys["exchanged"]));
        exchanged.get(&documents(group)).await.ok();
        exchanged.post(&documents(group), &json!({ "_id": "x" })).await.refused("permission_missing");
        let service = with_key(&app, &keys["service"]);
        service.get(&documents(group)).await.refused("members_only");
        exchange(&service, path(group), &["documents:read"]).await.ok();
        let listed = owner(&app, group).get(&format!("{}/keys", path(group))).await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    }
}

#[tokio::test]
async fn earlier_links_are_used_once() {
    let data = open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let links = &group["links"];
        let body = json!({ "token": links["invitation"]["token"], "password": PASSWORD });
        let tokens = app.client().post("/v1/invitations/accept", &body).await.created();
        with_access(&app, &tokens).post(&documents(group), &json!({ "_id": "new" })).await.created();
        app.client().post("/v1/invitations/accept", &body).await.refused("invitation_invalid");
        let reset = json!({ "token": links["reset"]["token"], "new_password": "another secret 47" });
        app.client().post("/v1/auth/reset-password", &reset).await.done();
        app.client().post("/v1/auth/reset-password", &reset).await.refused("reset_invalid");
        owner(&app, group).get(path(group)).await.refused("token_revoked");
    }
    Snapshot::sound(&app.stop().await);
}

#[tokio::test]
async fn earlier_trail_is_continued() {
    let data = open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let before = group["trail"]["items"].as_array().unwrap();
        app.operator().patch(path(group), &json!({ "legal_hold": true })).await.ok();
        let trail = format!("{}/audit", path(group));
        let now = owner(&app, group).get(&format!("{trail}?limit=200")).await.ok();
        let now = now["items"].as_array().unwrap();
        let more = now.len() - before.len();
        assert!(more > 0, "the change is in it");
        assert_still_says(&json!(now[more..]), &json!(before), "trail");
        let mut verifier: Option<ChainVerifier> = None;
        for line in app.operator().get(&format!("{trail}/chain")).await.lines() {
            let entry: tenantry_domain::audit::AuditEntry = serde_json::from_value(line).unwrap();
            let chain: AuditChain = entry.chain;
            verifier.get_or_insert_with(|| ChainVerifier::new(chain)).check(&entry).unwrap();
        }
        assert!(verifier.is_some());
    }
}

#[tokio::test]
async fn earlier_schema_and_special_indexes_apply() {
    let data = open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let (client, then) = (owner(&app, group), &group["data"]);
        assert_eq!(client.get(&about(group, "schema")).await.ok(), then["schema"]);
        assert_still_says(&client.get(&about(group, "indexes")).await.ok(), &then["indexes"], "indexes");
        let now = client.get(&format!("{}?limit=200&revisions=true", documents(group))).await.ok();
        assert_eq!(now["items"], then["documents"]["items"]);
        let insert = async |document: Value| client.post(&documents(group), &document).await;
        insert(json!({ "_id": "bad", "n": -1 })).await.refused_at("schema_violation", "/n");
        insert(json!({ "_id": "twin", "n": 4, "state": "open" })).await.refused("unique_violation");
        insert(json!({ "_id": "other", "n": 4, "state": "done" })).await.created();
        insert(json!({ "_id": "a", "code": "c" })).await.created();
        insert(json!({ "_id": "b", "code": "c" })).await.refused("unique_violation");
        let at = app.clock.milliseconds();
        let until = json!({ "_id": "brief", "until": { "$date": { "$numberLong": at.to_string() } } });
        insert(until).await.created();
        assert_repeated(&repeat(&client, &then["kept"]).await, &then["kept"]);
        let group_by = json!({ "pipeline": [{ "$group": { "_id": "$state", "n": { "$sum": 1 } } }] });
        let counted = client.post(&about(group, "aggregate"), &group_by).await.ok();
        assert_eq!(counted["items"].as_array().unwrap().len(), 3, "{counted}");
    }
    app.clock.advance(Duration::from_secs(3500));
    app.expire().await;
    let brief = async |group: &Value| owner(&app, group).get(&format!("{}/brief", documents(group))).await;
    for (_, group) in groups(&data) {
        brief(group).await.ok();
    }
    app.clock.advance(Duration::from_secs(200));
    app.expire().await;
    for (_, group) in groups(&data) {
        let tokens = sign_in(&app, text(&group["email"])).await;
        let gone = with_access(&app, &tokens).get(&format!("{}/brief", documents(group))).await;
        gone.refused("document_not_found");
    }
    Snapshot::sound(&app.stop().await);
}

#[tokio::test]
async fn earlier_archives_bring_members_and_keys() {
    let app = App::start().await;
    for (number, (name, archive)) in archives_of(Writer::Second).iter().enumerate() {
        let copy = format!("Copy {number}");
        let more = format!("id=new&organization_name={}", encoded(&copy));
        let made = import(&app, archive, &more).await.created();
        let organization = format!("/v1/organizations/{}", text(&made["id"]));
        let members = app.operator().get(&format!("{organization}/members")).await.ok();
        let mut roles: Vec<&str> =
            members["items"].as_array().unwrap().iter().map(|member| text(&member["role"])).collect();
        roles.sort_unstable();
        assert_eq!(roles, ["admin", "auditor", "member", "owner", "viewer"], "{name}");
        let export = app.operator().get(&format!("{organization}/export")).await.text;
        assert_eq!(own_data(&export), own_data(archive), "{name}");
        assert!(own_data(archive).len() > 22, "{name}");
    }
}

/// What an import takes as it is: members get accounts of this installation, and keys get new ids.
fn own_data(archive: &str) -> Vec<&str> {
    let own = ["{\"role\"", "{\"collection", "{\"document\""];
    archive.lines().filter(|line| own.iter().any(|start| line.starts_with(start))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_backup_is_restored() {
    let data = open();
    let backups = Backups::new();
    data.write_backup(&backups.directory());
    let target = TestEnv::new();
    backups.run(&target, &["restore", "DIR"]).await.done();
    let app = data.setup().start_on(target).await;
    for (_, group) in groups(&data) {
        owner(&app, group).get(path(group)).await.refused("credential_unconfirmed");
        let client = with_access(&app, &sign_in(&app, text(&group["email"])).await);
        let now = client.get(&format!("{}?limit=200", documents(group))).await.ok();
        assert_eq!(now["items"].as_array().unwrap().len(), 20);
    }
}
