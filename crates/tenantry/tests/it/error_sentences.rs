//! Sentences of refusals: every 404 names what the caller has asked for, and says the same whether it does not exist or is
//! hidden from them.

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::organization;
use reqwest::Method;
use serde_json::{Value, json};

async fn detail(client: &Client, method: Method, path: &str, body: Option<&Value>, code: &str) -> String {
    let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
    let problem = client.send(method, path, body).await.refused(code);
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn refusals_name_what_the_path_names() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (owner, path) = (&acme.owner, acme.path());
    let absent = "0123456789abcdef01234567";
    let cases = [
        (
            "/v1/organizations/nope".to_owned(),
            "organization_not_found",
            "No organization has the name or id `nope`. ",
        ),
        (
            "/v1/organizations/Not%20a%20name%21".to_owned(),
            "organization_not_found",
            "No organization has the name or id `Not a name!`. ",
        ),
        (
            format!("{path}/collections/orders/documents"),
            "collection_not_found",
            "The organization has no collection `orders`. ",
        ),
        (
            format!("{path}/collections/documents/documents/~5"),
            "document_not_found",
            "The collection `documents` has no document with the `_id` `~5`. ",
        ),
        (
            format!("{path}/collections/documents/indexes/by_n"),
            "index_not_found",
            "The collection `documents` has no index `by_n`. ",
        ),
        (
            format!("{path}/collections/documents/schema"),
            "schema_not_found",
            "The collection `documents` has no schema. ",
        ),
        (
            format!("{path}/members/nobody"),
            "member_not_found",
            "The organization has no member with the account `nobody`. ",
        ),
        (
            format!("{path}/roles/clerk"),
            "role_not_found",
            "The organization has no role `clerk` of its own. ",
        ),
        (format!("{path}/keys/{absent}"), "key_not_found", &format!("No key has the id `{absent}`. ")),
        (
            format!("/v1/operations/{absent}"),
            "operation_not_found",
            &format!("No operation has the id `{absent}`. "),
        ),
    ];
    for (path, code, begin) in cases {
        let detail = detail(owner, Method::GET, &path, None, code).await;
        assert!(detail.starts_with(begin), "{path}: {detail}");
    }
    let session = format!("/v1/me/sessions/{absent}");
    let ended = detail(owner, Method::DELETE, &session, None, "session_not_found").await;
    assert!(ended.starts_with(&format!("The account has no session `{absent}`. ")), "{ended}");
    let invitation = format!("{path}/invitations/{absent}");
    let revoked = detail(owner, Method::DELETE, &invitation, None, "invitation_not_found").await;
    assert!(revoked.starts_with(&format!("The organization has no invitation `{absent}`. ")), "{revoked}");
    let nobody = "/org/get?organization_name=Nobody";
    let found = detail(&app.client(), Method::GET, nobody, None, "organization_not_found").await;
    assert!(found.starts_with("No organization has the name or id `Nobody`. "), "{found}");
}

#[tokio::test]
async fn refusals_of_hidden_and_absent_things_are_alike() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    other.owner.post(&other.collections(), &json!({ "name": "orders" })).await.created();
    let absent = "0123456789abcdef01234567";
    for below in ["", "/usage", "/members", "/collections/orders", "/roles/clerk", "/audit"] {
        let ask = async |name: &str| {
            let path = format!("/v1/organizations/{name}{below}");
            let mut answer = acme.owner.send(Method::GET, &path, None).await.json();
            answer.as_object_mut().unwrap().remove("request_id");
            answer.to_string().replace(name, "NAME")
        };
        assert_eq!(ask(other.id()).await, ask(absent).await, "{below}");
        assert_eq!(ask("other").await, ask("nobody").await, "{below}");
    }
}

#[tokio::test]
async fn refusals_repeat_little_and_no_text_of_a_key() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let long = format!("/v1/organizations/{}", "x".repeat(5000));
    let shown = detail(&acme.owner, Method::GET, &long, None, "organization_not_found").await;
    assert!(shown.len() < 300, "{shown}");
    let key = json!({ "name": "backup", "permissions": ["documents:read"] });
    let made = acme.owner.post(&format!("{}/keys", acme.path()), &key).await.created();
    let text = made["key"].as_str().unwrap();
    let path = format!("{}/keys/{text}", acme.path());
    let shown = detail(&acme.owner, Method::GET, &path, None, "key_not_found").await;
    assert!(!shown.contains(text), "{shown}");
}

/// What is not accepted is refused with what is.
#[tokio::test]
async fn refusals_of_operators_and_cursors_say_what_is_accepted() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (what, body, accepted) in [
        ("count", json!({ "filter": { "a": { "$near": 1 } } }), "`$elemMatch`"),
        ("count", json!({ "filter": { "$where": "1" } }), "`$nor`"),
        ("update", json!({ "filter": {}, "update": { "$replace": { "a": 1 } } }), "$setOnInsert"),
        ("aggregate", json!({ "pipeline": [{ "$addFields": { "a": { "$rand": {} } } }] }), "`$ifNull`"),
        ("query", json!({ "cursor": "b" }), "`next_cursor`"),
    ] {
        let refused = acme.owner.post(&acme.about(what), &body).await.refused("invalid_input");
        assert!(refused["errors"][0]["detail"].as_str().unwrap().contains(accepted), "{refused}");
    }
    let members = format!("{}/members?cursor=b", acme.path());
    let refused = acme.owner.get(&members).await.refused("invalid_input");
    assert!(refused["errors"][0]["detail"].as_str().unwrap().contains("`next_cursor`"), "{refused}");
}

#[tokio::test]
async fn limit_that_is_reached_is_named_with_its_number() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}/roles", acme.path());
    let role = |number: usize| json!({ "name": format!("role-{number}"), "permissions": ["documents:read"] });
    for number in 0..32 {
        acme.owner.post(&path, &role(number)).await.created();
    }
    let refused = acme.owner.post(&path, &role(32)).await.refused("too_many_roles");
    let expected =
        "The organization has reached its limit of 32 roles of its own. Delete one that nobody has.";
    assert_eq!(refused["detail"], expected);
}
