//! Quotas: how much an organization may have. The operator says so; nobody gets past it, however many try at once.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, insert_lines, organization};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn set(app: &App, acme: &Organization, quota: Value) -> Value {
    app.operator().patch(&acme.path(), &json!({ "quota": quota })).await.ok()["quota"].take()
}

async fn usage(client: &Client, acme: &Organization) -> Value {
    client.get(&format!("{}/usage", acme.path())).await.ok()
}

#[tokio::test]
async fn quota_is_set_by_operator_and_shown_with_usage() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let unlimited = json!({ "documents": null, "bytes": null, "collections": null, "index_bytes": null });
    assert_eq!(acme.owner.get(&acme.path()).await.ok()["quota"], unlimited);
    let quota = set(&app, &acme, json!({ "documents": 1000, "collections": 10 })).await;
    assert_eq!(quota, json!({ "documents": 1000, "bytes": null, "collections": 10, "index_bytes": null }));
    let quota = set(&app, &acme, json!({ "bytes": 1_u64 << 53, "documents": null })).await;
    let expected = json!({ "documents": null, "bytes": 1_u64 << 53, "collections": 10, "index_bytes": null });
    assert_eq!(quota, expected);
    assert_eq!(set(&app, &acme, json!({})).await, quota);

    acme.store(&[json!({ "_id": 1 }), json!({ "_id": 2 })]).await;
    acme.owner.post(&acme.collections(), &json!({ "name": "more" })).await.created();
    let mut shown = usage(&acme.owner, &acme).await;
    // As many as the files happen to have.
    assert!(shown.as_object_mut().unwrap().remove("disk_bytes").is_some());
    insta::assert_json_snapshot!(shown, @r#"
    {
      "bytes": 28,
      "collections": 2,
      "documents": 2,
      "index_bytes": 0,
      "quota": {
        "bytes": 9007199254740992,
        "collections": 10,
        "documents": null,
        "index_bytes": null
      }
    }
    "#);
    acme.owner.patch(&acme.path(), &json!({ "quota": { "bytes": null } })).await.refused("operator_only");
    let app = app.restart().await;
    assert_eq!(app.operator().get(&acme.path()).await.ok()["quota"], quota);
}

#[tokio::test]
async fn quota_refuses_excess_and_delete_makes_room() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let documents = acme.documents();
    set(&app, &acme, json!({ "documents": 3, "bytes": 200, "collections": 2 })).await;
    acme.owner.post(&acme.collections(), &json!({ "name": "more" })).await.created();
    acme.owner.post(&acme.collections(), &json!({ "name": "most" })).await.refused("quota_exceeded");

    let lines: String = (0..5).map(|number| format!("{{\"_id\":{number}}}\n")).collect();
    let answer = insert_lines(&acme.owner, &documents, &lines).await;
    assert_eq!(answer.status, 200, "{answer}");
    let codes: Vec<_> =
        answer.lines()[..5].iter().map(|line| line["code"].as_str().map(str::to_owned)).collect();
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), 3, "{answer}");
    assert!(codes.iter().flatten().all(|code| code == "quota_exceeded"), "{answer}");
    let refused = acme.owner.post(&documents, &json!({ "_id": 9 })).await.refused("quota_exceeded");
    assert!(refused["detail"].as_str().unwrap().contains("document"), "{refused}");

    // Bytes count for changes, too.
    let path = format!("{documents}/~0");
    acme.owner.patch(&path, &json!({ "text": "x".repeat(200) })).await.refused("quota_exceeded");
    acme.owner.put(&path, &json!({ "text": "x".repeat(200) })).await.refused("quota_exceeded");
    acme.owner.patch(&path, &json!({ "text": "x".repeat(100) })).await.ok();
    acme.owner.delete(&path).await.done();
    acme.owner.post(&documents, &json!({ "_id": 9 })).await.created();
    acme.owner.delete(&format!("{documents}?filter=%7B%7D")).await.ok();
    acme.owner.delete(&format!("{}/more", acme.collections())).await.done();
    acme.owner.post(&acme.collections(), &json!({ "name": "most" })).await.created();
    let now = usage(&acme.owner, &acme).await;
    assert_eq!((&now["documents"], &now["bytes"], &now["collections"]), (&json!(0), &json!(0), &json!(2)));
}

