//! `ETag`, `If-Match`, `If-None-Match` of documents: a change meets the revision that its caller has seen, or none.

use crate::support::app::App;
use crate::support::fixtures::{Organization, organization};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// A document; its path and its tag.
async fn document(acme: &Organization) -> (String, String) {
    let answer = acme.owner.post(&acme.documents(), &json!({ "_id": "d", "n": 0 })).await;
    (answer.header("location").to_owned(), answer.header("etag").to_owned())
}

#[tokio::test]
async fn change_of_another_revision_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, first) = document(&acme).await;
    let second = acme.owner.patch(&path, &json!({ "n": 1 })).await.header("etag").to_owned();
    let seeing = |tags: &str| acme.owner.with_header("if-match", tags);

    for tags in
        [first.clone(), "\"1\"".into(), "\"x\"".into(), format!("W/{first}"), format!("{first}, \"2\"")]
    {
        seeing(&tags).put(&path, &json!({ "n": 9 })).await.refused("version_mismatch");
        seeing(&tags).patch(&path, &json!({ "n": 9 })).await.refused("version_mismatch");
        seeing(&tags).delete(&path).await.refused("version_mismatch");
    }
    assert_eq!(acme.owner.get(&path).await.ok()["n"], 1);
    let third = seeing(&second).put(&path, &json!({ "n": 2 })).await;
    assert_eq!(third.status, 200, "{third}");
    let fourth = seeing(&format!("\"1\", {}", third.header("etag"))).patch(&path, &json!({ "n": 3 })).await;
    assert_eq!(fourth.status, 200, "{fourth}");
    seeing("*").patch(&path, &json!({ "n": 4 })).await.ok();
    seeing(fourth.header("etag")).delete(&path).await.refused("version_mismatch");
    seeing("*").delete(&path).await.done();
    seeing(&second).put(&path, &json!({})).await.refused("document_not_found");

    // One that comes again under the same id has no revision that the other had.
    app.clock.advance(std::time::Duration::from_secs(1));
    let (_, again) = document(&acme).await;
    assert!(![first, second, third.header("etag").into(), fourth.header("etag").into()].contains(&again));
}

/// The tag as proxies send it on that compress what it belongs to.
fn changed_by_proxies(tag: &str) -> [String; 8] {
    let opaque = tag.trim_matches('"');
    [
        format!("W/{tag}"),
        format!("\"{opaque}-gzip\""),
        format!("W/\"{opaque}-gzip\""),
        format!("\"{opaque}--gzip\""),
        format!("\"{opaque};gzip\""),
        format!("\"{opaque}-br\""),
        format!("\"{opaque}-zstd\""),
        format!("{tag}-gzip"),
    ]
}

#[tokio::test]
async fn if_match_accepts_tags_that_proxies_changed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, first) = document(&acme).await;
    let mut tag = first.clone();
    for number in 0..8 {
        let seen = acme.owner.with_header("if-match", &changed_by_proxies(&tag)[number]);
        let changed = seen.patch(&path, &json!({ "n": number + 1 })).await;
        assert_eq!(changed.status, 200, "{changed}");
        tag = changed.header("etag").to_owned();
    }
    // An older revision is refused however its tag is written.
    for stale in changed_by_proxies(&first) {
        acme.owner.with_header("if-match", &stale).delete(&path).await.refused("version_mismatch");
    }

    // The same for an organization, a collection and an index.
    let collection = format!("{}/collections/orders", acme.path());
    acme.owner.post(&format!("{}/collections", acme.path()), &json!({ "name": "orders" })).await.created();
    let index = json!({ "keys": "n", "name": "by_n" });
    acme.owner.post(&format!("{collection}/indexes"), &index).await.created();
    for path in [format!("{collection}/indexes/by_n"), collection.clone()] {
        let tag = acme.owner.get(&path).await.header("etag").to_owned();
        let seen = acme.owner.with_header("if-match", &format!("W/\"{}-gzip\"", tag.trim_matches('"')));
        seen.delete(&path).await.done();
    }
    for number in 0..8 {
        let tag = app.operator().get(&acme.path()).await.header("etag").to_owned();
        let seen = app.operator().with_header("if-match", &changed_by_proxies(&tag)[number]);
        seen.patch(&acme.path(), &json!({ "delete_protection": number % 2 == 0 })).await.ok();
    }
}

