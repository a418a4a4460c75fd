//! Members of an organization: who lists them, who changes whose role, who is removed or leaves, and that what
//! happens in one organization leaves the same person's access to another alone.

mod bounds;

use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, again, credentials, joined, new_organization, organization, sign_in, with_access,
};
use crate::support::records::add_member;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn role(role: &str) -> Value {
    json!({ "role": role })
}

/// An organization, and another one whose owner has that role in it, too.
async fn with_guest(guest_role: &str) -> (App, Organization, Organization, Client) {
    let app = App::start().await;
    let host = organization(&app, "Host").await;
    let guest = organization(&app, "Guest").await;
    let (app, client) = joined(app, &guest, &host, guest_role).await;
    let host = Organization { owner: again(&app, &host.owner), ..host };
    let guest = Organization { owner: again(&app, &guest.owner), ..guest };
    (app, host, guest, client)
}

#[tokio::test]
async fn members_are_listed_in_pages_for_who_may_read_them() {
    let (app, host, guest, as_guest) = with_guest("viewer").await;
    let path = format!("{}/members", host.path());
    let first = host.owner.get(&format!("{path}?limit=1")).await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = host.owner.get(&format!("{path}?limit=1&cursor={cursor}")).await.ok();
    assert_eq!(second["next_cursor"], Value::Null);
    let all = app.operator().get(&path).await.ok();
    assert_eq!(all["items"], json!([first["items"][0], second["items"][0]]));
    let owner = &all["items"][0];
    assert_eq!([&owner["account_id"], &owner["email"]], [&host.body["admin_id"], &host.body["admin_email"]]);
    assert_eq!((&owner["role"], &owner["since"]), (&json!("owner"), &host.body["created_at"]));
    assert_eq!(
        (&all["items"][1]["email"], &all["items"][1]["role"]),
        (&json!(guest.email()), &json!("viewer"))
    );

    as_guest.get(&path).await.refused("role_insufficient");
    as_guest.get(&host.member(host.owner_id())).await.refused("role_insufficient");
    let own = as_guest.get(&host.member(guest.owner_id())).await;
    assert!(own.header("etag").starts_with('"'), "{own}");
    assert_eq!(own.ok(), second["items"][0]);
    host.owner.get(&host.member("0123456789abcdef01234567")).await.refused("member_not_found");
    guest.owner.get(&path).await.refused("organization_not_found");
    for cursor in ["zz", "6d3a", "6f3a"] {
        host.owner.get(&format!("{path}?cursor={cursor}")).await.refused_fields(&["?cursor"]);
    }
}

#[tokio::test]
async fn roles_are_published_with_their_permissions() {
    let app = App::start().await;
    let roles = app.client().get("/v1/roles").await.ok();
    let names: Vec<&Value> = roles["items"].as_array().unwrap().iter().map(|item| &item["role"]).collect();
    assert_eq!(names, ["owner", "admin", "member", "viewer"]);
    let viewer = roles["items"][3]["permissions"].as_array().unwrap();
    let names: Vec<&Value> = viewer.iter().map(|permission| &permission["name"]).collect();
    assert_eq!(names, ["documents:read", "organizations:read"]);
    assert!(viewer.iter().all(|permission| permission["description"].as_str().unwrap().ends_with('.')));
}

/// Owners change everybody, admins everybody but owners, others nobody.
#[tokio::test]
async fn role_changes_are_limited_by_role_of_who_asks() {
    for (guest_role, allowed) in [
        ("owner", [true, true]),
        ("admin", [true, false]),
        ("member", [false, false]),
        ("viewer", [false, false]),
    ] {
        let (app, host, guest, _) = with_guest(guest_role).await;
        let third = organization(&app, "Third").await;
        let app = app.restart_after(|place| add_member(place, third.email(), host.id(), "member")).await;
        let as_guest = with_access(&app, &sign_in(&app, guest.email()).await);
        let path = host.member(third.owner_id());
        for (to, is_allowed) in ["admin", "owner"].into_iter().zip(allowed) {
            let answer = as_guest.patch(&path, &role(to)).await;
            if is_allowed {
                assert_eq!(answer.ok()["role"], to);
            } else {
                answer.refused("role_insufficient");
            }
        }
        // Of an owner, only owners make something else.
        let operator = app.operator();
        operator.patch(&path, &role("owner")).await.ok();
        for answer in [as_guest.patch(&path, &role("viewer")).await, as_guest.delete(&path).await] {
            match (allowed[1], answer.status.as_u16()) {
                (true, 200 | 204) => {}
                _ => drop(answer.refused("role_insufficient")),
            }
        }
        let own = as_guest.patch(&host.member(guest.owner_id()), &role("owner")).await;
        if guest_role == "owner" {
            drop(own.ok());
        } else {
            drop(own.refused("role_insufficient"));
        };
        Snapshot::sound(app.test_env());
    }
}

