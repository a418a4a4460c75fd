//! What an earlier version of the service has written goes on working: the committed data sets are opened by this one.
//!
//! # Pitfalls
//!
//! A test that fails here says that an upgrade breaks what somebody has. A data set is never rewritten to mend that.

mod people;
mod programs;
mod stored;
mod write;

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::data_set::{DataSet, archives};
use crate::support::fixtures::{PASSWORD, credentials, encoded, sign_in, with_access};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// The organizations of each placement, with the name of that.
fn groups(data: &DataSet) -> impl Iterator<Item = (&String, &Value)> {
    data.facts["groups"].as_object().unwrap().iter()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A client with the access token that the owner of that organization got from the version before.
fn owner(app: &App, organization: &Value) -> Client {
    with_access(app, &organization["tokens"])
}

fn path(organization: &Value) -> &str {
    text(&organization["path"])
}

/// Expects every member of `then` to be in `now`, with the same value. More may be there now.
#[track_caller]
fn assert_still_says(now: &Value, then: &Value, what: &str) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            for (name, value) in then {
                let now = now.get(name).unwrap_or_else(|| panic!("{what}: {name} is gone"));
                assert_still_says(now, value, &format!("{what}/{name}"));
            }
        }
        (Value::Array(now), Value::Array(then)) => {
            assert_eq!(now.len(), then.len(), "{what}");
            for (index, (now, then)) in now.iter().zip(then).enumerate() {
                assert_still_says(now, then, &format!("{what}/{index}"));
            }
        }
        _ => assert_eq!(now, then, "{what}"),
    }
}

#[tokio::test]
async fn earlier_data_is_sound_when_opened() {
    let data = DataSet::open();
    let app = data.start().await;
    app.maintain().await;
    for (placement, group) in groups(&data) {
        for (role, organization) in
            group.as_object().unwrap().iter().filter(|(_, value)| value["view"].is_object())
        {
            let what = format!("{placement}/{role}");
            let view = app.operator().get(path(organization)).await.ok();
            assert_still_says(&view, &organization["view"], &what);
            let operations = app.operator().get(&format!("{}/operations", path(organization))).await.ok();
            assert_still_says(&operations["items"], &organization["operations"], &what);
        }
    }
    let test_env = app.stop().await;
    Snapshot::sound(&test_env);
}

#[tokio::test]
async fn earlier_sessions_continue() {
    let data = DataSet::open();
    let app = data.start().await;
    let refresh = async |tokens: &Value| {
        app.client().post("/v1/auth/refresh", &json!({ "refresh_token": tokens["refresh_token"] })).await
    };
    for (_, group) in groups(&data) {
        let (acme, sessions) = (&group["acme"], &group["sessions"]);
        for session in ["begun", "used", "renewed"] {
            with_access(&app, &sessions[session]).get(path(acme)).await.ok();
        }
        with_access(&app, &sessions["ended"]).get(path(acme)).await.refused("token_revoked");
        refresh(&sessions["ended"]).await.refused("refresh_token_invalid");
        let renewed = refresh(&sessions["renewed"]).await.ok();
        with_access(&app, &renewed).get(path(acme)).await.ok();
        let begun = refresh(&sessions["begun"]).await.ok();
        // One that was used before comes from somebody who has copied it: the session ends.
        refresh(&sessions["used"]).await.refused("refresh_token_invalid");
        refresh(&renewed).await.refused("refresh_token_invalid");
        with_access(&app, &begun).get(path(acme)).await.ok();
        owner(&app, &group["idle"]).get(path(&group["idle"])).await.refused("token_revoked");
        owner(&app, &group["gone"]).get(path(&group["gone"])).await.refused("token_revoked");
    }
}

