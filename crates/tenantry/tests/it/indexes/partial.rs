//! Partial and sparse indexes.

use crate::support::app::App;
use crate::support::fixtures::{insert_lines, organization};
use serde_json::json;

#[tokio::test]
async fn partial_index_is_shown_as_it_was_requested() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let indexes = acme.about("indexes");
    let plain = acme.owner.post(&indexes, &json!({ "keys": "a" })).await.created();
    let sparse = json!({ "name": "present", "keys": "a", "unique": true, "sparse": true });
    let filter =
        json!({ "n": { "$gt": 5 }, "at": { "$lt": { "$date": "2026-11-21T09:00:00Z" } }, "s": "open" });
    let partial = json!({ "name": "some", "keys": "a", "unique": false, "partial_filter": filter });
    for index in [&sparse, &partial] {
        let made = acme.owner.post(&indexes, index).await;
        let (path, tag) = (made.header("location").to_owned(), made.header("etag").to_owned());
        assert_eq!(&made.created(), index);
        assert_eq!(&acme.owner.post(&indexes, index).await.ok(), index);
        assert_eq!(&acme.owner.with_header("if-match", &tag).get(&path).await.ok(), index);
    }
    // Absent, null and false are the same.
    let again = json!({ "keys": "a", "sparse": false, "partial_filter": null });
    assert_eq!(acme.owner.post(&indexes, &again).await.ok(), plain);
    assert_eq!(acme.owner.get(&indexes).await.ok()["items"], json!([plain, sparse, partial]));

    let other = json!({ "name": "some", "keys": "a", "partial_filter": { "s": "open" } });
    acme.owner.post(&indexes, &other).await.refused("index_exists");
    let other = json!({ "name": "other", "keys": "a", "partial_filter": filter });
    acme.owner.post(&indexes, &other).await.refused("index_exists");
    acme.owner.delete(&format!("{indexes}/some")).await.done();
    acme.owner.post(&indexes, &other).await.created();
}

#[tokio::test]
async fn partial_index_is_refused_at_the_bad_condition() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let indexes = acme.about("indexes");
    for (filter, pointers) in [
        (json!({}), vec!["/partial_filter"]),
        (
            json!({ "a": { "$ne": 1 }, "b": { "$exists": false } }),
            vec!["/partial_filter/a/$ne", "/partial_filter/b/$exists"],
        ),
        (json!({ "a": { "$type": "string" } }), vec!["/partial_filter/a/$type"]),
        (json!({ "$or": [{ "a": 1 }, { "a": { "$regex": "x" } }] }), vec!["/partial_filter/$or/1/a/$regex"]),
        (json!({ "_tenantry.rev": 1 }), vec!["/partial_filter/_tenantry.rev"]),
        (json!({ "a": { "$gt": null } }), vec!["/partial_filter/a/$gt"]),
        (json!([1]), vec!["/partial_filter"]),
        (json!("x"), vec!["/partial_filter"]),
    ] {
        let index = json!({ "keys": "a", "partial_filter": filter });
        acme.owner.post(&indexes, &index).await.refused_fields(&pointers);
    }
    let both = json!({ "keys": "a", "sparse": true, "partial_filter": { "a": 1 } });
    acme.owner.post(&indexes, &both).await.refused_fields(&["/sparse"]);
    let all = json!({ "keys": "$a", "sparse": 1, "partial_filter": { "a": { "$nin": [1] } } });
    let refused = acme.owner.post(&indexes, &all).await;
    refused.refused_fields(&["/sparse", "/partial_filter/a/$nin", "/keys"]);
    assert_eq!(acme.owner.get(&indexes).await.ok()["items"], json!([]));
}

/// Every way in which a document may get into the index.
#[tokio::test]
async fn unique_partial_index_holds_on_every_way_in() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (indexes, documents) = (acme.about("indexes"), acme.documents());
    let index = json!({ "name": "open", "keys": "who", "unique": true, "partial_filter": { "open": true } });
    acme.owner.post(&indexes, &index).await.created();
    acme.store(&[
        json!({ "_id": 1, "who": "ada", "open": true }),
        json!({ "_id": 2, "who": "ada", "open": false }),
        json!({ "_id": 3, "who": "ada" }),
    ])
    .await;
    let taken = json!({ "who": "ada", "open": true });
    let refused = acme.owner.post(&documents, &taken).await.refused("unique_violation");
    assert!(refused["detail"].as_str().unwrap().contains("`open`"), "{refused}");
    acme.owner.put(&format!("{documents}/~2"), &taken).await.refused("unique_violation");
    acme.owner.patch(&format!("{documents}/~2"), &json!({ "open": true })).await.refused("unique_violation");
    let open = json!({ "update": { "$set": { "open": true } } });
    acme.owner.post(&format!("{documents}/~3/update"), &open).await.refused("unique_violation");
    let open = json!({ "filter": { "_id": 2 }, "update": { "$set": { "open": true } } });
    acme.owner.post(&acme.about("update"), &open).await.refused("unique_violation");
    let lines = "{\"_id\":5,\"who\":\"ada\",\"open\":true}\n{\"_id\":6,\"who\":\"eve\",\"open\":true}";
    let answer = insert_lines(&acme.owner, &acme.about("bulk"), lines).await;
    assert_eq!(answer.lines()[0]["code"], "unique_violation", "{answer}");
    assert_eq!(answer.lines()[2]["inserted"], 1, "{answer}");
    // Once it is out of the index, another may have the value.
    acme.owner.patch(&format!("{documents}/~1"), &json!({ "open": false })).await.ok();
    acme.owner.patch(&format!("{documents}/~2"), &json!({ "open": true })).await.ok();
    let count = |filter: serde_json::Value| {
        let (owner, path) = (acme.owner.clone(), acme.about("count"));
        async move { owner.post(&path, &json!({ "filter": filter })).await.ok()["count"].clone() }
    };
    assert_eq!(count(json!({ "who": "ada" })).await, 3);
    assert_eq!(count(json!({ "who": "ada", "open": true })).await, 1);
    assert_eq!(count(json!({ "who": "ada", "open": { "$ne": true } })).await, 2);
}
