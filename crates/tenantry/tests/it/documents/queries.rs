//! Queries of documents: pages in an order, projections, counts, deletes by filter.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, encoded, organization};
use crate::support::redaction::redact;
use serde_json::{Value, json};

/// An organization with 25 documents.
async fn orders(app: &App) -> Organization {
    let acme = organization(app, "Acme").await;
    let documents: Vec<Value> = (0..25)
        .map(|number| {
            let status = if number % 2 == 0 { "open" } else { "sent" };
            json!({ "_id": number, "status": status, "total": number % 5, "line": { "sku": format!("s{number}"), "n": 1 } })
        })
        .collect();
    acme.store(&documents).await;
    acme
}

/// What a query finds, page by page.
async fn all_pages(client: &Client, path: &str, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = client.get(&format!("{path}?{query}{cursor}")).await.ok();
        found.append(page["items"].as_array_mut().unwrap());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn ids(found: &[Value]) -> Vec<i64> {
    found.iter().map(|document| document["_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn query_page_shows_matches_in_order_with_next_cursor() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let filter = encoded(r#"{"status":"open","total":{"$gte":1}}"#);
    let query = format!("filter={filter}&sort=-total&fields=total,line.sku&limit=3&revisions=true");
    let page = acme.owner.get(&format!("{}?{query}", acme.documents())).await;
    assert!(!page.headers.contains_key("full-scan"));
    let shown = redact(&page.ok(), &[("/next_cursor", "[cursor]")]);
    insta::assert_json_snapshot!(shown, @r#"
    {
      "items": [
        {
          "_id": 4,
          "line": {
            "sku": "s4"
          },
          "total": 4
        },
        {
          "_id": 14,
          "line": {
            "sku": "s14"
          },
          "total": 4
        },
        {
          "_id": 24,
          "line": {
            "sku": "s24"
          },
          "total": 4
        }
      ],
      "next_cursor": "[cursor]",
      "revisions": [
        "1800000000000",
        "1800000000000",
        "1800000000000"
      ]
    }
    "#);
    let found = all_pages(&acme.owner, &acme.documents(), &query).await;
    assert_eq!(ids(&found), [4, 14, 24, 8, 18, 2, 12, 22, 6, 16]);
    let last = acme.owner.get(&format!("{}?limit=200", acme.documents())).await.ok();
    assert_eq!((last["items"].as_array().unwrap().len(), &last["next_cursor"]), (25, &Value::Null));
    assert!(last.get("revisions").is_none());
}

/// Pages neither repeat nor miss what stays.
#[tokio::test]
async fn query_pages_are_stable_while_documents_come_and_go() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let path = acme.documents();
    let first = acme.owner.get(&format!("{path}?sort=total&limit=10")).await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    // The last one that was seen goes; others come before and after it.
    let seen = ids(first["items"].as_array().unwrap());
    acme.owner.delete(&format!("{path}/~{}", seen.last().unwrap())).await.done();
    acme.store(&[json!({ "_id": 100, "total": 0 }), json!({ "_id": 101, "total": 4 })]).await;
    let rest = all_pages(&acme.owner, &path, &format!("sort=total&limit=200&cursor={cursor}")).await;
    let mut all = [seen, ids(&rest)].concat();
    assert!(all.contains(&101) && !all.contains(&100), "{all:?}");
    all.sort_unstable();
    assert_eq!(all, (0..25).chain([101]).collect::<Vec<_>>());
}

#[tokio::test]
async fn query_cursor_is_valid_only_for_its_own_query() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let other = organization(&app, "Other").await;
    let path = acme.documents();
    let first = acme.owner.get(&format!("{path}?limit=5")).await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    for query in ["sort=total", "filter=%7B%22total%22%3A1%7D"] {
        acme.owner.get(&format!("{path}?{query}&cursor={cursor}")).await.refused_fields(&["?cursor"]);
    }
    other.owner.get(&format!("{}?cursor={cursor}", other.documents())).await.refused_fields(&["?cursor"]);
    // However the same query is written, and sent.
    acme.owner.get(&format!("{path}?filter=%7B%20%7D&limit=7&cursor={cursor}")).await.ok();
    let body = json!({ "filter": {}, "limit": 5, "cursor": cursor });
    let by_body = acme.owner.post(&acme.about("query"), &body).await.ok();
    assert_eq!(by_body, acme.owner.get(&format!("{path}?limit=5&cursor={cursor}")).await.ok());
}

#[tokio::test]
async fn query_in_body_equals_query_in_url() {
    let app = App::start().await;
    let acme = orders(&app).await;
    for (filter, sort, fields) in [
        (json!({}), "_id", "-line"),
        (json!({ "line.sku": { "$in": ["s1", "s2", "s30"] } }), "-_id", "_id"),
        (json!({ "$or": [{ "total": 0 }, { "status": { "$ne": "open" } }] }), "status,-total", "-_id,-total"),
        (json!({ "line": { "sku": "s7", "n": 1 } }), "total", "line"),
    ] {
        let body =
            json!({ "filter": filter, "sort": sort, "fields": fields, "limit": 20, "revisions": true });
        let by_body = acme.owner.post(&acme.about("query"), &body).await.ok();
        let filter = encoded(&filter.to_string());
        let query = format!("filter={filter}&sort={sort}&fields={fields}&limit=20&revisions=true");
        assert_eq!(acme.owner.get(&format!("{}?{query}", acme.documents())).await.ok(), by_body, "{body}");
    }
    // The members of a value are in an order, and it counts. (Those that tests make with `json!` are sorted.)
    for (filter, count) in [(r#"{"line":{"n":1,"sku":"s7"}}"#, 1), (r#"{"line":{"sku":"s7","n":1}}"#, 0)] {
        let body = format!("{{\"filter\":{filter}}}").into_bytes();
        let sent = Some(("application/json", body));
        let found = acme.owner.send(reqwest::Method::POST, &acme.about("query"), sent).await.ok();
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{filter}");
    }
    // More than fits into a URL.
    let many: Vec<String> =
        (0..1000).map(|number| format!("{number:0>60}")).chain(["s3".into()]).skip(1).collect();
    let found =
        acme.owner.post(&acme.about("query"), &json!({ "filter": { "line.sku": { "$in": many } } })).await;
    assert_eq!(ids(found.ok()["items"].as_array().unwrap()), [3]);
}

/// A filter that the bounds allow and no URL holds.
fn long_filter() -> Value {
    let many: Vec<String> =
        (0..999).map(|number| format!("{number:0>60}")).chain(["s3".to_owned()]).collect();
    json!({ "line.sku": { "$in": many } })
}

#[tokio::test]
async fn count_and_delete_accept_filter_too_long_for_url() {
    let app = Setup::unlimited().with("--full-scan-notice=10").start().await;
    let acme = orders(&app).await;
    let filter = json!({ "filter": long_filter() });
    let counted = acme.owner.post(&acme.about("count"), &filter).await;
    assert!(counted.header("full-scan").parse::<u64>().unwrap() > 10, "{counted}");
    assert_eq!(counted.ok(), json!({ "count": 1 }));
    for all in [json!({}), json!({ "filter": null }), json!({ "filter": {} })] {
        assert_eq!(acme.owner.post(&acme.about("count"), &all).await.ok(), json!({ "count": 25 }));
    }
    // A caller that deletes all of them says so.
    for none in [json!({}), json!({ "filter": null })] {
        acme.owner.post(&acme.about("delete"), &none).await.refused_fields(&["/filter"]);
    }
    let delete = async |body: &Value| acme.owner.post(&acme.about("delete"), body).await.ok();
    assert_eq!(delete(&filter).await, json!({ "deleted": 1, "more": false }));
    assert_eq!(delete(&filter).await, json!({ "deleted": 0, "more": false }));
    // The order of members counts, as in a query.
    for (filter, count) in [(r#"{"line":{"n":1,"sku":"s7"}}"#, 1), (r#"{"line":{"sku":"s7","n":1}}"#, 0)] {
        let sent = Some(("application/json", format!("{{\"filter\":{filter}}}").into_bytes()));
        let counted = acme.owner.send(reqwest::Method::POST, &acme.about("count"), sent.clone()).await.ok();
        assert_eq!(counted["count"], count, "{filter}");
        let deleted = acme.owner.send(reqwest::Method::POST, &acme.about("delete"), sent).await.ok();
        assert_eq!(deleted["deleted"], count, "{filter}");
    }
    assert_eq!(delete(&json!({ "filter": {} })).await, json!({ "deleted": 23, "more": false }));
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok(), json!({ "count": 0 }));
}

#[tokio::test]
async fn query_that_scans_many_documents_says_so() {
    let app = Setup::unlimited().with("--full-scan-notice=10").start().await;
    let acme = orders(&app).await;
    let scans = async || {
        let metrics = app.client().get("/metrics").await.text;
        let line = metrics.lines().find_map(|line| line.strip_prefix("document_full_scans_total "));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let before = scans().await;
    let query = "filter=%7B%22total%22%3A3%7D";
    for path in [acme.documents(), acme.about("count")] {
        let answer = acme.owner.get(&format!("{path}?{query}")).await;
        assert!(answer.header("full-scan").parse::<u64>().unwrap() > 10, "{answer}");
    }
    // Other tests of this process count, too.
    assert!(scans().await >= before + 2);

    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "total" })).await.created();
    for path in [acme.documents(), acme.about("count")] {
        let answer = acme.owner.get(&format!("{path}?{query}")).await;
        assert!(!answer.headers.contains_key("full-scan"), "{answer}");
        answer.ok();
    }
    let by_id = acme.owner.get(&format!("{}?filter=%7B%22_id%22%3A3%7D", acme.documents())).await;
    assert!(!by_id.headers.contains_key("full-scan"));
    assert_eq!(by_id.ok()["items"][0]["_id"], 3);
}

#[tokio::test]
async fn change_that_scans_many_documents_says_so() {
    let app = Setup::unlimited().with("--full-scan-notice=10").start().await;
    let acme = orders(&app).await;
    let (filter, update) = (json!({ "total": -1 }), json!({ "$set": { "seen": true } }));
    let changes = [
        ("update", json!({ "filter": filter, "update": update })),
        ("update", json!({ "filter": filter, "update": update, "multi": true })),
        ("find-one-and-delete", json!({ "filter": filter })),
        ("delete", json!({ "filter": filter })),
    ];
    let by_url = format!("{}?filter={}", acme.documents(), encoded(r#"{"total":-1}"#));
    for (what, body) in &changes {
        let answer = acme.owner.post(&acme.about(what), body).await;
        assert_eq!(answer.header("full-scan"), "25", "{answer}");
        answer.ok();
    }
    assert_eq!(acme.owner.delete(&by_url).await.header("full-scan"), "25");

    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "total" })).await.created();
    for (what, body) in &changes {
        let answer = acme.owner.post(&acme.about(what), body).await;
        assert!(!answer.headers.contains_key("full-scan"), "{answer}");
        answer.ok();
    }
    assert!(!acme.owner.delete(&by_url).await.headers.contains_key("full-scan"));
    // Without a condition no index is missing.
    let all = acme.owner.post(&acme.about("delete"), &json!({ "filter": {} })).await;
    assert!(!all.headers.contains_key("full-scan"), "{all}");
    assert_eq!(all.ok()["deleted"], 25);
}

