//! Indexes of a collection.

mod expiry;
mod explain;
mod killed_build;
mod partial;

use crate::support::app::App;
use crate::support::fixtures::organization;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn index_is_created_shown_and_dropped() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let indexes = acme.about("indexes");
    acme.store(&[json!({ "_id": 1, "a": 1 }), json!({ "_id": 2, "a": [2, 3] })]).await;
    let made = acme.owner.post(&indexes, &json!({ "keys": "a,-b.c" })).await;
    let path = format!("{indexes}/a_1_b.c_-1");
    assert_eq!(made.header("location"), path);
    let made = made.created();
    assert_eq!(made, json!({ "name": "a_1_b.c_-1", "keys": "a,-b.c", "unique": false }));
    assert_eq!(acme.owner.get(&path).await.ok(), made);
    // The same again is the same.
    assert_eq!(acme.owner.post(&indexes, &json!({ "keys": "a,-b.c", "unique": false })).await.ok(), made);

    let named = json!({ "keys": "é", "unique": false, "name": "naïve" });
    let answer = acme.owner.post(&indexes, &named).await;
    assert_eq!(answer.header("location"), format!("{indexes}/na%C3%AFve"));
    assert_eq!(answer.created(), named);
    assert_eq!(acme.owner.get(&indexes).await.ok(), json!({ "items": [made, named] }));

    acme.owner.delete(&path).await.done();
    acme.owner.delete(&path).await.refused("index_not_found");
    acme.owner.get(&path).await.refused("index_not_found");
    assert_eq!(acme.owner.get(&indexes).await.ok(), json!({ "items": [named] }));
}

#[tokio::test]
async fn unique_index_rejects_duplicate_values() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (indexes, documents) = (acme.about("indexes"), acme.documents());
    acme.store(&[json!({ "_id": 1, "mail": "a" }), json!({ "_id": 2, "mail": "a" })]).await;
    let unique = json!({ "keys": "mail", "unique": true });
    acme.owner.post(&indexes, &unique).await.refused("unique_violation");
    assert_eq!(acme.owner.get(&indexes).await.ok(), json!({ "items": [] }));
    acme.owner.patch(&format!("{documents}/~2"), &json!({ "mail": "b" })).await.ok();
    acme.owner.post(&indexes, &unique).await.created();

    let refused =
        acme.owner.post(&documents, &json!({ "_id": 3, "mail": "b" })).await.refused("unique_violation");
    assert!(refused["detail"].as_str().unwrap().contains("mail_1"), "{refused}");
    acme.owner.put(&format!("{documents}/~1"), &json!({ "mail": "b" })).await.refused("unique_violation");
    acme.owner.patch(&format!("{documents}/~1"), &json!({ "mail": "b" })).await.refused("unique_violation");
    acme.owner.post(&documents, &json!({ "_id": 3, "mail": "c" })).await.created();
    assert_eq!(acme.owner.get(&format!("{documents}/~1")).await.ok()["mail"], "a");
}

#[tokio::test]
async fn index_create_is_refused_for_each_reason() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let indexes = acme.about("indexes");
    acme.store(&[json!({ "_id": 1, "x": [1], "y": [2] })]).await;
    acme.owner.post(&indexes, &json!({ "keys": "a", "name": "mine" })).await.created();
    for other in [
        json!({ "keys": "b", "name": "mine" }),
        json!({ "keys": "a", "name": "mine", "unique": true }),
        json!({ "keys": "a" }),
    ] {
        acme.owner.post(&indexes, &other).await.refused("index_exists");
    }
    acme.owner.post(&indexes, &json!({ "keys": "x,y" })).await.refused_fields(&["/keys"]);
    assert_eq!(acme.owner.get(&indexes).await.ok()["items"].as_array().unwrap().len(), 1);
    for number in 1..32 {
        acme.owner.post(&indexes, &json!({ "keys": format!("f{number}") })).await.created();
    }
    acme.owner.post(&indexes, &json!({ "keys": "one.more" })).await.refused("too_many_indexes");
}

#[tokio::test]
async fn index_delete_honors_if_match() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let indexes = acme.about("indexes");
    let made = acme.owner.post(&indexes, &json!({ "keys": "a", "name": "mine" })).await;
    let (path, first) = (made.header("location").to_owned(), made.header("etag").to_owned());
    let answer = acme.owner.with_header("if-none-match", &first).get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (304, first.as_str()));
    acme.owner.with_header("if-match", &first).delete(&path).await.done();

    let other = acme.owner.post(&indexes, &json!({ "keys": "b", "name": "mine" })).await;
    assert_ne!(other.header("etag"), first);
    acme.owner.with_header("if-match", &first).delete(&path).await.refused("version_mismatch");
    assert_eq!(acme.owner.with_header("if-none-match", &first).get(&path).await.ok()["keys"], "b");
    acme.owner.with_header("if-match", other.header("etag")).delete(&path).await.done();
}

/// The client that prefers not to wait finds the index once it serves queries.
#[tokio::test]
async fn index_create_with_respond_async_returns_before_it_serves() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let indexes = acme.about("indexes");
    let documents: Vec<_> = (0..2_000).map(|number| json!({ "_id": number, "a": number })).collect();
    acme.store(&documents).await;
    let impatient = acme.owner.with_header("prefer", "foo; bar=1, Respond-Async; x=y");
    let answer = impatient.post(&indexes, &json!({ "keys": "a", "unique": true })).await;
    let path = answer.header("location").to_owned();
    let begun = answer.expect(202);
    let began = Instant::now();
    while acme.owner.get(&path).await.is_refused("index_not_found") {
        assert!(began.elapsed() < Duration::from_secs(60), "it never serves");
    }
    assert_eq!(acme.owner.get(&path).await.ok(), begun);
    acme.owner.post(&acme.documents(), &json!({ "a": 7 })).await.refused("unique_violation");

    // One that cannot be made never is.
    acme.owner.post(&acme.documents(), &json!({ "a": 2_000, "b": 1 })).await.created();
    acme.owner.post(&acme.documents(), &json!({ "a": 2_001, "b": 1 })).await.created();
    impatient.post(&indexes, &json!({ "keys": "b", "unique": true })).await.expect(202);
    let twice = acme.owner.post(&indexes, &json!({ "keys": "b", "unique": true })).await;
    assert_eq!(
        twice.refused("unique_violation")["detail"],
        "Two documents have the same value, so the index `b_1` cannot be unique."
    );
    assert_eq!(acme.owner.get(&indexes).await.ok()["items"], json!([begun]));
}
