//! Sessions: how refresh tokens extend them, and what ends them.

use super::{DAY, HOUR, part, refresh};
use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::client::Answer;
use crate::support::fixtures::{Organization, PASSWORD, credentials, organization, sign_in, with_access};
use crate::support::records::edit_account;
use crate::support::test_env::Engine;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test]
async fn refresh_returns_new_tokens_of_same_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.clock.advance(HOUR);
    acme.owner.get(&acme.path()).await.refused("token_expired");
    let refreshed = refresh(&app, &acme.tokens).await.ok();
    with_access(&app, &refreshed).get(&acme.path()).await.ok();
    assert_ne!(refreshed["refresh_token"], acme.tokens["refresh_token"]);
    let (before, after) = (part(&acme.tokens["access_token"], 1), part(&refreshed["access_token"], 1));
    for claim in ["auth_time", "sid", "sub", "org_id", "role"] {
        assert_eq!(before[claim], after[claim], "{claim}");
    }
    assert_eq!(after["iat"].as_i64().unwrap() - before["iat"].as_i64().unwrap(), 3600);
}

/// A double click refreshes twice and gets one successor.
#[tokio::test]
async fn refresh_repeated_at_once_returns_same_successor() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (one, two) = tokio::join!(refresh(&app, &acme.tokens), refresh(&app, &acme.tokens));
    let (one, two) = (one.ok(), two.ok());
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    app.clock.advance(Duration::from_secs(10));
    let late = refresh(&app, &acme.tokens).await.ok();
    assert_eq!(one["refresh_token"], late["refresh_token"]);
    for tokens in [one, two, late] {
        with_access(&app, &tokens).get(&acme.path()).await.ok();
    }
}

/// As a browser does that opens all its tabs again: one request exchanges the token, and all get what comes of that. On
/// MongoDB every other one goes to another instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_refreshes_make_one_lineage() {
    const REQUESTS: usize = 20;
    const ROUNDS: usize = 3;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = match crate::engine() {
        Engine::Embedded => None,
        Engine::MongoDb => Some(app.another().await),
    };
    let mut lineage = vec![acme.tokens.clone()];
    for _ in 0..ROUNDS {
        let body = json!({ "refresh_token": lineage.last().unwrap()["refresh_token"] });
        let mut requests = JoinSet::new();
        for number in 0..REQUESTS {
            let app = other.as_ref().filter(|_| number % 2 == 1).unwrap_or(&app);
            let (client, body) = (app.client(), body.clone());
            requests.spawn(async move { client.post("/v1/auth/refresh", &body).await });
        }
        let answers: Vec<Value> = requests.join_all().await.into_iter().map(Answer::ok).collect();
        let successors: BTreeSet<&str> =
            answers.iter().map(|tokens| tokens["refresh_token"].as_str().unwrap()).collect();
        assert_eq!(successors.len(), 1, "{successors:?}");
        assert_ne!(answers[0]["refresh_token"], body["refresh_token"]);
        for tokens in &answers {
            assert_eq!(part(&tokens["access_token"], 1)["sid"], part(&acme.tokens["access_token"], 1)["sid"]);
            with_access(&app, tokens).get(&acme.path()).await.ok();
        }
        lineage.push(answers[0].clone());
    }
    let sessions = Snapshot::read(app.test_env()).belongings(acme.id())["sessions"].take();
    assert_eq!(
        (sessions.as_array().unwrap().len(), &sessions[0]["generation"]),
        (1, &json!(ROUNDS)),
        "{sessions}"
    );
    // It is one lineage: an early token that comes late ends all of it.
    app.clock.advance(Duration::from_secs(11));
    refresh(&app, &lineage[0]).await.refused("refresh_token_invalid");
    for tokens in &lineage {
        with_access(&app, tokens).get(&acme.path()).await.refused("token_revoked");
        refresh(&app, tokens).await.refused("refresh_token_invalid");
    }
}

/// Tabs have a copy of the token each. They wake one after the other, the last of them at the end of the grace.
#[tokio::test]
async fn tabs_that_refresh_within_grace_stay_signed_in() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut tabs = vec![acme.tokens.clone(); 3];
    for _ in 0..4 {
        app.clock.advance(HOUR);
        for (number, tab) in tabs.iter_mut().enumerate() {
            with_access(&app, tab).get(&acme.path()).await.refused("token_expired");
            if number > 0 {
                app.clock.advance(Duration::from_secs(5));
            }
            *tab = refresh(&app, tab).await.ok();
        }
        for tab in &tabs {
            assert_eq!(tab["refresh_token"], tabs[0]["refresh_token"]);
            with_access(&app, tab).get(&acme.path()).await.ok();
        }
    }
    let sessions = with_access(&app, &tabs[2]).get("/v1/me/sessions").await.ok();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1, "{sessions}");
}

#[tokio::test]
async fn refresh_token_reused_later_ends_its_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let elsewhere = sign_in(&app, acme.email()).await;
    let first = acme.tokens.clone();
    let second = refresh(&app, &first).await.ok();
    let third = refresh(&app, &second).await.ok();
    app.clock.advance(Duration::from_secs(11));
    refresh(&app, &first).await.refused("refresh_token_invalid");
    for tokens in [&first, &second, &third] {
        refresh(&app, tokens).await.refused("refresh_token_invalid");
        with_access(&app, tokens).get(&acme.path()).await.refused("token_revoked");
    }
    // Another sign-in is another session.
    with_access(&app, &elsewhere).get(&acme.path()).await.ok();
    refresh(&app, &elsewhere).await.ok();
}

