//! A collection that is renamed under four writers and four readers that use its identity.

use super::traffic::{Traffic, assert_all_there};
use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::organization;
use serde_json::json;
use std::time::Duration;

const RENAMES: usize = 20;
const APPLICATIONS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames_lose_nothing_of_four_writers_and_four_readers() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let traffic = Traffic::begin(app.test_env(), acme.id(), 0, 0, APPLICATIONS);
    for number in 0..RENAMES {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let name = json!({ "organization_name": format!("Acme {number}") });
        app.operator().patch(&acme.path(), &name).await.ok();
    }
    let result = traffic.end().await;
    assert_all_there(&Snapshot::sound(app.test_env()), acme.id(), &result.acknowledged);
    let at = |share: usize| result.took[(result.took.len() - 1) * share / 1000];
    println!(
        "{} writes and {} reads during {RENAMES} renames: a write took {:?} in the middle, {:?} at 99 %, {:?} at most",
        result.acknowledged.len(),
        result.reads,
        at(500),
        at(990),
        at(1000),
    );
    assert!(result.acknowledged.len() > RENAMES && result.reads > RENAMES, "hardly anybody was at work");
}
