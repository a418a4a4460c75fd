//! Documents of an organization: one at a time here, many at once and queries in files of their own.

mod aggregates;
mod batch;
mod bulk;
mod conditional;
mod queries;
mod roles;
mod slow_senders;
pub mod updates;
mod value_format;

use crate::support::app::{App, Setup};
use crate::support::fixtures::organization;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn document_keeps_its_types_and_is_shown_as_stored() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let sent = r#"{
        "_id": {"$oid": "65f0a1b2c3d4e5f601234567"}, "z": 1, "a": 5.0, "big": 9007199254740993,
        "long": {"$numberLong": "7"}, "price": {"$numberDecimal": "12.50"}, "when": {"$date": "2026-01-02T03:04:05Z"},
        "bytes": {"$binary": {"base64": "AAEC", "subType": "00"}}, "list": [null, true, {"b": 1, "a": 2}], "é": "\u0001"
    }"#;
    let answer = acme
        .owner
        .send(Method::POST, &acme.documents(), Some(("application/json", sent.as_bytes().to_vec())))
        .await;
    let path = format!("{}/65f0a1b2c3d4e5f601234567", acme.documents());
    assert_eq!((answer.status.as_u16(), answer.header("location")), (201, path.as_str()));
    assert_eq!(answer.header("etag"), "\"1800000000000\"");
    insta::assert_snapshot!(answer.text, @r#"{"_id":{"$oid":"65f0a1b2c3d4e5f601234567"},"z":1,"a":5.0,"big":9007199254740993,"long":7,"price":{"$numberDecimal":"12.50"},"when":{"$date":"2026-01-02T03:04:05Z"},"bytes":{"$binary":{"base64":"AAEC","subType":"00"}},"list":[null,true,{"b":1,"a":2}],"é":"\u0001"}"#);
    let found = acme.owner.get(&path).await;
    assert_eq!((found.text.as_str(), found.header("etag")), (answer.text.as_str(), answer.header("etag")));
}

#[tokio::test]
async fn document_without_id_gets_a_new_one() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let answer = acme.owner.post(&acme.documents(), &json!({ "number": number })).await;
        let location = answer.header("location").to_owned();
        let made = answer.created();
        let id = made["_id"]["$oid"].as_str().unwrap();
        assert_eq!(location, format!("{}/{id}", acme.documents()));
        assert_eq!(acme.owner.get(&location).await.ok(), made);
        ids.push(id.to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn document_is_found_at_its_location_for_any_id() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let ids = [
        json!("plain"),
        json!("a/b c?d#e%25"),
        json!("é ~ ü"),
        json!("~5"),
        json!(".."),
        json!(""),
        json!("65f0a1b2c3d4e5f601234567"),
        json!(5),
        json!(-1.5),
        json!(true),
        json!({ "b": 1, "a": [1, "x"] }),
        json!({ "$numberDecimal": "0.1" }),
        json!({ "$date": "2026-01-02T03:04:05Z" }),
    ];
    for id in &ids {
        let answer = acme.owner.post(&acme.documents(), &json!({ "_id": id, "of": id })).await;
        let location = answer.header("location").to_owned();
        assert_eq!(answer.created()["_id"], *id, "{location}");
        assert_eq!(acme.owner.get(&location).await.ok()["of"], *id, "{location}");
        acme.owner.patch(&location, &json!({ "seen": true })).await.ok();
        acme.owner.delete(&location).await.done();
        acme.owner.get(&location).await.refused("document_not_found");
    }
    // Numbers are one id if they are worth the same.
    acme.owner.post(&acme.documents(), &json!({ "_id": 7 })).await.created();
    acme.owner.post(&acme.documents(), &json!({ "_id": 7.0 })).await.refused("document_exists");
    assert_eq!(acme.owner.get(&format!("{}/~7.0", acme.documents())).await.ok(), json!({ "_id": 7 }));
}

#[tokio::test]
async fn document_with_the_other_type_of_id_is_pointed_out() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (hex, capital) = ("65f0a1b2c3d4e5f601234567", "75F0A1B2C3D4E5F601234567");
    let at = |id: &str| format!("{}/{id}", acme.documents());
    for (stored, asked, hint) in [
        (json!(hex), hex.to_owned(), format!("a text. In a path it is written `~\"{hex}\"`.")),
        (json!(capital), capital.to_owned(), format!("a text. In a path it is written `~\"{capital}\"`.")),
        (json!(5), "5".to_owned(), "a number. In a path it is written `~5`.".to_owned()),
        (json!(1.5), "1.5".to_owned(), "a number. In a path it is written `~1.5`.".to_owned()),
    ] {
        acme.store(&[json!({ "_id": stored })]).await;
        for answer in [
            acme.owner.get(&at(&asked)).await,
            acme.owner.delete(&at(&asked)).await,
            acme.owner.put(&at(&asked), &json!({})).await,
            acme.owner.patch(&at(&asked), &json!({})).await,
            acme.owner
                .post(&format!("{}/update", at(&asked)), &json!({ "update": { "$set": { "a": 1 } } }))
                .await,
        ] {
            let problem = answer.refused("document_not_found");
            assert!(problem["detail"].as_str().unwrap().contains(&hint), "{hint}: {problem}");
        }
        // In a batch as well.
        let hint = hint.replace("In a path", "As an `id`");
        for (operation, code) in [
            (json!({ "op": "delete" }), "document_not_found"),
            (json!({ "op": "patch", "patch": {} }), "document_not_found"),
            (json!({ "op": "check", "exists": true }), "version_mismatch"),
        ] {
            let mut operation = operation;
            operation["collection"] = json!("documents");
            operation["id"] = json!(asked);
            let body = json!({ "operations": [operation] });
            let problem = acme.owner.post(&format!("{}/batch", acme.path()), &body).await.refused(code);
            let detail = problem["errors"][0]["detail"].as_str().unwrap();
            assert!(detail.contains(&hint), "{hint}: {problem}");
        }
    }
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 4);
    acme.owner.get(&at("66")).await.refused("document_not_found");
}

