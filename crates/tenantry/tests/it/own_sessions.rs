//! The sessions of the signed-in account: which are listed, and that those which it ends are dead.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, PASSWORD, again, joined, organization, sign_in, with_access};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tenantry_domain::limits::SESSIONS_MAX;
use tokio::task::JoinSet;

const SESSIONS: &str = "/v1/me/sessions";

async fn sessions(client: &Client) -> Vec<Value> {
    let page = client.get(SESSIONS).await.ok();
    assert_eq!(page["next_cursor"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

/// The path of the session of that client.
async fn own_session(client: &Client) -> String {
    let all = sessions(client).await;
    let own: Vec<&Value> = all.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(own.len(), 1, "{all:?}");
    format!("{SESSIONS}/{}", own[0]["id"].as_str().unwrap())
}

async fn assert_dead(app: &App, tokens: &Value) {
    with_access(app, tokens).get("/v1/me").await.refused("token_revoked");
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
}

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

#[tokio::test]
async fn sessions_are_listed_with_the_current_one_marked() {
    let (app, host, guest) = two().await;
    app.clock.advance(Duration::from_secs(60));
    let refresh = json!({ "refresh_token": guest.tokens["refresh_token"] });
    let tokens = app.client().post("/v1/auth/refresh", &refresh).await.ok();
    let all = sessions(&with_access(&app, &tokens)).await;
    // The guest has signed in to its own organization, and then to the host.
    assert_eq!(all.len(), 2);
    let shown = |session: &Value| [&session["organization_name"], &session["current"]].map(Value::clone);
    let found: BTreeSet<_> = all.iter().map(|session| json!(shown(session)).to_string()).collect();
    let wanted = [json!(["Guest", true]), json!(["Host", false])].map(|wanted| wanted.to_string());
    assert_eq!(found, BTreeSet::from(wanted));
    let own = all.iter().find(|session| session["current"] == true).unwrap();
    assert_eq!(own["organization_id"], guest.id());
    assert_eq!(own["signed_in_at"], guest.body["created_at"]);
    assert_eq!(own["last_refreshed_at"], "2027-01-15T08:01:00Z");
    assert_eq!(own["idle_expires_at"], "2027-01-29T08:01:00Z");
    assert!(own["expires_at"].as_str() > own["idle_expires_at"].as_str(), "{own}");
    let other = all.iter().find(|session| session["current"] == false).unwrap();
    assert_eq!(
        (&other["last_refreshed_at"], other["organization_id"].as_str()),
        (&Value::Null, Some(host.id()))
    );

    let text = json!(all).to_string();
    for secret in ["token", "hash", "salt", "epoch"] {
        assert!(!text.contains(&format!("\"{secret}")), "{text}");
    }
    assert_eq!(sessions(&host.owner).await.len(), 1);
    for (client, code) in [(app.client(), "token_missing"), (app.operator(), "token_invalid")] {
        client.get(SESSIONS).await.refused(code);
        client.delete(SESSIONS).await.refused(code);
        client.delete(&format!("{SESSIONS}/{}", own["id"].as_str().unwrap())).await.refused(code);
    }
}

#[tokio::test]
async fn session_list_is_paged_and_leaves_dead_ones_out() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        app.clock.advance(Duration::from_secs(1));
        let client = with_access(&app, &sign_in(&app, acme.email()).await);
        ids.push(own_session(&client).await);
    }
    let acme_session = own_session(&acme.owner).await;
    acme.owner.delete(&ids.remove(1)).await.done();
    let mut listed = Vec::new();
    let mut path = format!("{SESSIONS}?limit=2");
    loop {
        let page = acme.owner.get(&path).await.ok();
        let items = page["items"].as_array().unwrap();
        listed.extend(items.iter().map(|item| format!("{SESSIONS}/{}", item["id"].as_str().unwrap())));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        assert_eq!(items.len(), 2);
        path = format!("{SESSIONS}?limit=2&cursor={cursor}");
    }
    ids.insert(0, acme_session);
    assert_eq!(listed, ids);
    for query in ["limit=0", "limit=201", "cursor=zz", "cursor=733a30"] {
        let field = format!("?{}", query.split('=').next().unwrap());
        acme.owner.get(&format!("{SESSIONS}?{query}")).await.refused_fields(&[&field]);
    }
}

/// Sessions end in other ways, too: with a password, a role, a suspension, by idleness.
#[tokio::test]
async fn sessions_that_have_ended_are_not_listed() {
    let (app, host, guest) = two().await;
    let listed = async |client: &Client| {
        let all = sessions(client).await;
        let names = all.iter().map(|session| session["organization_name"].as_str().unwrap().to_owned());
        names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listed(&guest.owner).await, "Guest Host");
    app.operator().post_empty(&format!("{}/suspend", host.path())).await.ok();
    assert_eq!(listed(&guest.owner).await, "Guest");
    app.operator().post_empty(&format!("{}/reactivate", host.path())).await.ok();
    assert_eq!(listed(&guest.owner).await, "Guest");
    guest.owner.post("/v1/auth/switch", &json!({ "organization": "host" })).await.ok();
    assert_eq!(listed(&guest.owner).await, "Guest Host");
    app.operator().patch(&host.member(guest.owner_id()), &json!({ "role": "viewer" })).await.ok();
    assert_eq!(listed(&guest.owner).await, "Guest");

    sign_in(&app, guest.email()).await;
    assert_eq!(listed(&guest.owner).await, "Guest Host");
    let change = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    guest.owner.post("/v1/me/password", &change).await.done();
    assert_eq!(listed(&guest.owner).await, "Guest");

    app.advance_days(14);
    let login = json!({ "email": guest.email(), "password": "another horse battery" });
    let tokens = app.client().post("/admin/login", &login).await.ok();
    assert_eq!(sessions(&with_access(&app, &tokens)).await.len(), 1);
}

#[tokio::test]
async fn session_is_ended_by_its_account_alone() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let tokens = sign_in(&app, acme.email()).await;
    let path = own_session(&with_access(&app, &tokens)).await;
    for path in [path.as_str(), "/v1/me/sessions/0123456789abcdef01234567", "/v1/me/sessions/none"] {
        other.owner.delete(path).await.refused("session_not_found");
    }
    with_access(&app, &tokens).get("/v1/me").await.ok();
    acme.owner.delete(&path).await.done();
    assert_dead(&app, &tokens).await;
    acme.owner.delete(&path).await.refused("session_not_found");
    acme.owner.get("/v1/me").await.ok();

    acme.owner.delete(&own_session(&acme.owner).await).await.done();
    assert_dead(&app, &acme.tokens).await;
    other.owner.get("/v1/me").await.ok();
    sign_in(&app, acme.email()).await;
}

