//! A session that one instance has ended is refused by another, which has its records in memory, within a second.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use tenantry_domain::limits::RECENT_READ_MAX_AGE;

const EMAIL: &str = "owner@acme.example";

async fn sign_in(server: &Server) -> String {
    let tokens = server.client().post("/admin/login", &credentials(EMAIL, PASSWORD)).await.ok();
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// Signs in at `here`, ends the session at `there`, and expects `here` to refuse it.
async fn end(here: &Server, there: &Server, path: impl AsyncFnOnce(&Client) -> String) {
    let token = sign_in(here).await;
    let client = here.client().with_token(&token);
    for _ in 0..3 {
        client.get("/v1/me").await.ok();
    }
    let other = there.client().with_token(&token);
    let path = path(&other).await;
    other.delete(&path).await.done();
    other.get("/v1/me").await.refused("token_revoked");
    tokio::time::sleep(RECENT_READ_MAX_AGE).await;
    client.get("/v1/me").await.refused("token_revoked");
}

#[tokio::test]
async fn session_ended_by_one_instance_is_refused_by_others() {
    let test_env = TestEnv::new();
    let here = Launch::on(&test_env).start();
    here.client().post("/org/create", &new_organization("Acme", EMAIL)).await.created();
    let there = Launch::on(&test_env).start();
    end(&here, &there, async |client| {
        let all = client.get("/v1/me/sessions").await.ok();
        let current = all["items"].as_array().unwrap().iter().find(|session| session["current"] == true);
        format!("/v1/me/sessions/{}", current.unwrap()["id"].as_str().unwrap())
    })
    .await;
    end(&here, &there, async |_| "/v1/me/sessions".to_owned()).await;
    here.stop().await;
    there.stop().await;
}
