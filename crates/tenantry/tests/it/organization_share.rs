//! Several busy organizations: each gets its share of the service, and none is refused because of another.

use crate::support::app::{App, Setup};
use crate::support::fixtures::organization;
use serde_json::json;
use tokio::task::JoinSet;

/// Requests of each organization at once: many times its share.
const AT_ONCE: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_organization_share_wait_and_are_answered() {
    let app = Setup::unlimited().with("--organization-share=1").start().await;
    let mut working = JoinSet::new();
    for name in ["Acme", "Globex", "Initech"] {
        let its = organization(&app, name).await;
        its.owner.post(&its.documents(), &json!({ "_id": "first" })).await.created();
        for number in 0..AT_ONCE {
            let (owner, documents) = (its.owner.clone(), its.documents());
            working.spawn(async move {
                owner.post(&documents, &json!({ "_id": number })).await.created();
                owner.get(&format!("{documents}/first")).await.ok();
                owner.patch(&format!("{documents}/~{number}"), &json!({ "a": 1 })).await.ok();
                let found = owner.get(&format!("{documents}?filter=%7B%22a%22%3A1%7D&limit=200")).await.ok();
                assert!(!found["items"].as_array().unwrap().is_empty());
            });
        }
        working.spawn({
            let (owner, count) = (its.owner.clone(), its.about("count"));
            async move {
                owner.get(&count).await.ok();
            }
        });
    }
    while let Some(done) = working.join_next().await {
        done.unwrap();
    }
    assert!(waits(&app).await > 0, "nobody has waited");
}

/// Calls that have waited for a turn so far, in this process.
async fn waits(app: &App) -> u64 {
    let metrics = app.client().get("/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("organization_turn_waits_total "));
    line.map_or(0, |number| number.parse().unwrap())
}
