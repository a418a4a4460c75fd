//! The roles that an organization defines: who makes them, what they allow, and what their members may do when they
//! change.

mod members;
mod refusals;

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::client::Client;
use crate::support::fixtures::{Organization, invited, organization};
use crate::support::keys::{organization_key, service_key, with_key};
use serde_json::{Value, json};

/// The path of the roles that `organization` has defined.
fn roles(organization: &Organization) -> String {
    format!("{}/roles", organization.path())
}

/// The path of one of them.
fn role(organization: &Organization, name: &str) -> String {
    format!("{}/roles/{name}", organization.path())
}

/// Defines a role as the owner.
async fn define(organization: &Organization, name: &str, permissions: &[&str]) -> Value {
    let body = json!({ "name": name, "permissions": permissions });
    organization.owner.post(&roles(organization), &body).await.created()
}

/// Two organizations of which the owner of the second has a role in the first, which allows this.
async fn with_guest(permissions: &[&str]) -> (App, Organization, Organization, Client) {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    define(&host, "special", permissions).await;
    let client = invited(&app, &guest, &host, "special").await;
    (app, host, guest, client)
}

#[tokio::test]
async fn own_role_is_made_read_changed_and_deleted() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    assert_eq!(acme.owner.get(&roles(&acme)).await.ok(), json!({ "items": [], "next_cursor": null }));
    let body = json!({
        "name": "billing", "description": " Reads invoices. ", "permissions": ["documents:read", "audit:read"],
    });
    let made = acme.owner.post(&roles(&acme), &body).await;
    assert_eq!(made.header("location"), role(&acme, "billing"));
    let (tag, operation) = (made.header("etag").to_owned(), made.header("operation-location").to_owned());
    let made = made.created();
    assert_eq!(
        [&made["name"], &made["description"], &made["permissions"]],
        [&json!("billing"), &json!("Reads invoices."), &json!(["documents:read", "audit:read"])]
    );
    let logged = acme.owner.get(&operation).await.ok();
    assert_eq!((&logged["kind"], &logged["role"]), (&json!("create_role"), &json!("billing")));

    define(&acme, "archivist", &["documents:read"]).await;
    let list = app.operator().get(&roles(&acme)).await.ok();
    assert_eq!([&list["items"][0]["name"], &list["items"][1]], [&json!("archivist"), &made]);
    let read = acme.owner.get(&role(&acme, "billing")).await;
    assert_eq!(read.header("etag"), tag);
    assert_eq!(read.ok(), made);

    let expecting = |tag: &str| acme.owner.with_header("if-match", tag);
    let patch = json!({ "permissions": ["documents:read"] });
    let changed = expecting(&tag).patch(&role(&acme, "billing"), &patch).await;
    let next = changed.header("etag").to_owned();
    let changed = changed.ok();
    assert_eq!(changed["permissions"], json!(["documents:read"]));
    assert_eq!(
        [&changed["description"], &changed["created_at"]],
        [&made["description"], &made["created_at"]]
    );
    let path = role(&acme, "billing");
    expecting(&tag).patch(&path, &json!({ "description": "" })).await.refused("version_mismatch");
    expecting(&tag).delete(&path).await.refused("version_mismatch");
    assert_eq!(acme.owner.patch(&path, &json!({})).await.ok(), changed);
    expecting(&next).delete(&path).await.done();
    acme.owner.get(&path).await.refused("role_not_found");
    // One of the same name is another, whose tag is another.
    let body = json!({ "name": "billing", "permissions": ["documents:read"] });
    let again = acme.owner.post(&roles(&acme), &body).await;
    assert!(![tag, next].contains(&again.header("etag").to_owned()), "{again}");
    assert_eq!(
        Snapshot::sound(app.test_env()).log_of(acme.id()),
        ["create", "create_role", "create_role", "update_role", "delete_role", "create_role"]
            .map(|kind| format!("{kind} succeeded"))
    );
}

