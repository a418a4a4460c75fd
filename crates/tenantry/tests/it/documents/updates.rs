//! Updates by operators: counters, queues and upserts with many callers at once, and what a response says.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, organization};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const CALLERS: i64 = 100;

async fn document(acme: &Organization, document: Value) -> String {
    let answer = acme.owner.post(&acme.documents(), &document).await;
    answer.header("location").to_owned()
}

fn update_of(path: &str) -> String {
    format!("{path}/update")
}

/// The service, for many callers at once: how long all of them take depends on what else the machine does.
async fn start() -> App {
    Setup::unlimited().with("--request-timeout=120").start().await
}

/// Sends the same request from many callers at once.
async fn at_once(acme: &Organization, path: &str, body: impl Fn(i64) -> Value) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    for number in 0..CALLERS {
        let (client, path, body) = (acme.owner.clone(), path.to_owned(), body(number));
        calls.spawn(async move { post_until_done(&client, &path, &body).await });
    }
    calls.join_all().await
}

/// Sends a change until it has had its turn. One that has waited too long behind others has changed nothing, and says so.
pub async fn post_until_done(client: &Client, path: &str, body: &Value) -> Answer {
    loop {
        let answer = client.post(path, body).await;
        if !answer.is_refused("document_busy") {
            return answer;
        }
    }
}

#[tokio::test]
async fn update_of_document_answers_counts_and_states() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = document(&acme, json!({ "_id": "d", "n": 1, "list": [3, 1] })).await;
    let before = acme.owner.get(&path).await;
    let body = json!({ "update": { "$inc": { "n": 2 }, "$push": { "list": { "$each": [2], "$sort": 1 } } } });
    let answer = acme.owner.post(&update_of(&path), &body).await;
    assert_ne!(answer.header("etag"), before.header("etag"));
    let after = acme.owner.get(&path).await;
    assert_eq!(after.header("etag"), answer.header("etag"));
    assert_eq!(answer.ok(), json!({ "matched": 1, "modified": 1, "more": false }));
    assert_eq!(after.json(), json!({ "_id": "d", "n": 3, "list": [1, 2, 3] }));

    let unchanged = acme.owner.post(&update_of(&path), &json!({ "update": { "$max": { "n": 3 } } })).await;
    assert_eq!(unchanged.header("etag"), after.header("etag"));
    assert_eq!(unchanged.ok()["modified"], 0);
    for (returned, expected) in [("before", 3), ("after", 4)] {
        let n = if returned == "before" { 0 } else { 1 };
        let body = json!({ "update": { "$inc": { "n": 1 - n } }, "return": returned });
        assert_eq!(acme.owner.post(&update_of(&path), &body).await.ok()["document"]["n"], expected);
    }

    let stale = acme.owner.with_header("if-match", before.header("etag"));
    stale.post(&update_of(&path), &body).await.refused("version_mismatch");
    let tag = acme.owner.get(&path).await.header("etag").to_owned();
    acme.owner.with_header("if-match", &tag).post(&update_of(&path), &body).await.ok();
    let missing = format!("{}/missing", acme.documents());
    acme.owner.post(&update_of(&missing), &body).await.refused("document_not_found");
}

