//! Collections of an organization's documents.

use crate::support::app::App;
use crate::support::fixtures::{insert_lines, organization};
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn organization_starts_with_one_collection_and_gets_others() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let list = acme.owner.get(&acme.collections()).await.ok();
    assert_eq!(
        list,
        json!({ "items": [{ "name": "documents", "documents": 0, "bytes": 0, "indexes": 0 }], "next_cursor": null })
    );
    let made = acme.owner.post(&acme.collections(), &json!({ "name": "Orders-2" })).await;
    let path = format!("{}/Orders-2", acme.collections());
    assert_eq!(made.header("location"), path);
    let made = made.created();
    assert_eq!(made, json!({ "name": "Orders-2", "documents": 0, "bytes": 0, "indexes": 0 }));
    assert_eq!(acme.owner.get(&path).await.ok(), made);

    insert_lines(&acme.owner, &format!("{path}/documents"), "{\"_id\":1}\n{\"_id\":2}\n").await;
    acme.owner.post(&format!("{path}/indexes"), &json!({ "keys": "a" })).await.created();
    let now = acme.owner.get(&path).await.ok();
    assert_eq!((&now["documents"], &now["indexes"]), (&json!(2), &json!(1)));
    assert!(now["bytes"].as_u64().unwrap() >= 2 * 14, "{now}");
    let list = acme.owner.get(&acme.collections()).await.ok();
    assert_eq!(names(&list), ["Orders-2", "documents"]);
    assert_eq!(list["items"][0], now);
}

#[tokio::test]
async fn collection_delete_removes_documents_and_indexes() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/orders", acme.collections());
    for _ in 0..2 {
        acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
        assert_eq!(acme.owner.get(&format!("{path}/count")).await.ok()["count"], 0);
        assert_eq!(acme.owner.get(&format!("{path}/indexes")).await.ok(), json!({ "items": [] }));
        acme.owner.post(&format!("{path}/documents"), &json!({ "_id": 1 })).await.created();
        acme.owner.post(&format!("{path}/indexes"), &json!({ "keys": "a", "unique": true })).await.created();
        acme.owner.delete(&path).await.done();
        acme.owner.get(&path).await.refused("collection_not_found");
        acme.owner.get(&format!("{path}/documents/~1")).await.refused("collection_not_found");
        acme.owner.delete(&path).await.refused("collection_not_found");
    }
}

#[tokio::test]
async fn collection_names_are_case_sensitive_and_unique() {
    let app = App::start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
    acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.refused("collection_exists");
    acme.owner.post(&acme.collections(), &json!({ "name": "documents" })).await.refused("collection_exists");
    acme.owner.post(&acme.collections(), &json!({ "name": "Orders" })).await.created();
    other.owner.post(&other.collections(), &json!({ "name": "orders" })).await.created();
    acme.owner.delete(&format!("{}/documents", acme.collections())).await.refused("collection_is_default");
    let list = acme.owner.get(&acme.collections()).await.ok();
    assert_eq!(names(&list), ["Orders", "documents", "orders"]);
}

#[tokio::test]
async fn collection_list_is_paged() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for number in 0..6 {
        acme.owner.post(&acme.collections(), &json!({ "name": format!("c{number}") })).await.created();
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = acme.owner.get(&format!("{}?limit=3{cursor}", acme.collections())).await.ok();
        found.extend(names(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        // What goes was seen already, and is not missed.
        acme.owner.delete(&format!("{}/{}", acme.collections(), found.last().unwrap())).await.done();
    }
    assert_eq!(found, ["c0", "c1", "c2", "c3", "c4", "c5", "documents"]);
}

#[tokio::test]
async fn collection_create_with_idempotency_key_is_replayed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let keyed = acme.owner.with_header("idempotency-key", "key");
    let first = keyed.post(&acme.collections(), &json!({ "name": "orders" })).await;
    let again = keyed.post(&acme.collections(), &json!({ "name": "orders" })).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.created(), first.created());
    keyed.post(&acme.collections(), &json!({ "name": "other" })).await.refused("idempotency_key_reused");
}

/// A collection is deleted only with the contents that its caller has seen.
#[tokio::test]
async fn collection_delete_honors_if_match() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let made = acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await;
    let (path, empty) = (made.header("location").to_owned(), made.header("etag").to_owned());
    let having = |tag: &str| acme.owner.with_header("if-none-match", tag);
    let answer = having(&empty).get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""));
    assert_eq!(answer.header("etag"), empty);

    insert_lines(&acme.owner, &format!("{path}/documents"), "{\"_id\":1}\n").await;
    let seeing = |tag: &str| acme.owner.with_header("if-match", tag);
    for tag in [&empty, "\"other\"", &format!("W/{empty}")] {
        seeing(tag).delete(&path).await.refused("version_mismatch");
    }
    seeing("no tag").delete(&path).await.refused("invalid_header");
    having("*").delete(&path).await.refused("invalid_header");
    assert_eq!(having(&empty).get(&path).await.ok()["documents"], 1);
    let now = acme.owner.get(&path).await.header("etag").to_owned();
    seeing(&now).delete(&path).await.done();
    seeing(&now).delete(&path).await.refused("collection_not_found");
    seeing("*").delete(&path).await.refused("collection_not_found");
}
