//! Every write is checked: by what is stored after it, on every way in.

use super::{person, set};
use crate::support::app::{App, Setup};
use crate::support::fixtures::{Organization, insert_lines, organization};
use crate::support::transactions::app_with_transactions;
use serde_json::{Value, json};

/// What `documents` holds.
async fn items(acme: &Organization) -> Value {
    acme.owner.get(&acme.documents()).await.ok()["items"].take()
}

/// The pointers of a refusal by the schema.
#[track_caller]
fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn schema_checks_every_way_in() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    set(&acme, json!({ "schema": person() })).await;
    let (owner, documents) = (&acme.owner, acme.documents());
    let (one, update) = (format!("{documents}/~1"), acme.about("update"));
    owner
        .post(
            &documents,
            &json!({ "_id": 1, "name": "Ann", "age": 3, "born": { "$date": "2020-01-02T00:00:00Z" } }),
        )
        .await
        .created();
    let before = items(&acme).await;

    let refused = owner.post(&documents, &json!({ "age": -1.5 })).await.refused("schema_violation");
    assert_eq!(refused["status"], 400);
    assert_eq!(pointers(&refused), ["/age", "/age", "/name"]);
    let refused = owner.put(&one, &json!({ "name": "B" })).await.refused("schema_violation");
    assert_eq!(pointers(&refused), ["/name"]);
    let created = owner.with_header("if-none-match", "*").put(&format!("{documents}/new"), &json!({})).await;
    assert_eq!(pointers(&created.refused("schema_violation")), ["/name"]);
    let refused = owner.patch(&one, &json!({ "name": null, "born": 1 })).await.refused("schema_violation");
    assert_eq!(pointers(&refused), ["/name"], "`born` has no members to be required");
    for change in [
        json!({ "$set": { "age": "old" } }),
        json!({ "$inc": { "age": -4 } }),
        json!({ "$unset": { "name": "" } }),
        json!({ "$rename": { "name": "called" } }),
    ] {
        owner.post(&format!("{one}/update"), &json!({ "update": change })).await.refused("schema_violation");
        owner.post(&update, &json!({ "filter": {}, "update": change })).await.refused("schema_violation");
        let many = json!({ "filter": { "name": "Ann" }, "update": change, "multi": true });
        owner.post(&update, &many).await.refused("schema_violation");
    }
    let upsert = json!({ "update": { "$set": { "age": 1 } }, "upsert": true });
    owner.post(&format!("{documents}/new/update"), &upsert).await.refused("schema_violation");
    for multi in [false, true] {
        let upsert = json!({ "filter": { "age": 50 }, "update": { "$set": { "x": 1 } }, "upsert": true, "multi": multi });
        owner.post(&update, &upsert).await.refused("schema_violation");
    }
    let batch =
        json!({ "operations": [{ "op": "insert", "collection": "documents", "document": { "name": 5 } }] });
    let refused = owner.post(&format!("{}/batch", acme.path()), &batch).await.refused("schema_violation");
    assert_eq!(pointers(&refused), ["/operations/0/document/name"]);
    assert_eq!(items(&acme).await, before, "a refused write has changed something");

    owner.post(&format!("{one}/update"), &json!({ "update": { "$inc": { "age": 1 } } })).await.ok();
    owner.patch(&one, &json!({ "age": 7 })).await.ok();
    owner.put(&one, &json!({ "name": "Bea" })).await.ok();
}

#[tokio::test]
async fn schema_checks_each_line_and_each_element() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    set(&acme, json!({ "schema": person() })).await;
    let lines =
        "{\"_id\":1,\"name\":\"Ann\"}\n{\"_id\":2}\n{\"_id\":3,\"name\":\"Cid\"}\n{\"_id\":4,\"name\":4}\n";
    let answer = insert_lines(&acme.owner, &acme.documents(), lines).await.lines();
    let statuses: Vec<&Value> = answer[..4].iter().map(|line| &line["status"]).collect();
    assert_eq!(statuses, [201, 400, 201, 400]);
    assert_eq!((&answer[1]["code"], &answer[1]["line"]), (&json!("schema_violation"), &json!(2)));
    assert_eq!(pointers(&answer[3]), ["/name"]);
    assert_eq!(answer[4], json!({ "inserted": 2, "repeated": 0, "refused": 2, "lines": 4 }));
    let array = json!([{ "_id": 5, "name": "Eve" }, { "_id": 6, "name": "F" }]);
    let answer = acme.owner.post(&acme.documents(), &array).await.lines();
    assert_eq!((&answer[0]["status"], &answer[1]["code"]), (&json!(201), &json!("schema_violation")));

    // A repeated request finds what it has stored, even if the schema would refuse it now.
    let keyed = acme.owner.with_header("idempotency-key", "lines");
    let sent = insert_lines(&keyed, &acme.documents(), "{\"name\":\"Gil\"}\n").await.lines();
    assert_eq!(sent[0]["status"], 201);
    set(&acme, json!({ "schema": false })).await;
    let again = insert_lines(&keyed, &acme.documents(), "{\"name\":\"Gil\"}\n").await.lines();
    assert_eq!((&again[0]["repeated"], &again[0]["id"]), (&json!(true), &sent[0]["id"]));
    let all = items(&acme).await;
    assert_eq!(all.as_array().unwrap().len(), 4, "{all}");
}

