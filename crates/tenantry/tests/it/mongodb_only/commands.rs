//! How many commands a request costs at the server.

use crate::support::app::{App, Setup};
use crate::support::client::Answer;
use crate::support::fixtures::organization;
use crate::support::mongodb::Database;
use mongodb::bson::{Document, doc};
use serde_json::json;

/// What the server was asked since the last time: the names of the commands on `collection`, and how often organizations
/// were looked for by their names.
fn asked(database: &Database, collection: &str) -> (Vec<String>, usize) {
    let own = format!("{}.{collection}", database.name());
    let records = format!("{}.organizations", database.name());
    let all = database.find("system.profile", doc! { "appName": "tenantry" });
    let on = |entry: &&Document, namespace: &str| entry.get_str("ns").is_ok_and(|ns| ns == namespace);
    let commands =
        all.iter().filter(|entry| on(entry, &own)).map(|entry| entry.get_str("op").unwrap().to_owned());
    let by_name = all.iter().filter(|entry| {
        let filter = entry.get_document("command").and_then(|command| command.get_document("filter"));
        on(entry, &records) && filter.is_ok_and(|filter| filter.contains_key("identifier"))
    });
    let asked = (commands.collect(), by_name.count());
    database.command(doc! { "profile": 0 }).unwrap();
    database.command(doc! { "drop": "system.profile" }).unwrap();
    database.command(doc! { "profile": 2 }).unwrap();
    asked
}

#[tokio::test]
async fn signed_in_requests_send_the_fewest_commands() {
    let app: App = Setup::unlimited().start().await;
    let database = app.test_env().database().unwrap();
    let acme = organization(&app, "Acme").await;
    // By its name, as people write it.
    let own = "/v1/organizations/acme";
    let documents = format!("{own}/collections/documents/documents");
    acme.owner.post(&documents, &json!({ "_id": "first", "n": 1 })).await.created();
    acme.owner.patch(&format!("{documents}/first"), &json!({ "n": 2 })).await.ok();
    database.command(doc! { "profile": 2 }).unwrap();
    asked(database, "tenant_acme");
    let expect = |answer: Answer, status: u16, commands: &[&str]| {
        assert_eq!(answer.status, status, "{answer}");
        let (own, by_name) = asked(database, "tenant_acme");
        assert_eq!(
            (own.iter().map(String::as_str).collect::<Vec<_>>(), by_name),
            (commands.to_vec(), 0),
            "{answer}"
        );
    };
    expect(acme.owner.get(own).await, 200, &[]);
    expect(acme.owner.get(&format!("{documents}/first")).await, 200, &["query"]);
    expect(acme.owner.get(&documents).await, 200, &["query"]);
    expect(acme.owner.post(&documents, &json!({ "n": 3 })).await, 201, &["insert"]);
    expect(
        acme.owner.patch(&format!("{documents}/first"), &json!({ "n": 4 })).await,
        200,
        &["query", "update"],
    );
}
