//! The classic API, outcome by outcome: create, find, update in its three dialects, delete, and the settings
//! that change who may do what.

mod update;

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{
    PASSWORD, credentials, find, new_organization, organization, sign_in, with_access,
};
use crate::support::records::has_container;
use crate::support::redaction::redact;
use serde_json::{Value, json};

/// A password that no account in the tests has at first.
const OTHER_PASSWORD: &str = "another horse, same stable";

#[tokio::test]
async fn create_makes_organization_admin_and_container() {
    let app = App::start().await;
    let new = new_organization("Tech Innovations Corp", "Admin@TechCorp.com");
    let answer = app.client().post("/org/create", &new).await;
    assert_eq!(
        answer.header("location"),
        format!("/v1/organizations/{}", answer.json()["id"].as_str().unwrap())
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
      "admin_email": "Admin@TechCorp.com",
      "admin_id": "[id]",
      "created_at": "2027-01-15T08:00:00Z",
      "id": "[id]",
      "modified_at": "2027-01-15T08:00:00Z",
      "organization_identifier": "tech-innovations-corp",
      "organization_name": "Tech Innovations Corp",
      "placement": "[placement]",
      "status": "active",
      "tenant_collection": "tenant_tech_innovations_corp",
      "tenant_database": "[database]"
    }
    "#);
    assert!(has_container(&app, created["id"].as_str().unwrap()));
    assert_eq!(find(&app, "Tech Innovations Corp").await.ok(), created);
    sign_in(&app, "admin@techcorp.com").await;
}