#[tokio::test]
async fn update_names_every_bad_part_and_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = document(&acme, json!({ "_id": "d", "n": 1, "text": "x" })).await;
    for (body, pointers) in [
        (
            json!({ "update": { "$set": { "a": 1, "a.b": 2, "_tenantry.rev": 1 }, "$inc": { "n": "x" } }, "surprise": 1 }),
            &["/update/$inc/n", "/update/$set/_tenantry.rev", "/update/$set/a.b", "/surprise"][..],
        ),
        (json!({ "update": { "$where": {} }, "return": "all" }), &["/update/$where", "/return"]),
        (json!({ "update": { "$set": { "n": 5 }, "$inc": { "text": 1 } } }), &["/update/$inc/text"]),
        (json!({ "update": { "$set": { "_id": "e" } } }), &["/update/$set/_id"]),
        (json!({ "update": { "$rename": { "n": "_tenantry" } } }), &["/update/$rename/n"]),
        (json!({ "update": { "$set": { "a.$": 1 } } }), &["/update/$set/a.$"]),
        (
            json!({ "update": { "$set": { "a.$[x]": 1 } }, "arrayFilters": [{ "y": 1 }] }),
            &["/update/$set/a.$[x]", "/arrayFilters/0"],
        ),
        (json!({ "update": { "$set": { "text": "y".repeat(2 << 20) } } }), &["/update/$set/text"]),
    ] {
        acme.owner.post(&update_of(&path), &body).await.refused_fields(pointers);
    }
    let many = json!({ "filter": {}, "update": { "$set": { "n": 5 } }, "multi": true, "sort": "n", "return": "after" });
    acme.owner.post(&acme.about("update"), &many).await.refused_fields(&["/sort", "/return"]);
    assert_eq!(acme.owner.get(&path).await.ok(), json!({ "_id": "d", "n": 1, "text": "x" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_at_once_are_all_counted() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    let path = document(&acme, json!({ "_id": "d", "n": 0 })).await;
    let body = |_| json!({ "update": { "$inc": { "n": 1 } }, "return": "after" });
    let answers = at_once(&acme, &update_of(&path), body).await;
    let seen: BTreeSet<i64> =
        answers.into_iter().map(|answer| answer.ok()["document"]["n"].as_i64().unwrap()).collect();
    assert_eq!(seen, (1..=CALLERS).collect());
    assert_eq!(acme.owner.get(&path).await.ok()["n"], CALLERS);
}

/// By a change that takes it out of the filter, and by a delete.
#[tokio::test(flavor = "multi_thread")]
async fn queue_hands_out_each_document_once() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    let tasks: Vec<Value> =
        (0..CALLERS).map(|n| json!({ "_id": n, "state": "new", "due": CALLERS - n })).collect();
    acme.store(&tasks).await;
    let take = |caller| {
        let update = json!({ "$set": { "state": "taken", "by": caller } });
        json!({ "filter": { "state": "new" }, "update": update, "sort": "due", "return": "after" })
    };
    let first = acme.owner.post(&acme.about("update"), &take(-1)).await.ok();
    assert_eq!(first["document"], json!({ "_id": CALLERS - 1, "state": "taken", "due": 1, "by": -1 }));
    let mut taken = BTreeSet::new();
    for answer in at_once(&acme, &acme.about("update"), take).await {
        let answer = answer.ok();
        match answer["document"]["_id"].as_i64() {
            Some(id) => assert!(taken.insert(id), "{id} was handed out twice"),
            None => {
                assert_eq!(answer, json!({ "matched": 0, "modified": 0, "more": false, "document": null }));
            }
        }
    }
    assert_eq!(taken, (0..CALLERS - 1).collect());

    // As it was before, which says nothing of who has it.
    acme.store(&(CALLERS..2 * CALLERS).map(|n| json!({ "_id": n, "state": "new" })).collect::<Vec<_>>())
        .await;
    let take = |caller| {
        let update = json!({ "$set": { "state": "taken", "by": caller } });
        json!({ "filter": { "state": "new" }, "update": update, "return": "before" })
    };
    let mut taken = BTreeSet::new();
    for answer in at_once(&acme, &acme.about("update"), take).await {
        let document = answer.ok()["document"].take();
        let id = document["_id"].as_i64().unwrap();
        assert_eq!(document, json!({ "_id": id, "state": "new" }));
        assert!(taken.insert(id), "{id} was handed out twice");
    }
    assert_eq!(taken, (CALLERS..2 * CALLERS).collect());
    let empty = acme.owner.post(&acme.about("update"), &take(0)).await.ok();
    assert_eq!(empty, json!({ "matched": 0, "modified": 0, "more": false, "document": null }));

    let remove = |_| json!({ "filter": { "state": "taken", "_id": { "$lt": CALLERS } }, "sort": "due" });
    let mut removed = BTreeSet::new();
    for answer in at_once(&acme, &acme.about("find-one-and-delete"), remove).await {
        assert!(removed.insert(answer.ok()["document"]["_id"].as_i64().unwrap()));
    }
    assert_eq!(removed, (0..CALLERS).collect());
    let empty = acme.owner.post(&acme.about("find-one-and-delete"), &remove(0)).await.ok();
    assert_eq!(empty, json!({ "document": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_at_once_insert_one_document() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.about("indexes"), &json!({ "keys": "key", "unique": true })).await.created();
    let by_key = |_| {
        let update = json!({ "$inc": { "n": 1 }, "$setOnInsert": { "first": true } });
        json!({ "filter": { "key": "k" }, "update": update, "upsert": true })
    };
    let by_id = |_| json!({ "update": { "$inc": { "n": 1 } }, "upsert": true });
    let of_id = update_of(&format!("{}/counter", acme.documents()));
    for answers in [at_once(&acme, &acme.about("update"), by_key).await, at_once(&acme, &of_id, by_id).await]
    {
        let inserted = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((inserted, answers.len()), (1, usize::try_from(CALLERS).unwrap()), "{}", answers[0]);
        assert!(answers.iter().all(|answer| [200, 201].contains(&answer.status.as_u16())));
    }
    let found = acme.owner.post(&acme.about("query"), &json!({ "filter": { "key": "k" } })).await.ok();
    assert_eq!((&found["items"][0]["n"], &found["items"][0]["first"]), (&json!(CALLERS), &json!(true)));
    let counter = acme.owner.get(&format!("{}/counter", acme.documents())).await.ok();
    assert_eq!(counter, json!({ "_id": "counter", "n": CALLERS }));
}

#[tokio::test]
async fn upsert_answers_with_the_new_id_and_location() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let body = json!({ "filter": { "_id": { "a": 1 }, "b.c": 2 }, "update": { "$set": { "d": 3 } }, "upsert": true });
    for multi in [false, true] {
        let mut body = body.clone();
        body["multi"] = multi.into();
        body["filter"]["_id"]["a"] = u8::from(multi).into();
        let answer = acme.owner.post(&acme.about("update"), &body).await;
        let location = answer.header("location").to_owned();
        let id = json!({ "a": u8::from(multi) });
        assert_eq!(
            answer.created(),
            json!({ "matched": 0, "modified": 0, "more": false, "upserted_id": id })
        );
        assert_eq!(acme.owner.get(&location).await.ok(), json!({ "_id": id, "b": { "c": 2 }, "d": 3 }));
        let again = acme.owner.post(&acme.about("update"), &body).await.ok();
        assert_eq!(again, json!({ "matched": 1, "modified": 0, "more": false }));
    }
}

#[tokio::test]
async fn update_of_many_counts_and_stops_at_the_first_refusal() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let documents: Vec<Value> =
        (0..50).map(|n| json!({ "_id": n, "n": n, "list": [n, { "m": n }] })).collect();
    acme.store(&documents).await;
    let update = json!({ "$inc": { "n": 100 }, "$set": { "list.$[x].m": 0 } });
    let body = json!({ "filter": { "n": { "$gte": 10 } }, "update": update, "arrayFilters": [{ "x.m": { "$gt": 20 } }], "multi": true });
    let answer = acme.owner.post(&acme.about("update"), &body).await.ok();
    assert_eq!(answer, json!({ "matched": 40, "modified": 40, "more": false }));
    let shown = acme.owner.get(&format!("{}/~30", acme.documents())).await.ok();
    assert_eq!(shown, json!({ "_id": 30, "n": 130, "list": [30, { "m": 0 }] }));

    // One document in the middle has no number there.
    acme.owner.put(&format!("{}/~25", acme.documents()), &json!({ "n": "x" })).await.ok();
    let body = json!({ "filter": {}, "update": { "$inc": { "n": 1 } }, "multi": true });
    let answer = acme.owner.post(&acme.about("update"), &body).await.ok();
    assert_eq!((&answer["refused"]["id"], &answer["more"]), (&json!("~25"), &json!(true)), "{answer}");
    assert_eq!((&answer["matched"], &answer["modified"]), (&json!(25), &json!(25)), "{answer}");
    // Those before it have changed, those behind it have not.
    for (id, n) in [(24, 125), (26, 126)] {
        assert_eq!(acme.owner.get(&format!("{}/~{id}", acme.documents())).await.ok()["n"], n);
    }
    let alone = json!({ "filter": { "_id": 25 }, "update": { "$inc": { "n": 1 } }, "multi": true });
    acme.owner.post(&acme.about("update"), &alone).await.refused_fields(&["/update/$inc/n"]);
}

#[tokio::test]
async fn update_of_many_changes_nothing_behind_a_refusal() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let numbered: Vec<Value> = (1..=5).map(|n| json!({ "_id": n, "s": n })).collect();
    acme.store(&numbered).await;
    let changed = async || {
        let items = acme.owner.get(&acme.documents()).await.ok()["items"].take();
        items.as_array().unwrap().iter().filter(|item| item["s"] != item["_id"]).count()
    };
    // The first document violates a schema that came later.
    let schema = json!({ "schema": { "properties": { "s": { "minimum": 3 } } } });
    acme.owner.put(&acme.about("schema"), &schema).await.created();
    let body = json!({ "filter": {}, "multi": true, "update": { "$inc": { "s": 1 } } });
    acme.owner.post(&acme.about("update"), &body).await.refused("schema_violation");
    assert_eq!(changed().await, 0);
    acme.owner.delete(&acme.about("schema")).await;

    // The second one would have the value of the first in a unique index.
    let index = json!({ "keys": "s", "unique": true, "name": "only" });
    acme.owner.post(&acme.about("indexes"), &index).await.created();
    let body = json!({ "filter": {}, "multi": true, "update": { "$set": { "s": 9 } } });
    let answer = acme.owner.post(&acme.about("update"), &body).await.ok();
    assert_eq!(
        (&answer["modified"], &answer["refused"]["id"], &answer["refused"]["code"]),
        (&json!(1), &json!("~2"), &json!("unique_violation")),
        "{answer}"
    );
    assert_eq!(changed().await, 1);
}

