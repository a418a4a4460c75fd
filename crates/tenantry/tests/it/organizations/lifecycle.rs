//! The life of an organization after its creation: suspended and reactivated, deleted and restored, kept from
//! deletion or purging, and purged so that nothing is left.

use crate::support::app::{App, Setup};
use crate::support::fixtures::{
    Organization, PASSWORD, credentials, find, organization, sign_in, with_access,
};
use crate::support::records::{
    containers, contents, documents, put_documents, tables_but_trail_with, tables_with,
};
use crate::support::redaction::redact;
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn delete(app: &App, organization: &Organization) -> Value {
    app.operator().delete(&organization.path()).await.ok()
}

async fn restore(app: &App, organization: &Organization, body: Value) -> crate::support::client::Answer {
    app.operator().post(&format!("{}/restore", organization.path()), &body).await
}

/// Asserts that nothing of the organization is left except its log.
async fn assert_nothing_left(app: &App, organization: &Organization) {
    app.operator().get(&organization.path()).await.refused("organization_not_found");
    find(app, organization.name()).await.refused("organization_not_found");
    assert_eq!(tables_but_trail_with(app, organization.id()), ["operations"]);
    assert_eq!(tables_with(app, organization.email()), Vec::<String>::new());
    assert_eq!(tables_with(app, organization.name()), Vec::<String>::new());
    assert!(!containers(app).iter().any(|container| container.contains(organization.id())));
    let log = app.operator().get(&format!("{}/operations", organization.path())).await.ok();
    let kinds: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("purge", "create"));
}

#[tokio::test]
async fn deleted_organization_is_hidden_and_kept() {
    let app = Setup::unlimited().with("--retention-days=7").start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 10);
    let before = contents(&app, acme.id());
    app.clock.advance(SECOND);
    let deleted = delete(&app, &acme).await;
    let shown = redact(
        &deleted,
        &[
            ("/id", "[id]"),
            ("/admin_id", "[id]"),
            ("/tenant_collection", "[container]"),
            ("/tenant_database", "[database]"),
            ("/placement", "[placement]"),
        ],
    );
    insta::assert_json_snapshot!(shown, @r#"
    {
      "admin_email": "owner@acme.example",
      "admin_id": "[id]",
      "created_at": "2027-01-15T08:00:00Z",
      "delete_protection": false,
      "deleted_at": "2027-01-15T08:00:01Z",
      "id": "[id]",
      "legal_hold": false,
      "modified_at": "2027-01-15T08:00:01Z",
      "organization_identifier": "acme",
      "organization_name": "Acme",
      "placement": "[placement]",
      "purge_at": "2027-01-22T08:00:01Z",
      "quota": {
        "bytes": null,
        "collections": null,
        "documents": null,
        "index_bytes": null
      },
      "status": "deleted",
      "tenant_collection": "[container]",
      "tenant_database": "[database]"
    }
    "#);
    assert_eq!(deleted["tenant_collection"], format!("deleted_{}", acme.id()));
    assert_eq!(app.operator().get(&acme.path()).await.ok(), deleted);
    assert_eq!(contents(&app, acme.id()), before);
    app.operator().get("/v1/organizations/acme").await.refused("organization_not_found");
    find(&app, "Acme").await.refused("organization_not_found");
    for change in [
        app.operator().delete(&acme.path()).await,
        app.operator().patch(&acme.path(), &json!({ "organization_name": "Other" })).await,
        app.operator().post_empty(&format!("{}/suspend", acme.path())).await,
    ] {
        change.refused("organization_not_active");
    }
    app.operator()
        .post_empty(&format!("{}/reactivate", acme.path()))
        .await
        .refused("organization_not_suspended");
    assert_eq!(app.operator().get(&acme.path()).await.ok(), deleted);
}

#[tokio::test]
async fn restore_brings_everything_back() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 10);
    let (documents_before, before) = (contents(&app, acme.id()), app.operator().get(&acme.path()).await.ok());
    delete(&app, &acme).await;
    // To the last moment.
    app.clock.advance(Duration::from_secs(30 * 24 * 3600) - SECOND);
    app.maintain().await;
    let restored = app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    for (field, value) in before.as_object().unwrap() {
        if field != "modified_at" {
            assert_eq!(restored[field], *value, "{field}");
        }
    }
    assert_eq!(contents(&app, acme.id()), documents_before);
    assert_eq!(find(&app, "Acme").await.ok()["id"], acme.id());
    let owner = with_access(&app, &sign_in(&app, acme.email()).await);
    owner.put("/org/update", &json!({ "organization_name": "Acme Global" })).await.ok();
    // And nothing of the delete lingers.
    app.advance_days(60);
    app.maintain().await;
    assert_eq!(documents(&app, acme.id()).len(), 10);
}

