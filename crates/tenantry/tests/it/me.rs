//! The signed-in account: its organizations, signing in to one of several, its password.

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::{
    Organization, PASSWORD, again, credentials, joined, organization, sign_in, with_access,
};
use serde_json::{Value, json};

const NEW_PASSWORD: &str = "another horse battery";

/// A host, and a guest whose owner is a member of it, too.
async fn two() -> (App, Organization, Organization) {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let guest = organization(&app, "Guest").await;
    let (app, _) = joined(app, &guest, &host, "member").await;
    let host = Organization { owner: again(&app, &host.owner), ..host };
    let guest = Organization { owner: again(&app, &guest.owner), ..guest };
    (app, host, guest)
}

fn into(organization: &str, email: &str) -> Value {
    let mut body = credentials(email, PASSWORD);
    body["organization"] = organization.into();
    body
}

#[tokio::test]
async fn account_lists_its_organizations_in_pages() {
    let (app, host, guest) = two().await;
    let me = guest.owner.get("/v1/me").await.ok();
    assert_eq!([&me["account_id"], &me["email"]], [&guest.body["admin_id"], &guest.body["admin_email"]]);
    let items = me["memberships"]["items"].as_array().unwrap();
    let shown: Vec<_> = items.iter().map(|item| [&item["organization_id"], &item["role"]]).collect();
    assert_eq!(shown, [[&host.body["id"], &json!("member")], [&guest.body["id"], &json!("owner")]]);
    assert_eq!([&items[0]["organization_name"], &items[0]["status"]], [&json!("Host"), &json!("active")]);
    let first = guest.owner.get("/v1/me?limit=1").await.ok();
    let cursor = first["memberships"]["next_cursor"].as_str().unwrap();
    let second = guest.owner.get(&format!("/v1/me?limit=1&cursor={cursor}")).await.ok();
    assert_eq!(second["memberships"]["items"], json!([items[1]]));
    app.operator().delete(&host.path()).await.ok();
    let left = guest.owner.get("/v1/me").await.ok();
    assert_eq!(left["memberships"]["items"], json!([items[1]]));
    app.operator().get("/v1/me").await.refused("token_invalid");
}

#[tokio::test]
async fn sign_in_is_to_the_named_organization_and_remembers_it() {
    let (app, host, guest) = two().await;
    let email = guest.email();
    for (name, id) in [("guest", guest.id()), (host.id(), host.id()), (guest.id(), guest.id())] {
        let tokens = app.client().post("/admin/login", &into(name, email)).await.ok();
        assert_eq!(tokens["org_id"], id);
        assert_eq!(sign_in(&app, email).await["org_id"], id);
    }
    for unknown in ["nowhere", "0123456789abcdef01234567"] {
        app.client().post("/admin/login", &into(unknown, email)).await.refused("organization_not_found");
    }
    app.client().post("/admin/login", &into("guest", host.email())).await.refused("organization_not_found");
    let mut wrong = into("guest", email);
    wrong["password"] = NEW_PASSWORD.into();
    app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
    app.client()
        .post("/admin/login", &into("Not An Identifier", email))
        .await
        .refused_fields(&["/organization"]);

    app.operator().post_empty(&format!("{}/suspend", guest.path())).await.ok();
    app.client().post("/admin/login", &into("guest", email)).await.refused("organization_suspended");
    assert_eq!(sign_in(&app, email).await["org_id"], host.id());
}

#[tokio::test]
async fn switch_gives_tokens_of_another_organization_of_the_account() {
    let (app, host, guest) = two().await;
    let to = |name: &str| json!({ "organization": name });
    let tokens = guest.owner.post("/v1/auth/switch", &to("host")).await.ok();
    assert_eq!([&tokens["org_id"], &tokens["admin_id"]], [&host.body["id"], &guest.body["admin_id"]]);
    let there = with_access(&app, &tokens);
    there.post(&host.documents(), &json!({ "_id": "one" })).await.created();
    there.get(&guest.path()).await.refused("organization_not_found");
    guest.owner.get(&guest.path()).await.ok();
    assert_eq!(sign_in(&app, guest.email()).await["org_id"], host.id());
    host.owner.post("/v1/auth/switch", &to("guest")).await.refused("organization_not_found");
    there.post_empty("/v1/auth/logout").await.done();
    guest.owner.get(&guest.path()).await.ok();

    // What a switch gives ends with the membership, too.
    let there = with_access(&app, &guest.owner.post("/v1/auth/switch", &to(host.id())).await.ok());
    host.owner.delete(&host.member(guest.owner_id())).await.done();
    there.get(&host.path()).await.refused("token_revoked");
    guest.owner.post("/v1/auth/switch", &to("host")).await.refused("organization_not_found");
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn password_change_ends_other_sessions_everywhere() {
    let (app, _host, guest) = two().await;
    let there = guest.owner.post("/v1/auth/switch", &json!({ "organization": "host" })).await.ok();
    let there = with_access(&app, &there);
    let change = |current: &str| json!({ "current_password": current, "new_password": NEW_PASSWORD });
    guest.owner.post("/v1/me/password", &change("not this one")).await.refused("invalid_credentials");
    let wrong = json!({ "current_password": PASSWORD, "new_password": "short", "role": "owner" });
    guest.owner.post("/v1/me/password", &wrong).await.refused_fields(&["/new_password", "/role"]);
    there.get("/v1/me").await.ok();

    guest.owner.post("/v1/me/password", &change(PASSWORD)).await.done();
    guest.owner.get(&guest.path()).await.ok();
    there.get("/v1/me").await.refused("token_revoked");
    app.client()
        .post("/admin/login", &credentials(guest.email(), PASSWORD))
        .await
        .refused("invalid_credentials");
    app.client().post("/admin/login", &credentials(guest.email(), NEW_PASSWORD)).await.ok();
    Snapshot::sound(app.test_env());
}