#[tokio::test]
async fn quota_below_usage_removes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": 1, "a": "xx" }), json!({ "_id": 2 })]).await;
    set(&app, &acme, json!({ "documents": 1, "bytes": 0, "collections": 0 })).await;
    acme.owner.post(&acme.documents(), &json!({ "_id": 3 })).await.refused("quota_exceeded");
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 2);
    // What does not grow is not refused.
    let path = format!("{}/~1", acme.documents());
    acme.owner.patch(&path, &json!({ "a": "yy" })).await.ok();
    acme.owner.patch(&path, &json!({ "a": null })).await.ok();
    acme.owner.delete(&path).await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_room_is_exact_under_parallel_writers() {
    const ROOM: usize = 37;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": "first" })]).await;
    set(&app, &acme, json!({ "documents": 1 + ROOM })).await;
    let mut writers = JoinSet::new();
    for number in 0..100 {
        let (client, path) = (acme.owner.clone(), acme.documents());
        writers.spawn(async move { client.post(&path, &json!({ "_id": number })).await.status.as_u16() });
    }
    let mut outcomes = BTreeMap::new();
    for status in writers.join_all().await {
        *outcomes.entry(status).or_insert(0) += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([(201, ROOM), (403, 100 - ROOM)]));
    let now = usage(&acme.owner, &acme).await;
    assert_eq!((&now["documents"], &now["quota"]["documents"]), (&json!(1 + ROOM), &json!(1 + ROOM)));
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 1 + ROOM);
}

