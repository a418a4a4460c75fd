//! Archives over HTTP: what comes out goes in again, the same; and what is damaged leaves nothing behind.

mod interrupted;
mod paused;
mod people;
mod trails;

use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, email_for, encoded, find, insert_lines, organization, sign_in, with_access,
    with_role,
};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tenantry_documents::index::Index;
use tenantry_domain::account::PasswordHash;
use tenantry_domain::archive::{
    ArchiveWriter, ArchivedCollection, ArchivedOrganization, ArchivedOwner, Manifest,
};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::limits::ID_COOLDOWN;
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::Placement;

const NDJSON: &str = "application/x-ndjson";
/// Documents of the large collection: more than are read and written at once.
const MANY: usize = 1234;
/// A document with a value of every type.
const EVERY_TYPE: &str = r#"{"_id":"types","i":{"$numberInt":"5"},"l":{"$numberLong":"5"},"d":{"$numberDouble":"5.0"},"z":{"$numberDouble":"-0.0"},"n":{"$numberDouble":"NaN"},"c":{"$numberDecimal":"1.10"},"D":{"$date":{"$numberLong":"-1"}},"x":{"$binary":{"base64":"AQI=","subType":"80"}},"T":{"$timestamp":{"t":1,"i":2}},"r":{"$regularExpression":{"pattern":"^a","options":"ix"}},"lo":{"$minKey":1},"hi":{"$maxKey":1},"sy":{"$symbol":"s"},"co":{"$code":"x"},"nu":null,"te":"\"\\\u0000\n é😀","li":[[],{},[true]]}"#;