#[tokio::test]
async fn upsert_with_if_match_inserts_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/d", acme.documents());
    let body = json!({ "update": { "$inc": { "n": 1 } }, "upsert": true });
    for tags in ["*", "\"1\""] {
        let client = acme.owner.with_header("if-match", tags);
        client.post(&update_of(&path), &body).await.refused("version_mismatch");
    }
    acme.owner.get(&path).await.refused("document_not_found");
    acme.owner.post(&update_of(&path), &body).await.created();
    let client = acme.owner.with_header("if-match", "*");
    assert_eq!(client.post(&update_of(&path), &body).await.ok()["modified"], 1);
}

#[tokio::test]
async fn update_sets_the_matched_position_of_an_array() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path =
        document(&acme, json!({ "_id": "d", "items": [{ "sku": "a", "n": 1 }, { "sku": "b", "n": 1 }] }))
            .await;
    let body = json!({ "filter": { "items.sku": "b" }, "update": { "$inc": { "items.$.n": 4 } } });
    assert_eq!(acme.owner.post(&acme.about("update"), &body).await.ok()["modified"], 1);
    assert_eq!(acme.owner.get(&path).await.ok()["items"][1]["n"], 5);
    let unclear =
        json!({ "filter": { "items.sku": "b", "items.n": 1 }, "update": { "$inc": { "items.$.n": 4 } } });
    acme.owner.post(&acme.about("update"), &unclear).await.refused_fields(&["/update/$inc/items.$.n"]);
}

