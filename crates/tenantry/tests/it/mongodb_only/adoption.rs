//! `tenantry adopt`: from the four layouts that it knows, by copy to both engines and in place.

#[cfg(feature = "crash-points")]
mod alone;
mod conflicts;
mod in_place;
#[cfg(feature = "crash-points")]
mod interrupted;
mod printed;
mod separation;
mod source;
mod writers;

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::command_output::{refused, said};
use crate::support::fixtures::{PASSWORD, credentials, with_access};
use crate::support::mongodb;
use crate::support::records::password_hash;
use crate::support::test_env::{Engine, TestEnv};
use ::mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};
use source::{Classic, Source, address};
use std::process::{Command, Output, Stdio};
use tenantry_test_mongod::Mongod;

/// An adoption from a source to a target.
fn command(source: &Source, target: &TestEnv, arguments: &[&str]) -> Command {
    from_uri(source, source.database.uri(), target, arguments)
}

/// The same, with another connection string.
fn from_uri(source: &Source, uri: &str, target: &TestEnv, arguments: &[&str]) -> Command {
    let names_database = arguments.iter().any(|argument| argument.starts_with("--master-db="));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command
        .args(["adopt", "--from", uri, "--database", source.database.name()])
        .args(["--watch=0.1"].iter().filter(|_| !arguments.iter().any(|each| each.starts_with("--watch="))))
        .args(target.flags().into_iter().filter(|flag| !flag.starts_with("--master-db=") || !names_database))
        // The clock of the tests is ahead of that of the command: by then a deleted organization must not be purged.
        .args(["--mongo-timeout=30", "--retention-days=3650"])
        .args(arguments)
        .env_clear()
        .current_dir(target.data_dir().parent().unwrap())
        .stdin(Stdio::null());
    command
}

fn run(source: &Source, target: &TestEnv, arguments: &[&str]) -> Output {
    command(source, target, arguments).output().unwrap()
}

