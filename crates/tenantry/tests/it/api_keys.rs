//! API keys of an organization: what they open, what they never do, and when they end.

mod service;

use crate::support::app::App;
use crate::support::fixtures::{Organization, invited, organization, sign_in, with_access, with_role};
use crate::support::keys::{exchange, organization_key, with_key};
use serde_json::{Value, json};
use std::time::Duration;

const DATA: [&str; 3] = ["documents:read", "documents:write", "collections:write"];

fn documents(organization: &Organization) -> String {
    format!("{}/collections/documents/documents", organization.path())
}

fn key_path(organization: &Organization, key: &Value) -> String {
    format!("{}/keys/{}", organization.path(), key["id"].as_str().unwrap())
}

#[tokio::test]
async fn organization_key_opens_its_organization_alone() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let key = organization_key(&acme, &DATA).await;
    let program = with_key(&app, &key);
    program.post(&documents(&acme), &json!({ "_id": "a", "n": 1 })).await.created();
    assert_eq!(program.get(&format!("{}/a", documents(&acme))).await.ok()["n"], 1);
    program.post(&format!("{}/collections", acme.path()), &json!({ "name": "orders" })).await.created();
    program.get(&documents(&globex)).await.refused("organization_not_found");
    program.post(&documents(&globex), &json!({ "n": 1 })).await.refused("organization_not_found");
}

#[tokio::test]
async fn key_allows_what_its_permissions_say() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let program = with_key(&app, &organization_key(&acme, &["documents:read"]).await);
    program.get(&documents(&acme)).await.ok();
    let problem = program.post(&documents(&acme), &json!({ "n": 1 })).await.refused("permission_missing");
    assert!(problem["detail"].as_str().unwrap().contains("`documents:write`"), "{problem}");
    program.get(&acme.path()).await.refused("permission_missing");
    program.patch(&acme.path(), &json!({ "organization_name": "Other" })).await.refused("permission_missing");
}

#[tokio::test]
async fn key_never_signs_in_makes_keys_or_exports() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let all = [&DATA[..], &["organizations:read", "organizations:write", "members:write"]].concat();
    let program = with_key(&app, &organization_key(&acme, &all).await);
    let keys = format!("{}/keys", acme.path());
    let new = json!({ "name": "x", "permissions": ["documents:read"] });
    program.post(&keys, &new).await.refused("session_required");
    program.get(&keys).await.refused("session_required");
    program.get(&format!("{}/export", acme.path())).await.refused("permission_missing");
    program.post_empty("/v1/auth/logout").await.refused("session_required");
    program
        .delete(&format!("/org/delete?organization_name={}", acme.name()))
        .await
        .refused("session_required");
    exchange(&program, &acme.path(), &["documents:read"]).await.refused("service_key_required");
    // What its permissions do allow.
    program.patch(&acme.path(), &json!({ "organization_name": "Acme Two" })).await.ok();
}

#[tokio::test]
async fn key_beyond_its_makers_rights_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let keys = format!("{}/keys", acme.path());
    for permission in ["keys:write", "tokens:issue", "organizations:export", "owners:write"] {
        let new = json!({ "name": "x", "permissions": ["documents:read", permission] });
        let problem = acme.owner.post(&keys, &new).await.refused("invalid_input");
        assert_eq!(problem["errors"][0]["pointer"], "/permissions/1", "{problem}");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("Must be one of documents:read") && !detail.contains(permission),
            "{detail}"
        );
    }
    // The operator sees and ends keys, and makes none that would open data.
    let new = json!({ "name": "x", "permissions": ["documents:read"] });
    app.operator().post(&keys, &new).await.refused("session_required");
    let made = acme.owner.post(&keys, &new).await.created();
    let rotate = format!("{}/rotate", key_path(&acme, &made));
    app.operator().post_empty(&rotate).await.refused("session_required");
    assert_eq!(app.operator().get(&keys).await.ok()["items"][0]["id"], made["id"]);
    app.operator().delete(&key_path(&acme, &made)).await.done();
    with_key(&app, &made).get(&documents(&acme)).await.refused("key_invalid");
    let (_app, member) = with_role(app, &acme, "member").await;
    member.post(&keys, &new).await.refused("role_insufficient");
}

