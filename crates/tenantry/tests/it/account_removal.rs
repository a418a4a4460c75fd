//! Accounts that remove themselves: from every organization, with their sessions and their address.

use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::client::Client;
use crate::support::fixtures::{
    Organization, PASSWORD, again, credentials, joined, new_organization, organization, prove_address,
    sign_in, with_access,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A host, and a guest whose owner has that role in it, too; signed in to the host.
async fn two(role: &str) -> (App, Organization, Organization, Client) {
    let app = Setup::unlimited().start().await;
    let host = organization(&app, "Host").await;
    let guest = organization(&app, "Guest").await;
    let (app, client) = joined(app, &guest, &host, role).await;
    let host = Organization { owner: again(&app, &host.owner), ..host };
    let guest = Organization { owner: again(&app, &guest.owner), ..guest };
    (app, host, guest, client)
}

/// Invites the owner of `invited` into `into`, who joins.
async fn join(app: &App, invited: &Organization, into: &Organization, role: &str) {
    prove_address(app, invited).await;
    let body = json!({ "email": invited.email(), "role": role });
    let invitation = into.owner.post(&format!("{}/invitations", into.path()), &body).await.created();
    invited.owner.post("/v1/invitations/accept", &json!({ "token": invitation["token"] })).await.ok();
}

#[tokio::test]
async fn removed_account_is_gone_from_every_organization() {
    for role in ["viewer", "admin", "owner"] {
        let (app, host, guest, as_guest) = two(role).await;
        join(&app, &host, &guest, "owner").await;
        as_guest.delete("/v1/me").await.done();
        for client in [&as_guest, &guest.owner] {
            client.get("/v1/me").await.refused("token_revoked");
        }
        let refresh = json!({ "refresh_token": guest.tokens["refresh_token"] });
        app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
        let login = credentials(guest.email(), PASSWORD);
        app.client().post("/admin/login", &login).await.refused("invalid_credentials");
        host.owner.get(&host.member(guest.owner_id())).await.refused("member_not_found");
        let found = Snapshot::sound(app.test_env());
        assert_eq!(found.accounts(), 1);
        for organization in [&host, &guest] {
            assert_eq!(found.log_of(organization.id()).last().unwrap(), "remove_member succeeded");
        }
        assert_eq!(app.operator().get(&guest.path()).await.ok()["admin_id"], host.body["admin_id"]);

        // The address is free.
        app.client().post("/org/create", &new_organization("Next", guest.email())).await.created();
        assert_eq!(sign_in(&app, guest.email()).await["organization_name"], "Next");
        Snapshot::sound(app.test_env());
    }
}

#[tokio::test]
async fn last_owner_is_refused_with_names_and_unchanged() {
    let (app, host, guest, as_guest) = two("member").await;
    let before = Snapshot::sound(app.test_env());
    let refused = as_guest.delete("/v1/me").await;
    assert!(refused.text.contains("`Guest`") && !refused.text.contains("`Host`"), "{refused}");
    refused.refused("last_owner");
    before.assert_unchanged(&Snapshot::sound(app.test_env()));

    // A deleted one may come back.
    app.operator().delete(&guest.path()).await.ok();
    let refused = as_guest.delete("/v1/me").await;
    assert!(refused.text.contains("`Guest` (deleted"), "{refused}");
    refused.refused("last_owner");
    app.operator().post_empty(&format!("{}/purge", guest.path())).await.accepted();
    while !app.operator().get(&guest.path()).await.is_refused("organization_not_found") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    as_guest.delete("/v1/me").await.done();
    let found = Snapshot::sound(app.test_env());
    assert_eq!((found.accounts(), found.organizations()), (1, 1));
    host.owner.get(&host.path()).await.ok();
}

/// It is left like others, also where it is not in use.
#[tokio::test]
async fn removed_account_leaves_suspended_and_deleted_organizations() {
    let (app, host, guest, as_guest) = two("member").await;
    let third = organization(&app, "Third").await;
    join(&app, &host, &guest, "owner").await;
    join(&app, &guest, &third, "owner").await;
    app.operator().post_empty(&format!("{}/suspend", guest.path())).await.ok();
    app.operator().delete(&third.path()).await.ok();
    as_guest.delete("/v1/me").await.done();
    Snapshot::sound(app.test_env());
    app.operator().post_empty(&format!("{}/restore", third.path())).await.ok();
    app.operator().post_empty(&format!("{}/reactivate", guest.path())).await.ok();
    let found = Snapshot::sound(app.test_env());
    assert_eq!(found.accounts(), 2);
    for organization in [&guest, &third] {
        let members = app.operator().get(&format!("{}/members", organization.path())).await.ok();
        assert_eq!(members["items"].as_array().unwrap().len(), 1, "{members}");
    }
}

#[tokio::test]
async fn account_removal_needs_recent_sign_in_of_a_person() {
    let (app, host, guest, as_guest) = two("member").await;
    join(&app, &host, &guest, "owner").await;
    app.clock.advance(Duration::from_secs(16 * 60));
    as_guest.delete("/v1/me").await.refused("reauthentication_required");
    app.operator().delete("/v1/me").await.refused("token_invalid");
    app.client().delete("/v1/me").await.refused("token_missing");
    with_access(&app, &sign_in(&app, guest.email()).await).delete("/v1/me").await.done();
    as_guest.delete("/v1/me").await.refused("token_revoked");
}

/// Of the owners of an organization who remove themselves at the same moment, one remains.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_who_remove_themselves_leave_one() {
    for round in 0..5 {
        let (app, host, guest, as_guest) = two("owner").await;
        join(&app, &host, &guest, "owner").await;
        let (one, two) = tokio::join!(host.owner.delete("/v1/me"), as_guest.delete("/v1/me"));
        let removed = [&one, &two].into_iter().filter(|answer| answer.status.is_success()).count();
        assert!(removed <= 1, "round {round}: {one} {two}");
        for answer in [one, two].into_iter().filter(|answer| !answer.status.is_success()) {
            answer.refused("last_owner");
        }
        let found = Snapshot::sound(app.test_env());
        assert_eq!(found.accounts(), 2 - removed, "round {round}");
    }
}