#[tokio::test]
async fn create_is_refused_for_each_reason() {
    let app = App::start().await;
    organization(&app, "Acme").await;
    let good = || new_organization("Other", "owner@other.example");
    let cases = [
        (json!({}), "/organization_name /email /password"),
        (
            json!({ "organization_name": 1, "email": [], "password": {} }),
            "/organization_name /email /password",
        ),
        (
            json!({ "organization_name": null, "email": null, "password": null }),
            "/organization_name /email /password",
        ),
        (changed(good(), "organization_name", "A"), "/organization_name"),
        (changed(good(), "email", "not an address"), "/email"),
        (changed(good(), "password", "short"), "/password"),
        (changed(good(), "password", "password"), "/password"),
        (changed(good(), "password", &"x".repeat(257)), "/password"),
        (changed(good(), "organization_name", "ACME!"), "name_taken"),
        (changed(good(), "email", "OWNER@acme.EXAMPLE"), "email_taken"),
    ];
    for (body, outcome) in cases {
        let answer = app.client().post("/org/create", &body).await;
        assert_eq!(answer.outcome(), outcome, "{body} {answer}");
    }
    find(&app, "Other").await.refused("organization_not_found");
    let listed = app.operator().get("/v1/organizations?show_deleted=true").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

fn changed(mut body: Value, field: &str, value: &str) -> Value {
    body[field] = value.into();
    body
}

#[tokio::test]
async fn create_and_update_ignore_fields_of_the_service() {
    let app = App::start().await;
    let mut new = new_organization("Acme", "owner@acme.example");
    let foreign = json!({
        "id": "0123456789abcdef01234567", "admin_id": "0123456789abcdef01234567", "status": "suspended",
        "placement": "shared", "tenant_collection": "system.users", "organization_identifier": "root",
        "delete_protection": true, "role": "operator", "created_at": "1970-01-01T00:00:00Z",
        "password_hash": "$2b$04$abcdefghijklmnopqrstuuaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    });
    new.as_object_mut().unwrap().extend(foreign.as_object().unwrap().clone());
    let created = app.client().post("/org/create", &new).await.created();
    let plain =
        app.client().post("/org/create", &new_organization("Plain", "owner@plain.example")).await.created();
    for field in ["placement", "status", "created_at"] {
        assert_eq!(created[field], plain[field], "{field}");
    }
    for (field, value) in foreign.as_object().unwrap() {
        assert_ne!(&created[field], value, "{field}");
    }

    let mut login = credentials("owner@acme.example", PASSWORD);
    login.as_object_mut().unwrap().extend(foreign.as_object().unwrap().clone());
    let tokens = app.client().post("/admin/login", &login).await.ok();
    assert_eq!(tokens["admin_id"], created["admin_id"]);

    let mut update = json!({ "organization_name": "Acme" });
    update.as_object_mut().unwrap().extend(foreign.as_object().unwrap().clone());
    let updated = with_access(&app, &tokens).put("/org/update", &update).await.ok();
    for field in ["id", "admin_id", "status", "placement", "tenant_collection", "organization_identifier"] {
        assert_eq!(updated[field], created[field], "{field}");
    }
}

#[tokio::test]
async fn create_needs_operator_key_when_signup_is_operator() {
    let app = Setup::unlimited().with("--signup=operator").start().await;
    let new = new_organization("Acme", "owner@acme.example");
    app.client().post("/org/create", &new).await.refused("operator_key_required");
    app.client().with_token("garbage").post("/org/create", &new).await.refused("operator_key_required");
    app.client()
        .with_token("tenantry_operator_x")
        .post("/org/create", &new)
        .await
        .refused("operator_key_invalid");
    app.operator().post("/org/create", &new).await.created();
    let owner = with_access(&app, &sign_in(&app, "owner@acme.example").await);
    let second = new_organization("Second", "owner@second.example");
    owner.post("/org/create", &second).await.refused("operator_key_required");
}

#[tokio::test]
async fn lookup_ignores_case_spaces_and_punctuation() {
    let app = App::start().await;
    let acme = organization(&app, "Acme Corp").await;
    for name in ["Acme Corp", "acme corp", "ACME   CORP", " acme\tcorp ", "acme-corp", "Ａｃｍｅ　Ｃｏｒｐ"]
    {
        assert_eq!(find(&app, name).await.ok(), acme.body, "{name}");
    }
    find(&app, "Acme").await.refused("organization_not_found");
    find(&app, "A").await.refused_fields(&["?organization_name"]);
    let client = app.client();
    client.get("/org/get").await.refused_fields(&["?organization_name"]);
    client.get("/org/get?organization_name=").await.refused_fields(&["?organization_name"]);
    client
        .get("/org/get?organization_name=a1&organization_name=a2")
        .await
        .refused_fields(&["?organization_name"]);
}

#[tokio::test]
async fn lookup_shows_what_the_setting_allows_each_caller() {
    let table = [
        // anonymous, garbage, another organization's token, its own token, the operator key
        ("full", ["everything"; 5]),
        ("card", ["card", "token_invalid", "card", "everything", "everything"]),
        ("off", ["token_missing", "token_invalid", "organization_not_found", "everything", "everything"]),
    ];
    for (setting, expected) in table {
        let app = Setup::unlimited().with(&format!("--public-lookup={setting}")).start().await;
        let acme = organization(&app, "Acme").await;
        let other = organization(&app, "Other").await;
        let callers = [
            app.client(),
            app.client().with_token("garbage"),
            other.owner,
            acme.owner.clone(),
            app.operator(),
        ];
        for (caller, expected) in callers.iter().zip(expected) {
            let seen = seen(caller, &acme.body).await;
            assert_eq!(seen, expected, "{setting}");
        }
    }
}

/// The view that `caller` gets of the organization: `everything`, a `card` without e-mail address and container, or a
/// refusal.
async fn seen(caller: &Client, organization: &Value) -> String {
    let answer = caller.get("/org/get?organization_name=acme").await;
    if answer.status.is_client_error() {
        return answer.outcome();
    }
    let mut card = organization.clone();
    for hidden in ["admin_email", "tenant_collection", "tenant_database"] {
        card.as_object_mut().unwrap().remove(hidden);
    }
    let body = answer.ok();
    match body {
        body if body == *organization => "everything".to_owned(),
        body if body == card => "card".to_owned(),
        body => panic!("{body}"),
    }
}

#[tokio::test]
async fn sign_in_returns_tokens_with_their_owner() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    assert_eq!(acme.tokens["org_id"], acme.body["id"]);
    assert_eq!(acme.tokens["admin_id"], acme.body["admin_id"]);
    let shown = redact(
        &acme.tokens,
        &[
            ("/access_token", "[token]"),
            ("/refresh_token", "[token]"),
            ("/admin_id", "[id]"),
            ("/org_id", "[id]"),
        ],
    );
    insta::assert_json_snapshot!(shown, @r#"
    {
      "access_token": "[token]",
      "admin_id": "[id]",
      "expires_in": 3600,
      "org_id": "[id]",
      "organization_name": "Acme",
      "refresh_token": "[token]",
      "token_type": "bearer"
    }
    "#);
}

#[tokio::test]
async fn delete_accepts_name_in_query_body_or_both() {
    let app = App::start().await;
    let body = json!({ "organization_name": "acme" });
    for location in ["query", "body", "both"] {
        let acme = organization(&app, "Acme").await;
        let deleted = match location {
            "query" => acme.owner.delete("/org/delete?organization_name=ACME").await,
            "body" => acme.owner.delete_with("/org/delete", &body).await,
            _ => acme.owner.delete_with("/org/delete?organization_name=ACME", &body).await,
        };
        assert_eq!(
            deleted.ok(),
            json!({ "message": "Organization deleted successfully", "purge_at": "2027-02-14T08:00:00Z" })
        );
        find(&app, "Acme").await.refused("organization_not_found");
        let kept = app.operator().get(&acme.path()).await.ok();
        assert_eq!((&kept["status"], &kept["purge_at"]), (&json!("deleted"), &json!("2027-02-14T08:00:00Z")));
        assert!(has_container(&app, acme.id()));
    }
}

#[tokio::test]
async fn delete_with_purge_keeps_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let deleted = acme.owner.delete("/org/delete?organization_name=Acme&purge=true").await.ok();
    assert_eq!(deleted["purge_at"], "2027-01-15T08:00:00Z");
    app.operator().get(&acme.path()).await.refused("organization_not_found");
    assert!(!has_container(&app, acme.id()));
    organization(&app, "Acme").await;
}

#[tokio::test]
async fn delete_is_refused_for_each_reason_and_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let name = |name: Value| json!({ "organization_name": name });
    let cases = [
        ("", None, "/organization_name"),
        ("", Some(json!({})), "/organization_name"),
        ("", Some(name(Value::Null)), "/organization_name"),
        ("", Some(name(json!(5))), "/organization_name"),
        ("", Some(name(json!("A"))), "/organization_name"),
        ("?organization_name=A", None, "?organization_name"),
        ("?organization_name=Acme", Some(name(json!(5))), "/organization_name"),
        ("?organization_name=Acme", Some(name(json!("Other"))), "/organization_name"),
        ("?organization_name=Other", Some(name(json!("Acme"))), "/organization_name"),
        ("?organization_name=Acme&purge=perhaps", None, "?purge"),
        (
            "?organization_name=A&purge=perhaps",
            Some(name(json!("B"))),
            "?organization_name ?purge /organization_name",
        ),
        ("?organization_name=Other", None, "not_your_organization"),
        ("?organization_name=Other&purge=true", None, "not_your_organization"),
        ("", Some(name(json!("Other"))), "not_your_organization"),
        ("?organization_name=Nobody", None, "organization_not_found"),
    ];
    for (query, body, outcome) in cases {
        let path = format!("/org/delete{query}");
        let answer = match &body {
            Some(body) => acme.owner.delete_with(&path, body).await,
            None => acme.owner.delete(&path).await,
        };
        assert_eq!(answer.outcome(), outcome, "{body:?} {answer}");
    }
    for organization in [&acme, &other] {
        assert_eq!(find(&app, organization.name()).await.ok(), organization.body);
    }
}

#[tokio::test]
async fn update_and_delete_honor_if_match() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let old = find(&app, "Acme").await.header("etag").to_owned();
    let update = json!({ "organization_name": "Acme Global" });
    let updated = acme.owner.with_header("if-match", &old).put("/org/update", &update).await;
    let current = updated.header("etag").to_owned();
    updated.ok();
    let path = "/org/delete?organization_name=Acme%20Global";
    let late = acme.owner.with_header("if-match", &old);
    late.put("/org/update", &json!({ "organization_name": "Late" })).await.refused("version_mismatch");
    late.delete(path).await.refused("version_mismatch");
    assert_eq!(find(&app, "Acme Global").await.header("etag"), current);
    acme.owner.with_header("if-match", &current).delete(path).await.ok();
}

#[tokio::test]
async fn delete_reveals_no_other_names_when_lookup_is_off() {
    let app = Setup::unlimited().with("--public-lookup=off").start().await;
    let acme = organization(&app, "Acme").await;
    organization(&app, "Other").await;
    for name in ["Other", "Nobody"] {
        let path = format!("/org/delete?organization_name={name}");
        acme.owner.delete(&path).await.refused("organization_not_found");
    }
}

#[tokio::test]
async fn root_and_health_describe_the_service() {
    let app = Setup::unlimited().with("--app-name=Org Management Service").start().await;
    assert_eq!(
        app.client().get("/health").await.ok(),
        json!({ "status": "operational", "service": "Organization Management API" })
    );
    let shown = redact(&app.client().get("/").await.ok(), &[("/version", "[version]")]);
    insta::assert_json_snapshot!(shown, @r#"
    {
      "docs": "/docs",
      "health": "/health",
      "name": "Org Management Service",
      "openapi": "/openapi.json",
      "redoc": "/redoc",
      "version": "[version]"
    }
    "#);
}