/// A role may allow to make keys, and nothing that a key can carry.
#[tokio::test]
async fn key_of_narrow_role_is_refused_with_what_is_missing() {
    let app = App::start().await;
    let (acme, guest) = (organization(&app, "Acme").await, organization(&app, "Guest").await);
    let role = json!({ "name": "keysmith", "permissions": ["keys:write"] });
    acme.owner.post(&format!("{}/roles", acme.path()), &role).await.created();
    let smith = invited(&app, &guest, &acme, "keysmith").await;
    let new = json!({ "name": "x", "permissions": ["documents:read"] });
    let problem = smith.post(&format!("{}/keys", acme.path()), &new).await.refused("invalid_input");
    assert_eq!(problem["errors"][0]["pointer"], "/permissions/0", "{problem}");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("`documents:read`"), "{problem}");
    let made = organization_key(&acme, &["documents:read"]).await;
    let rotate = format!("{}/rotate", key_path(&acme, &made));
    let problem = smith.post_empty(&rotate).await.refused("role_insufficient");
    assert!(problem["detail"].as_str().unwrap().contains("`documents:read`"), "{problem}");
}

/// Who has the right secret learns whether a new key helps.
#[tokio::test]
async fn ended_key_says_why() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = organization_key(&acme, &DATA).await;
    let program = with_key(&app, &key);
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    let problem = program.get(&documents(&acme)).await.refused("key_invalid");
    assert!(problem["detail"].as_str().unwrap().contains("is suspended. Keep the key"), "{problem}");
    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    program.get(&documents(&acme)).await.ok();
}

#[tokio::test]
async fn key_with_bad_fields_names_each() {
    let app = App::start().await;
    let body = json!({
        "name": "", "permissions": ["documents:read", "moon:reach", 7], "organizations": ["x"],
        "expires_in": 59, "role": "owner", "hash": "x",
    });
    let problem = app.operator().post("/v1/keys", &body).await.refused("invalid_input");
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(
        pointers,
        ["/name", "/permissions/1", "/permissions/2", "/organizations/0", "/expires_in", "/hash", "/role"]
    );
    for permissions in [json!([]), json!("documents:read"), Value::Null] {
        let body = json!({ "name": "x", "permissions": permissions });
        app.operator().post("/v1/keys", &body).await.refused("invalid_input");
    }
}

#[tokio::test]
async fn key_is_shown_once_and_listed_without_its_text() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let made = [organization_key(&acme, &["documents:read"]).await, organization_key(&acme, &DATA).await];
    let page = acme.owner.get(&format!("{}/keys?limit=1", acme.path())).await.ok();
    assert_eq!(page["items"][0]["id"], made[0]["id"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = acme.owner.get(&format!("{}/keys?cursor={cursor}", acme.path())).await.ok();
    assert_eq!(rest["items"][0]["id"], made[1]["id"]);
    assert_eq!(rest["next_cursor"], Value::Null);
    for key in &made {
        let text = key["key"].as_str().unwrap();
        assert!(text.starts_with("tnt_organization_"), "{text}");
        let secret = text.rsplit('_').next().unwrap();
        let shown = acme.owner.get(&key_path(&acme, key)).await.text;
        assert!(!page.to_string().contains(secret) && !shown.contains(secret));
    }
    app.operator()
        .get(&format!("/v1/keys/{}", made[0]["id"].as_str().unwrap()))
        .await
        .refused("key_not_found");
}

#[tokio::test]
async fn mistyped_key_is_told_from_a_wrong_one() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = organization_key(&acme, &DATA).await;
    let text = key["key"].as_str().unwrap();
    let last = if text.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &text[..text.len() - 1]);
    for text in [mistyped.as_str(), "tnt_organization_x", "tnt_", &text[..text.len() - 3]] {
        app.client().with_token(text).get(&documents(&acme)).await.refused("key_malformed");
    }
    acme.owner.delete(&key_path(&acme, &key)).await.done();
    acme.owner.delete(&key_path(&acme, &key)).await.refused("key_not_found");
    with_key(&app, &key).get(&documents(&acme)).await.refused("key_invalid");
}

#[tokio::test]
async fn rotated_key_accepts_its_old_secret_for_the_overlap() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let old = organization_key(&acme, &DATA).await;
    let rotate = format!("{}/rotate", key_path(&acme, &old));
    let new = acme.owner.post(&rotate, &json!({ "overlap": 60 })).await.ok();
    assert_eq!((&new["id"], new["rotations"].as_u64()), (&old["id"], Some(1)));
    for key in [&old, &new] {
        with_key(&app, key).get(&documents(&acme)).await.ok();
    }
    app.clock.advance(Duration::from_secs(60));
    with_key(&app, &old).get(&documents(&acme)).await.refused("key_invalid");
    let last = acme.owner.post_empty(&rotate).await.ok();
    with_key(&app, &new).get(&documents(&acme)).await.refused("key_invalid");
    with_key(&app, &last).get(&documents(&acme)).await.ok();
    acme.owner.post(&rotate, &json!({ "overlap": 604_801 })).await.refused("invalid_input");
}