/// What is under way for an account that is being removed comes to nothing, and its address stays free.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn account_removal_beside_joins_and_creates_leaves_nothing() {
    for _ in 0..5 {
        let (app, host, guest, as_guest) = two("member").await;
        let third = organization(&app, "Third").await;
        join(&app, &host, &guest, "owner").await;
        prove_address(&app, &guest).await;
        let body = json!({ "email": guest.email(), "role": "admin" });
        let path = format!("{}/invitations", third.path());
        let invitation = third.owner.post(&path, &body).await.created();
        let accept = json!({ "token": invitation["token"], "password": null });
        let late = json!({ "organization_name": "Late" });
        let (removed, _, _) = tokio::join!(
            as_guest.delete("/v1/me"),
            guest.owner.post("/v1/invitations/accept", &accept),
            guest.owner.post("/v1/organizations", &late),
        );
        // An organization of its own that was there first refuses the removal, which may have left others.
        let is_gone = removed.status.is_success();
        if removed.status == 202 {
            // An organization was busy: maintenance goes on with it.
            let began = std::time::Instant::now();
            while Snapshot::read(app.test_env()).accounts() > 2 {
                assert!(began.elapsed() < Duration::from_secs(20), "{removed}");
                app.maintain().await;
            }
        } else if !is_gone {
            removed.refused("last_owner");
        }
        let found = Snapshot::sound(app.test_env());
        assert_eq!(found.accounts(), if is_gone { 2 } else { 3 });
        let signed_in = app.client().post("/admin/login", &credentials(guest.email(), PASSWORD)).await;
        assert_eq!(signed_in.status.is_success(), !is_gone, "{signed_in}");
    }
}

#[cfg(feature = "crash-points")]
mod killed {
    use super::*;
    use crate::crash::recovered;
    use crate::support::process::{Launch, Server};
    use crate::support::records::add_member;
    use crate::support::test_env::TestEnv;
    use reqwest::Method;
    use std::time::Instant;
    use tenantry_domain::failpoints::every_point;

    const EMAIL: &str = "leaver@guest.example";

    async fn sign_in(server: &Server) -> Client {
        let tokens = server.client().post("/admin/login", &credentials(EMAIL, PASSWORD)).await.ok();
        server.client().with_token(tokens["access_token"].as_str().unwrap())
    }

    /// An account that owns `First` with somebody else, and is a member of `Second`.
    async fn leaver() -> TestEnv {
        let test_env = TestEnv::new();
        let server = Launch::on(&test_env).start();
        let mut ids = Vec::new();
        for (name, email) in
            [("First", EMAIL), ("Second", "owner@second.example"), ("Third", "owner@third.example")]
        {
            let made = server.client().post("/org/create", &new_organization(name, email)).await.created();
            ids.push(made["id"].as_str().unwrap().to_owned());
        }
        server.stop().await;
        add_member(&test_env, "owner@third.example", &ids[0], "owner");
        add_member(&test_env, EMAIL, &ids[1], "member");
        Snapshot::sound(&test_env);
        test_env
    }

    /// At each point of the first leave, which is of what the account owns, and of the second, which comes after the
    /// mark: the account is as before or gone, and never in between for longer than maintenance takes.
    #[tokio::test]
    async fn account_removal_stays_whole_when_killed_at_any_point() {
        let template = leaver().await;
        let points = every_point().into_iter().filter(|point| point.starts_with("remove_member."));
        for point in points.flat_map(|point| [format!("{point}:0"), format!("{point}:1")]) {
            let test_env = template.copy();
            let server = Launch::on(&test_env).env("TENANTRY_CRASH_AT", &point).start();
            let client = sign_in(&server).await;
            let answer = client.try_send(Method::DELETE, "/v1/me", None).await;
            assert!(answer.is_err(), "{point}: it was answered {}", answer.unwrap());
            server.crashed().await;

            let server = recovered(&test_env).await;
            if point.ends_with(":0") {
                // Nothing was promised: the account is there, and asks again.
                sign_in(&server).await.delete("/v1/me").await.done();
            }
            let began = Instant::now();
            while Snapshot::read(&test_env).accounts() > 2 {
                assert!(began.elapsed() < Duration::from_secs(20), "{point}: {}", server.log());
                let login = server.client().post("/admin/login", &credentials(EMAIL, PASSWORD)).await;
                login.refused("invalid_credentials");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            server.stop().await;
            let found = Snapshot::sound(&test_env);
            let removed = found.log().into_iter().filter(|entry| entry == "remove_member succeeded").count();
            assert_eq!(removed, 2, "{point}");
        }
    }
}

#[tokio::test]
async fn account_removal_frees_the_address_for_an_invitation() {
    let (app, host, guest, as_guest) = two("member").await;
    join(&app, &host, &guest, "owner").await;
    as_guest.delete("/v1/me").await.done();
    let body = json!({ "email": guest.email(), "role": "viewer" });
    let invitation = host.owner.post(&format!("{}/invitations", host.path()), &body).await.created();
    let accept = json!({ "token": invitation["token"], "password": "another horse battery" });
    let tokens: Value = app.client().post("/v1/invitations/accept", &accept).await.created();
    assert_ne!(tokens["admin_id"], guest.body["admin_id"]);
    Snapshot::sound(app.test_env());
}