/// Also those of an account whose sessions nobody could list then.
#[tokio::test]
async fn earlier_sessions_are_listed_and_ended() {
    let data = DataSet::open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let (acme, sessions) = (&group["acme"], &group["sessions"]);
        let client = owner(&app, acme);
        let listed = client.get("/v1/me/sessions?limit=200").await.ok();
        let listed = listed["items"].as_array().unwrap();
        assert!(listed.len() >= 3, "{listed:?}");
        assert!(listed.iter().all(|session| session["organization_id"] == acme["view"]["id"]), "{listed:?}");
        client.delete("/v1/me/sessions?keep_current=true").await.done();
        with_access(&app, &sessions["begun"]).get(path(acme)).await.refused("token_revoked");
        assert_eq!(client.get("/v1/me/sessions").await.ok()["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn earlier_access_tokens_expire_as_announced() {
    let data = DataSet::open();
    let app = data.start().await;
    app.clock.advance(Duration::from_secs(3600));
    for (_, group) in groups(&data) {
        owner(&app, &group["acme"]).get(path(&group["acme"])).await.refused("token_expired");
        let refresh = json!({ "refresh_token": group["sessions"]["begun"]["refresh_token"] });
        let renewed = app.client().post("/v1/auth/refresh", &refresh).await.ok();
        with_access(&app, &renewed).get(path(&group["acme"])).await.ok();
    }
}

#[tokio::test]
async fn earlier_operator_key_is_valid() {
    let data = DataSet::open();
    let app = data.start().await;
    let key = std::str::from_utf8(data.file("operator.key")).unwrap().trim();
    app.client().with_token(key).get("/v1/organizations").await.ok();
    assert_eq!(app.operator().header("authorization"), Some(&*format!("Bearer {key}")));
}

#[tokio::test]
async fn earlier_passwords_sign_in() {
    let data = DataSet::open();
    let app = data.start().await;
    let accounts = data.facts["accounts"].as_array().unwrap();
    // The first time a hash that other software has made is checked, later one of ours.
    for _ in 0..2 {
        for account in accounts {
            let (email, password) = (text(&account["email"]), text(&account["password"]));
            let tokens = app.client().post("/admin/login", &credentials(email, password)).await.ok();
            let found =
                with_access(&app, &tokens).get(&format!("/v1/organizations/{}", text(&account["id"]))).await;
            assert_eq!(found.ok()["organization_name"], account["name"], "{email}");
            let wrong = credentials(email, &format!("no {password}"));
            app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
        }
    }
    for (_, group) in groups(&data) {
        for role in ["acme", "tools", "full", "held"] {
            let email = text(&group[role]["email"]);
            let tokens = sign_in(&app, email).await;
            with_access(&app, &tokens).get(path(&group[role])).await.ok();
            let wrong = credentials(email, "no horse battery");
            app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
        }
    }
}

/// Sends a request once more that has its response from the version before.
async fn repeat(client: &Client, kept: &Value) -> Answer {
    let client = client.with_header("idempotency-key", text(&kept["key"]));
    let body = (text(&kept["media_type"]), text(&kept["request"]).as_bytes().to_vec());
    client.send(Method::POST, text(&kept["path"]), Some(body)).await
}

#[track_caller]
fn assert_repeated(answer: &Answer, kept: &Value) {
    assert_eq!(answer.status.as_u16(), kept["status"], "{answer}");
    for name in ["etag", "location"] {
        let now = answer.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(now, kept[name].as_str(), "{name}: {answer}");
    }
    assert_eq!(answer.json(), serde_json::from_str::<Value>(text(&kept["body"])).unwrap(), "{answer}");
}

#[tokio::test]
async fn earlier_idempotency_responses_are_replayed() {
    let data = DataSet::open();
    let app = data.start().await;
    for kept in data.facts["kept_creates"].as_array().unwrap() {
        let client = if kept["by"] == "operator" { app.operator() } else { app.client() };
        let answer = repeat(&client, kept).await;
        assert_eq!(answer.header("idempotency-replayed"), "true");
        assert_repeated(&answer, kept);
    }
    for (_, group) in groups(&data) {
        let owner = owner(&app, &group["acme"]);
        let count = async || {
            owner.get(&format!("{}/collections/documents/count", path(&group["acme"]))).await.ok()["count"]
                .clone()
        };
        let before = count().await;
        for kept in group["kept_responses"].as_array().unwrap() {
            let answer = repeat(&owner, kept).await;
            if kept["key"] == "lines" {
                let lines = answer.lines();
                let repeated = lines.iter().filter(|line| line["repeated"] == true).count();
                assert_eq!((repeated, &lines[lines.len() - 1]["repeated"]), (3, &json!(3)), "{answer}");
            } else {
                assert_repeated(&answer, kept);
            }
            let mut other = kept.clone();
            other["request"] = json!("{\"_id\":\"another\",\"name\":\"another\"}");
            if kept["key"] != "lines" && kept["key"] != "large" {
                repeat(&owner, &other).await.refused("idempotency_key_reused");
            }
        }
        assert_eq!(count().await, before);
    }
}

#[tokio::test]
async fn earlier_deleted_organization_is_restored() {
    let data = DataSet::open();
    let app = data.start().await;
    for (placement, group) in groups(&data) {
        let gone = &group["gone"];
        app.client()
            .post("/admin/login", &credentials(text(&gone["email"]), PASSWORD))
            .await
            .refused("invalid_credentials");
        let restored = app.operator().post_empty(&format!("{}/restore", path(gone))).await.ok();
        assert_eq!(restored["status"], "active", "{placement}");
        owner(&app, gone).get(path(gone)).await.refused("token_revoked");
        let owner = with_access(&app, &sign_in(&app, text(&gone["email"])).await);
        let documents = format!("{}/collections/documents/documents", path(gone));
        assert_eq!(
            owner.get(&format!("{documents}/first")).await.ok(),
            json!({ "_id": "first", "of": "Gone" })
        );
        owner.post(&documents, &json!({ "_id": "next" })).await.created();
    }
    Snapshot::sound(&app.stop().await);
}

#[tokio::test]
async fn earlier_deleted_organization_is_purged_on_time() {
    let data = DataSet::open();
    let app = data.start().await;
    app.advance_days(29);
    app.maintain().await;
    for (_, group) in groups(&data) {
        assert_eq!(app.operator().get(path(&group["gone"])).await.ok()["status"], "deleted");
    }
    app.advance_days(2);
    app.maintain().await;
    for (_, group) in groups(&data) {
        let began = std::time::Instant::now();
        while !app.operator().get(path(&group["gone"])).await.is_refused("organization_not_found") {
            assert!(began.elapsed() < Duration::from_secs(20), "it is not purged");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A legal hold is longer than any retention.
        assert_eq!(app.operator().get(path(&group["kept"])).await.ok()["status"], "deleted");
    }
    Snapshot::sound(&app.stop().await);
}

#[tokio::test]
async fn earlier_suspended_organization_is_reactivated() {
    let data = DataSet::open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let idle = &group["idle"];
        let credentials = credentials(text(&idle["email"]), PASSWORD);
        app.client().post("/admin/login", &credentials).await.refused("organization_suspended");
        app.operator().post_empty(&format!("{}/reactivate", path(idle))).await.ok();
        let owner = with_access(&app, &sign_in(&app, text(&idle["email"])).await);
        let first = format!("{}/collections/documents/documents/first", path(idle));
        assert_eq!(owner.get(&first).await.ok()["of"], "Idle");
    }
}

#[tokio::test]
async fn earlier_legal_hold_applies() {
    let data = DataSet::open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let (held, kept) = (&group["held"], &group["kept"]);
        for client in [app.operator(), owner(&app, held)] {
            let refused = client.delete(path(held)).await;
            assert!(["legal_hold", "delete_protected"].contains(&&*refused.outcome()), "{refused}");
        }
        let operator = app.operator();
        operator.patch(path(held), &json!({ "delete_protection": false })).await.ok();
        operator.delete(&format!("{}?purge=true", path(held))).await.refused("legal_hold");
        operator.post_empty(&format!("{}/purge", path(kept))).await.refused("legal_hold");
    }
}

#[tokio::test]
async fn earlier_quota_is_enforced() {
    let data = DataSet::open();
    let app = data.start().await;
    for (_, group) in groups(&data) {
        let full = &group["full"];
        let owner = owner(&app, full);
        let documents = format!("{}/collections/documents/documents", path(full));
        let collections = format!("{}/collections", path(full));
        owner.post(&collections, &json!({ "name": "third" })).await.refused("quota_exceeded");
        let large = json!({ "_id": "large", "text": "x".repeat(100) });
        owner.post(&documents, &large).await.refused("quota_exceeded");
        owner.post(&documents, &json!({ "_id": "last" })).await.created();
        owner.post(&documents, &json!({ "_id": "more" })).await.refused("quota_exceeded");
        owner.delete(&format!("{documents}/last")).await.done();
        owner.post(&documents, &json!({ "_id": "more" })).await.created();
        let usage = owner.get(&format!("{}/usage", path(full))).await.ok();
        assert_eq!((&usage["documents"], &usage["collections"]), (&json!(10), &json!(2)));
    }
}

/// Where an archive goes that both engines have written.
async fn import(app: &App, archive: &str, more: &str) -> Answer {
    let body = Some(("application/x-ndjson", archive.as_bytes().to_vec()));
    app.operator().send(Method::POST, &format!("/v1/organizations/import?{more}"), body).await
}

#[tokio::test]
async fn earlier_archives_are_imported() {
    let app = App::start().await;
    let placements: &[&str] = if app.test_env().database().is_some() {
        &["collection", "database", "shared"]
    } else {
        &["database"]
    };
    let archives = archives();
    assert!(archives.len() > 8);
    for (number, (name, archive)) in archives.iter().enumerate() {
        let placement = placements[number % placements.len()];
        let (copy, email) = (format!("Copy {number}"), format!("owner@copy-{number}.example"));
        let more = format!(
            "id=new&organization_name={}&owner_email={}&placement={placement}",
            encoded(&copy),
            encoded(&email)
        );
        let made = import(&app, archive, &more).await.created();
        let then: Value =
            serde_json::from_str::<Value>(archive.lines().nth(1).unwrap()).unwrap()["organization"].take();
        for field in ["suspended", "delete_protection", "legal_hold", "created_at"] {
            let now =
                if field == "suspended" { json!(made["status"] == "suspended") } else { made[field].clone() };
            assert_eq!(now, then[field], "{name}: {field}");
        }
        assert_still_says(&made["quota"], &then["quota"], name);
        let export =
            app.operator().get(&format!("/v1/organizations/{}/export", text(&made["id"]))).await.text;
        assert_eq!(crate::archives::data(&export), crate::archives::data(archive), "{name}");
        let signed_in = app.client().post("/admin/login", &credentials(&email, PASSWORD)).await;
        if then["suspended"] == true {
            signed_in.refused("organization_suspended");
        } else {
            signed_in.ok();
        }
    }
}