#[tokio::test]
async fn session_ends_when_idle_or_at_absolute_lifetime() {
    let app = Setup::unlimited()
        .with("--refresh-idle-lifetime=172800")
        .with("--refresh-absolute-lifetime=432000")
        .start()
        .await;
    let acme = organization(&app, "Acme").await;
    let (idle, mut used) = (sign_in(&app, acme.email()).await, acme.tokens.clone());
    for _ in 0..4 {
        app.clock.advance(DAY - Duration::from_secs(1));
        used = refresh(&app, &used).await.ok();
    }
    refresh(&app, &idle).await.refused("refresh_token_invalid");
    assert_eq!(used["expires_in"], 3600);
    app.clock.advance(DAY - Duration::from_secs(1));
    used = refresh(&app, &used).await.ok();
    assert_eq!(used["expires_in"], 5, "the access token would outlive its session");
    app.clock.advance(Duration::from_secs(5));
    refresh(&app, &used).await.refused("refresh_token_invalid");
    with_access(&app, &used).get(&acme.path()).await.refused("token_expired");
    // What has ended is also forgotten.
    app.maintain().await;
    refresh(&app, &used).await.refused("refresh_token_invalid");
}

#[tokio::test]
async fn refresh_token_of_others_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let good = acme.tokens["refresh_token"].as_str().unwrap();
    let changed = good.replace(&good[30..31], if &good[30..31] == "A" { "B" } else { "A" });
    let body = |token: &str| json!({ "refresh_token": token });
    for token in ["", "garbage", "tenantry_refresh_", &changed, &good[..good.len() - 1], &format!("{good}A")]
    {
        app.client().post("/v1/auth/refresh", &body(token)).await.refused("refresh_token_invalid");
    }
    let access = acme.tokens["access_token"].as_str().unwrap();
    app.client().post("/v1/auth/refresh", &body(access)).await.refused("refresh_token_invalid");
    app.client().post("/v1/auth/refresh", &body(good)).await.ok();
}

#[tokio::test]
async fn logout_ends_only_its_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let elsewhere = sign_in(&app, acme.email()).await;
    acme.owner.post_empty("/v1/auth/logout").await.done();
    acme.owner.get(&acme.path()).await.refused("token_revoked");
    acme.owner.post_empty("/v1/auth/logout").await.refused("token_revoked");
    refresh(&app, &acme.tokens).await.refused("refresh_token_invalid");
    with_access(&app, &elsewhere).get(&acme.path()).await.ok();
    refresh(&app, &elsewhere).await.ok();
}

#[tokio::test]
async fn suspension_ends_sessions_and_blocks_sign_in() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    assert_dead(&app, &acme).await;
    let login = |password: &'static str| {
        let (client, body) = (app.client(), credentials(acme.email(), password));
        async move { client.post("/admin/login", &body).await }
    };
    // Only who knows the password learns of the suspension.
    login(PASSWORD).await.refused("organization_suspended");
    login("not the password").await.refused("invalid_credentials");
    other.owner.get(&other.path()).await.ok();

    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    assert_dead(&app, &acme).await;
    with_access(&app, &login(PASSWORD).await.ok()).get(&acme.path()).await.ok();
}

#[tokio::test]
async fn delete_ends_sessions_even_after_restore() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.operator().delete(&acme.path()).await.ok();
    assert_dead(&app, &acme).await;
    let login = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &login).await.refused("invalid_credentials");
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    assert_dead(&app, &acme).await;
    sign_in(&app, acme.email()).await;
}

/// That no token of the sign-in of `organization` is good for anything.
async fn assert_dead(app: &App, organization: &Organization) {
    let owner = &organization.owner;
    owner.get(&organization.path()).await.refused("token_revoked");
    owner.put("/org/update", &json!({ "organization_name": "Mine" })).await.refused("token_revoked");
    owner.delete(&organization.path()).await.refused("token_revoked");
    owner.post_empty("/v1/auth/logout").await.refused("token_revoked");
    refresh(app, &organization.tokens).await.refused("refresh_token_invalid");
}

#[tokio::test]
async fn account_rights_follow_current_role() {
    let mut app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let created = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    let operation = format!("/v1/operations/{}", created["items"][0]["id"].as_str().unwrap());
    for (role, may_change) in [("viewer", false), ("member", false), ("admin", true), ("owner", true)] {
        app = change_membership(app, &acme, |membership| membership["role"] = role.into()).await;
        // The current role counts, not the one in the token.
        let client = with_access(&app, &acme.tokens);
        client.get(&acme.path()).await.ok();
        let patch = client.patch(&acme.path(), &json!({ "delete_protection": false })).await;
        if may_change {
            patch.ok();
            client.get(&operation).await.ok();
        } else {
            patch.refused("role_insufficient");
            client
                .put("/org/update", &json!({ "organization_name": "Mine" }))
                .await
                .refused("role_insufficient");
            client.delete("/org/delete?organization_name=Acme").await.refused("role_insufficient");
            client.delete(&acme.path()).await.refused("role_insufficient");
            client.get(&operation).await.refused("operation_not_found");
        }
        assert_eq!(part(&sign_in(&app, acme.email()).await["access_token"], 1)["role"], role);
    }
    // A change of role through the service also ends the sessions.
    let app = change_membership(app, &acme, |membership| membership["epoch"] = json!(1)).await;
    with_access(&app, &acme.tokens).get(&acme.path()).await.refused("token_revoked");
    let app =
        change_membership(app, &acme, |membership| membership["organization_id"] = json!("0".repeat(24)))
            .await;
    let login = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &login).await.refused("invalid_credentials");
}

async fn change_membership(app: App, organization: &Organization, change: impl FnOnce(&mut Value)) -> App {
    app.restart_after(|test_env| {
        edit_account(test_env, organization.email(), |account| change(&mut account["memberships"][0]));
    })
    .await
}