/// Who finds an open browser takes no organization over with it.
#[tokio::test]
async fn owners_change_only_after_a_recent_sign_in() {
    let app = Setup::unlimited().with("--reauth-max-age=60").start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    let (app, _) = joined(app, &guest, &host, "admin").await;
    let signed_in = async |email: &str| with_access(&app, &sign_in(&app, email).await);
    let owner = signed_in(host.email()).await;
    let member = host.member(guest.owner_id());
    let invitations = format!("{}/invitations", host.path());
    let offer = |email: &str, role: &str| json!({ "email": email, "role": role });
    let made = owner.post(&invitations, &offer("one@host.example", "owner")).await.created();
    let made = format!("{invitations}/{}", made["id"].as_str().unwrap());
    let minute_later = || app.clock.advance(Duration::from_secs(61));

    minute_later();
    let refused = [
        owner.patch(&member, &role("owner")).await,
        owner.post(&invitations, &offer("two@host.example", "owner")).await,
        owner.post_empty(&format!("{made}/renew")).await,
    ];
    refused.into_iter().for_each(|answer| drop(answer.refused("reauthentication_required")));
    // What makes no owner goes on, and so does taking an offer back.
    owner.post(&invitations, &offer("three@host.example", "admin")).await.created();
    owner.patch(&member, &role("member")).await.ok();
    owner.delete(&made).await.done();
    let owner = signed_in(host.email()).await;
    owner.post(&invitations, &offer("two@host.example", "owner")).await.created();
    owner.patch(&member, &role("owner")).await.ok();

    let as_guest = signed_in(guest.email()).await;
    minute_later();
    for client in [&owner, &as_guest] {
        client.patch(&member, &role("admin")).await.refused("reauthentication_required");
    }
    owner.delete(&member).await.refused("reauthentication_required");
    // Everybody may leave.
    as_guest.delete(&member).await.done();
    app.operator().delete(&host.member(host.owner_id())).await.refused("last_owner");
    Snapshot::sound(app.test_env());
}

