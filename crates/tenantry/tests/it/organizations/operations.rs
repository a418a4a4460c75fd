//! Operations: each change of an organization is one, can be looked at by those who may, and stays in the log.

use crate::support::app::App;
use crate::support::fixtures::{Organization, organization, sign_in, with_access};
use crate::support::records::put_documents;
use crate::support::redaction::redact;
use serde_json::{Value, json};
use std::time::Duration;

async fn log(app: &App, organization: &Organization, query: &str) -> Value {
    app.operator().get(&format!("{}/operations?{query}", organization.path())).await.ok()
}

fn kinds(log: &Value) -> Vec<&str> {
    log["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect()
}

/// Leads an organization through a whole life, all of it within one second.
async fn live(app: &App, acme: &Organization) {
    let operator = app.operator();
    acme.owner.put("/org/update", &json!({ "organization_name": "Acme Global" })).await.ok();
    operator.patch(&acme.path(), &json!({ "delete_protection": false })).await.ok();
    for action in ["suspend", "reactivate"] {
        operator.post_empty(&format!("{}/{action}", acme.path())).await.ok();
    }
    operator.delete(&acme.path()).await.ok();
    operator.post_empty(&format!("{}/restore", acme.path())).await.ok();
    let owner = with_access(app, &sign_in(app, acme.email()).await);
    owner.delete(&format!("{}?purge=true", acme.path())).await.ok();
}

const LIFE: [&str; 8] = ["purge", "delete", "restore", "delete", "reactivate", "suspend", "update", "rename"];

#[tokio::test]
async fn operation_log_is_newest_first_and_outlives_organization() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    organization(&app, "Other").await;
    live(&app, &acme).await;
    let whole = log(&app, &acme, "").await;
    let expected: Vec<&str> = LIFE.into_iter().chain(["create"]).collect();
    assert_eq!(kinds(&whole), expected);
    let actors: Vec<_> =
        whole["items"].as_array().unwrap().iter().map(|item| item["actor"].clone()).collect();
    let (operator, account) = (
        json!({ "type": "operator", "id": null }),
        json!({ "type": "account", "id": acme.body["admin_id"] }),
    );
    assert_eq!(actors[0], json!({ "type": "system", "id": null }));
    assert_eq!((&actors[1], &actors[2], &actors[7]), (&account, &operator, &account));
    assert_eq!(actors[8], json!({ "type": "anonymous", "id": null }));
    for item in whole["items"].as_array().unwrap() {
        assert_eq!(
            (&item["state"], &item["organization_id"]),
            (&json!("succeeded"), &acme.body["id"]),
            "{item}"
        );
        assert_eq!(item["progress"]["done"], item["progress"]["total"], "{item}");
        let path = format!("/v1/operations/{}", item["id"].as_str().unwrap());
        assert_eq!(app.operator().get(&path).await.ok(), *item);
    }
    // Nothing in it names a person.
    assert!(!whole.to_string().contains('@'), "{whole}");
}

#[tokio::test]
async fn operation_log_is_paged_and_survives_restart() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    live(&app, &acme).await;
    let whole = log(&app, &acme, "").await;
    for limit in [1, 2, 4, 8, 9, 200] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = log(&app, &acme, &format!("limit={limit}{cursor}")).await;
            found.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(Value::from(found), whole["items"], "{limit}");
    }
    let app = app.restart().await;
    assert_eq!(log(&app, &acme, "").await, whole);
}

#[tokio::test]
async fn operation_log_pages_are_stable_after_new_changes() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..3 {
        app.operator().patch(&acme.path(), &json!({})).await.ok();
    }
    let first = log(&app, &acme, "limit=2").await;
    let rest = format!("cursor={}", first["next_cursor"].as_str().unwrap());
    let before = log(&app, &acme, &rest).await;
    assert_eq!(kinds(&before), ["update", "create"]);
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    assert_eq!(log(&app, &acme, &rest).await, before);
}

#[tokio::test]
async fn operation_shows_what_was_done_by_whom_and_when() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 7);
    app.clock.advance(Duration::from_secs(1));
    let renamed = acme.owner.put("/org/update", &json!({ "organization_name": "Acme Global" })).await;
    let operation = app.operator().get(renamed.header("operation-location")).await.ok();
    let shown = redact(&operation, &[("/id", "[id]"), ("/organization_id", "[id]"), ("/actor/id", "[id]")]);
    insta::assert_json_snapshot!(shown, @r#"
    {
      "actor": {
        "id": "[id]",
        "type": "account"
      },
      "documents_migrated": 7,
      "error": null,
      "finished_at": "2027-01-15T08:00:01Z",
      "id": "[id]",
      "kind": "rename",
      "organization_id": "[id]",
      "progress": {
        "done": 3,
        "total": 3
      },
      "started_at": "2027-01-15T08:00:01Z",
      "state": "succeeded"
    }
    "#);
}

#[tokio::test]
async fn operation_that_failed_is_logged_with_reason() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    organization(&app, "Other").await;
    let update = json!({ "organization_name": "Acme", "email": "owner@other.example" });
    acme.owner.put("/org/update", &update).await.refused("email_taken");
    let log = log(&app, &acme, "").await;
    assert_eq!(kinds(&log), ["rename", "create"]);
    assert_eq!(
        (&log["items"][0]["state"], &log["items"][0]["error"]["code"]),
        (&json!("failed"), &json!("email_taken"))
    );
}

#[tokio::test]
async fn operation_refused_at_start_is_not_logged() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    organization(&app, "Other").await;
    acme.owner.put("/org/update", &json!({ "organization_name": "Other" })).await.refused("name_taken");
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.refused("organization_not_deleted");
    app.operator()
        .post_empty(&format!("{}/reactivate", acme.path()))
        .await
        .refused("organization_not_suspended");
    assert_eq!(kinds(&log(&app, &acme, "").await), ["create"]);
}

#[tokio::test]
async fn operation_is_shown_to_operator_and_own_admins() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let renamed = acme.owner.put("/org/update", &json!({ "organization_name": "Acme Global" })).await;
    let path = renamed.header("operation-location");
    let seen = app.operator().get(path).await;
    assert_eq!(seen.header("etag"), acme.owner.get(path).await.header("etag"));
    assert_eq!(acme.owner.get(path).await.ok(), seen.ok());
    other.owner.get(path).await.refused("operation_not_found");
    app.client().get(path).await.refused("token_missing");
    other.owner.get(&format!("{}/operations", acme.path())).await.refused("organization_not_found");
    app.operator()
        .get("/v1/organizations/0123456789abcdef01234567/operations")
        .await
        .refused("organization_not_found");
}