#[tokio::test]
async fn growth_by_push_keeps_the_quota_exactly() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let documents: Vec<Value> = (0..20).map(|n| json!({ "_id": n, "list": [] })).collect();
    acme.store(&documents).await;
    let used = acme.owner.get(&format!("{}/usage", acme.path())).await.ok()["bytes"].as_u64().unwrap();
    // Each push of one Int32 takes 7 bytes: ten fit.
    let quota = json!({ "quota": { "bytes": used + 75 } });
    app.operator().patch(&acme.path(), &quota).await.ok();
    let body = json!({ "filter": {}, "update": { "$push": { "list": 1 } }, "multi": true });
    let answer = acme.owner.post(&acme.about("update"), &body).await.ok();
    assert_eq!(
        (&answer["modified"], &answer["refused"]["code"]),
        (&json!(10), &json!("quota_exceeded")),
        "{answer}"
    );
    let most = format!(
        "The organization may have at most {} bytes of documents. Delete something, or have the operator raise the quota.",
        used + 75
    );
    assert_eq!(answer["refused"]["detail"], most);
    acme.owner.post(&acme.about("update"), &body).await.refused("quota_exceeded");
    let now = acme.owner.get(&format!("{}/usage", acme.path())).await.ok()["bytes"].as_u64().unwrap();
    assert_eq!(now, used + 70);
}