#[tokio::test]
async fn document_is_replaced_patched_and_deleted() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let first = json!({ "_id": "d", "a": 1, "b": { "c": 1, "d": [1, 2] } });
    acme.owner.post(&acme.documents(), &first).await.created();
    let path = format!("{}/d", acme.documents());
    let mut revisions = vec![acme.owner.get(&path).await.header("etag").to_owned()];

    for (method, body, expected) in [
        (Method::PUT, json!({ "x": 1 }), json!({ "_id": "d", "x": 1 })),
        (
            Method::PUT,
            json!({ "_id": "d", "a": 1, "b": { "c": 1 } }),
            json!({ "_id": "d", "a": 1, "b": { "c": 1 } }),
        ),
        (
            Method::PATCH,
            json!({ "a": null, "b": { "d": 2 } }),
            json!({ "_id": "d", "b": { "c": 1, "d": 2 } }),
        ),
        (
            Method::PATCH,
            json!({ "b": { "$numberDecimal": "2" } }),
            json!({ "_id": "d", "b": { "$numberDecimal": "2" } }),
        ),
        (Method::PATCH, json!({}), json!({ "_id": "d", "b": { "$numberDecimal": "2" } })),
    ] {
        let bytes = body.to_string().into_bytes();
        let answer = acme.owner.send(method, &path, Some(("application/json", bytes))).await;
        revisions.push(answer.header("etag").to_owned());
        assert_eq!(answer.ok(), expected, "{body}");
        let found = acme.owner.get(&path).await;
        assert_eq!((found.header("etag"), found.json()), (revisions.last().unwrap().as_str(), expected));
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 6);

    acme.owner.delete(&path).await.done();
    acme.owner.delete(&path).await.refused("document_not_found");
    acme.owner.put(&path, &json!({ "x": 1 })).await.refused("document_not_found");
    acme.owner.patch(&path, &json!({ "x": 1 })).await.refused("document_not_found");
    acme.owner.post(&acme.documents(), &first).await.created();
}

#[tokio::test]
async fn document_size_limit_is_independent_of_notation() {
    let app = Setup::unlimited().with("--max-document-kib=2").start().await;
    let acme = organization(&app, "Acme").await;
    let post = async |text: &str| {
        let body = format!("{{\"_id\":\"{}\",\"t\":\"{text}\"}}", text.len());
        acme.owner.send(Method::POST, &acme.documents(), Some(("application/json", body.into_bytes()))).await
    };
    // Six bytes in the body for each byte of the document.
    assert_eq!(post(&"\\u0001".repeat(1900)).await.created()["t"].as_str().unwrap().len(), 1900);
    post(&"x".repeat(1900)).await.created();
    let refused = post(&"x".repeat(2048)).await.refused("invalid_input");
    assert!(refused["errors"][0]["detail"].as_str().unwrap().contains("at most 2048"), "{refused}");
    post(&"x".repeat(12 * 1024)).await.refused("body_too_large");

    let path = format!("{}/1900", acme.documents());
    let patched = acme.owner.patch(&path, &json!({ "more": "y".repeat(200) })).await;
    assert!(patched.refused("invalid_input")["errors"][0]["detail"].as_str().unwrap().contains("2048"));
    acme.owner.put(&path, &json!({ "t": "y".repeat(2048) })).await.refused("invalid_input");
    assert_eq!(acme.owner.get(&path).await.ok()["t"], "x".repeat(1900));
}

