//! Kills the service while a person joins with the token of an identity provider: a new link and a new account come about
//! together, or the link opens nothing and makes room.

use super::Provider;
use crate::support::app::{App, Setup};
use crate::support::checker::running_operations;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{email_for, new_organization};
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

#[tokio::test]
async fn link_comes_with_its_account_or_makes_room_when_killed() {
    let provider = Provider::new();
    let template = TestEnv::new().flag(&provider.flag());
    let server = Launch::on(&template).start();
    let body = new_organization("Acme", &email_for("Acme"));
    let acme = server.client().post("/org/create", &body).await.created()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/organizations/{acme}");
    provider.configure(&provider.entry(&acme));
    let body = json!({ "email": "ada@people.example", "role": "viewer" });
    let invited = server.operator().post(&format!("{path}/invitations"), &body).await.created();
    let invitation = json!({ "token": invited["token"] });
    server.stop().await;

    for point in every_point().into_iter().filter(|point| point.starts_with("add_member.")) {
        let test_env = template.copy();
        let server = Launch::on(&test_env).env("TENANTRY_CRASH_AT", &point).start();
        let ada = server.client().with_token(&provider.token_at(&SystemClock, "ada"));
        let body = Some(("application/json", invitation.to_string().into_bytes()));
        assert!(ada.try_send(Method::POST, ACCEPT, body).await.is_err(), "{point}: it was answered");
        server.crashed().await;

        let app = recovered(test_env).await;
        let ada = |app: &App| app.client().with_token(&provider.token(app, "ada"));
        if point.ends_with(".intent.before") {
            assert_eq!(links_without_account(app.test_env()), 1, "{point}: the link is the first to be made");
            ada(&app).get("/v1/me").await.refused("token_invalid");
            // Its account may yet be on its way.
            ada(&app).post(ACCEPT, &invitation).await.refused("operation_in_progress");
            app.clock.advance(Duration::from_secs(61));
            accept(&ada(&app), &invitation).await.ok();
        } else {
            ada(&app).post(ACCEPT, &invitation).await.refused("invitation_invalid");
        }
        assert_eq!(ada(&app).get(&path).await.ok()["id"], acme.as_str());
        assert_eq!(ada(&app).get("/v1/me/identities").await.ok()["items"].as_array().unwrap().len(), 1);
        let members = app.operator().get(&format!("{path}/members")).await.ok();
        assert_eq!(members["items"].as_array().unwrap().len(), 2, "{point}: {members}");
        assert_eq!(links_without_account(app.test_env()), 0, "{point}");
        app.stop().await;
    }
}
