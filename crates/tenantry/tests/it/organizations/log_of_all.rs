//! The log of operations over all organizations, and that of deleted ones by the identifiers they had.

use crate::support::app::App;
use crate::support::fixtures::organization;
use crate::support::keys::{service_key, with_key};
use serde_json::{Value, json};
use std::time::Duration;

/// Every item, in pages of `limit`.
async fn all(app: &App, query: &str, limit: u32) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/operations?limit={limit}{query}{cursor}");
        let page = app.operator().get(&path).await.ok();
        found.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn kinds(items: &[Value]) -> Vec<(&str, &str)> {
    items
        .iter()
        .map(|item| (item["kind"].as_str().unwrap(), item["organization_id"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn log_of_all_organizations_is_newest_first_in_pages() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.clock.advance(Duration::from_secs(1));
    let globex = organization(&app, "Globex").await;
    app.clock.advance(Duration::from_secs(1));
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    app.clock.advance(Duration::from_secs(1));
    app.operator().delete(&globex.path()).await.ok();
    let whole = all(&app, "", 200).await;
    let expected =
        [("delete", globex.id()), ("suspend", acme.id()), ("create", globex.id()), ("create", acme.id())];
    assert_eq!(kinds(&whole), expected);
    for limit in [1, 2, 3, 4] {
        assert_eq!(all(&app, "", limit).await, whole, "{limit}");
    }
    for item in &whole {
        let path = format!("/v1/operations/{}", item["id"].as_str().unwrap());
        assert_eq!(app.operator().get(&path).await.ok(), *item);
    }
    let app = app.restart().await;
    assert_eq!(all(&app, "", 2).await, whole);
}

#[tokio::test]
async fn log_of_all_organizations_is_filtered() {
    let app = App::start().await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let taken = json!({ "organization_name": "Acme", "email": "owner@globex.example" });
    acme.owner.put("/org/update", &taken).await.refused("email_taken");
    app.operator().delete(&globex.path()).await.ok();
    let id = format!("&organization={}", globex.id());
    for (query, expected) in [
        ("&kind=create".to_owned(), vec![("create", globex.id()), ("create", acme.id())]),
        ("&state=failed".to_owned(), vec![("rename", acme.id())]),
        ("&kind=create&state=failed".to_owned(), vec![]),
        ("&organization=acme&kind=create".to_owned(), vec![("create", acme.id())]),
        ("&organization=globex".to_owned(), vec![("delete", globex.id()), ("create", globex.id())]),
        (id, vec![("delete", globex.id()), ("create", globex.id())]),
    ] {
        for limit in [1, 50] {
            assert_eq!(kinds(&all(&app, &query, limit).await), expected, "{query}");
        }
    }
    for unknown in ["initech", "674f1c2e9b1d4a0c5e8f7a6b"] {
        let path = format!("/v1/operations?organization={unknown}");
        app.operator().get(&path).await.refused("organization_not_found");
    }
}

#[tokio::test]
async fn log_of_all_organizations_is_for_the_operator_alone() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.client().get("/v1/operations").await.refused("operator_key_required");
    acme.owner.get("/v1/operations").await.refused("operator_only");
    let key = service_key(&app, &["organizations:read", "tokens:issue"]).await;
    with_key(&app, &key).get("/v1/operations").await.refused("operator_only");
}

#[tokio::test]
async fn log_of_deleted_organization_is_found_by_its_identifier() {
    let app = App::start().await;
    let first = organization(&app, "Acme").await;
    let similar = organization(&app, "Acme Corp").await;
    app.operator().delete(&first.path()).await.ok();
    app.operator().delete(&similar.path()).await.ok();
    let log = async |which: &str| app.operator().get(&format!("/v1/organizations/{which}/operations")).await;
    let of = |log: Value| log["items"][0]["organization_id"].clone();
    assert_eq!(of(log("acme").await.ok()), first.id());
    assert_eq!(of(log("acme-corp").await.ok()), similar.id());
    log("acm").await.refused("organization_not_found");

    // The one that has the name now comes first; then the one that was deleted last.
    app.clock.advance(Duration::from_secs(1));
    let second = organization(&app, "Acme").await;
    assert_eq!(of(log("acme").await.ok()), second.id());
    app.operator().delete(&second.path()).await.ok();
    assert_eq!(of(log("acme").await.ok()), second.id());
    assert_eq!(of(log(first.id()).await.ok()), first.id());
    app.operator().get("/v1/organizations/acme").await.refused("organization_not_found");

    for deleted in [&first, &second] {
        app.operator().post_empty(&format!("{}/purge", deleted.path())).await.accepted();
    }
    log("acme").await.refused("organization_not_found");
    assert_eq!(of(log(second.id()).await.ok()), second.id());
}