#[tokio::test]
async fn if_none_match_accepts_tags_that_proxies_changed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, tag) = document(&acme).await;
    let collection = format!("{}/collections/documents", acme.path());
    let shown = acme.owner.get(&collection).await.header("etag").to_owned();
    for (path, tag) in [(path, tag), (collection, shown)] {
        for changed in changed_by_proxies(&tag) {
            let answer = acme.owner.with_header("if-none-match", &changed).get(&path).await;
            assert_eq!((answer.status.as_u16(), answer.header("etag")), (304, tag.as_str()), "{changed}");
        }
    }
}

#[tokio::test]
async fn get_with_current_tag_returns_not_modified() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, tag) = document(&acme).await;
    let having = |tags: &str| acme.owner.with_header("if-none-match", tags);
    for tags in [tag.clone(), format!("W/{tag}"), format!("\"1\", {tag}"), "*".into()] {
        let answer = having(&tags).get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""), "{tags}");
        assert_eq!(answer.header("etag"), tag);
    }
    acme.owner.patch(&path, &json!({ "n": 1 })).await.ok();
    assert_eq!(having(&tag).get(&path).await.ok()["n"], 1);
    acme.owner.delete(&path).await.done();
    having("*").get(&path).await.refused("document_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_revision_in_parallel_have_one_winner() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, tag) = document(&acme).await;
    let mut changes = JoinSet::new();
    for number in 1..=100 {
        let (client, path) = (acme.owner.with_header("if-match", &tag), path.clone());
        changes.spawn(async move {
            let answer = client.patch(&path, &json!({ "n": number })).await;
            (answer.status.as_u16(), number)
        });
    }
    let mut outcomes = BTreeMap::new();
    let mut winner = 0;
    for (status, number) in changes.join_all().await {
        *outcomes.entry(status).or_insert(0) += 1;
        winner = if status == 200 { number } else { winner };
    }
    assert_eq!(outcomes, BTreeMap::from([(200, 1), (412, 99)]));
    assert_eq!(acme.owner.get(&path).await.ok()["n"], winner);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_revision_all_happen() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, _) = document(&acme).await;
    let mut changes = JoinSet::new();
    for number in 0..8 {
        let (client, path) = (acme.owner.clone(), path.clone());
        changes
            .spawn(async move { client.patch(&path, &json!({ format!("f{number}"): number })).await.ok() });
    }
    changes.join_all().await;
    assert_eq!(acme.owner.get(&path).await.ok().as_object().unwrap().len(), 2 + 8);
}

#[tokio::test]
async fn change_of_unnamed_document_refuses_condition() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    document(&acme).await;
    let batch = format!("{}/batch", acme.path());
    let filter = json!({ "filter": { "_id": "d" } });
    let update = json!({ "filter": { "_id": "d" }, "update": { "$inc": { "n": 1 } } });
    let operations = json!({ "operations": [{ "op": "delete", "collection": "documents", "id": "d" }] });
    for header in ["if-match", "if-none-match"] {
        let client = acme.owner.with_header(header, "\"1\"");
        for (path, body) in [
            (acme.about("update"), &update),
            (acme.about("find-one-and-delete"), &filter),
            (acme.about("delete"), &filter),
            (acme.documents(), &json!({ "_id": "e" })),
            (batch.clone(), &operations),
        ] {
            client.post(&path, body).await.refused("invalid_header");
        }
        let path = format!("{}?filter=%7B%22_id%22%3A%22d%22%7D", acme.documents());
        client.delete(&path).await.refused("invalid_header");
    }
    let items = acme.owner.get(&acme.documents()).await.ok()["items"].take();
    assert_eq!(items, json!([{ "_id": "d", "n": 0 }]));
}