/// Sends an insert and hangs up a while after.
async fn hang_up(app: &App, acme: &Organization, number: u32, after: Duration) {
    let body = json!({ "_id": format!("hung up {number}") }).to_string();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        acme.documents(),
        acme.owner.header("authorization").unwrap(),
        body.len()
    );
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_room_claimed_by_canceled_request_comes_back() {
    const ROOM: u32 = 100;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    set(&app, &acme, json!({ "documents": ROOM })).await;
    // The first of them has everything counted.
    acme.store(&[json!({ "_id": "first" })]).await;
    for number in 0..60 {
        hang_up(&app, &acme, number, Duration::from_micros(u64::from(number) * 100)).await;
    }
    for number in 0..=ROOM {
        let answer = acme.owner.post(&acme.documents(), &json!({ "_id": number })).await;
        if answer.status == 403 {
            break;
        }
        answer.created();
    }
    // Running requests finish, and then it is full.
    let began = Instant::now();
    loop {
        let count = acme.owner.get(&acme.about("count")).await.ok()["count"].take();
        if count == ROOM {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "refused with {count} of {ROOM} documents there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn index_quota_refuses_excess_and_removal_makes_room() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "tags" })).await.created();
    let tags = |id: i32, count: i32| json!({ "_id": id, "tags": (0..count).collect::<Vec<_>>() });
    acme.store(&[tags(1, 100)]).await;
    let one = usage(&acme.owner, &acme).await["index_bytes"].as_u64().unwrap();
    assert!(one > 500, "{one}");
    set(&app, &acme, json!({ "index_bytes": 2 * one })).await;
    acme.owner.post(&acme.documents(), &tags(2, 101)).await.refused("quota_exceeded");
    acme.owner.post(&acme.documents(), &tags(2, 100)).await.created();
    let refused = acme.owner.post(&acme.documents(), &tags(3, 1)).await.refused("quota_exceeded");
    assert!(refused["detail"].as_str().unwrap().contains("index"), "{refused}");
    acme.owner
        .post(&acme.about("indexes"), &json!({ "keys": "-tags", "name": "other" }))
        .await
        .refused("quota_exceeded");
    let now = usage(&acme.owner, &acme).await;
    assert_eq!((&now["index_bytes"], &now["quota"]["index_bytes"]), (&json!(2 * one), &json!(2 * one)));
    acme.owner.patch(&format!("{}/~1", acme.documents()), &json!({ "tags": [1] })).await.ok();
    acme.owner.post(&acme.documents(), &tags(3, 90)).await.created();
    acme.owner.delete(&format!("{}/tags_1", acme.about("indexes"))).await.done();
    assert_eq!(usage(&acme.owner, &acme).await["index_bytes"], 0);
}

#[tokio::test]
async fn default_quotas_apply_to_new_organizations_only() {
    let app = App::start().await;
    let earlier = organization(&app, "Earlier").await;
    let unlimited = app.operator().get(&earlier.path()).await.ok()["quota"].take();
    let test_env = app.stop().await;
    let setup = Setup::default()
        .with("--default-quota-documents=2")
        .with("--default-quota-bytes=100000")
        .with("--default-quota-collections=3")
        .with("--default-quota-index-bytes=5000");
    let app = setup.start_on(test_env).await;
    assert_eq!(app.operator().get(&earlier.path()).await.ok()["quota"], unlimited);
    let expected = json!({ "documents": 2, "bytes": 100_000, "collections": 3, "index_bytes": 5000 });
    let acme = organization(&app, "Acme").await;
    let show = async || app.operator().get(&acme.path()).await.ok()["quota"].take();
    assert_eq!(show().await, expected);
    acme.store(&[json!({ "_id": 1 }), json!({ "_id": 2 })]).await;
    acme.owner.post(&acme.documents(), &json!({ "_id": 3 })).await.refused("quota_exceeded");
    // The operator's choice wins, also "no limit".
    set(&app, &acme, json!({ "documents": null, "bytes": 7_000_000 })).await;
    acme.owner.post(&acme.documents(), &json!({ "_id": 3 })).await.created();
    let expected = json!({ "documents": null, "bytes": 7_000_000, "collections": 3, "index_bytes": 5000 });
    assert_eq!(show().await, expected);
}

#[tokio::test]
async fn idempotency_keys_of_account_are_bounded_for_a_day() {
    let app = Setup::unlimited().with("--idempotency-keys=3").start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    let send = async |acme: &Organization, key: &str, id: i32| {
        acme.owner.with_header("idempotency-key", key).post(&acme.documents(), &json!({ "_id": id })).await
    };
    for key in 0..3 {
        send(&acme, &format!("key-{key}"), key).await.created();
        app.clock.advance(Duration::from_secs(60));
    }
    let refused = send(&acme, "key-3", 3).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((86_000..=86_400).contains(&wait), "{wait}");
    refused.refused("too_many_idempotency_keys");
    // Nothing was made, nothing is forgotten, and nobody else is held back.
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 3);
    for key in 0..3 {
        let again = send(&acme, &format!("key-{key}"), key).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        again.created();
    }
    send(&other, "key-3", 3).await.created();
    acme.owner.post(&acme.documents(), &json!({ "_id": 3 })).await.created();
    // A request that was refused has used no key.
    let keyed = other.owner.with_header("idempotency-key", "key-4");
    keyed.post(&other.documents(), &json!({ "_id": 3, "text": "another" })).await.refused("document_exists");
    send(&other, "key-4", 4).await.created();
    let (client, mut statuses) = (app.client(), Vec::new());
    for number in 0..4 {
        let new = crate::support::fixtures::new_organization(
            &format!("New {number}"),
            &format!("owner@new-{number}.example"),
        );
        let keyed = client.with_header("idempotency-key", &format!("new-{number}"));
        statuses.push(keyed.post("/org/create", &new).await.status.as_u16());
    }
    assert_eq!(statuses, [201, 201, 201, 429], "those of a network are bounded, too");
}