#[tokio::test]
async fn update_sent_twice_with_one_key_is_done_once() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = document(&acme, json!({ "_id": "d", "n": 0, "long": "x".repeat(8000) })).await;
    let increment = json!({ "$inc": { "n": 1 } });
    for (number, (path, body)) in [
        (update_of(&path), json!({ "update": increment, "return": "after" })),
        (acme.about("update"), json!({ "filter": { "_id": "d" }, "update": increment })),
        (acme.about("update"), json!({ "filter": {}, "update": increment, "multi": true })),
    ]
    .iter()
    .enumerate()
    {
        let client = acme.owner.with_header("idempotency-key", &format!("key-{number}"));
        let first = client.post(path, body).await;
        let second = client.post(path, body).await;
        assert_eq!(second.header("idempotency-replayed"), "true");
        if number < 2 {
            assert_eq!(second.header("etag"), first.header("etag"));
        }
        let (first, second) = (first.ok(), second.ok());
        assert_eq!(second["modified"], first["modified"]);
        let is_long = number == 0;
        let known = if is_long { json!({ "_id": "d" }) } else { Value::Null };
        assert_eq!((&second["document"], second["shortened"] == json!(true)), (&known, is_long), "{second}");
    }
    assert_eq!(acme.owner.get(&path).await.ok()["n"], 3);
    acme.owner.post(&acme.documents(), &json!({ "_id": "e" })).await.created();
    let remove = json!({ "filter": { "_id": { "$in": ["d", "e"] } } });
    let client = acme.owner.with_header("idempotency-key", "delete");
    for _ in 0..2 {
        client.post(&acme.about("find-one-and-delete"), &remove).await.ok();
    }
    acme.owner.get(&format!("{}/e", acme.documents())).await.ok();
}

/// A caller who lost the response learns which document was taken, also if it was long.
#[tokio::test]
async fn repeated_delete_names_the_document_it_took() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let id = json!({ "a": "\u{1}".repeat(900), "b": 1 });
    let tasks = [
        json!({ "_id": "long", "text": "x".repeat(8000) }),
        json!({ "_id": 2 }),
        json!({ "_id": id, "text": "y".repeat(8000) }),
    ];
    for task in &tasks {
        acme.owner.post(&acme.documents(), task).await.created();
    }
    for (number, task) in tasks.iter().enumerate() {
        let client = acme.owner.with_header("idempotency-key", &format!("take-{number}"));
        let take = json!({ "filter": { "_id": task["_id"] } });
        let first = client.post(&acme.about("find-one-and-delete"), &take).await.ok();
        assert_eq!(first, json!({ "document": task }));
        let second = client.post(&acme.about("find-one-and-delete"), &take).await;
        assert_eq!(second.header("idempotency-replayed"), "true");
        let known = if number == 1 {
            first
        } else {
            json!({ "document": { "_id": task["_id"] }, "shortened": true })
        };
        assert_eq!(second.ok(), known);
        let nothing = acme.owner.post(&acme.about("find-one-and-delete"), &take).await.ok();
        assert_eq!(nothing, json!({ "document": null }));
    }
}

#[tokio::test]
async fn put_with_if_none_match_creates_and_never_replaces() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/d", acme.documents());
    let client = acme.owner.with_header("if-none-match", "*");
    let made = client.put(&path, &json!({ "n": 1 })).await;
    assert_eq!(made.header("location"), path);
    let tag = made.header("etag").to_owned();
    assert_eq!(made.created(), json!({ "_id": "d", "n": 1 }));
    client.put(&path, &json!({ "n": 2 })).await.refused("version_mismatch");
    let found = acme.owner.get(&path).await;
    assert_eq!((found.header("etag"), &found.json()["n"]), (tag.as_str(), &json!(1)));
    client.put(&format!("{}/e", acme.documents()), &json!({ "_id": "f" })).await.refused_fields(&["/_id"]);
    client.with_header("if-match", "*").put(&path, &json!({})).await.refused("invalid_header");
    acme.owner.with_header("if-none-match", &tag).put(&path, &json!({})).await.refused("invalid_header");
    client.patch(&path, &json!({})).await.refused("invalid_header");
}

#[tokio::test]
async fn update_keeps_types_that_json_cannot_express() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = document(&acme, json!({ "_id": "d" })).await;
    let body = r#"{"update": {"$set": {"z": 9007199254740993, "a": 1.0, "d": {"$numberDecimal": "1.50"}},
        "$currentDate": {"t": true}, "$mul": {"zero": {"$numberLong": "5"}}}, "return": "after"}"#;
    let sent = Some(("application/json", body.as_bytes().to_vec()));
    let answer = acme.owner.send(Method::POST, &update_of(&path), sent).await;
    assert!(answer.text.contains(
        r#""a":1.0,"d":{"$numberDecimal":"1.50"},"t":{"$date":"2027-01-15T08:00:00Z"},"z":9007199254740993,"zero":0"#
    ), "{}", answer.text);
}