#[tokio::test]
async fn changes_of_own_roles_are_in_the_audit_trail() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    define(&acme, "billing", &["documents:read", "audit:read"]).await;
    let path = role(&acme, "billing");
    acme.owner.patch(&path, &json!({ "permissions": ["documents:read"] })).await.ok();
    app.operator().delete(&path).await.done();
    let page = acme.owner.get(&format!("{}/audit?limit=3", acme.path())).await.ok();
    let actor = json!({ "type": "account", "id": acme.owner_id() });
    let expected = [
        ("role.deleted", json!({ "type": "operator", "id": null }), json!(["documents:read", null])),
        ("role.updated", actor.clone(), json!(["documents:read audit:read", "documents:read"])),
        ("role.created", actor, json!([null, "documents:read audit:read"])),
    ];
    for (event, (action, actor, permissions)) in page["items"].as_array().unwrap().iter().zip(expected) {
        let details = &event["details"];
        assert_eq!((&event["action"], &event["actor"]), (&json!(action), &actor), "{event}");
        assert_eq!(details["role"], "billing", "{event}");
        assert_eq!(json!([details["permissions_before"], details["permissions"]]), permissions, "{event}");
    }
}

/// Nobody defines, changes, deletes, gives or takes a role that allows more than they may do.
#[tokio::test]
async fn own_role_is_never_wider_than_who_changes_it() {
    let (app, host, _, client) = with_guest(&["members:read", "members:write", "documents:read"]).await;
    define(&host, "writer", &["documents:write"]).await;
    let key = organization_key(&host, &["members:read", "members:write", "documents:read"]).await;
    let service = service_key(&app, &["members:read", "members:write", "documents:read"]).await;
    let makers = [client, with_key(&app, &key), with_key(&app, &service)];
    for (number, maker) in makers.iter().enumerate() {
        let own = format!("own-{number}");
        let with = |permissions: Value| json!({ "name": own, "permissions": permissions });
        for wider in [json!(["documents:write"]), json!(["documents:read", "keys:write"])] {
            maker.post(&roles(&host), &with(wider)).await.refused("role_insufficient");
        }
        maker.post(&roles(&host), &with(json!(["documents:read"]))).await.created();
        let path = role(&host, &own);
        let wider = json!({ "permissions": ["documents:read", "audit:read"] });
        maker.patch(&path, &wider).await.refused("role_insufficient");
        maker.patch(&path, &json!({ "permissions": ["members:write"] })).await.ok();
        let writer = role(&host, "writer");
        maker
            .patch(&writer, &json!({ "permissions": ["documents:read"] }))
            .await
            .refused("role_insufficient");
        maker.patch(&writer, &json!({ "description": "Mine." })).await.refused("role_insufficient");
        maker.delete(&writer).await.refused("role_insufficient");

        let invite = |role: &str| json!({ "email": format!("{own}-{role}@new.example"), "role": role });
        let invitations = format!("{}/invitations", host.path());
        for refused in ["writer", "viewer", "owner"] {
            maker.post(&invitations, &invite(refused)).await.refused("role_insufficient");
        }
        maker.post(&invitations, &invite(&own)).await.created();
        let owner = host.member(host.owner_id());
        maker.patch(&owner, &json!({ "role": own })).await.refused("role_insufficient");
        maker.delete(&path).await.done();
    }
    // The operator gives what an organization can have.
    app.operator().patch(&role(&host, "writer"), &json!({ "permissions": ["keys:write"] })).await.ok();
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn organization_has_roles_of_its_own_alone() {
    let (app, host, guest, _) = with_guest(&["documents:read"]).await;
    let path = format!("{}/invitations", guest.path());
    let body = json!({ "email": "new@guest.example", "role": "special" });
    guest.owner.post(&path, &body).await.refused_fields(&["/role"]);
    guest.owner.get(&role(&guest, "special")).await.refused("role_not_found");
    guest.owner.get(&role(&host, "special")).await.refused("organization_not_found");
    // The same name is another role there.
    define(&guest, "special", &["documents:write"]).await;
    host.owner.patch(&role(&host, "special"), &json!({ "permissions": ["audit:read"] })).await.ok();
    let kept = guest.owner.get(&role(&guest, "special")).await.ok();
    assert_eq!(kept["permissions"], json!(["documents:write"]));
    // Nobody has it there: what counts is who has the role in the same organization.
    guest.owner.delete(&role(&guest, "special")).await.done();
    host.owner.delete(&role(&host, "special")).await.refused("role_in_use");
    Snapshot::sound(app.test_env());
}