#[tokio::test]
async fn restore_with_taken_name_or_email_may_use_others() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(&app, acme.id(), 3);
    let deleted = delete(&app, &acme).await;
    let next = organization(&app, "Acme").await;
    assert_eq!(next.email(), acme.email());
    let cases = [
        (json!({}), "name_taken"),
        (json!({ "organization_name": "ACME!" }), "name_taken"),
        (json!({ "admin_email": "old@acme.example" }), "name_taken"),
        (json!({ "organization_name": "Old Acme" }), "email_taken"),
        (json!({ "organization_name": "Old Acme", "admin_email": next.email() }), "email_taken"),
        (
            json!({ "organization_name": "A", "admin_email": "x", "name": 1 }),
            "/organization_name /admin_email /name",
        ),
    ];
    for (body, outcome) in cases {
        app.clock.advance(SECOND);
        let answer = restore(&app, &acme, body.clone()).await;
        assert_eq!(answer.outcome(), outcome, "{body} {answer}");
        assert_eq!(app.operator().get(&acme.path()).await.ok(), deleted, "{body}");
    }
    // What was tried is not kept from others.
    let tried = organization(&app, "Old Acme").await;
    tried.owner.delete("/org/delete?organization_name=old-acme&purge=true").await.ok();

    let names = json!({ "organization_name": "Old Acme", "admin_email": "old@acme.example" });
    let restored = restore(&app, &acme, names).await.ok();
    assert_eq!(
        (&restored["organization_name"], &restored["tenant_collection"]),
        (&json!("Old Acme"), &json!("tenant_old_acme"))
    );
    assert_eq!((&restored["id"], &restored["admin_id"]), (&acme.body["id"], &acme.body["admin_id"]));
    assert_eq!(sign_in(&app, "old@acme.example").await["org_id"], acme.id());
    assert_eq!(sign_in(&app, acme.email()).await["org_id"], next.id());
    assert_eq!((documents(&app, acme.id()).len(), documents(&app, next.id()).len()), (3, 0));
}

#[tokio::test]
async fn restore_and_purge_require_deleted_organization() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    restore(&app, &acme, json!({})).await.refused("organization_not_deleted");
    app.operator().post_empty(&format!("{}/purge", acme.path())).await.refused("organization_not_deleted");
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    restore(&app, &acme, json!({})).await.refused("organization_not_deleted");
    delete(&app, &acme).await;
    restore(&app, &acme, json!({})).await.ok();
    restore(&app, &acme, json!({})).await.refused("organization_not_deleted");
}

#[tokio::test]
async fn suspension_lasts_until_reactivation() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let act = async |action: &str| app.operator().post_empty(&format!("{}/{action}", acme.path())).await;
    act("reactivate").await.refused("organization_not_suspended");
    assert_eq!(act("suspend").await.ok()["status"], "suspended");
    act("suspend").await.refused("organization_not_active");
    assert_eq!(find(&app, "Acme").await.ok()["status"], "suspended");
    // The operator may change it meanwhile, and it stays suspended through that, a delete and a restore.
    let renamed =
        app.operator().patch(&acme.path(), &json!({ "organization_name": "Acme Global" })).await.ok();
    assert_eq!(renamed["status"], "suspended");
    assert_eq!(delete(&app, &acme).await["status"], "deleted");
    assert_eq!(act("restore").await.ok()["status"], "suspended");
    let login = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &login).await.refused("organization_suspended");
    assert_eq!(act("reactivate").await.ok()["status"], "active");
    sign_in(&app, acme.email()).await;
}

#[tokio::test]
async fn purge_leaves_only_the_log() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let neighbour = organization(&app, "Neighbour").await;
    put_documents(&app, acme.id(), 10);
    put_documents(&app, neighbour.id(), 10);
    let kept = contents(&app, neighbour.id());
    delete(&app, &acme).await;
    let operation = app.operator().post_empty(&format!("{}/purge", acme.path())).await.accepted();
    let operation = finished(&app, &operation).await;
    assert_eq!((&operation["kind"], &operation["state"]), (&json!("purge"), &json!("succeeded")));
    assert_nothing_left(&app, &acme).await;
    app.operator().post_empty(&format!("{}/purge", acme.path())).await.refused("organization_not_found");
    restore(&app, &acme, json!({})).await.refused("organization_not_found");

    // Name and address are free, and the next organization of that name starts empty.
    let next = organization(&app, "Acme").await;
    assert_eq!(documents(&app, next.id()), Vec::<String>::new());
    assert_eq!(contents(&app, neighbour.id()), kept);
    neighbour.owner.get(&neighbour.path()).await.ok();
}

