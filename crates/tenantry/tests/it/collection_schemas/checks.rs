//! Checks of the documents that are there.

use super::{person, set};
use crate::support::app::App;
use crate::support::client::plain_http;
use crate::support::fixtures::{insert_lines, organization};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

#[tokio::test]
async fn check_names_every_violating_document_and_counts_all() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let check = format!("{}/check", acme.about("schema"));
    let mut lines = String::new();
    for number in 0..1200 {
        let name = if number % 400 == 0 { "5" } else { "\"Ann\"" };
        let _ = writeln!(lines, "{{\"_id\":{number},\"name\":{name}}}");
    }
    insert_lines(&acme.owner, &acme.documents(), &lines).await.lines();
    acme.owner.post_empty(&check).await.refused("schema_not_found");
    let of = |number: u64| json!({ "_id": number, "errors": [{ "pointer": "/name", "detail": "Must be of the type `string`." }] });
    let expected = [of(0), of(400), of(800), json!({ "checked": 1200, "violating": 3, "next_cursor": null })];
    // A rehearsal, without a schema of its own.
    let rehearsed = acme.owner.post(&check, &json!({ "schema": person() })).await;
    assert_eq!(rehearsed.header("content-type"), "application/x-ndjson");
    assert_eq!(rehearsed.lines(), expected);
    set(&acme, json!({ "schema": person(), "level": "moderate", "action": "warn" })).await;
    assert_eq!(acme.owner.post_empty(&check).await.lines(), expected);
    assert_eq!(acme.owner.post(&check, &json!({})).await.lines(), expected);
    let other = json!({ "schema": { "required": ["none"] } });
    let all = acme.owner.post(&check, &other).await.lines();
    assert_eq!((all.len(), &all[1200]["violating"]), (1201, &json!(1200)));
    assert_eq!(
        acme.owner.get(&acme.about("schema")).await.ok()["schema"],
        person(),
        "a rehearsal sets nothing"
    );
}

#[tokio::test]
async fn check_goes_on_from_a_cursor() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let check = format!("{}/check", acme.about("schema"));
    acme.store(&[json!({ "_id": 1 }), json!({ "_id": 2 }), json!({ "_id": 3, "name": "Cid" })]).await;
    let first = acme.owner.get(&format!("{}?limit=1", acme.documents())).await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest =
        acme.owner.post(&format!("{check}?cursor={cursor}"), &json!({ "schema": person() })).await.lines();
    assert_eq!((&rest[0]["_id"], &rest[1]["checked"]), (&json!(2), &json!(2)));
    let bad = acme.owner.post(&format!("{check}?cursor=x"), &json!({ "schema": person() })).await;
    bad.refused_fields(&["?cursor"]);
    let bad = acme.owner.post(&check, &json!({ "schema": { "type": "x" }, "more": 1 })).await;
    bad.refused_fields(&["/schema/type", "/more"]);
    let nothing = format!("{}/none/schema/check", acme.collections());
    acme.owner.post(&nothing, &json!({ "schema": true })).await.refused("collection_not_found");
}

/// Its answer is far larger than what connections hold, so it waits for its reader, and meanwhile its minute passes.
#[tokio::test]
async fn check_ends_after_its_time_and_says_where() {
    const DOCUMENTS: u64 = 1000;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let check = format!("{}/check", acme.about("schema"));
    let lines: String = (0..DOCUMENTS).map(|number| format!("{{\"_id\":{number}}}\n")).collect();
    insert_lines(&acme.owner, &acme.documents(), &lines).await.lines();
    let missing: Vec<String> = (0..100).map(|number| format!("{number}{}", "x".repeat(280))).collect();
    let schema = json!({ "schema": { "required": missing } }).to_string();
    let ids = |lines: &[Value]| lines.iter().map(|line| line["_id"].as_u64().unwrap()).collect::<Vec<_>>();

    let request = plain_http().post(format!("http://{}{check}", app.address()));
    let request = request.header("content-type", "application/json").body(schema.clone());
    let token = acme.owner.header("authorization").unwrap();
    let mut response = request.header("authorization", token).send().await.unwrap();
    let mut text = response.chunk().await.unwrap().unwrap().to_vec();
    app.clock.advance(Duration::from_secs(61));
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let first: Vec<Value> =
        text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let (totals, violating) = first.split_last().unwrap();
    let checked = violating.len() as u64;
    assert!((1..DOCUMENTS).contains(&checked), "{totals}");
    assert_eq!((&totals["checked"], &totals["violating"]), (&json!(checked), &json!(checked)));

    let cursor = totals["next_cursor"].as_str().unwrap();
    let body = serde_json::from_str(&schema).unwrap();
    let rest = acme.owner.post(&format!("{check}?cursor={cursor}"), &body).await.lines();
    let (totals, rest) = rest.split_last().unwrap();
    assert_eq!((&totals["checked"], &totals["next_cursor"]), (&json!(DOCUMENTS - checked), &Value::Null));
    assert_eq!([ids(violating), ids(rest)].concat(), (0..DOCUMENTS).collect::<Vec<_>>());
}

#[tokio::test]
async fn check_names_ids_of_every_type_and_all_places() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let wide: Vec<Value> = (0..150).map(Value::from).collect();
    let ids = [
        json!({ "$oid": "65f0a1b2c3d4e5f601234567" }),
        json!({ "k": 9_007_199_254_740_993_i64 }),
        json!("a\"b"),
    ];
    for id in &ids {
        acme.store(&[json!({ "_id": id, "v": wide })]).await;
    }
    let schema = json!({ "schema": { "properties": { "v": { "items": { "type": "string" } } } } });
    let found = acme.owner.post(&format!("{}/check", acme.about("schema")), &schema).await;
    assert!(found.text.contains("9007199254740993"), "an `_id` was rounded");
    let found = found.lines();
    assert_eq!(found.len(), 4);
    for line in &found[..3] {
        assert!(ids.contains(&line["_id"]), "{line}");
        assert_eq!((line["errors"].as_array().unwrap().len(), &line["unnamed"]), (100, &json!(50)));
    }
}