#[tokio::test]
async fn key_ends_when_its_time_has_come() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let new = json!({ "name": "x", "permissions": ["documents:read"], "expires_in": 60 });
    let key = acme.owner.post(&format!("{}/keys", acme.path()), &new).await.created();
    app.clock.advance(Duration::from_secs(59));
    with_key(&app, &key).get(&documents(&acme)).await.ok();
    app.clock.advance(Duration::from_secs(1));
    with_key(&app, &key).get(&documents(&acme)).await.refused("key_invalid");
}

#[tokio::test]
async fn keys_need_a_recent_sign_in() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = organization_key(&acme, &DATA).await;
    app.clock.advance(Duration::from_secs(901));
    let keys = format!("{}/keys", acme.path());
    let new = json!({ "name": "x", "permissions": ["documents:read"] });
    acme.owner.post(&keys, &new).await.refused("reauthentication_required");
    acme.owner.delete(&key_path(&acme, &key)).await.refused("reauthentication_required");
    acme.owner.get(&keys).await.ok();
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    owner.post(&keys, &new).await.created();
}

#[tokio::test]
async fn key_ends_with_its_makers_rights() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = organization_key(&acme, &DATA).await;
    let (app, _) = with_role(app, &acme, "viewer").await;
    let program = with_key(&app, &key);
    program.get(&documents(&acme)).await.ok();
    program.post(&documents(&acme), &json!({ "n": 1 })).await.refused("permission_missing");
}

#[tokio::test]
async fn suspended_organizations_keys_rest_and_deleted_ones_end() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let program = with_key(&app, &organization_key(&acme, &DATA).await);
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    program.get(&documents(&acme)).await.refused("key_invalid");
    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    program.get(&documents(&acme)).await.ok();
    app.operator().delete(&acme.path()).await.ok();
    program.get(&documents(&acme)).await.refused("key_invalid");
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    program.get(&documents(&acme)).await.refused("key_invalid");
    assert_eq!(app.operator().get(&format!("{}/keys", acme.path())).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn key_survives_restart_and_password_change_of_its_maker() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = organization_key(&acme, &DATA).await;
    let body = json!({ "organization_name": acme.name(), "password": "another horse battery" });
    acme.owner.put("/org/update", &body).await.ok();
    let app = app.restart().await;
    with_key(&app, &key).get(&documents(&acme)).await.ok();
}

#[tokio::test]
async fn organization_has_bounded_keys_however_many_are_made_at_once() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let keys = format!("{}/keys", acme.path());
    let new = json!({ "name": "x", "permissions": ["documents:read"] });
    let make = || async { acme.owner.post(&keys, &new).await };
    let mut made = 0;
    for _ in 0..4 {
        let answers = futures_util::future::join_all((0..26).map(|_| make())).await;
        for answer in answers {
            match answer.status.as_u16() {
                201 => made += 1,
                _ => drop(answer.refused("too_many_keys")),
            }
        }
    }
    assert_eq!(made, 100);
    let page = acme.owner.get(&format!("{keys}?limit=200")).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 100);
    let first = &page["items"][0];
    acme.owner.delete(&key_path(&acme, first)).await.done();
    make().await.created();
}

#[tokio::test]
async fn use_of_key_is_noted_in_its_record() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let key = organization_key(&acme, &DATA).await;
    assert_eq!(key["last_used_at"], Value::Null);
    with_key(&app, &key).get(&documents(&acme)).await.ok();
    app.maintain().await;
    let used = acme.owner.get(&key_path(&acme, &key)).await.ok();
    assert_eq!(used["last_used_at"], used["created_at"]);
}

#[tokio::test]
async fn owner_reads_the_log_of_their_organization() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let log = acme.owner.get(&format!("{}/operations", acme.path())).await.ok();
    assert_eq!(log["items"][0]["kind"], "create", "{log}");
    acme.owner.get(&format!("{}/operations", globex.path())).await.refused("organization_not_found");
    let reader = with_key(&app, &organization_key(&acme, &["audit:read"]).await);
    assert_eq!(reader.get("/v1/organizations/acme/operations").await.ok(), log);
    let (_app, member) = with_role(app, &acme, "member").await;
    member.get(&format!("{}/operations", acme.path())).await.refused("role_insufficient");
}
