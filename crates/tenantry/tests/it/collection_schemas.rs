//! Schemas of collections: every way in is checked, what is refused names every place, and what is there can be checked.

mod checks;
mod ways_in;

use crate::support::app::App;
use crate::support::fixtures::{Organization, organization, with_role};
use serde_json::{Value, json};

/// Sets the schema of the collection `documents`.
async fn set(acme: &Organization, schema: Value) {
    let answer = acme.owner.put(&acme.about("schema"), &schema).await;
    assert!(answer.status.is_success(), "{answer}");
}

/// A person: with a name, and with an age that is a number of years.
fn person() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": { "type": "string", "minLength": 2 },
            "age": { "type": "integer", "minimum": 0 },
            "born": { "$ref": "#/$defs/date" },
        },
        "$defs": { "date": { "required": ["$date"] } },
    })
}

#[tokio::test]
async fn schema_is_set_shown_replaced_and_removed() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (path, owner) = (acme.about("schema"), &acme.owner);
    owner.get(&path).await.refused("schema_not_found");
    owner.delete(&path).await.refused("schema_not_found");
    let made = owner.put(&path, &json!({ "schema": person() })).await;
    assert_eq!(made.header("location"), path);
    let tag = made.header("etag").to_owned();
    let made = made.created();
    assert_eq!(made, json!({ "schema": person(), "level": "strict", "action": "error" }));
    let shown = owner.get(&path).await;
    assert_eq!(shown.header("etag"), tag);
    assert_eq!(shown.ok(), made);
    assert_eq!(owner.with_header("if-none-match", &tag).get(&path).await.status, 304);

    let other = json!({ "schema": true, "level": "moderate", "action": "warn" });
    let stale = owner.with_header("if-match", "\"0123456789abcdef0123456789abcdef\"");
    stale.put(&path, &other).await.refused("version_mismatch");
    stale.delete(&path).await.refused("version_mismatch");
    assert_eq!(owner.with_header("if-match", &tag).put(&path, &other).await.ok(), other);
    owner.with_header("if-match", &tag).put(&path, &other).await.refused("version_mismatch");
    owner.delete(&path).await.done();
    owner.with_header("if-match", &tag).put(&path, &other).await.refused("version_mismatch");
    owner.get(&path).await.refused("schema_not_found");
    owner
        .put(&path, &json!({ "schema": person(), "level": "lax", "action": 1, "more": true }))
        .await
        .refused_fields(&["/level", "/action", "/more"]);
    owner.put(&path, &json!({})).await.refused_fields(&["/schema"]);
    acme.store(&[json!({ "_id": 1 })]).await;
}

#[tokio::test]
async fn schema_that_is_not_allowed_is_refused_by_pointer() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (schema, pointers) in [
        (json!({ "type": "text" }), &["/schema/type"][..]),
        (
            json!({ "type": 1, "properties": { "a": { "minimum": "0" } } }),
            &["/schema/properties/a/minimum", "/schema/type"],
        ),
        (json!({ "$ref": "https://example.com/person" }), &["/schema/$ref"]),
        (json!({ "$ref": "#/$defs/none" }), &["/schema/$ref"]),
        (json!({ "allOf": [{ "$ref": "#" }] }), &["/schema/allOf/0/$ref"]),
        (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), &["/schema/$schema"]),
        (json!({ "properties": { "a": { "pattern": "(?<=a)b" } } }), &["/schema/properties/a/pattern"]),
        (json!({ "pattern": "(a*)*" }), &["/schema/pattern"]),
        (
            json!({ "patternProperties": { "^(x{200}){200}$": {} } }),
            &["/schema/patternProperties/^(x{200}){200}$"],
        ),
        (json!({ "bsonType": "object" }), &["/schema/bsonType"]),
        (json!([]), &["/schema"]),
        (json!("true"), &["/schema"]),
        (json!({ "title": "x".repeat(70_000) }), &["/schema"]),
    ] {
        let answer = acme.owner.put(&acme.about("schema"), &json!({ "schema": schema })).await;
        answer.refused_fields(pointers);
    }
    let put = async |json: String| {
        let body = Some(("application/json", json.into_bytes()));
        acme.owner.send(reqwest::Method::PUT, &acme.about("schema"), body).await
    };
    let nested = |levels: usize| format!("{}true{}", "{\"not\": ".repeat(levels), "}".repeat(levels));
    put(format!("{{\"schema\": {}}}", nested(120))).await.created();
    acme.owner.delete(&acme.about("schema")).await.done();
    put(format!("{{\"schema\": {}}}", nested(130))).await.refused_fields(&["/schema"]);
    put(r#"{"schema": {"type": "object", "type": "string"}}"#.into()).await.refused_fields(&["/schema/type"]);
    acme.owner.get(&acme.about("schema")).await.refused("schema_not_found");
}

#[tokio::test]
async fn schema_needs_the_right_to_shape_collections() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = acme.about("schema");
    set(&acme, json!({ "schema": person() })).await;
    let (app, viewer) = with_role(app, &acme, "viewer").await;
    viewer.get(&path).await.ok();
    viewer.put(&path, &json!({ "schema": true })).await.refused("role_insufficient");
    viewer.delete(&path).await.refused("role_insufficient");
    viewer.post(&format!("{path}/check"), &json!({ "schema": true })).await.lines();
    let (_app, member) = with_role(app, &acme, "member").await;
    member.put(&path, &json!({ "schema": true })).await.refused("role_insufficient");
}

#[tokio::test]
async fn schema_ends_with_its_collection_and_follows_a_rename() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let orders = format!("{}/orders", acme.collections());
    let (schema, documents) = (format!("{orders}/schema"), format!("{orders}/documents"));
    acme.owner.get(&schema).await.refused("collection_not_found");
    acme.owner.put(&schema, &json!({ "schema": person() })).await.refused("collection_not_found");
    let create = async || acme.owner.post(&acme.collections(), &json!({ "name": "orders" })).await.created();
    create().await;
    acme.owner.put(&schema, &json!({ "schema": person() })).await.created();
    acme.owner.post(&documents, &json!({})).await.refused("schema_violation");
    acme.owner.delete(&orders).await.done();
    create().await;
    acme.owner.get(&schema).await.refused("schema_not_found");
    acme.owner.post(&documents, &json!({})).await.created();

    acme.owner.put(&schema, &json!({ "schema": person() })).await.created();
    let rename = json!({ "organization_name": "Acme", "new_organization_name": "Beta" });
    acme.owner.put("/org/update", &rename).await.ok();
    acme.owner.get(&schema).await.ok();
    acme.owner.post(&documents, &json!({})).await.refused("schema_violation");
}