#[tokio::test]
async fn count_and_delete_apply_to_matching_documents() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let count = async |filter: &str| {
        let path = format!("{}?filter={}", acme.about("count"), encoded(filter));
        acme.owner.get(&path).await.ok()["count"].as_u64().unwrap()
    };
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok(), json!({ "count": 25 }));
    assert_eq!(
        (count("{}").await, count(r#"{"total":{"$lt":2}}"#).await, count(r#"{"x":1}"#).await),
        (25, 10, 0)
    );

    let delete = async |filter: &str| {
        acme.owner.delete(&format!("{}?filter={}", acme.documents(), encoded(filter))).await
    };
    assert_eq!(delete(r#"{"total":{"$lt":2}}"#).await.ok(), json!({ "deleted": 10, "more": false }));
    assert_eq!(delete(r#"{"total":{"$lt":2}}"#).await.ok(), json!({ "deleted": 0, "more": false }));
    assert_eq!(count("{}").await, 15);
    acme.owner.delete(&acme.documents()).await.refused_fields(&["?filter"]);
    assert_eq!(delete("{}").await.ok(), json!({ "deleted": 15, "more": false }));
    assert_eq!(acme.owner.get(&acme.documents()).await.ok(), json!({ "items": [], "next_cursor": null }));
}

#[tokio::test]
async fn query_of_missing_collection_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for name in ["nothing", "sys.tem", "_x", "%24cmd"] {
        let path = format!("{}/{name}", acme.collections());
        acme.owner.get(&format!("{path}/documents")).await.refused("collection_not_found");
        acme.owner.get(&format!("{path}/count")).await.refused("collection_not_found");
        acme.owner.post(&format!("{path}/query"), &json!({})).await.refused("collection_not_found");
        acme.owner.post(&format!("{path}/count"), &json!({})).await.refused("collection_not_found");
        let all = json!({ "filter": {} });
        acme.owner.post(&format!("{path}/delete"), &all).await.refused("collection_not_found");
        acme.owner.delete(&format!("{path}/documents?filter=%7B%7D")).await.refused("collection_not_found");
    }
}

#[tokio::test]
async fn query_over_parallel_arrays_is_refused_at_its_sort() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": 1, "a": [1, 2], "b": [3] })]).await;
    acme.owner.get(&format!("{}?sort=a,b", acme.documents())).await.refused_fields(&["?sort"]);
    acme.owner.post(&acme.about("query"), &json!({ "sort": "a,b" })).await.refused_fields(&["/sort"]);
}

#[tokio::test]
async fn pattern_that_an_engine_rejects_is_refused() {
    let app = App::start().await;
    let acme = orders(&app).await;
    let nested = format!("{}a{}", "(".repeat(210), ")".repeat(210));
    for pattern in
        ["[:alpha:]", "[+-[:digit:]]", "(?:[a-c]x){3000}", "a{1, 2}", "[--/]", "(?=a)", nested.as_str()]
    {
        for filter in [
            json!({ "status": { "$regex": pattern } }),
            json!({ "status": { "$not": { "$regex": pattern } } }),
        ] {
            let filter = encoded(&filter.to_string());
            for path in [acme.documents(), acme.about("count")] {
                acme.owner.get(&format!("{path}?filter={filter}")).await.refused("invalid_input");
            }
            let all = format!("{}?filter={filter}", acme.documents());
            acme.owner.delete(&all).await.refused("invalid_input");
        }
    }
    let left = acme.owner.get(&acme.about("count")).await.ok();
    assert_eq!(left["count"], 25);
}

#[tokio::test]
async fn delete_by_pattern_over_long_texts_keeps_others() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let long = "-".repeat(200_000);
    let documents: Vec<Value> = (0..6)
        .map(|number| json!({ "_id": number, "text": format!("{}{long}{number}", if number < 3 { "on" } else { "off" }) }))
        .collect();
    for document in &documents {
        acme.owner.post(&acme.documents(), document).await.created();
    }
    // It goes through a text once; what follows cannot be found before its end.
    let filter = encoded(r#"{"text":{"$not":{"$regex":"^on[-0-9]+$"}}}"#);
    let counted = acme.owner.get(&format!("{}?filter={filter}", acme.about("count"))).await.ok();
    assert_eq!(counted["count"], 3);
    let found = acme.owner.get(&format!("{}?filter={filter}&fields=_id", acme.documents())).await.ok();
    assert_eq!(ids(found["items"].as_array().unwrap()), [3, 4, 5]);
    let deleted = acme.owner.delete(&format!("{}?filter={filter}", acme.documents())).await.ok();
    assert_eq!(deleted["deleted"], 3);
    let left = acme.owner.get(&format!("{}?fields=_id", acme.documents())).await.ok();
    assert_eq!(ids(left["items"].as_array().unwrap()), [0, 1, 2]);
}

#[tokio::test]
async fn extended_json_of_common_tools_is_stored_and_found() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let document = json!({
        "_id": "a", "when": { "$date": "2026-01-02T03:04:05.678+0530" }, "far": { "$date": "10000-01-01T00:00:00Z" },
        "owner": { "$ref": "people", "$id": 5, "$db": "other" },
    });
    let stored = acme.owner.post(&acme.documents(), &document).await.created();
    assert_eq!(stored["when"], json!({ "$date": "2026-01-01T21:34:05.678Z" }));
    assert_eq!(stored["far"], json!({ "$date": { "$numberLong": "253402300800000" } }));
    assert_eq!(stored["owner"], document["owner"]);
    let path = format!("{}/a", acme.documents());
    let other = json!({ "owner": { "$ref": "people", "$id": 6 }, "more": 1 });
    assert_eq!(acme.owner.patch(&path, &other).await.ok()["owner"], other["owner"]);
    for (filter, count) in [
        (r#"{"owner":{"$ref":"people","$id":6}}"#, 1),
        (r#"{"owner":{"$in":[{"$ref":"people","$id":6}]}}"#, 1),
        (r#"{"owner":{"$ne":{"$ref":"people","$id":6}}}"#, 0),
        (r#"{"when":{"$lt":{"$date":"2026-01-02T03:04:05+0530"}},"more":{"$exists":{"$numberInt":"1"}}}"#, 0),
        (r#"{"far":{"$gte":{"$date":"+010000-01-01T00:00:00.000Z"}}}"#, 1),
    ] {
        let counted =
            acme.owner.get(&format!("{}?filter={}", acme.about("count"), encoded(filter))).await.ok();
        assert_eq!(counted["count"], count, "{filter}");
    }
    for bad in [json!({ "a": { "$date": 42 } }), json!({ "_id": { "$ref": "c", "$id": 1 } })] {
        acme.owner.post(&acme.documents(), &bad).await.refused("invalid_input");
    }
}