/// An organization with all that an archive can have, and more of it than fits into one page.
async fn filled(app: &App, name: &str) -> Organization {
    let acme = organization(app, name).await;
    let create = async |name: &str| {
        acme.owner.post(&acme.collections(), &json!({ "name": name })).await.created();
    };
    create("orders").await;
    create("Empty").await;
    let object_id = r#"{"_id":{"$oid":"65f0a1b2c3d4e5f601234567"},"a":1}"#;
    insert(&acme, "documents", &[EVERY_TYPE.to_owned(), object_id.to_owned()]).await;
    let many: Vec<String> = (0..MANY)
        // Ids of several types, in an order that is not theirs.
        .map(|n| (n * 7919) % MANY)
        .map(|n| match n % 3 {
            0 => format!(r#"{{"_id":{n},"total":{{"$numberDecimal":"{n}.50"}},"tags":["a",{n}]}}"#),
            1 => format!(r#"{{"_id":"{n}","total":{n}.5,"note":"{}"}}"#, "x".repeat(n)),
            _ => format!(r#"{{"_id":{{"n":{n}}},"total":null,"email":"{n}@x.example"}}"#),
        })
        .collect();
    insert(&acme, "orders", &many).await;
    for index in [
        json!({ "keys": "total,-tags" }),
        json!({ "name": "by mail".replace(' ', "-"), "keys": "_id,email", "unique": true }),
        json!({ "keys": "email", "unique": true, "sparse": true }),
        json!({ "name": "some", "keys": "total", "partial_filter": { "total": { "$gte": 1.0, "$lt": 5_000_000_000_i64 } } }),
    ] {
        acme.owner.post(&format!("{}/orders/indexes", acme.collections()), &index).await.created();
    }
    // Many of the documents violate it: they were there before.
    let schema = json!({
        "schema": { "$ref": "#/$defs/order", "$defs": { "order": { "required": ["note"], "title": "\"\u{1F600}" } } },
        "level": "moderate",
    });
    acme.owner.put(&format!("{}/orders/schema", acme.collections()), &schema).await.created();
    acme
}

async fn insert(acme: &Organization, collection: &str, documents: &[String]) {
    let path = format!("{}/{collection}/documents", acme.collections());
    let answer = insert_lines(&acme.owner, &path, &documents.join("\n")).await;
    assert_eq!(answer.lines().last().unwrap()["inserted"], documents.len(), "{answer}");
}

/// The archive of an organization.
async fn export(client: &Client, path: &str) -> String {
    let answer = client.get(&format!("{path}/export")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, NDJSON), "{answer}");
    answer.text
}

/// Sends an archive; `query` says what is to be different.
async fn import(app: &App, archive: &str, query: &str) -> Answer {
    let body = Some((NDJSON, archive.as_bytes().to_vec()));
    app.operator().send(Method::POST, &format!("/v1/organizations/import?{query}"), body).await
}

/// The query that makes a copy of that name.
fn copy_called(name: &str) -> String {
    format!("id=new&organization_name={}&owner_email={}", encoded(name), encoded(&email_for(name)))
}

/// The parts that must be equal in two archives of the same data: everything except the owner, the audit trails, which
/// grow, and the checksum over it.
pub fn data(archive: &str) -> Vec<&str> {
    let other = ["{\"manifest\"", "{\"organization\"", "{\"audit_", "{\"end\""];
    archive.lines().filter(|line| !other.iter().any(|start| line.starts_with(start))).collect()
}

/// The line of the organization.
fn record(archive: &str) -> Value {
    let line = archive.lines().nth(1).unwrap();
    serde_json::from_str::<Value>(line).unwrap()["organization"].take()
}

/// The placements that the engine of these tests has.
fn placements(app: &App) -> Vec<Placement> {
    if app.test_env().database().is_some() { Placement::ALL.to_vec() } else { vec![Placement::Database] }
}

/// Without the bytes on disk, which every engine and placement has its own of.
async fn usage(client: &Client, id: &Value) -> Value {
    let mut usage = client.get(&format!("/v1/organizations/{}/usage", id.as_str().unwrap())).await.ok();
    usage.as_object_mut().unwrap().remove("disk_bytes");
    usage
}

#[tokio::test]
async fn import_into_placement_that_engine_lacks_names_parameter() {
    let app = App::start().await;
    if placements(&app).contains(&Placement::Shared) {
        return;
    }
    let acme = organization(&app, "Acme").await;
    let archive = export(&app.operator(), &acme.path()).await;
    let query = format!("{}&placement=shared", copy_called("Copy"));
    import(&app, &archive, &query).await.refused_fields(&["?placement"]);
}

/// The import may have another id and another name.
#[tokio::test]
async fn import_into_every_placement_restores_export() {
    let app = App::start().await;
    let acme = filled(&app, "Acme").await;
    let archive = export(&app.operator(), &acme.path()).await;
    assert_eq!(archive.lines().filter(|line| line.starts_with("{\"document\"")).count(), MANY + 2);
    assert!(archive.contains(&format!("{{\"document\":{EVERY_TYPE}}}\n")), "a type was lost");
    for placement in placements(&app) {
        let name = format!("Copy {}", placement.as_str());
        let query = format!("{}&placement={}", copy_called(&name), placement.as_str());
        let answer = import(&app, &archive, &query).await;
        let location = answer.header("location").to_owned();
        let made = answer.created();
        assert_eq!(location, format!("/v1/organizations/{}", made["id"].as_str().unwrap()));
        assert_eq!(made["placement"], placement.as_str());
        assert_eq!((&made["organization_name"], &made["status"]), (&json!(name), &json!("active")));
        assert_ne!((&made["id"], &made["admin_id"]), (&acme.body["id"], &acme.body["admin_id"]));
        assert_eq!(made["created_at"], acme.body["created_at"]);

        let tokens = sign_in(&app, &email_for(&name)).await;
        let owner = app.client().with_token(tokens["access_token"].as_str().unwrap());
        let again = export(&owner, &location).await;
        assert!(data(&again) == data(&archive), "{placement:?} has other data");
        let numbers = usage(&owner, &made["id"]).await;
        assert_eq!(numbers, usage(&acme.owner, &acme.body["id"]).await);
        // The index serves, and is unique; so does the schema.
        let orders = format!("{location}/collections/orders/documents");
        let taken = owner.post(&orders, &json!({ "_id": 3, "email": "x", "note": "" })).await;
        taken.refused("document_exists");
        owner.post(&orders, &json!({ "_id": "new", "email": "x", "note": "" })).await.created();
        owner.post(&orders, &json!({ "_id": "newer" })).await.refused("schema_violation");
    }
    assert!(data(&export(&acme.owner, &acme.path()).await) == data(&archive), "the original has changed");
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn import_after_purge_restores_organization_unchanged() {
    let app = App::start().await;
    let acme = filled(&app, "Acme").await;
    let settings = json!({ "delete_protection": false, "quota": { "documents": 5000, "collections": 9, "index_bytes": 70_000_000 } });
    app.operator().patch(&acme.path(), &settings).await.ok();
    let archive = export(&acme.owner, &acme.path()).await;
    import(&app, &archive, "").await.refused("organization_exists");
    app.operator().delete(&acme.path()).await.ok();
    // By its id it can still be exported, and is as it was.
    assert_eq!(data(&export(&app.operator(), &acme.path()).await), data(&archive));
    import(&app, &archive, "").await.refused("organization_exists");
    app.operator().post_empty(&format!("{}/purge", acme.path())).await.accepted();

    let made = import(&app, &archive, "").await.created();
    for member in ["id", "admin_id", "organization_name", "admin_email", "created_at", "placement"] {
        assert_eq!(made[member], acme.body[member], "{member}");
    }
    assert_eq!(
        made["quota"],
        json!({ "documents": 5000, "bytes": null, "collections": 9, "index_bytes": 70_000_000 })
    );
    // Tokens of the one that was purged are dead.
    acme.owner.get(&acme.path()).await.refused("token_revoked");
    let tokens = sign_in(&app, acme.email()).await;
    let owner = app.client().with_token(tokens["access_token"].as_str().unwrap());
    let again = export(&owner, &acme.path()).await;
    assert_eq!(data(&again), data(&archive));
    assert_eq!(record(&again), record(&archive));
    let log = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    assert_eq!(
        (&log["items"][0]["kind"], &log["items"][0]["state"]),
        (&json!("import"), &json!("succeeded"))
    );
    assert_eq!(log["items"][0]["documents_migrated"], MANY + 2);
    Snapshot::sound(app.test_env());
}

/// After a purge, the id comes back into a shared placement only after a rest.
#[tokio::test]
async fn import_into_shared_placement_waits_for_its_id_to_rest() {
    let app = App::start().await;
    let purged = async |name: &str| {
        let acme = organization(&app, name).await;
        let archive = export(&acme.owner, &acme.path()).await;
        app.operator().delete(&acme.path()).await.ok();
        app.operator().post_empty(&format!("{}/purge", acme.path())).await.accepted();
        archive
    };
    if !placements(&app).contains(&Placement::Shared) {
        import(&app, &purged("Acme").await, "").await.created();
        return;
    }
    let (acme, other) = (purged("Acme").await, purged("Other").await);
    for _ in 0..2 {
        let problem = import(&app, &acme, "placement=shared").await.refused("organization_exists");
        assert!(problem["detail"].as_str().unwrap().contains("from 20"), "{problem}");
    }
    // Another id, another placement, or an id that nobody here has had.
    import(&app, &acme, &format!("placement=shared&{}", copy_called("Copy"))).await.created();
    import(&app, &other, "placement=database").await.created();
    import(&app, &crafted("New", &[], &[]), "placement=shared").await.created();
    app.clock.advance(ID_COOLDOWN - Duration::from_secs(1));
    import(&app, &acme, "placement=shared").await.refused("organization_exists");
    app.clock.advance(Duration::from_secs(1));
    import(&app, &acme, "placement=shared").await.created();
    Snapshot::sound(app.test_env());
}

/// A program that uses MongoDB directly may have written such names; they come to either engine as they are.
#[tokio::test]
async fn imported_document_keeps_names_of_programs() {
    let app = App::start().await;
    let odd =
        bson::rawdoc! { "_id": "odd", "a.b": 1, "$x": { "$oid": "text" }, "r": { "$id": 1, "$ref": "c" } };
    let archive = crafted_of("Odd", &[odd], &[]);
    assert!(archive.contains(r#"{"bson":""#), "{archive}");
    import(&app, &archive, "").await.created();
    let password = json!({ "password": PASSWORD });
    app.operator().post("/v1/organizations/odd/set-password", &password).await.ok();
    let owner = with_access(&app, &sign_in(&app, &email_for("Odd")).await);
    let path = "/v1/organizations/odd/collections/documents/documents/odd";
    let shown = json!({ "_id": "odd", "a.b": 1, "$x": { "$oid": "text" }, "r": { "$id": 1, "$ref": "c" } });
    assert_eq!(owner.get(path).await.ok(), shown);
    let patched = owner.patch(path, &json!({ "r": null, "more": 1 })).await.ok();
    assert_eq!(patched, json!({ "_id": "odd", "a.b": 1, "$x": { "$oid": "text" }, "more": 1 }));
    assert_eq!(owner.get(path).await.ok(), patched);
    let again = export(&app.operator(), "/v1/organizations/odd").await;
    assert!(again.contains(r#"{"bson":""#), "{again}");
}

#[tokio::test]
async fn import_keeps_protection_hold_and_suspension() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let settings = json!({ "delete_protection": true, "legal_hold": true });
    app.operator().patch(&acme.path(), &settings).await.ok();
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    let archive = export(&app.operator(), &acme.path()).await;
    let made = import(&app, &archive, &copy_called("Copy")).await.created();
    assert_eq!((&made["delete_protection"], &made["legal_hold"]), (&json!(true), &json!(true)));
    assert_eq!(made["status"], "suspended");
    let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    app.operator().post_empty(&format!("{path}/reactivate")).await.ok();
    sign_in(&app, &email_for("Copy")).await;
    app.operator().delete(&path).await.refused("delete_protected");
}

#[tokio::test]
async fn import_may_exceed_quota_but_later_writes_may_not() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": 1 }), json!({ "_id": 2 })]).await;
    app.operator().patch(&acme.path(), &json!({ "quota": { "documents": 1 } })).await.ok();
    let archive = export(&acme.owner, &acme.path()).await;
    let made = import(&app, &archive, &copy_called("Copy")).await.created();
    let tokens = sign_in(&app, &email_for("Copy")).await;
    let owner = app.client().with_token(tokens["access_token"].as_str().unwrap());
    assert_eq!(usage(&owner, &made["id"]).await["documents"], 2);
    let path = format!("/v1/organizations/{}/collections/documents/documents", made["id"].as_str().unwrap());
    owner.post(&path, &json!({})).await.refused("quota_exceeded");
}

/// An archive of an organization called `name`, with documents of that JSON and indexes of those keys.
fn crafted(name: &str, documents: &[Value], unique: &[&str]) -> String {
    let documents = documents.iter().map(|document| {
        let document =
            tenantry_documents::document::NewDocument::parse(&document.to_string(), 1 << 20).unwrap();
        let id = document.id().unwrap().clone();
        document.under_id(&id)
    });
    crafted_of(name, &documents.collect::<Vec<_>>(), unique)
}

fn crafted_of(name: &str, documents: &[bson::RawDocumentBuf], unique: &[&str]) -> String {
    let mut out = Vec::new();
    let organization = ArchivedOrganization {
        id: "0123456789abcdef01234567".parse().unwrap(),
        organization_name: OrganizationName::parse(name).unwrap(),
        placement: Placement::Database,
        suspended: false,
        delete_protection: false,
        legal_hold: false,
        quota: Default::default(),
        created_at: Timestamp::from_second(1_700_000_000).unwrap(),
        owner: ArchivedOwner {
            id: "76543210fedcba9876543210".parse().unwrap(),
            email: EmailAddress::parse(&email_for(name)).unwrap(),
            password_hash: Some(PasswordHash("$argon2id$v=19$m=19456,t=2,p=1$TlpTz4yY6LFLJWktAC/GCw$f6P/glxd5eIliZoV4YyIg6G7HqqJtoZIczhb+gYDVtA".into())),
        },
    };
    let mut writer =
        ArchiveWriter::begin(Manifest::new(Timestamp::UNIX_EPOCH), organization, &mut out).unwrap();
    let indexes = unique.iter().map(|keys| Index::parse(None, keys, true).unwrap()).collect();
    writer
        .collection(ArchivedCollection { name: CollectionName::default(), indexes, schema: None }, &mut out)
        .unwrap();
    for document in documents {
        writer.document(document, &mut out);
    }
    writer.end_collection(&mut out).unwrap();
    writer.end(Vec::new(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Expects that an import which was refused has left nothing but its entry in the log.
async fn assert_nothing_left(app: &App, before: &Snapshot, name: &str) {
    let after = Snapshot::sound(app.test_env());
    let numbers =
        |snapshot: &Snapshot| (snapshot.organizations(), snapshot.accounts(), snapshot.containers());
    assert_eq!(numbers(&after), numbers(before));
    find(app, name).await.refused("organization_not_found");
}

#[tokio::test]
async fn import_of_damaged_archive_leaves_nothing_and_frees_name() {
    let app = App::start().await;
    let acme = filled(&app, "Acme").await;
    let archive = export(&acme.owner, &acme.path()).await;
    let before = Snapshot::sound(app.test_env());
    let without_line = |at: usize| {
        let kept = archive.split_inclusive('\n').enumerate().filter(|(line, _)| *line != at);
        kept.map(|(_, line)| line).collect::<String>()
    };
    let lines = archive.lines().count();
    let (half, last) = (archive.len() / 2, archive.len() - 2);
    let query = copy_called("Copy");
    for (damaged, line) in [
        (archive[..half].to_owned(), None),
        (archive[..last].to_owned(), Some(lines)),
        (without_line(lines - 1), Some(lines)),
        (without_line(lines / 2), None),
        (archive.replacen("\"1230\"", "\"1231\"", 1), None),
        (archive.replacen("\"unique\":true", "\"unique\":false", 1), Some(lines)),
        (format!("{archive}{{}}\n"), Some(lines + 1)),
        (
            archive.replacen(
                "{\"document\":{\"_id\":\"types\"",
                "{\"document\":{\"_id\":\"types\",\"$where\":1",
                1,
            ),
            Some(6),
        ),
    ] {
        let problem = import(&app, &damaged, &query).await.refused("archive_invalid");
        let detail = problem["detail"].as_str().unwrap();
        let expected = line.map_or("Line ".to_owned(), |line| format!("Line {line} of the archive: "));
        assert!(detail.starts_with(&expected), "{detail}, and not {expected}");
        assert_nothing_left(&app, &before, "Copy").await;
    }
    let log = Snapshot::sound(app.test_env()).log();
    assert_eq!(log.iter().filter(|entry| *entry == "import failed").count(), 8, "{log:?}");
    import(&app, &archive, &query).await.created();
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn import_of_intact_archive_is_refused_for_each_reason() {
    let app = App::start().await;
    organization(&app, "Acme").await;
    let before = Snapshot::sound(app.test_env());
    let documents = [json!({ "_id": 1, "a": 1 }), json!({ "_id": 2, "a": 1 }), json!({ "_id": 3 })];
    let good = crafted("New", &documents, &[]);
    for (archive, query, outcome) in [
        (crafted("ACME!", &[], &[]), "", "name_taken"),
        (good.clone(), "organization_name=acme", "name_taken"),
        (good.clone(), "owner_email=OWNER@acme.example", "email_taken"),
        (crafted("New", &documents, &["_id,a", "a"]), "", "unique_violation"),
        (crafted("New", &[json!({ "_id": 1 }), json!({ "_id": 1.0 })], &[]), "", "archive_invalid"),
        (crafted("New", &[json!({ "_id": 1, "a": [1], "b": [1] })], &["a,b"]), "", "archive_invalid"),
        (good.clone(), "id=other", "?id"),
        (
            good.clone(),
            "placement=moon&owner_email=x&organization_name=",
            "?organization_name ?placement ?owner_email",
        ),
        (good.clone(), "name=x", "?name"),
        (String::new(), "", "archive_invalid"),
        ("{}".into(), "", "archive_invalid"),
    ] {
        let answer = import(&app, &archive, query).await;
        assert_eq!(answer.outcome(), outcome, "{query} {answer}");
        assert_nothing_left(&app, &before, "New").await;
    }
    let body = Some(("application/json", good.clone().into_bytes()));
    let answer = app.operator().send(Method::POST, "/v1/organizations/import", body).await;
    answer.refused("unsupported_media_type");
    import(&app, &good, "").await.created();
}

#[tokio::test]
async fn imports_of_one_archive_in_parallel_make_one_organization() {
    let app = App::start().await;
    let documents: Vec<Value> = (0..600).map(|n| json!({ "_id": n })).collect();
    let archive = crafted("New", &documents, &[]);
    let imports = (0..8).map(|n| {
        let query = if n % 2 == 0 { "" } else { "id=new" };
        import(&app, &archive, query)
    });
    let answers = futures_util::future::join_all(imports).await;
    let made = answers.iter().filter(|answer| answer.status.as_u16() == 201).count();
    let refused: BTreeSet<_> =
        answers.iter().filter(|answer| answer.status.as_u16() != 201).map(Answer::outcome).collect();
    assert_eq!(made, 1, "{refused:?}");
    let expected = ["email_taken", "name_taken", "organization_exists"];
    assert!(refused.iter().all(|code| expected.contains(&code.as_str())), "{refused:?}");
    let snapshot = Snapshot::sound(app.test_env());
    assert_eq!((snapshot.organizations(), snapshot.accounts(), snapshot.containers()), (1, 1, 1));
    let id = find(&app, "New").await.ok()["id"].clone();
    assert_eq!(snapshot.documents(id.as_str().unwrap()).len(), 600);
}

#[tokio::test]
async fn export_is_for_owner_and_operator_only() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let foreign = organization(&app, "Foreign").await;
    let path = format!("{}/export", acme.path());
    let answer = acme.owner.get(&path).await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"acme.ndjson\"");
    foreign.owner.get(&path).await.refused("organization_not_found");
    for role in ["admin", "member", "viewer"] {
        // Each in a service of its own: the role is changed behind its back.
        let app = App::start().await;
        let acme = organization(&app, "Acme").await;
        let (_app, client) = with_role(app, &acme, role).await;
        client.get(&format!("{}/export", acme.path())).await.refused("role_insufficient");
    }
}

#[tokio::test]
async fn organization_named_import_works_beside_import_path() {
    let app = App::start().await;
    let import = organization(&app, "Import").await;
    for path in ["/v1/organizations/import", &import.path()] {
        assert_eq!(import.owner.get(path).await.ok()["id"], import.body["id"]);
        app.operator().patch(path, &json!({ "delete_protection": true })).await.ok();
        app.operator().delete(path).await.refused("delete_protected");
    }
    assert!(export(&import.owner, "/v1/organizations/import").await.contains("\"Import\""));
    app.operator().post_empty("/v1/organizations/import/suspend").await.ok();
    let wrong = app.operator().put("/v1/organizations/import", &json!({})).await;
    assert_eq!(wrong.status.as_u16(), 405);
}

#[tokio::test]
async fn archive_moves_between_services() {
    let (app, other) = (App::start().await, Setup::unlimited().with("--tenant-prefix=other_").start().await);
    let acme = filled(&app, "Acme").await;
    let archive = export(&acme.owner, &acme.path()).await;
    let made = import(&other, &archive, "").await.created();
    assert_eq!(made["id"], acme.body["id"]);
    assert_eq!(
        made["tenant_collection"].as_str().unwrap().starts_with("other_"),
        made["placement"] != "shared"
    );
    assert_eq!(data(&export(&other.operator(), &acme.path()).await), data(&archive));
}

/// Earlier versions accepted any number, and wrote it into archives.
#[tokio::test]
async fn archive_with_quota_beyond_2_to_the_53_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.operator().patch(&acme.path(), &json!({ "quota": { "documents": 5 } })).await.ok();
    let archive = export(&app.operator(), &acme.path()).await;
    for (number, names_it) in [
        ("18446744073709551615", true),
        ("9223372036854775808", true),
        ("9007199254740993", true),
        ("-1", false),
        ("1.5", false),
    ] {
        let altered = archive.replacen("\"documents\":5,", &format!("\"documents\":{number},"), 1);
        assert_ne!(altered, archive);
        let refused = import(&app, &altered, &copy_called("Copy")).await.refused("archive_invalid");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("Line 2"), "{detail}");
        let has_field_and_rule = detail.contains("quota.documents") && detail.contains("9007199254740992");
        assert!(has_field_and_rule || !names_it, "{detail}");
    }
    let listed = app.operator().get("/v1/organizations").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "nothing is left of them");
    import(&app, &archive, &copy_called("Copy")).await.created();
}