fn rehearsal(source: &Source, target: &TestEnv, arguments: &[&str]) -> Value {
    let output = run(source, target, &[&["--json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Canonical Extended JSON of documents, in the order of their ids.
fn canonical(documents: Vec<Document>) -> Vec<Value> {
    documents.into_iter().map(|document| Bson::Document(document).into_canonical_extjson()).collect()
}

async fn signed_in(app: &App, number: usize) -> Client {
    let tokens = app.client().post("/admin/login", &credentials(&address(number), PASSWORD)).await.ok();
    with_access(app, &tokens)
}

/// What a service shows of the adopted: the same ids, names, documents, indexes, and passwords that work.
async fn check_adopted(app: &App, source: &Source, expected: &[Vec<Value>]) {
    for (number, expected) in expected.iter().enumerate() {
        let client = signed_in(app, number).await;
        let path = format!("/v1/organizations/{}", source.organizations[number]);
        let organization = client.get(&path).await.ok();
        assert_eq!(organization["id"], source.organizations[number].to_hex());
        assert_eq!(organization["admin_id"], source.accounts[number].to_hex());
        let usage = client.get(&format!("{path}/usage")).await.ok();
        assert_eq!(usage["documents"], expected.len(), "{usage}");
        let (mut cursor, mut found) = (String::new(), Vec::new());
        loop {
            let page = format!("{path}/collections/documents/documents?limit=200&values=canonical{cursor}");
            let page = client.get(&page).await.ok();
            found.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(&found, expected, "{:?}", source.classic);
    }
    // The hash of before is replaced at the first sign-in.
    assert!(password_hash(app, &address(0).to_lowercase()).starts_with("$argon2id$v=19$m=19456"));
    let path = format!("/v1/organizations/{}/collections/documents", source.organizations[0]);
    let client = signed_in(app, 0).await;
    let indexes = client.get(&format!("{path}/indexes")).await.ok();
    assert_eq!(indexes["items"][0]["name"], "number_1", "{indexes}");
    let twin = json!({ "_id": "twin", "number": 5 });
    client.post(&format!("{path}/documents"), &twin).await.refused("unique_violation");
    client.post(&format!("{path}/documents"), &json!({ "_id": "without a number" })).await.created();
    let renamed = client.put("/org/update", &json!({ "organization_name": "Acme Global" })).await.ok();
    assert_eq!(renamed["documents_migrated"], expected[0].len() + 1, "{renamed}");
}

/// The trail of the installation has the adoption and its confirmation, each once.
async fn check_trail(target: &TestEnv, way: &str, source: &Source) {
    let app = App::at(target.clone()).await;
    let trail = app.operator().get("/v1/audit?limit=50").await.ok();
    let events = trail["items"].as_array().unwrap().clone();
    let of = |action: &str| events.iter().filter(|event| event["action"] == action).collect::<Vec<_>>();
    let (adopted, confirmed) = (of("installation.adopted"), of("installation.adoption_confirmed"));
    let ([adopted], [confirmed]) = (&adopted[..], &confirmed[..]) else { panic!("{trail}") };
    for event in [adopted, confirmed] {
        assert_eq!(
            (&event["actor"]["type"], &event["details"]["way"]),
            (&"operator".into(), &way.into()),
            "{event}"
        );
        assert_eq!(event["details"]["database"], source.database.name(), "{event}");
    }
    assert_eq!(adopted["details"]["organizations"], "3", "{adopted}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_keeps_ids_documents_and_passwords() {
    for (classic, engine, placement) in [
        (Classic::A, Engine::Embedded, "collection"),
        (Classic::B, Engine::MongoDb, "database"),
        (Classic::C, Engine::MongoDb, "shared"),
        (Classic::D, Engine::MongoDb, "collection"),
        (Classic::D, Engine::Embedded, "collection"),
    ] {
        let (source, mut target) = (Source::seeded(classic), TestEnv::on(engine));
        if engine == Engine::MongoDb {
            target = target.flag(&format!("--placement={placement}"));
        }
        let before = source.everything();
        let expected: Vec<_> = (0..2).map(|number| canonical(source.documents(number))).collect();
        let report = rehearsal(&source, &target, &[]);
        assert_eq!(report["conflicts"], json!([]), "{report}");
        assert_eq!(report["organizations"].as_array().unwrap().len(), 3, "{report}");
        let text = said(&run(&source, &target, &["--apply"]));
        assert!(text.contains("Adopted 3 organizations and 3 accounts. Their 703 documents"), "{text}");
        assert_eq!(source.everything(), before, "the source of a copy was changed");

        let app = App::at(target).await;
        check_adopted(&app, &source, &expected).await;
        check_third(&app, &source).await;
        let target = app.stop().await;
        said(&run(&source, &target, &["--confirm"]));
        check_trail(&target, "copy", &source).await;
        assert!(refused(&run(&source, &target, &["--undo"])).contains("no adoption to take back"));
        let refusal = refused(&run(&source, &target, &["--apply"]));
        assert!(refusal.contains("The target has organizations already"), "{refusal}");
        let refusal = refused(&run(&source, &target, &[]));
        assert!(refusal.contains("The target has organizations already"), "{refusal}");
    }
}

/// Service C has deleted the third organization: it is restored, with its account. Elsewhere it is empty.
async fn check_third(app: &App, source: &Source) {
    let path = format!("/v1/organizations/{}", source.organizations[2]);
    if source.classic == Classic::C {
        let deleted = app.operator().get(&path).await.ok();
        assert_eq!(
            (&deleted["status"], &deleted["deleted_at"]),
            (&"deleted".into(), &"2023-11-14T22:13:20Z".into())
        );
        app.operator().post_empty(&format!("{path}/restore")).await.ok();
    }
    let client = signed_in(app, 2).await;
    assert_eq!(client.get(&path).await.ok()["organization_name"], "Gone");
    client.post(&format!("{path}/collections/documents/documents"), &json!({ "n": 1 })).await.created();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rehearsal_shows_layout_and_changes_nothing() {
    for (classic, fields) in [
        (Classic::A, "organization: name     organization_name        3 of 3"),
        (Classic::B, "organization: database db_name                  3 of 3"),
        (Classic::C, "account: organization  organization             3 of 3"),
        (Classic::D, "account: password hash password_hash            3 of 3"),
    ] {
        let (source, target) = (Source::seeded(classic), TestEnv::on(Engine::Embedded));
        let before = source.everything();
        let text = said(&run(&source, &target, &[]));
        assert!(text.contains(fields), "{text}");
        assert!(text.contains("text_hashed"), "{text}");
        assert!(text.ends_with("\nNo conflicts. Nothing was changed: --apply does it.\n"), "{text}");
        assert!(!text.contains("mongodb://"), "{text}");
        assert_eq!(source.everything(), before);
        assert!(!target.data_dir().exists(), "the rehearsal has created the target");
    }
}

/// A user who may only read its databases is enough for a copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn source_of_copy_is_read_by_user_who_may_only_read() {
    let mongod = Mongod::start_with(&["--auth"]);
    let root = doc! { "createUser": "root", "pwd": "secret", "roles": ["root"] };
    let admin = mongodb::Database::named(&mongod.uri(), "admin");
    admin.command(root).unwrap();
    let with = |user: &str| mongod.uri().replace("mongodb://", &format!("mongodb://{user}:secret@"));
    for (classic, name) in [(Classic::A, "a"), (Classic::B, "b")] {
        let uri = format!("{}/?authSource=admin", with("root"));
        let source = Source::seeded_in(mongodb::Database::named(&uri, name), classic);
        let roles: Vec<_> =
            (0..2).map(|number| doc! { "role": "read", "db": source.place(number).0 }).collect();
        let reader = format!("reader_{name}");
        let mut roles = Bson::from(roles).as_array().unwrap().clone();
        roles.push(doc! { "role": "read", "db": name }.into());
        let admin = mongodb::Database::named(&uri, "admin");
        admin.command(doc! { "createUser": &reader, "pwd": "secret", "roles": roles }).unwrap();
        let target = TestEnv::on(Engine::Embedded);
        let from = format!("{}/?authSource=admin", with(&reader));
        let output = from_uri(&source, &from, &target, &["--apply"]).output().unwrap();
        assert!(said(&output).contains("Adopted 3 organizations"), "{output:?}");
        assert!(!format!("{output:?}").contains("secret"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_of_copy_leaves_target_empty() {
    for engine in [Engine::Embedded, Engine::MongoDb] {
        let (source, target) = (Source::seeded(Classic::A), TestEnv::on(engine));
        said(&run(&source, &target, &["--apply"]));
        assert!(refused(&run(&source, &target, &["--apply"])).contains("The adoption is complete"));
        // Somebody has looked, and changed something.
        let app = App::at(target).await;
        let client = signed_in(&app, 1).await;
        client.put("/org/update", &json!({ "organization_name": "Tech Two" })).await.ok();
        let target = app.stop().await;
        said(&run(&source, &target, &["--undo"]));
        if let Some(database) = target.database() {
            let left: Vec<_> =
                database.collections().into_iter().filter(|name| name.starts_with("tenant_")).collect();
            assert_eq!(left, Vec::<String>::new());
        }
        said(&run(&source, &target, &["--apply"]));
        let app = App::at(target).await;
        let listed = app.operator().get("/v1/organizations").await.ok();
        assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed}");
        signed_in(&app, 1).await;
    }
}

#[test]
fn adoption_refuses_unknown_layouts_and_wrong_targets() {
    let source = Source::seeded(Classic::A);
    let target = TestEnv::on(Engine::MongoDb);
    let name = format!("--master-db={}", source.database.name());
    let refusal = refused(&run(&source, &target, &["--apply", &name]));
    assert!(refusal.contains("is the source and would be the target"), "{refusal}");
    let refusal = refused(&run(&source, &target, &["--apply", "--in-place"]));
    assert!(refusal.contains("In place, the data stays in its database"), "{refusal}");
    let refusal = refused(&run(&source, &target, &["--skip=650000000000000000000000"]));
    assert!(refusal.contains("no organization or account 650000000000000000000000"), "{refusal}");
    let refusal = refused(&run(&source, &target, &["--registry=admin_users"]));
    assert!(refusal.contains("has accounts: looked for admin_users"), "{refusal}");

    let empty = Source {
        database: mongodb::Database::new(),
        classic: Classic::A,
        organizations: Vec::new(),
        accounts: Vec::new(),
    };
    let refusal = refused(&run(&empty, &target, &[]));
    assert!(refusal.contains("looked for organizations, org_registry"), "{refusal}");
    assert!(refusal.contains("docs/guides/migrating.md"), "{refusal}");
    let target = TestEnv::on(Engine::Embedded);
    let refusal = refused(&run(&source, &target, &["--undo"]));
    assert!(refusal.contains("no adoption to take back"), "{refusal}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.args(["adopt", "--from", "mongodb://old:hun@ter2@", "--database", "x", "--to", "y"]).env_clear();
    let refusal = refused(&command.output().unwrap());
    assert!(refusal.contains("must begin with mongodb://") && !refusal.contains("ter2"), "{refusal}");
}
