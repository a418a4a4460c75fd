//! What a role of an organization cannot be.

use super::{define, role, roles};
use crate::support::app::App;
use crate::support::fixtures::organization;
use serde_json::{Value, json};
use tenantry_domain::limits::ROLES_MAX;

/// Bodies that make no role, and the fields that say why.
fn bad_roles() -> Vec<(Value, Vec<&'static str>)> {
    let with = |name: Value, permissions: Value| json!({ "name": name, "permissions": permissions });
    let good = json!(["documents:read"]);
    let mut all = vec![
        (json!({}), vec!["/name", "/permissions"]),
        (json!({ "name": "billing" }), vec!["/permissions"]),
        (with(json!("billing"), json!([])), vec!["/permissions"]),
        (with(json!("billing"), json!("documents:read")), vec!["/permissions"]),
        (with(json!("billing"), json!([7])), vec!["/permissions/0"]),
        (with(json!("billing"), json!(["documents:read", "moon:reach"])), vec!["/permissions/1"]),
        (
            with(json!("billing"), json!(["documents:read", "audit:read", "documents:read"])),
            vec!["/permissions/2"],
        ),
        (with(json!("Billing"), json!(["moon:reach"])), vec!["/name", "/permissions/0"]),
    ];
    for name in ["owner", "admin", "member", "viewer", "", "2nd", "a b", "a/b", "Ärzte", &"r".repeat(33)] {
        all.push((with(json!(name), good.clone()), vec!["/name"]));
    }
    // What makes an owner, and what only service keys have.
    for beyond in ["owners:write", "organizations:export", "tokens:issue", "tokens:introspect"] {
        all.push((with(json!("billing"), json!([beyond])), vec!["/permissions/0"]));
    }
    for description in [json!(7), json!("a\nb"), json!("d".repeat(201))] {
        let body = json!({ "name": "billing", "permissions": good, "description": description });
        all.push((body, vec!["/description"]));
    }
    for field in
        ["role", "org_id", "_id", "id", "verified", "token_epoch", "version", "made_at_version", "created_at"]
    {
        let pointer: &'static str = Box::leak(format!("/{field}").into_boxed_str());
        all.push((json!({ "name": "billing", "permissions": good, field: 1 }), vec![pointer]));
    }
    all
}

#[tokio::test]
async fn own_role_refuses_bad_fields_by_name() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (body, pointers) in bad_roles() {
        acme.owner.post(&roles(&acme), &body).await.refused_fields(&pointers);
    }
    assert_eq!(acme.owner.get(&roles(&acme)).await.ok()["items"], json!([]));

    let made = define(&acme, "kept", &["documents:read"]).await;
    let path = role(&acme, "kept");
    for (body, pointers) in [
        (json!({ "name": "other" }), vec!["/name"]),
        (json!({ "permissions": [] }), vec!["/permissions"]),
        (
            json!({ "permissions": ["owners:write"], "description": "\u{7}" }),
            vec!["/description", "/permissions/0"],
        ),
        (json!({ "permissions": ["audit:read", "audit:read"] }), vec!["/permissions/1"]),
        (json!({ "permissions": ["audit:read"], "version": 1 }), vec!["/version"]),
    ] {
        acme.owner.patch(&path, &body).await.refused_fields(&pointers);
    }
    assert_eq!(acme.owner.get(&path).await.ok(), made);
}

#[tokio::test]
async fn own_roles_are_unique_and_bounded() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for number in 0..ROLES_MAX {
        define(&acme, &format!("role-{number}"), &["documents:read"]).await;
    }
    let body = |name: &str| json!({ "name": name, "permissions": ["documents:read"] });
    acme.owner.post(&roles(&acme), &body("role-7")).await.refused("role_exists");
    acme.owner.post(&roles(&acme), &body("further")).await.refused("too_many_roles");
    acme.owner.delete(&role(&acme, "role-7")).await.done();
    acme.owner.post(&roles(&acme), &body("further")).await.created();
    let listed = acme.owner.get(&roles(&acme)).await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), ROLES_MAX);
}

#[tokio::test]
async fn built_in_roles_are_no_roles_of_an_organization() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for name in ["owner", "admin", "member", "viewer", "nothing"] {
        let path = role(&acme, name);
        acme.owner.get(&path).await.refused("role_not_found");
        acme.owner
            .patch(&path, &json!({ "permissions": ["documents:read"] }))
            .await
            .refused("role_not_found");
        app.operator().delete(&path).await.refused("role_not_found");
    }
}

#[tokio::test]
async fn deleted_organization_defines_no_roles() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    define(&acme, "kept", &["documents:read"]).await;
    let operator = app.operator();
    operator.delete(&acme.path()).await.ok();
    let body = json!({ "name": "billing", "permissions": ["documents:read"] });
    operator.post(&roles(&acme), &body).await.refused("organization_not_active");
    operator.delete(&role(&acme, "kept")).await.refused("organization_not_active");
    operator.post_empty(&format!("{}/restore", acme.path())).await.ok();
    let listed = operator.get(&roles(&acme)).await.ok();
    assert_eq!(listed["items"][0]["name"], "kept", "{listed}");
}
