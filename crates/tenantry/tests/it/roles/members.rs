//! Members who have a role of the organization's own: what they see and may do, and what a change of the role does to
//! their sessions, their keys and their invitations.

use super::{define, role, with_guest};
use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::{invited, organization, prove_address, sign_in, with_access};
use crate::support::keys::{claims, service_key, with_key};
use serde_json::json;

#[tokio::test]
async fn member_with_own_role_may_do_what_it_allows() {
    let (app, host, guest, client) = with_guest(&["documents:read", "documents:write"]).await;
    client.post(&host.documents(), &json!({ "_id": "one" })).await.created();
    client.get(&host.path()).await.refused("role_insufficient");
    client.get(&format!("{}/roles", host.path())).await.refused("role_insufficient");
    client.post(&host.collections(), &json!({ "name": "more" })).await.refused("role_insufficient");
    client.get(&format!("{}/export", host.path())).await.refused("role_insufficient");

    let tokens = sign_in(&app, guest.email()).await;
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!((&claims(token)["org_id"], &claims(token)["role"]), (&json!(host.id()), &json!("special")));
    let service = with_key(&app, &service_key(&app, &["tokens:introspect"]).await);
    let about = service.post("/v1/auth/introspect", &json!({ "token": token })).await.ok();
    let scope = json!("documents:read documents:write");
    assert_eq!((&about["active"], &about["scope"]), (&json!(true), &scope), "{about}");

    let me = client.get("/v1/me").await.ok();
    let here = me["memberships"]["items"].as_array().unwrap();
    let here = here.iter().find(|membership| membership["organization_id"] == host.id()).unwrap();
    assert_eq!(here["role"], "special");
    assert_eq!(here["permissions"], json!(["documents:read", "documents:write"]));
    let listed = host.owner.get(&format!("{}/members", host.path())).await.ok();
    assert_eq!(listed["items"][1]["role"], "special");
    assert_eq!(client.get(&host.member(guest.owner_id())).await.ok()["role"], "special");
    // A member who may do little may still leave.
    client.delete(&host.member(guest.owner_id())).await.done();
    client.get(&host.documents()).await.refused("token_revoked");
    Snapshot::sound(app.test_env());
}

/// Between roles, what counts is whether the new one allows less.
#[tokio::test]
async fn own_role_that_allows_less_ends_sessions() {
    let (app, host, guest, client) = with_guest(&["documents:read", "organizations:read"]).await;
    define(&host, "more", &["documents:read", "organizations:read", "audit:read"]).await;
    define(&host, "other", &["documents:read", "documents:write"]).await;
    let path = host.member(guest.owner_id());
    let mut client = client;
    for (to, ends) in
        [("viewer", false), ("more", false), ("other", true), ("owner", false), ("special", true)]
    {
        host.owner.patch(&path, &json!({ "role": to })).await.ok();
        let answer = client.get(&host.documents()).await;
        if ends {
            answer.refused("token_revoked");
            client = with_access(&app, &sign_in(&app, guest.email()).await);
        } else {
            answer.ok();
        }
        guest.owner.get(&guest.documents()).await.ok();
    }
    Snapshot::sound(app.test_env());
}