/// A role that allows less ends the sessions of that organization, and no other.
#[tokio::test]
async fn lowered_role_ends_sessions_of_that_organization_alone() {
    let (app, host, guest, as_guest) = with_guest("member").await;
    let path = host.member(guest.owner_id());
    let document = |id: &str| json!({ "_id": id });
    as_guest.post(&host.documents(), &document("one")).await.created();

    // More rights end nothing.
    assert_eq!(host.owner.patch(&path, &role("admin")).await.ok()["role"], "admin");
    as_guest.get(&format!("{}/members", host.path())).await.ok();

    let answer = host.owner.patch(&path, &role("viewer")).await;
    let operation = answer.header("operation-location").to_owned();
    answer.ok();
    as_guest.get(&host.documents()).await.refused("token_revoked");
    guest.owner.post(&guest.documents(), &document("own")).await.created();
    let as_viewer = with_access(&app, &sign_in(&app, guest.email()).await);
    as_viewer.get(&host.documents()).await.ok();
    as_viewer.post(&host.documents(), &document("two")).await.refused("role_insufficient");

    let logged = host.owner.get(&operation).await.ok();
    assert_eq!((&logged["kind"], &logged["state"]), (&json!("change_role"), &json!("succeeded")));
    assert_eq!(logged["member"], json!({ "account_id": guest.owner_id(), "role": "viewer" }));
    assert_eq!(logged["actor"], json!({ "type": "account", "id": host.owner_id() }));
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn removed_member_loses_that_organization_alone() {
    let (app, host, guest, as_guest) = with_guest("admin").await;
    let path = host.member(guest.owner_id());
    host.owner.delete(&path).await.done();
    as_guest.get(&host.documents()).await.refused("token_revoked");
    guest.owner.get(&guest.documents()).await.ok();
    assert_eq!(sign_in(&app, guest.email()).await["org_id"], guest.id());
    for answer in [host.owner.get(&path).await, host.owner.delete(&path).await] {
        answer.refused("member_not_found");
    }
    host.owner.patch(&path, &role("viewer")).await.refused("member_not_found");
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn member_of_any_role_may_leave() {
    for name in ["owner", "admin", "member", "viewer"] {
        let (app, host, guest, as_guest) = with_guest(name).await;
        if name == "viewer" {
            as_guest.delete(&host.member(host.owner_id())).await.refused("role_insufficient");
        }
        as_guest.delete(&host.member(guest.owner_id())).await.done();
        as_guest.get(&host.path()).await.refused("token_revoked");
        guest.owner.get(&guest.path()).await.ok();
        assert_eq!(
            Snapshot::sound(app.test_env()).log_of(host.id()),
            ["create succeeded", "remove_member succeeded"]
        );
    }
}

#[tokio::test]
async fn last_owner_is_neither_demoted_nor_removed() {
    let (app, host, guest, as_guest) = with_guest("owner").await;
    let own = host.member(host.owner_id());
    as_guest.patch(&own, &role("admin")).await.ok();
    let last = host.member(guest.owner_id());
    for client in [&as_guest, &app.operator()] {
        client.patch(&last, &role("admin")).await.refused("last_owner");
        client.delete(&last).await.refused("last_owner");
        client.patch(&last, &role("owner")).await.ok();
    }
    // It is shown as the admin, because the one of the creation is no owner any more.
    let shown = app.operator().get(&host.path()).await.ok();
    assert_eq!(
        [&shown["admin_id"], &shown["admin_email"]],
        [&json!(guest.owner_id()), &json!(guest.email())]
    );
    app.operator().patch(&own, &role("owner")).await.ok();
    assert_eq!(app.operator().get(&host.path()).await.ok()["admin_id"], host.body["admin_id"]);
    as_guest.delete(&last).await.done();
    Snapshot::sound(app.test_env());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_who_demote_each_other_leave_one() {
    let (app, host, guest, _) = with_guest("owner").await;
    let (own, other) = (host.member(host.owner_id()), host.member(guest.owner_id()));
    for round in 0..20 {
        let [first, second] = [host.email(), guest.email()];
        let first = with_access(&app, &sign_in(&app, first).await);
        let second = with_access(&app, &sign_in(&app, second).await);
        let body = role("member");
        let (one, two) = tokio::join!(first.patch(&other, &body), second.patch(&own, &body));
        let is_done = |answer: &Answer| answer.status.is_success();
        assert!(is_done(&one) != is_done(&two), "round {round}: {one} {two}");
        let (loser, demoted) = if is_done(&one) { (two, &other) } else { (one, &own) };
        let refusals = ["token_revoked", "role_insufficient", "last_owner"];
        assert!(refusals.iter().any(|code| loser.is_refused(code)), "round {round}: {loser}");
        Snapshot::sound(app.test_env());
        app.operator().patch(demoted, &role("owner")).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn removal_stops_writes_of_that_member() {
    let (_app, host, guest, as_guest) = with_guest("member").await;
    let written = Arc::new(AtomicUsize::new(0));
    let writing = tokio::spawn({
        let (client, path, written) = (as_guest.clone(), host.documents(), Arc::clone(&written));
        async move {
            loop {
                let number = written.load(Ordering::SeqCst);
                let answer = client.post(&path, &json!({ "_id": number })).await;
                if !answer.status.is_success() {
                    return answer;
                }
                written.store(number + 1, Ordering::SeqCst);
            }
        }
    });
    while written.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    host.owner.delete(&host.member(guest.owner_id())).await.done();
    as_guest.post(&host.documents(), &json!({ "_id": "late" })).await.refused("token_revoked");
    writing.await.unwrap().refused("token_revoked");
    guest.owner.post(&guest.documents(), &json!({ "_id": "own" })).await.created();
    let kept = host.owner.post(&host.about("count"), &json!({ "filter": {} })).await.ok();
    assert_eq!(kept["count"], written.load(Ordering::SeqCst));
}

#[tokio::test]
async fn member_change_expects_the_version_it_names() {
    let (_app, host, guest, _) = with_guest("viewer").await;
    let path = host.member(guest.owner_id());
    let tag = host.owner.get(&path).await.header("etag").to_owned();
    let expecting = |tag: &str| host.owner.with_header("if-match", tag);
    let changed = expecting(&tag).patch(&path, &role("member")).await;
    let next = changed.header("etag").to_owned();
    changed.ok();
    expecting(&tag).patch(&path, &role("viewer")).await.refused("version_mismatch");
    expecting(&tag).delete(&path).await.refused("version_mismatch");
    expecting(&next).delete(&path).await.done();
}

#[tokio::test]
async fn member_change_refuses_other_fields_by_name() {
    let (_app, host, guest, _) = with_guest("viewer").await;
    let path = host.member(guest.owner_id());
    let before = host.owner.get(&path).await.ok();
    for field in ["org_id", "_id", "permissions", "verified", "token_epoch", "epoch", "account_id", "email"] {
        let body = json!({ "role": "member", field: 1 });
        host.owner.patch(&path, &body).await.refused_fields(&[&format!("/{field}")]);
    }
    for wrong in [json!("root"), json!("Owner"), json!(7), json!(["owner"])] {
        host.owner.patch(&path, &json!({ "role": wrong })).await.refused_fields(&["/role"]);
    }
    assert_eq!(host.owner.patch(&path, &json!({})).await.ok(), before);
    assert_eq!(host.owner.get(&path).await.ok(), before);
}

/// An address is free when all organizations of its account are deleted, and comes back with the first of them.
#[tokio::test]
async fn address_is_kept_while_one_organization_is_in_use() {
    let (app, host, guest, _) = with_guest("member").await;
    let operator = app.operator();
    operator.delete(&host.path()).await.ok();
    assert_eq!(sign_in(&app, guest.email()).await["org_id"], guest.id());
    app.client().post("/org/create", &new_organization("Next", guest.email())).await.refused("email_taken");
    Snapshot::sound(app.test_env());

    operator.delete(&guest.path()).await.ok();
    app.client()
        .post("/admin/login", &credentials(guest.email(), PASSWORD))
        .await
        .refused("invalid_credentials");
    Snapshot::sound(app.test_env());
    operator.post_empty(&format!("{}/restore", host.path())).await.ok();
    assert_eq!(sign_in(&app, guest.email()).await["org_id"], host.id());
    Snapshot::sound(app.test_env());

    // What is left to the account is deleted.
    operator.delete(&host.member(guest.owner_id())).await.done();
    app.client().post("/org/create", &new_organization("Next", guest.email())).await.created();
    operator.post_empty(&format!("{}/restore", guest.path())).await.refused("email_taken");
    Snapshot::sound(app.test_env());
    let other = json!({ "admin_email": "other@guest.example" });
    operator.post(&format!("{}/restore", guest.path()), &other).await.ok();
    assert_eq!(sign_in(&app, "other@guest.example").await["org_id"], guest.id());
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn restore_gives_no_other_address_to_admin_in_use_elsewhere() {
    let (app, host, guest, _) = with_guest("viewer").await;
    let operator = app.operator();
    operator.delete(&guest.path()).await.ok();
    let other = json!({ "admin_email": "other@guest.example" });
    operator.post(&format!("{}/restore", guest.path()), &other).await.refused_fields(&["/admin_email"]);
    assert_eq!(sign_in(&app, guest.email()).await["org_id"], host.id());
    operator.post_empty(&format!("{}/restore", guest.path())).await.ok();
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn purge_removes_account_with_its_last_membership() {
    let (app, host, guest, as_guest) = with_guest("admin").await;
    let operator = app.operator();
    operator.delete(&format!("{}?purge=true", guest.path())).await.ok();
    let found = Snapshot::sound(app.test_env());
    assert_eq!((found.organizations(), found.accounts()), (1, 2));
    as_guest.get(&host.documents()).await.ok();
    guest.owner.get(&guest.path()).await.refused("token_revoked");
    operator.delete(&format!("{}?purge=true", host.path())).await.ok();
    let found = Snapshot::sound(app.test_env());
    assert_eq!((found.organizations(), found.accounts()), (0, 0));
}

/// Somebody without any organization remains, and cannot sign in.
#[tokio::test]
async fn account_without_organizations_remains() {
    let (app, host, guest, _) = with_guest("member").await;
    app.operator().delete(&format!("{}?purge=true", guest.path())).await.ok();
    host.owner.delete(&host.member(guest.owner_id())).await.done();
    assert_eq!(Snapshot::sound(app.test_env()).accounts(), 2);
    app.client()
        .post("/admin/login", &credentials(guest.email(), PASSWORD))
        .await
        .refused("invalid_credentials");
    app.client().post("/org/create", &new_organization("Next", guest.email())).await.refused("email_taken");
}
