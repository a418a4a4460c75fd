//! A transfer copies every kind of record: a new kind must be copied, too, or be named here as one that is not.

use super::{command, embedded, identity, path, said};
use crate::support::fixtures::{sign_in, with_access};
use crate::support::store::{api_key, insert, invitation, with_store};
use crate::support::test_env::TestEnv;
use ::mongodb::bson::doc;
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeMap;
use tenantry_domain::api_key::ApiKeyOwner;
use tenantry_domain::ids::{AccountId, MailId, OrganizationId};
use tenantry_domain::mail::QueuedMail;
use tenantry_domain::store::BoundedInsert;

/// Tables that a transfer leaves behind, and why.
const NOT_COPIED: [(&str, &str); 7] = [
    ("reserved_keys", "follow from the organizations"),
    ("memberships", "follow from the accounts"),
    ("requests", "responses that are kept for a day, for requests to the service that is replaced"),
    ("request_holders", "count those"),
    ("throttles", "counters of attempts, which end by themselves"),
    ("heartbeat", "serves the engine"),
    ("audit_outbox", "its events are linked into their chains before the copy"),
];

/// How many rows each table has.
fn counts(control: &Connection) -> BTreeMap<String, i64> {
    let listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut tables = control.prepare(listed).unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: &String| {
        let query = format!("SELECT count(*) FROM {name}");
        (name.clone(), control.query_row(&query, [], |row| row.get(0)).unwrap())
    };
    names.iter().map(count).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfer_copies_every_kind_of_record() {
    let app = embedded().await;
    let owner = with_access(&app, &sign_in(&app, "owner@acme.example").await);
    let role = json!({ "name": "billing", "permissions": ["documents:read"] });
    owner.post("/v1/organizations/acme-global/roles", &role).await.created();
    let answer = app.operator().get("/v1/organizations/acme-global/export").await;
    let archive = Some(("application/x-ndjson", answer.text.into_bytes()));
    let query = "id=new&organization_name=Copy&owner_email=copy@acme.example";
    let import = format!("/v1/organizations/import?{query}");
    let imported = app.operator().send(reqwest::Method::POST, &import, archive).await.created();
    let source = app.stop().await;
    let organization = OrganizationId::from_bytes([1; 12]);
    let mail = QueuedMail {
        id: MailId::from_bytes([1; 12]),
        organization_id: Some(organization),
        sealed: vec![1, 2, 3],
        attempts: 0,
        due_at: at(4_000_000_000),
        expires_at: at(4_000_000_000),
        created_at: Timestamp::UNIX_EPOCH,
        version: 1,
    };
    with_store(&source, async |store| {
        let key = api_key(1, ApiKeyOwner::Organization(organization));
        insert(&store, &[key], &[invitation(1, organization, at(4_000_000_000))]).await;
        assert_eq!(store.mails.insert_mail(&mail, 10).await.unwrap(), BoundedInsert::New);
        let identity = identity("ada", AccountId::from_bytes([1; 12]));
        let inserted = store.identities.insert_identity(&identity, 20, None).await.unwrap();
        assert_eq!(inserted, BoundedInsert::New);
    })
    .await;

    let test_env = TestEnv::new();
    said(&command(&test_env, &path(&source.data_dir()), "MONGO_URI", "collection").output().unwrap());
    let database = test_env.database().unwrap();
    let control = Connection::open(source.data_dir().join("control.db")).unwrap();
    for (table, count) in counts(&control) {
        if NOT_COPIED.iter().any(|(name, _)| *name == table) {
            continue;
        }
        assert!(
            count > 0,
            "`{table}` is empty: let this test fill it, or name it among those that are not copied"
        );
        let copied = database.find(&table, doc! {}).len() as i64;
        // The version of the schema is there, too.
        let more = i64::from(table == "installation");
        assert!(copied >= count - more, "`{table}` has {count} records, {copied} of them were copied");
    }
    // With all that they hold: the transfer itself compares both sides, and these are what archives have brought.
    let record = database.find("organizations", doc! { "name": "Copy" }).pop().unwrap();
    assert_eq!(record.get_array("trails").unwrap().len(), 1, "{imported}");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}