/// A role that is changed changes at once what its members and their keys may do; their sessions go on.
#[tokio::test]
async fn changed_role_changes_rights_of_its_members_and_their_keys() {
    let permissions = ["documents:read", "documents:write", "organizations:read", "keys:read", "keys:write"];
    let (app, host, _, client) = with_guest(&permissions).await;
    let body = json!({ "name": "report", "permissions": ["documents:read", "documents:write"] });
    let keys = format!("{}/keys", host.path());
    let key = with_key(&app, &client.post(&keys, &body).await.created());
    let write = |id: &str| json!({ "_id": id });
    for (number, writer) in [&client, &key].into_iter().enumerate() {
        writer.post(&host.documents(), &write(&format!("before {number}"))).await.created();
    }

    let path = role(&host, "special");
    host.owner.patch(&path, &json!({ "permissions": ["documents:read", "organizations:read"] })).await.ok();
    client.post(&host.documents(), &write("narrowed")).await.refused("role_insufficient");
    client.post(&keys, &body).await.refused("role_insufficient");
    key.post(&host.documents(), &write("narrowed")).await.refused("permission_missing");
    for reader in [&client, &key] {
        reader.get(&host.documents()).await.ok();
    }

    host.owner.patch(&path, &json!({ "permissions": permissions })).await.ok();
    for (number, writer) in [&client, &key].into_iter().enumerate() {
        writer.post(&host.documents(), &write(&format!("after {number}"))).await.created();
    }
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn role_in_use_is_not_deleted() {
    let (app, host, guest, client) = with_guest(&["documents:read"]).await;
    let (path, member) = (role(&host, "special"), host.member(guest.owner_id()));
    host.owner.delete(&path).await.refused("role_in_use");
    client.get(&host.documents()).await.ok();
    host.owner.patch(&member, &json!({ "role": "viewer" })).await.ok();
    host.owner.delete(&path).await.done();

    define(&host, "special", &["documents:read"]).await;
    host.owner.patch(&member, &json!({ "role": "special" })).await.ok();
    host.owner.delete(&path).await.refused("role_in_use");
    host.owner.delete(&member).await.done();
    host.owner.delete(&path).await.done();
    Snapshot::sound(app.test_env());
}

/// A member who gets the role while it is deleted either has it, and it stays, or does not get it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn role_is_not_deleted_while_somebody_gets_it() {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    invited(&app, &guest, &host, "viewer").await;
    let (path, member) = (role(&host, "special"), host.member(guest.owner_id()));
    define(&host, "special", &["documents:read"]).await;
    for round in 0..30 {
        let body = json!({ "role": "special" });
        let (given, deleted) = tokio::join!(host.owner.patch(&member, &body), host.owner.delete(&path));
        let is_there = host.owner.get(&path).await.status == 200;
        let has = host.owner.get(&member).await.ok()["role"].clone();
        match (given.status.as_u16(), deleted.status.as_u16()) {
            (200, 409) => {
                assert!(is_there && has == "special", "round {round}: {has}");
                deleted.refused("role_in_use");
                host.owner.patch(&member, &json!({ "role": "viewer" })).await.ok();
            }
            (400, 204) => {
                assert!(!is_there && has == "viewer", "round {round}: {has}");
                given.refused_fields(&["/role"]);
                define(&host, "special", &["documents:read"]).await;
            }
            _ => panic!("round {round}: {given} {deleted}"),
        }
    }
    Snapshot::sound(app.test_env());
}

/// An invitation to a role that is deleted is no longer valid, also when another role gets its name.
#[tokio::test]
async fn invitation_ends_with_the_role_that_it_offers() {
    let app = App::start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    define(&host, "special", &["documents:read"]).await;
    let invitations = format!("{}/invitations", host.path());
    let body = json!({ "email": guest.email(), "role": "special" });
    let made = host.owner.post(&invitations, &body).await.created();
    host.owner.delete(&role(&host, "special")).await.done();
    prove_address(&app, &guest).await;
    let accept = json!({ "token": made["token"] });
    let invitation = format!("{invitations}/{}", made["id"].as_str().unwrap());
    for _ in 0..2 {
        guest.owner.post("/v1/invitations/accept", &accept).await.refused("invitation_invalid");
        host.owner.post(&format!("{invitation}/renew"), &json!({})).await.refused("invitation_not_found");
        if host.owner.get(&role(&host, "special")).await.status == 404 {
            define(&host, "special", &["keys:write"]).await;
        }
    }
    host.owner.delete(&invitation).await.done();
    // What changes meanwhile is what the invited person gets.
    host.owner.post(&invitations, &body).await.created();
    host.owner.patch(&role(&host, "special"), &json!({ "permissions": ["documents:read"] })).await.ok();
    Snapshot::sound(app.test_env());
}
