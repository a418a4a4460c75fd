//! Kills the service while a person joins with the token of an identity provider: a new link and a new account come about
//! together, or the link opens nothing and makes room.

use super::Provider;
use crate::support::app::{App, Setup};
use crate::support::checker::running_operations;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, email_for, new_organization};
use crate::support::mongodb::run;
use crate::support::process::Launch;
use crate::support::test_env::TestEnv;
use futures_util::TryStreamExt;
use mongodb::bson::doc;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;
use tenantry::system::SystemClock;
use tenantry_domain::clock::Clock;
use tenantry_domain::failpoints::every_point;

const ACCEPT: &str = "/v1/invitations/accept";

/// Links whose account is not there.
fn links_without_account(test_env: &TestEnv) -> u32 {
    let Some(database) = test_env.database() else {
        let control = Connection::open(test_env.data_dir().join("control.db")).unwrap();
        let query = "SELECT count(*) FROM identities WHERE account_id NOT IN (SELECT id FROM accounts)";
        return control.query_row(query, [], |row| row.get(0)).unwrap();
    };
    let identities = database.collection("identities");
    let steps = [
        // What is removed has no account, and stays until the audit trail has its events.
        doc! { "$match": { "account_id": { "$exists": true } } },
        doc! { "$lookup": { "from": "accounts", "localField": "account_id", "foreignField": "_id", "as": "found" } },
        doc! { "$match": { "found": [] } },
    ];
    let found = run(async move {
        let cursor = identities.aggregate(steps).await.unwrap();
        cursor.try_collect::<Vec<_>>().await.unwrap()
    });
    found.len().try_into().unwrap()
}

/// A service on what the crash has left, once it has recovered.
async fn recovered(test_env: TestEnv) -> App {
    test_env.end_leases();
    let now = SystemClock.now().as_millisecond();
    let app = Setup::unlimited().at_time(now).start_on(test_env).await;
    while running_operations(app.test_env()) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app
}

/// Sends the invitation's token until the link of before is gone altogether.
async fn accept(ada: &Client, invitation: &Value) -> Answer {
    for _ in 0..100 {
        let answer = ada.post(ACCEPT, invitation).await;
        if !answer.is_refused("operation_in_progress") {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the link stays in the way")
}

/// Acme with an invitation of Ada, on a service that is stopped.
struct Invited {
    test_env: TestEnv,
    /// The path of the organization.
    path: String,
    /// The body that accepts the invitation.
    invitation: Value,
}

impl Invited {
    /// The provider has the authority for Ada's address if `is_authority`.
    async fn new(provider: &Provider, is_authority: bool) -> Self {
        let test_env = TestEnv::new().flag(&provider.flag());
        let server = Launch::on(&test_env).start();
        let body = new_organization("Acme", &email_for("Acme"));
        let acme = server.client().post("/org/create", &body).await.created()["id"].clone();
        let mut entry = provider.entry(acme.as_str().unwrap());
        if is_authority {
            entry["email_domains"] = json!(["people.example"]);
        }
        provider.configure(&entry);
        let path = format!("/v1/organizations/{}", acme.as_str().unwrap());
        let body = json!({ "email": "ada@people.example", "role": "viewer" });
        let invited = server.operator().post(&format!("{path}/invitations"), &body).await.created();
        server.stop().await;
        Self { test_env, path, invitation: json!({ "token": invited["token"] }) }
    }

    /// Kills the service at `point` while Ada accepts the invitation; what it leaves.
    async fn crash(&self, provider: &Provider, point: &str) -> TestEnv {
        let test_env = self.test_env.copy();
        let server = Launch::on(&test_env).env("TENANTRY_CRASH_AT", point).start();
        let ada = server.client().with_token(&provider.token_at(&SystemClock, "ada"));
        let body = Some(("application/json", self.invitation.to_string().into_bytes()));
        assert!(ada.try_send(Method::POST, ACCEPT, body).await.is_err(), "{point}: it was answered");
        server.crashed().await;
        test_env
    }
}

#[tokio::test]
async fn link_comes_with_its_account_or_makes_room_when_killed() {
    let provider = Provider::new();
    let acme = Invited::new(&provider, false).await;
    for point in every_point().into_iter().filter(|point| point.starts_with("add_member.")) {
        let app = recovered(acme.crash(&provider, &point).await).await;
        let ada = || app.client().with_token(&provider.token(&app, "ada"));
        if point.ends_with(".intent.before") {
            assert_eq!(links_without_account(app.test_env()), 1, "{point}: the link is the first to be made");
            ada().get("/v1/me").await.refused("token_invalid");
            // Its account may yet be on its way.
            ada().post(ACCEPT, &acme.invitation).await.refused("operation_in_progress");
            app.clock.advance(Duration::from_secs(61));
            accept(&ada(), &acme.invitation).await.ok();
        } else {
            ada().post(ACCEPT, &acme.invitation).await.refused("invitation_invalid");
        }
        ada().get(&acme.path).await.ok();
        assert_eq!(ada().get("/v1/me/identities").await.ok()["items"].as_array().unwrap().len(), 1);
        let members = app.operator().get(&format!("{}/members", acme.path)).await.ok();
        assert_eq!(members["items"].as_array().unwrap().len(), 2, "{point}: {members}");
        assert_eq!(links_without_account(app.test_env()), 0, "{point}");
        app.stop().await;
    }
}

/// Ada gets her account in another way, and comes back by her address.
#[tokio::test]
async fn link_of_killed_service_gives_way_to_the_address() {
    let provider = Provider::new();
    let acme = Invited::new(&provider, true).await;
    let app = recovered(acme.crash(&provider, "add_member.intent.before").await).await;
    let mut body = acme.invitation.clone();
    body["password"] = PASSWORD.into();
    app.client().post(ACCEPT, &body).await.created();
    let ada = || {
        let mut claims = provider.claims(&app, "ada");
        claims["email"] = "ada@people.example".into();
        claims["email_verified"] = true.into();
        app.client().with_token(&provider.sign(&claims))
    };
    ada().get(&acme.path).await.refused("token_invalid");
    app.clock.advance(Duration::from_secs(61));
    // The link of before stays for a moment until the audit trail has its events.
    for _ in 0..100 {
        if ada().get(&acme.path).await.status.is_success() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ada().get(&acme.path).await.ok();
    assert_eq!(links_without_account(app.test_env()), 0);
}
