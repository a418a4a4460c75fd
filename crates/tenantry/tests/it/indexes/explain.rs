//! How a query is found.

use crate::support::app::App;
use crate::support::fixtures::{Organization, organization};
use serde_json::{Value, json};

async fn explain(acme: &Organization, query: &Value) -> Value {
    let mut query = query.clone();
    query["explain"] = true.into();
    let mut page = acme.owner.post(&acme.about("query"), &query).await.ok();
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([]), &Value::Null), "{page}");
    page["explanation"].take()
}

/// An explanation with `entries` entries, where MongoDB has examined one or two more: it leaves the metadata document out.
fn counted(mut explanation: Value, entries: u64) -> Value {
    let examined = explanation["entries_examined"].as_u64().unwrap();
    assert!((entries..=entries + 2).contains(&examined), "{explanation}");
    explanation["entries_examined"] = entries.into();
    explanation
}

#[tokio::test]
async fn query_explains_plan_index_and_what_it_examines() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let document = |n: i32| json!({ "_id": n, "n": n % 10, "s": if n < 30 { "open" } else { "paid" } });
    acme.store(&(0..100).map(document).collect::<Vec<_>>()).await;
    let scan = json!({ "plan": "scan", "index": null, "sorted": false,
        "entries_examined": 0, "documents_examined": 100, "matched": 10 });
    assert_eq!(explain(&acme, &json!({ "filter": { "n": 3 } })).await, scan);
    for index in [
        json!({ "keys": "n" }),
        json!({ "name": "open_n", "keys": "s,n", "partial_filter": { "s": "open" } }),
    ] {
        acme.owner.post(&acme.about("indexes"), &index).await.created();
    }
    let found = counted(explain(&acme, &json!({ "filter": { "n": 3 } })).await, 10);
    let index = json!({ "plan": "index", "index": "n_1", "sorted": false,
        "entries_examined": 10, "documents_examined": 10, "matched": 10 });
    assert_eq!(found, index);
    let found = counted(explain(&acme, &json!({ "filter": { "n": 3, "s": "open" } })).await, 3);
    let partial = json!({ "plan": "index", "index": "open_n", "sorted": false,
        "entries_examined": 3, "documents_examined": 3, "matched": 3 });
    assert_eq!(found, partial);
    // What the partial index does not have.
    let found = explain(&acme, &json!({ "filter": { "s": "paid" } })).await;
    assert_eq!((&found["plan"], &found["matched"]), (&"scan".into(), &50.into()), "{found}");
    let found = explain(&acme, &json!({ "filter": { "_id": { "$lt": 5 } } })).await;
    assert_eq!((&found["plan"], &found["matched"]), (&"id".into(), &5.into()), "{found}");
    let found = explain(&acme, &json!({ "filter": { "n": { "$in": [] } } })).await;
    // MongoDB asks the index for nothing.
    assert!(found["plan"] == "nothing" || found["plan"] == "index", "{found}");
    assert_eq!((&found["documents_examined"], &found["matched"]), (&0.into(), &0.into()), "{found}");
    let found = explain(&acme, &json!({ "sort": "s", "limit": 7 })).await;
    assert_eq!((&found["sorted"], &found["matched"]), (&true.into(), &7.into()), "{found}");

    // The same as parameters.
    let page = acme.owner.get(&format!("{}?filter=%7B%22n%22%3A3%7D&explain=true", acme.documents())).await;
    assert_eq!(counted(page.ok()["explanation"].take(), 10), index);
}

#[tokio::test]
async fn explained_query_is_refused_as_the_query_is() {
    let app = App::start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    acme.store(&[json!({ "_id": 1, "a": [1], "b": [2] })]).await;
    let path = acme.about("query");
    let cursor = json!({ "explain": true, "cursor": "x" });
    acme.owner.post(&path, &cursor).await.refused_fields(&["/cursor"]);
    let parallel = json!({ "explain": true, "sort": "a,b" });
    acme.owner.post(&path, &parallel).await.refused_fields(&["/sort"]);
    let unknown = json!({ "explain": true, "filter": { "a": { "$where": "1" } } });
    acme.owner.post(&path, &unknown).await.refused_fields(&["/filter/a/$where"]);
    other.owner.post(&path, &json!({ "explain": true })).await.refused("organization_not_found");
    let missing = path.replace("/documents/", "/none/");
    acme.owner.post(&missing, &json!({ "explain": true })).await.refused("collection_not_found");
}
