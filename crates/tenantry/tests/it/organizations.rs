//! Organizations in the v1 API: the operator's side, and what an admin may do with their own.

mod idempotency;
mod keys_and_invitations;
mod lifecycle;
mod list;
mod log_of_all;
mod operations;
mod own;
mod space;

use crate::support::app::App;
use crate::support::client::Answer;
use crate::support::fixtures::{PASSWORD, find, new_organization, organization, sign_in};
use crate::support::records::has_container;
use crate::support::redaction::redact;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn create_by_operator_makes_organization_owner_and_container() {
    let app = App::start().await;
    let new = new_organization("Tech Innovations Corp", "admin@techcorp.com");
    let answer = app.operator().post("/v1/organizations", &new).await;
    let (location, operation, etag) = (
        answer.header("location").to_owned(),
        answer.header("operation-location").to_owned(),
        answer.header("etag").to_owned(),
    );
    let created = answer.created();
    let shown = redact(
        &created,
        &[
            ("/id", "[id]"),
            ("/admin_id", "[id]"),
            ("/tenant_database", "[database]"),
            ("/placement", "[placement]"),
        ],
    );
    insta::assert_json_snapshot!(shown, @r#"
    {
      "admin_email": "admin@techcorp.com",
      "admin_id": "[id]",
      "created_at": "2027-01-15T08:00:00Z",
      "delete_protection": false,
      "deleted_at": null,
      "id": "[id]",
      "legal_hold": false,
      "modified_at": "2027-01-15T08:00:00Z",
      "organization_identifier": "tech-innovations-corp",
      "organization_name": "Tech Innovations Corp",
      "placement": "[placement]",
      "purge_at": null,
      "quota": {
        "bytes": null,
        "collections": null,
        "documents": null,
        "index_bytes": null
      },
      "status": "active",
      "tenant_collection": "tenant_tech_innovations_corp",
      "tenant_database": "[database]"
    }
    "#);
    let found = app.operator().get(&location).await;
    assert_eq!(found.header("etag"), etag);
    assert_eq!(found.ok(), created);
    assert_eq!(app.operator().get(&operation).await.ok()["kind"], "create");
    assert!(has_container(&app, created["id"].as_str().unwrap()));
    sign_in(&app, "admin@techcorp.com").await;
}

#[tokio::test]
async fn create_by_operator_is_refused_for_each_reason() {
    let app = App::start().await;
    organization(&app, "Acme").await;
    let cases = [
        (json!({}), "/organization_name /email /password"),
        (
            json!({ "organization_name": "A", "email": "x", "password": "y" }),
            "/organization_name /email /password",
        ),
        (
            json!({ "organization_name": "Other", "email": "a@b.example", "password": PASSWORD, "role": "owner", "id": 1 }),
            "/id /role",
        ),
        (new_organization("acme!", "owner@other.example"), "name_taken"),
        (new_organization("Other", "OWNER@Acme.example"), "email_taken"),
    ];
    for (body, outcome) in cases {
        let answer = app.operator().post("/v1/organizations", &body).await;
        assert_eq!(answer.outcome(), outcome, "{body} {answer}");
    }
    find(&app, "Other").await.refused("organization_not_found");
}

#[tokio::test]
async fn organization_is_found_by_id_or_identifier_with_right() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    let other = organization(&app, "Other").await;
    let by_name = "/v1/organizations/acme-corp";
    let seen = app.operator().get(&acme.path()).await.ok();
    for (client, path) in [
        (app.operator(), by_name.to_owned()),
        (acme.owner.clone(), acme.path()),
        (acme.owner.clone(), by_name.to_owned()),
        (app.operator(), acme.path().to_uppercase().replace("/V1/ORGANIZATIONS", "/v1/organizations")),
    ] {
        assert_eq!(client.get(&path).await.ok(), seen, "{path}");
    }
    for path in [acme.path(), by_name.to_owned()] {
        other.owner.get(&path).await.refused("organization_not_found");
        other
            .owner
            .patch(&path, &json!({ "delete_protection": true }))
            .await
            .refused("organization_not_found");
        other.owner.delete(&path).await.refused("organization_not_found");
        app.client().get(&path).await.refused("token_missing");
    }
    // The classic answer is a part of it, of the same version.
    let classic = find(&app, "Acme Corp").await;
    assert_eq!(classic.header("etag"), app.operator().get(by_name).await.header("etag"));
    for (field, value) in classic.ok().as_object().unwrap() {
        assert_eq!(seen[field], *value, "{field}");
    }
}

#[tokio::test]
async fn patch_changes_only_what_it_names() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut expected = app.operator().get(&acme.path()).await.ok();
    let patches = [
        (json!({ "delete_protection": true }), json!({ "delete_protection": true })),
        (json!({ "legal_hold": true }), json!({ "legal_hold": true })),
        (
            json!({ "organization_name": "Acme Global" }),
            json!({
                "organization_name": "Acme Global", "organization_identifier": "acme-global",
                "tenant_collection": "tenant_acme_global",
            }),
        ),
        (
            json!({ "organization_name": "ACME-GLOBAL", "delete_protection": false, "legal_hold": false }),
            json!({ "organization_name": "ACME-GLOBAL", "delete_protection": false, "legal_hold": false }),
        ),
        (json!({}), json!({})),
    ];
    for (second, (patch, changes)) in (1..).zip(patches) {
        let before = app.operator().get(&acme.path()).await.header("etag").to_owned();
        app.clock.advance(Duration::from_secs(1));
        expected.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        expected["modified_at"] = format!("2027-01-15T08:00:0{second}Z").into();
        let answer = app.operator().patch(&acme.path(), &patch).await;
        let etag = answer.header("etag").to_owned();
        assert_ne!(etag, before);
        assert_eq!(answer.ok(), expected, "{patch}");
        let seen = app.operator().get(&acme.path()).await;
        assert_eq!((seen.header("etag"), seen.json()), (etag.as_str(), expected.clone()));
    }
}