#[tokio::test]
async fn batch_with_violating_operation_changes_nothing() {
    let (app, _set) = app_with_transactions().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.collections(), &json!({ "name": "free" })).await.created();
    set(&acme, json!({ "schema": person() })).await;
    acme.store(&[json!({ "_id": 1, "name": "Ann" })]).await;
    let of = |op: &str, more: Value| {
        let mut operation = json!({ "op": op, "collection": "documents", "id": "~1" });
        operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        operation
    };
    for (bad, pointer) in [
        (
            json!({ "op": "insert", "collection": "documents", "document": { "_id": 2 } }),
            "/operations/1/document/name",
        ),
        (of("replace", json!({ "document": {} })), "/operations/1/document/name"),
        (of("patch", json!({ "patch": { "name": null } })), "/operations/1/name"),
        (of("update", json!({ "update": { "$unset": { "name": "" } } })), "/operations/1/name"),
        (
            of("update", json!({ "id": "new", "update": { "$set": { "a": 1 } }, "upsert": true })),
            "/operations/1/name",
        ),
    ] {
        let operations = json!([{ "op": "insert", "collection": "free", "document": {} }, bad]);
        let answer =
            acme.owner.post(&format!("{}/batch", acme.path()), &json!({ "operations": operations })).await;
        answer.refused_at("schema_violation", pointer);
    }
    assert_eq!(items(&acme).await, json!([{ "_id": 1, "name": "Ann" }]));
    let free = acme.owner.get(&format!("{}/free/documents", acme.collections())).await.ok();
    assert_eq!(free["items"], json!([]));
    let good = json!([{ "op": "insert", "collection": "free", "document": {} }, of("patch", json!({ "patch": { "age": 1 } }))]);
    acme.owner.post(&format!("{}/batch", acme.path()), &json!({ "operations": good })).await.ok();
}

#[tokio::test]
async fn moderate_schema_lets_violating_documents_change() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": 1, "n": 1 }), json!({ "_id": 2, "name": "Ann" })]).await;
    set(&acme, json!({ "schema": person(), "level": "moderate" })).await;
    let (owner, documents) = (&acme.owner, acme.documents());
    owner.patch(&format!("{documents}/~1"), &json!({ "n": 2 })).await.ok();
    owner.put(&format!("{documents}/~1"), &json!({ "n": 3 })).await.ok();
    owner.post(&format!("{documents}/~1/update"), &json!({ "update": { "$inc": { "n": 1 } } })).await.ok();
    let batch = json!({ "operations": [{ "op": "patch", "collection": "documents", "id": "~1", "patch": { "n": 5 } }] });
    owner.post(&format!("{}/batch", acme.path()), &batch).await.ok();
    owner.patch(&format!("{documents}/~2"), &json!({ "name": null })).await.refused("schema_violation");
    owner.post(&documents, &json!({})).await.refused("schema_violation");
    // Once it is valid, it stays so.
    owner.patch(&format!("{documents}/~1"), &json!({ "name": "Bea" })).await.ok();
    owner.patch(&format!("{documents}/~1"), &json!({ "name": null })).await.refused("schema_violation");
    set(&acme, json!({ "schema": { "required": ["other"] }, "level": "strict" })).await;
    owner.patch(&format!("{documents}/~1"), &json!({ "n": 2 })).await.refused("schema_violation");
    owner.delete(&format!("{documents}/~1")).await.done();
}

#[tokio::test]
async fn schema_that_warns_lets_writes_pass_and_counts_them() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    set(&acme, json!({ "schema": person(), "action": "warn" })).await;
    let (owner, documents) = (&acme.owner, acme.documents());
    owner.post(&documents, &json!({ "_id": 1 })).await.created();
    owner.patch(&format!("{documents}/~1"), &json!({ "age": -1 })).await.ok();
    let lines = insert_lines(owner, &documents, "{\"_id\":2}\n{\"_id\":3,\"name\":\"Cid\"}\n").await.lines();
    assert_eq!(lines[2]["inserted"], 2);
    let batch =
        json!({ "operations": [{ "op": "insert", "collection": "documents", "document": { "_id": 4 } }] });
    owner.post(&format!("{}/batch", acme.path()), &batch).await.ok();
    let check = owner.post_empty(&format!("{}/check", acme.about("schema"))).await.lines();
    assert_eq!(check.last().unwrap()["violating"], 3);
}

#[tokio::test]
async fn schema_too_costly_for_a_document_refuses_it() {
    let app = Setup::unlimited().with("--query-timeout=1").start().await;
    let acme = organization(&app, "Acme").await;
    let node = |name: &str| json!({ "properties": { "a": { "$ref": "#/$defs/n" } }, "required": [name] });
    let schema = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "anyOf": [node("x"), node("y")] } } });
    set(&acme, json!({ "schema": schema })).await;
    let deep: Value = (0..60).fold(json!(1), |inner, _| json!({ "a": inner }));
    let refused = acme.owner.post(&acme.documents(), &deep).await.refused("query_too_slow");
    assert!(refused["detail"].as_str().unwrap().contains("schema"), "{refused}");
    acme.owner.post(&acme.documents(), &json!({ "x": 1 })).await.created();
}