#[tokio::test]
async fn document_insert_with_idempotency_key_is_replayed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let keyed = acme.owner.with_header("idempotency-key", "key-1");
    let first = keyed.post(&acme.documents(), &json!({ "a": 1 })).await;
    let again = keyed.post(&acme.documents(), &json!({ "a": 1 })).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    for name in ["etag", "location"] {
        assert_eq!(again.header(name), first.header(name));
    }
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    keyed.post(&acme.documents(), &json!({ "a": 2 })).await.refused("idempotency_key_reused");
    acme.owner.post(&acme.collections(), &json!({ "name": "other" })).await.created();
    let elsewhere = format!("{}/other/documents", acme.collections());
    keyed.post(&elsewhere, &json!({ "a": 1 })).await.refused("idempotency_key_reused");

    // An answer is made again of the request, however large the document is.
    let large = json!({ "text": "\u{1}".repeat(300_000) });
    let keyed = acme.owner.with_header("idempotency-key", "key-2");
    let first = keyed.post(&acme.documents(), &large).await;
    let again = keyed.post(&acme.documents(), &large).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!((again.status.as_u16(), again.text.len()), (201, first.text.len()));
    assert_eq!(again.text, first.text);
    for name in ["etag", "location"] {
        assert_eq!(again.header(name), first.header(name));
    }
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok(), json!({ "count": 2 }));
}

#[tokio::test]
async fn documents_of_each_organization_are_separate() {
    let app = App::start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    for (organization, canary) in [(&acme, "acme"), (&other, "other")] {
        organization
            .owner
            .post(&organization.documents(), &json!({ "_id": 1, "canary": canary }))
            .await
            .created();
    }
    for (organization, canary) in [(&acme, "acme"), (&other, "other")] {
        let found = organization.owner.get(&organization.documents()).await.ok();
        assert_eq!(found["items"], json!([{ "_id": 1, "canary": canary }]));
    }
    acme.owner.get(&other.documents()).await.refused("organization_not_found");
    acme.owner.delete(&format!("{}?filter=%7B%7D", acme.documents())).await.ok();
    assert_eq!(other.owner.get(&other.about("count")).await.ok()["count"], 1);
}

#[tokio::test]
async fn documents_follow_rename_and_restore() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
    let orders = format!("{}/orders/documents", acme.collections());
    acme.owner.post(&orders, &json!({ "_id": 1 })).await.created();
    acme.owner.patch(&acme.path(), &json!({ "organization_name": "Acme Global" })).await.ok();
    let renamed = "/v1/organizations/acme-global/collections/orders/documents";
    assert_eq!(acme.owner.get(renamed).await.ok()["items"], json!([{ "_id": 1 }]));
    acme.owner.post(renamed, &json!({ "_id": 2 })).await.created();

    app.operator().delete(&acme.path()).await.ok();
    acme.owner.get(&orders).await.refused("token_revoked");
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    let tokens = crate::support::fixtures::sign_in(&app, acme.email()).await;
    let owner = crate::support::fixtures::with_access(&app, &tokens);
    let items: Value = owner.get(&orders).await.ok()["items"].take();
    assert_eq!(items, json!([{ "_id": 1 }, { "_id": 2 }]));
}

/// A hundred parallel changes of one document that depend on nothing are all made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn document_accepts_a_hundred_independent_patches() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.documents(), &json!({ "_id": "one" })).await.created();
    let path = format!("{}/one", acme.documents());
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..100 {
        let (owner, path) = (acme.owner.clone(), path.clone());
        changes.spawn(async move {
            // As its refusal says: on a busy machine others may take longer than a change waits.
            let change = json!({ format!("f{number}"): number });
            let mut answer = owner.patch(&path, &change).await;
            while answer.is_refused("document_busy") {
                answer = owner.patch(&path, &change).await;
            }
            answer.ok()
        });
    }
    changes.join_all().await;
    assert_eq!(acme.owner.get(&path).await.ok().as_object().unwrap().len(), 101);
}

/// A header that would rule a change out is refused where it has no effect, never ignored.
#[tokio::test]
async fn document_preconditions_that_do_not_apply_are_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post(&acme.documents(), &json!({ "_id": "one" })).await.created();
    let path = format!("{}/one", acme.documents());
    let ruled_out = acme.owner.with_header("if-none-match", "*");
    // It creates a document, and this one is there.
    ruled_out.put(&path, &json!({ "over": 1 })).await.refused("version_mismatch");
    let tagged = acme.owner.with_header("if-none-match", "\"1\"");
    tagged.put(&path, &json!({ "over": 1 })).await.refused("invalid_header");
    ruled_out.patch(&path, &json!({ "over": 1 })).await.refused("invalid_header");
    ruled_out.delete(&path).await.refused("invalid_header");
    let compressed = acme.owner.with_header("content-encoding", "br");
    compressed.post(&acme.documents(), &json!({ "_id": 2 })).await.refused("unsupported_media_type");
    let lines = Some(("application/x-ndjson", b"{}\n".to_vec()));
    compressed.send(Method::POST, &acme.documents(), lines).await.refused("unsupported_media_type");
    assert_eq!(acme.owner.get(&acme.documents()).await.ok()["items"], json!([{ "_id": "one" }]));
    let none = "?filter=%7B%22a%22%3A%7B%22%24size%22%3A9223372036854775807%7D%7D";
    assert_eq!(acme.owner.get(&format!("{}{none}", acme.documents())).await.ok()["items"], json!([]));
}
