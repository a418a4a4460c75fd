//! Writes the second data set, as `tests/data/README.md` says: run once, by the state that it is of, and committed.
//!
//! On MongoDB there is each organization once in every placement, on the embedded engine once: a host, and the
//! organizations of its members, whose names are their roles in it.

use super::super::write::keyed;
use crate::backup::Backups;
use crate::support::app::App;
use crate::support::client::Client;
use crate::support::data_set::{DataSet, Writer, empty_place};
use crate::support::fixtures::{Organization, PASSWORD, invited, sign_in, with_access};
use crate::support::keys::{exchange, organization_key, service_key, with_key};
use crate::support::test_env::Engine;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the data set that is committed: see tests/data/README.md"]
async fn write_second_data_set() {
    let (test_env, _mongod) = empty_place(crate::engine());
    let app = App::at(test_env).await;
    let placements = match crate::engine() {
        Engine::Embedded => vec![None],
        Engine::MongoDb => vec![Some("collection"), Some("database"), Some("shared")],
    };
    let (mut groups, mut archives) = (Map::new(), BTreeMap::new());
    for placement in placements {
        let name = placement.unwrap_or("files");
        let (group, archive) = write_group(&app, name, placement).await;
        groups.insert(name.to_owned(), group);
        archives.insert(format!("host-{name}"), archive);
    }
    app.clock.advance(Duration::from_secs(60));
    app.maintain().await;
    let facts = json!({ "groups": groups, "clock": app.clock.milliseconds() });
    let test_env = app.stop().await;
    let backups = Backups::new();
    backups.back_up(&test_env).await;
    DataSet::pack(Writer::Second, &test_env, &facts, &archives, Some(&backups.directory()));
}

async fn create(app: &App, name: &str, placement: Option<&str>) -> Organization {
    let email = format!("owner@{}.example", name.to_lowercase().replace(' ', "-"));
    let mut body = json!({ "organization_name": name, "email": email, "password": PASSWORD });
    if let Some(placement) = placement {
        body["placement"] = json!(placement);
    }
    let body = app.operator().post("/v1/organizations", &body).await.created();
    let tokens = sign_in(app, &email).await;
    let owner = with_access(app, &tokens);
    Organization { body, owner, tokens }
}

async fn write_group(app: &App, suffix: &str, placement: Option<&str>) -> (Value, String) {
    let host = create(app, &format!("Host {suffix}"), placement).await;
    let role = json!({ "name": "auditor", "description": "Reads.", "permissions": ["documents:read", "audit:read"] });
    host.owner.post(&format!("{}/roles", host.path()), &role).await.created();
    let mut members = Map::new();
    for role in ["admin", "member", "viewer", "auditor"] {
        let guest = create(app, &format!("{role} {suffix}"), placement).await;
        let joined = invited(app, &guest, &host, role).await;
        members.insert(role.to_owned(), token_of(&joined));
        members.insert(format!("{role}_email"), json!(guest.email()));
        app.clock.advance(Duration::from_secs(1));
    }
    let data = write_data(&host).await;
    let keys = write_keys(app, &host).await;
    let links = write_links(app, &host, suffix).await;
    let trail = app.operator().get(&format!("{}/audit?limit=200", host.path())).await.ok();
    let archive = app.operator().get(&format!("{}/export", host.path())).await;
    assert_eq!(archive.status, 200, "{archive}");
    let group = json!({
        "path": host.path(), "owner": host.tokens, "email": host.email(), "members": members,
        "listed": host.owner.get(&format!("{}/members", host.path())).await.ok(),
        "roles": host.owner.get(&format!("{}/roles", host.path())).await.ok(),
        "keys": keys, "links": links, "data": data, "trail": trail,
    });
    (group, archive.text)
}

fn token_of(client: &Client) -> Value {
    json!(client.header("authorization").unwrap().strip_prefix("Bearer ").unwrap())
}

/// A collection with a schema, indexes of some documents, and documents that were updated by operators.
async fn write_data(host: &Organization) -> Value {
    let schema = json!({
        "schema": { "type": "object", "properties": { "n": { "type": "integer", "minimum": 0 } } },
        "level": "moderate", "action": "error",
    });
    host.owner.put(&host.about("schema"), &schema).await.created();
    let indexes = [
        json!({ "name": "open_n", "keys": "n", "unique": true, "partial_filter": { "state": "open" } }),
        json!({ "name": "code", "keys": "code", "unique": true, "sparse": true }),
        json!({ "name": "until", "keys": "until", "expire_after_seconds": 3600 }),
    ];
    for index in indexes {
        host.owner.post(&host.about("indexes"), &index).await.created();
    }
    let documents: Vec<Value> = (0..20)
        .map(|n| json!({ "_id": n, "n": n, "state": if n % 2 == 0 { "open" } else { "done" }, "list": [n] }))
        .collect();
    host.store(&documents).await;
    let update = |id: u32| format!("{}/~{id}/update", host.documents());
    let change = json!({ "update": { "$inc": { "n": 100 }, "$push": { "list": "x" } } });
    let kept = keyed(&host.owner, "update-1", &update(1), "application/json", &change.to_string()).await;
    let many =
        json!({ "filter": { "state": "done" }, "update": { "$set": { "seen": true } }, "multi": true });
    host.owner.post(&host.about("update"), &many).await.ok();
    json!({
        "kept": kept, "schema": schema,
        "indexes": host.owner.get(&host.about("indexes")).await.ok(),
        "documents": host.owner.get(&format!("{}?limit=200&revisions=true", host.documents())).await.ok(),
    })
}

/// Keys in use, one that was rotated, one that was revoked, and a token that a service key was exchanged for.
async fn write_keys(app: &App, host: &Organization) -> Value {
    let permissions = ["documents:read", "documents:write"];
    let own = organization_key(host, &permissions).await;
    let rotated = organization_key(host, &permissions).await;
    let path = |key: &Value| format!("{}/keys/{}", host.path(), key["id"].as_str().unwrap());
    let renewed = host.owner.post_empty(&format!("{}/rotate", path(&rotated))).await.ok();
    let revoked = organization_key(host, &permissions).await;
    host.owner.delete(&path(&revoked)).await.done();
    let service = service_key(app, &["tokens:issue", "documents:read", "members:read"]).await;
    let token = exchange(&with_key(app, &service), &host.path(), &["documents:read"]).await.ok();
    json!({
        "own": own, "rotated": rotated, "renewed": renewed, "revoked": revoked, "service": service,
        "exchanged": token["access_token"],
    })
}

/// An invitation and a link that nobody has used.
async fn write_links(app: &App, host: &Organization, suffix: &str) -> Value {
    let body = json!({ "email": format!("new@{suffix}.example"), "role": "member" });
    let invitation = host.owner.post(&format!("{}/invitations", host.path()), &body).await.created();
    let links = format!("{}/links", host.member(host.owner_id()));
    let reset = app.operator().post(&links, &json!({ "kind": "password_reset" })).await.created();
    json!({ "invitation": invitation, "reset": reset })
}
