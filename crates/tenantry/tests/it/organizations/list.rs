//! Listing organizations: order, pages that stay put while others come and go, and what is shown.

use crate::support::app::App;
use crate::support::fixtures::{new_organization, organization};
use serde_json::Value;

/// Makes organizations of these names.
async fn make(app: &App, names: &[&str]) {
    for name in names {
        organization(app, name).await;
    }
}

/// One page: the names on it, and where it goes on.
async fn page(app: &App, query: &str) -> (Vec<String>, Option<String>) {
    let body = app.operator().get(&format!("/v1/organizations?{query}")).await.ok();
    (names(&body), body["next_cursor"].as_str().map(str::to_owned))
}

fn names(body: &Value) -> Vec<String> {
    let items = body["items"].as_array().unwrap();
    items.iter().map(|item| item["organization_name"].as_str().unwrap().to_owned()).collect()
}

/// All pages, `limit` at a time.
async fn all(app: &App, limit: usize, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let (names, next) = page(app, &format!("limit={limit}{query}{cursor}")).await;
        assert!(names.len() == limit || next.is_none(), "a page that is neither full nor the last");
        found.extend(names);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn list_is_sorted_by_identifier_at_any_page_size() {
    let app = App::start().await;
    assert_eq!(page(&app, "").await, (vec![], None));
    make(&app, &["Delta", "alpha", "Bravo 2", "Bravo 10", "charlie", "Bravo", "Echo"]).await;
    let order = ["alpha", "Bravo", "Bravo 10", "Bravo 2", "charlie", "Delta", "Echo"];
    for limit in [1, 2, 3, 6, 7, 8, 200] {
        assert_eq!(all(&app, limit, "").await, order, "{limit}");
    }
    let first = app.operator().get("/v1/organizations?limit=1").await.ok();
    let single = app.operator().get("/v1/organizations/alpha").await.ok();
    assert_eq!(first["items"][0], single);
}

#[tokio::test]
async fn list_truncated_by_default_limit_has_next_cursor() {
    let app = App::start().await;
    let names: Vec<String> = (0..51).map(|number| format!("Acme {number:02}")).collect();
    for name in &names {
        let new = new_organization(name, &format!("owner@{}.example", name.replace(' ', "-")));
        app.operator().post("/v1/organizations", &new).await.created();
    }
    let (first, next) = page(&app, "").await;
    assert_eq!(first, names[..50]);
    let (last, end) = page(&app, &format!("cursor={}", next.unwrap())).await;
    assert_eq!((last.as_slice(), end), (&names[50..], None));
    assert_eq!(page(&app, "limit=51").await, (names, None));
}

#[tokio::test]
async fn list_cursor_continues_after_inserts_and_deletes() {
    let app = App::start().await;
    make(&app, &["Bravo", "Delta", "Foxtrot", "Hotel"]).await;
    let (first, next) = page(&app, "limit=2").await;
    assert_eq!(first, ["Bravo", "Delta"]);
    let cursor = format!("limit=2&cursor={}", next.unwrap());
    assert_eq!(page(&app, &cursor).await.0, ["Foxtrot", "Hotel"]);
    // Before the place, after it, and the place itself.
    make(&app, &["Alpha", "Charlie", "Echo"]).await;
    assert_eq!(page(&app, &cursor).await.0, ["Echo", "Foxtrot"]);
    app.operator().delete("/v1/organizations/delta").await.ok();
    app.operator().delete("/v1/organizations/bravo?purge=true").await.ok();
    assert_eq!(page(&app, &cursor).await.0, ["Echo", "Foxtrot"]);
    app.operator().delete("/v1/organizations/foxtrot").await.ok();
    assert_eq!(page(&app, &cursor).await.0, ["Echo", "Hotel"]);
    // And over a restart.
    let app = app.restart().await;
    assert_eq!(page(&app, &cursor).await.0, ["Echo", "Hotel"]);
}

#[tokio::test]
async fn list_prefix_search_ignores_spelling() {
    let app = App::start().await;
    make(&app, &["Acme", "Acme Corp", "Acmeville", "Other Acme"]).await;
    for (name, email) in [("Яндекс", "owner@iandeks.example"), ("Ünïcödé", "owner@unicode.example")]
    {
        app.operator().post("/v1/organizations", &new_organization(name, email)).await.created();
    }
    for (prefix, found) in [
        ("acme", &["Acme", "Acme Corp", "Acmeville"][..]),
        ("ACME%20C", &["Acme Corp"]),
        ("acme-c", &["Acme Corp"]),
        ("a", &["Acme", "Acme Corp", "Acmeville"]),
        ("%D0%AF%D0%BD", &["Яндекс"]),
        ("uni", &["Ünïcödé"]),
        ("other", &["Other Acme"]),
        ("b", &[]),
    ] {
        for limit in [1, 2, 50] {
            assert_eq!(all(&app, limit, &format!("&name_prefix={prefix}")).await, found, "{prefix}");
        }
    }
}

#[tokio::test]
async fn list_hides_deleted_organizations_by_default() {
    let app = App::start().await;
    make(&app, &["Active", "Deleted", "Suspended"]).await;
    app.operator().delete("/v1/organizations/deleted").await.ok();
    app.operator().post_empty("/v1/organizations/suspended/suspend").await.ok();
    for (query, found) in [
        ("", &["Active", "Suspended"][..]),
        ("&show_deleted=false", &["Active", "Suspended"]),
        ("&show_deleted=true", &["Active", "Deleted", "Suspended"]),
        ("&status=active", &["Active"]),
        ("&status=suspended", &["Suspended"]),
        ("&status=deleted", &["Deleted"]),
        ("&status=purging", &[]),
        ("&status=provisioning", &[]),
        ("&status=deleted&name_prefix=del", &["Deleted"]),
        ("&status=deleted&name_prefix=act", &[]),
        ("&show_deleted=true&name_prefix=d", &["Deleted"]),
    ] {
        for limit in [1, 50] {
            assert_eq!(all(&app, limit, query).await, found, "{query}");
        }
    }
    // Two of one name, one of them deleted, keep their places.
    make(&app, &["Deleted"]).await;
    assert_eq!(all(&app, 1, "&show_deleted=true").await, ["Active", "Deleted", "Deleted", "Suspended"]);
}