#[tokio::test]
async fn all_sessions_end_at_once_in_every_organization() {
    let (app, host, guest) = two().await;
    let there = guest.owner.post("/v1/auth/switch", &json!({ "organization": "host" })).await.ok();
    let elsewhere = sign_in(&app, guest.email()).await;
    guest.owner.delete("/v1/me/sessions?keep_current=maybe").await.refused_fields(&["?keep_current"]);
    guest.owner.delete("/v1/me/sessions?keep_current=true").await.done();
    for tokens in [&there, &elsewhere] {
        assert_dead(&app, tokens).await;
    }
    assert_eq!(sessions(&guest.owner).await.len(), 1);

    // A session that was kept once ends with the next time.
    let next = sign_in(&app, guest.email()).await;
    with_access(&app, &next).delete("/v1/me/sessions?keep_current=true").await.done();
    assert_dead(&app, &guest.tokens).await;
    with_access(&app, &next).delete(SESSIONS).await.done();
    assert_dead(&app, &next).await;
    with_access(&app, &next).delete(SESSIONS).await.refused("token_revoked");
    assert_eq!(sessions(&with_access(&app, &sign_in(&app, guest.email()).await)).await.len(), 1);
    host.owner.get("/v1/me").await.ok();
}

/// Of sign-ins at the same moment, each begins before or after: what was there before is dead in any case.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_sessions_end_beside_sign_ins_and_switches() {
    let app = Setup::unlimited().start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..5 {
        let owner = with_access(&app, &sign_in(&app, acme.email()).await);
        let mut beside = JoinSet::new();
        for _ in 0..4 {
            let owner = owner.clone();
            let to = json!({ "organization": acme.id() });
            beside.spawn(async move { owner.post("/v1/auth/switch", &to).await });
        }
        owner.delete(SESSIONS).await.done();
        for answer in beside.join_all().await {
            if answer.status.is_success() {
                assert_dead(&app, &answer.json()).await;
            } else {
                answer.refused("token_revoked");
            }
        }
        owner.get("/v1/me").await.refused("token_revoked");
    }
}

/// The one that was not used for longest goes first, the oldest or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_beyond_the_limit_end_the_least_used() {
    let app = Setup::unlimited().start().await;
    let acme = organization(&app, "Acme").await;
    app.clock.advance(Duration::from_secs(1));
    let unused = sign_in(&app, acme.email()).await;
    app.clock.advance(Duration::from_secs(1));
    let refresh = json!({ "refresh_token": acme.tokens["refresh_token"] });
    let used = with_access(&app, &app.client().post("/v1/auth/refresh", &refresh).await.ok());
    app.clock.advance(Duration::from_secs(1));
    let mut switches = JoinSet::new();
    for _ in 0..SESSIONS_MAX - 2 {
        if switches.len() >= 32 {
            switches.join_next().await.unwrap().unwrap();
        }
        let (client, to) = (used.clone(), json!({ "organization": acme.id() }));
        switches.spawn(async move { drop(client.post("/v1/auth/switch", &to).await.ok()) });
    }
    switches.join_all().await;
    with_access(&app, &unused).get("/v1/me").await.ok();
    used.post("/v1/auth/switch", &json!({ "organization": acme.id() })).await.ok();
    assert_dead(&app, &unused).await;
    used.get("/v1/me").await.ok();
}