/// The operation, once it is.
async fn finished(app: &App, operation: &Value) -> Value {
    let path = format!("/v1/operations/{}", operation["id"].as_str().unwrap());
    for _ in 0..500 {
        let operation = app.operator().get(&path).await.ok();
        if operation["state"] != "running" {
            return operation;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} does not finish");
}

#[tokio::test]
async fn deleted_organization_is_purged_on_time() {
    let app = Setup::unlimited().with("--retention-days=7").start().await;
    let acme = organization(&app, "Acme").await;
    let later = organization(&app, "Later").await;
    delete(&app, &acme).await;
    app.clock.advance(SECOND);
    delete(&app, &later).await;
    app.clock.advance(Duration::from_secs(7 * 24 * 3600) - 2 * SECOND);
    app.maintain().await;
    app.operator().get(&acme.path()).await.ok();

    app.clock.advance(SECOND);
    app.maintain().await;
    assert_nothing_left(&app, &acme).await;
    let log = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    assert_eq!(log["items"][0]["actor"], json!({ "type": "system", "id": null }));
    app.operator().get(&later.path()).await.ok();
    app.clock.advance(SECOND);
    app.maintain().await;
    assert_nothing_left(&app, &later).await;
}

#[tokio::test]
async fn delete_without_retention_purges_at_once() {
    let app = Setup::unlimited().with("--retention-days=0").start().await;
    for (name, path) in [("Acme", "/org/delete?organization_name=Acme"), ("Other", "/v1/organizations/other")]
    {
        let organization = organization(&app, name).await;
        put_documents(&app, organization.id(), 1);
        let deleted = organization.owner.delete(path).await.ok();
        assert_eq!(deleted["purge_at"], "2027-01-15T08:00:00Z");
        assert_nothing_left(&app, &organization).await;
    }
}

#[tokio::test]
async fn delete_with_purge_parameter_purges_at_once() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.delete(&format!("{}?purge=true", acme.path())).await.ok();
    assert_nothing_left(&app, &acme).await;
    let kept = organization(&app, "Kept").await;
    kept.owner.delete(&format!("{}?purge=false", kept.path())).await.ok();
    app.maintain().await;
    app.operator().get(&kept.path()).await.ok();
}

#[tokio::test]
async fn delete_protection_stops_every_caller() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let protect = |on: bool| json!({ "delete_protection": on });
    acme.owner.patch(&acme.path(), &protect(true)).await.ok();
    for answer in [
        acme.owner.delete("/org/delete?organization_name=Acme").await,
        acme.owner.delete("/org/delete?organization_name=Acme&purge=true").await,
        acme.owner.delete(&acme.path()).await,
        app.operator().delete(&acme.path()).await,
        app.operator().delete(&format!("{}?purge=true", acme.path())).await,
    ] {
        answer.refused("delete_protected");
    }
    acme.owner.get(&acme.path()).await.ok();
    // A rename changes nothing about it.
    acme.owner.put("/org/update", &json!({ "organization_name": "Acme Global" })).await.ok();
    app.operator().delete(&acme.path()).await.refused("delete_protected");
    app.operator().patch(&acme.path(), &protect(false)).await.ok();
    app.operator().delete(&acme.path()).await.ok();
}

#[tokio::test]
async fn legal_hold_stops_purge_until_lifted() {
    let app = App::start().await;
    let hold = |on: bool| json!({ "legal_hold": on });
    // Set before the delete, or after it.
    for before in [true, false] {
        let acme = organization(&app, "Acme").await;
        put_documents(&app, acme.id(), 3);
        if before {
            app.operator().patch(&acme.path(), &hold(true)).await.ok();
            app.operator().delete(&format!("{}?purge=true", acme.path())).await.refused("legal_hold");
            let path = "/org/delete?organization_name=Acme&purge=true";
            acme.owner.delete(path).await.refused("legal_hold");
        }
        delete(&app, &acme).await;
        let held = app.operator().patch(&acme.path(), &hold(true)).await.ok();
        assert_eq!((&held["status"], &held["legal_hold"]), (&json!("deleted"), &json!(true)));
        app.operator().post_empty(&format!("{}/purge", acme.path())).await.refused("legal_hold");
        app.advance_days(1000);
        app.maintain().await;
        app.operator().get(&acme.path()).await.ok();
        assert_eq!(documents(&app, acme.id()).len(), 3);

        app.operator().patch(&acme.path(), &hold(false)).await.ok();
        app.maintain().await;
        assert_nothing_left(&app, &acme).await;
    }
}

#[tokio::test]
async fn legal_hold_works_without_retention() {
    let app = Setup::unlimited().with("--retention-days=0").start().await;
    let acme = organization(&app, "Acme").await;
    app.operator().patch(&acme.path(), &json!({ "legal_hold": true })).await.ok();
    assert_eq!(delete(&app, &acme).await["status"], "deleted");
    app.maintain().await;
    assert_eq!(app.operator().get(&acme.path()).await.ok()["status"], "deleted");
    restore(&app, &acme, json!({})).await.ok();
    sign_in(&app, acme.email()).await;
}