#[tokio::test]
async fn patch_is_refused_for_each_reason_and_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    organization(&app, "Other").await;
    let before = app.operator().get(&acme.path()).await.ok();
    let cases = [
        (
            json!({ "organization_name": "A", "delete_protection": 1, "legal_hold": "no" }),
            "/organization_name /delete_protection /legal_hold",
        ),
        (json!({ "email": "a@b.example", "status": "suspended", "id": "0" }), "/email /id /status"),
        (json!({ "organization_name": "other" }), "name_taken"),
        (json!({ "organization_name": "other", "delete_protection": true }), "name_taken"),
    ];
    for (patch, outcome) in cases {
        app.clock.advance(Duration::from_secs(1));
        let answer = app.operator().patch(&acme.path(), &patch).await;
        assert_eq!(answer.outcome(), outcome, "{patch} {answer}");
        assert_eq!(app.operator().get(&acme.path()).await.ok(), before, "{patch}");
    }
}

#[tokio::test]
async fn admin_may_change_own_organization_but_not_legal_hold() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let owner = &acme.owner;
    let renamed = owner.patch(&acme.path(), &json!({ "organization_name": "Acme Global" })).await.ok();
    assert_eq!(renamed["organization_identifier"], "acme-global");
    assert_eq!(owner.get("/v1/organizations/acme-global").await.ok(), renamed);
    for hold in [true, false] {
        owner.patch(&acme.path(), &json!({ "legal_hold": hold })).await.refused("operator_only");
        let both = json!({ "legal_hold": hold, "organization_name": "Mine" });
        owner.patch(&acme.path(), &both).await.refused("operator_only");
    }
    assert_eq!(owner.get(&acme.path()).await.ok(), renamed);
    for action in ["suspend", "reactivate", "restore", "purge"] {
        owner.post_empty(&format!("{}/{action}", acme.path())).await.refused("operator_only");
    }
    assert_eq!(owner.delete(&acme.path()).await.ok()["status"], "deleted");
}

/// Every change that takes an `If-Match`, sent with that one.
async fn change_if_match(app: &App, path: &str, tag: &str) -> Vec<Answer> {
    let operator = app.operator().with_header("if-match", tag);
    vec![
        operator.patch(path, &json!({ "delete_protection": true })).await,
        operator.delete(path).await,
        operator.post_empty(&format!("{path}/suspend")).await,
        operator.post_empty(&format!("{path}/reactivate")).await,
        operator.post_empty(&format!("{path}/restore")).await,
        operator.post_empty(&format!("{path}/purge")).await,
    ]
}

#[tokio::test]
async fn changes_honor_if_match() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = acme.path();
    let old = app.operator().get(&path).await.header("etag").to_owned();
    app.operator().patch(&path, &json!({})).await.ok();
    let current = app.operator().get(&path).await.header("etag").to_owned();
    let before = app.operator().get(&path).await.ok();
    for tag in [old.as_str(), &format!("W/{old}"), "\"other\"", "\"\"", &format!("{old}, \"other\"")] {
        for answer in change_if_match(&app, &path, tag).await {
            answer.refused("version_mismatch");
        }
    }
    assert_eq!(app.operator().get(&path).await.ok(), before);

    let mut tag = current;
    for (method, action) in [
        ("patch", ""),
        ("post", "/suspend"),
        ("post", "/reactivate"),
        ("delete", ""),
        ("post", "/restore"),
        ("delete", ""),
        ("post", "/purge"),
    ] {
        // Any of several will do.
        let operator = app.operator().with_header("if-match", &format!("{old} , {tag}"));
        let answer = match method {
            "patch" => operator.patch(&path, &json!({})).await,
            "delete" => operator.delete(&path).await,
            _ => operator.post_empty(&format!("{path}{action}")).await,
        };
        if action == "/purge" {
            answer.accepted();
        } else {
            tag = answer.header("etag").to_owned();
            answer.ok();
        }
    }
}

#[tokio::test]
async fn owner_email_change_is_a_new_version() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let old = app.operator().get(&acme.path()).await.header("etag").to_owned();
    let update = json!({ "organization_name": "Acme", "email": "new@acme.example" });
    let updated = acme.owner.put("/org/update", &update).await;
    let seen = app.operator().get(&acme.path()).await;
    assert_eq!(seen.header("etag"), updated.header("etag"));
    assert_eq!(seen.ok()["admin_email"], "new@acme.example");
    for answer in change_if_match(&app, &acme.path(), &old).await {
        answer.refused("version_mismatch");
    }
}
