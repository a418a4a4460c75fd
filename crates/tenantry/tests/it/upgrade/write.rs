//! Writes a data set, as `tests/data/README.md` says: run once, by the version that it is of, and committed.
//!
//! On MongoDB there is each organization once in every placement, on the embedded engine once. Who they are:
//!
//! | name | state |
//! |---|---|
//! | Acme | in use, renamed once; documents of every type, indexes of every kind, sessions, kept responses |
//! | Tools | in use; its documents are its programs' own |
//! | Full | in use, with a quota that has room for one document |
//! | Idle | suspended |
//! | Held | under legal hold and protected from deletes |
//! | Gone | deleted, to be restored until it is purged |
//! | Kept | deleted and under legal hold, so that it is not purged |

use super::programs;
use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::data_set::{self, DataSet, empty_place};
use crate::support::fixtures::{Organization, PASSWORD, encoded, insert_lines, sign_in, with_access};
use crate::support::test_env::Engine;
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const NDJSON: &str = "application/x-ndjson";
/// How many orders there are, with numbers from 0.
pub const ORDERS: usize = 60;
/// A document with a value of every type.
const EVERY_TYPE: &str = r#"{"_id":"types","i":{"$numberInt":"5"},"l":{"$numberLong":"5"},"d":{"$numberDouble":"5.0"},"z":{"$numberDouble":"-0.0"},"n":{"$numberDouble":"NaN"},"inf":{"$numberDouble":"-Infinity"},"c":{"$numberDecimal":"1.10"},"D":{"$date":{"$numberLong":"-1"}},"far":{"$date":{"$numberLong":"253402300800000"}},"x":{"$binary":{"base64":"AQI=","subType":"80"}},"u":{"$uuid":"0c9e5b0c-7f2b-4a3e-9d2e-0a1b2c3d4e5f"},"T":{"$timestamp":{"t":1,"i":2}},"r":{"$regularExpression":{"pattern":"^a","options":"ix"}},"lo":{"$minKey":1},"hi":{"$maxKey":1},"sy":{"$symbol":"s"},"co":{"$code":"x"},"cs":{"$code":"y","$scope":{"z":1}},"un":{"$undefined":true},"o":{"$oid":"65f0a1b2c3d4e5f601234567"},"nu":null,"te":"\"\\\u0000\n é😀","li":[[],{},[true]]}"#;
/// Ids of every type that a document may have.
const IDS: [&str; 9] = [
    r#"{"$oid":"65f0a1b2c3d4e5f601234568"}"#,
    "5",
    r#"{"$numberLong":"9007199254740993"}"#,
    "2.5",
    r#""text é""#,
    "true",
    r#"{"$date":"2026-11-21T09:00:00Z"}"#,
    r#"{"$binary":{"base64":"AQI=","subType":"00"}}"#,
    r#"{"b":1,"a":{"c":2}}"#,
];
/// The password whose bcrypt hash below is of its first 72 bytes, as bcrypt takes no more.
const LONG_PASSWORD: &str =
    "a long pass phrase of a careful person, longer than bcrypt reads: xxxxxyyyyyyyyyyyyyyyyyyyy";
/// Accounts whose hashes other software has made: (organization, password, hash).
const FOREIGN_HASHES: [(&str, &str, &str); 3] = [
    ("Bcrypt", PASSWORD, "$2b$06$ECRNwNiM6BUiUUGnOahUXOQ6SZ.Gcnj8uSsrWw0tCZqZsml6es7MK"),
    ("Long Bcrypt", LONG_PASSWORD, "$2b$06$15Hbs27w6w0v1SuWXCLn5.A1.eWPrlpRDdFvfjIl5lhX23ogAzP7W"),
    (
        "Argon",
        PASSWORD,
        "$argon2i$v=19$m=1024,t=2,p=2$hxCEwmcuBzUfPoHbQnWbwg$xwYRj4ECGwB+vs3M61yOPXR50C6P+67rievstZXPMN8",
    ),
];
/// Addresses of one mailbox, by UTS #46, which this version tells apart.
const ONE_MAILBOX: [(&str, &str); 3] = [
    ("Mailbox Unicode", "owner@bücher.test"),
    ("Mailbox ASCII", "owner@xn--bcher-kva.test"),
    ("Mailbox Wide", "owner@ｂücher.test"),
];

/// The indexes of the collection `orders`: each with a query that it serves.
pub const INDEXES: [(&str, bool, &str, &str); 7] = [
    ("status,-placed", false, "", r#"{"status":"open"}"#),
    ("tags", false, "", r#"{"tags":3}"#),
    ("number", true, "", r#"{"number":17}"#),
    ("customer.address.city,total", false, "", r#"{"customer.address.city":"Town 3"}"#),
    ("-total", false, "dearest-first", r#"{"total":{"$gte":{"$numberDecimal":"55.5"}}}"#),
    ("placed", false, "naïve", r#"{"placed":{"$gte":{"$date":"2026-11-19T00:00:00Z"}}}"#),
    ("note,number", true, "pair", r#"{"note":"note 8"}"#),
];

#[tokio::test]
#[ignore = "writes the data set that is committed: see tests/data/README.md"]
async fn write_data_set() {
    let (test_env, _mongod) = empty_place(crate::engine());
    let mut writer = Writer { app: App::at(test_env).await, facts: Map::new(), archives: BTreeMap::new() };
    let placements = match crate::engine() {
        Engine::Embedded => vec![None],
        Engine::MongoDb => vec![Some("collection"), Some("database"), Some("shared")],
    };
    let mut groups = Map::new();
    for placement in placements {
        groups.insert(placement.unwrap_or("files").to_owned(), writer.write_group(placement).await);
    }
    writer.facts.insert("groups".to_owned(), Value::Object(groups));
    writer.write_accounts().await;
    writer.write_kept_creates().await;
    writer.app.clock.advance(Duration::from_secs(60));
    writer.facts.insert("clock".to_owned(), json!(writer.app.clock.milliseconds()));
    let (facts, archives) = (Value::Object(writer.facts), writer.archives);
    let test_env = writer.app.stop().await;
    DataSet::pack(data_set::Writer::First, &test_env, &facts, &archives, None);
}

struct Writer {
    app: App,
    facts: Map<String, Value>,
    archives: BTreeMap<String, String>,
}

impl Writer {
    /// The organizations of one placement.
    async fn write_group(&mut self, placement: Option<&str>) -> Value {
        let suffix = placement.unwrap_or("files");
        let mut made = BTreeMap::new();
        for role in ["Acme", "Tools", "Full", "Idle", "Held", "Gone", "Kept"] {
            let organization = self.create(&format!("{role} {suffix}"), placement).await;
            organization.store(&[json!({ "_id": "first", "of": role })]).await;
            made.insert(role.to_lowercase(), organization);
            self.app.clock.advance(Duration::from_secs(1));
        }
        let mut group = Map::new();
        self.rename(&mut made, suffix).await;
        self.fill_acme(&made["acme"]).await;
        programs::write(&self.app, &made["tools"]).await;
        self.fill_to_quota(&made["full"]).await;
        group.insert("sessions".to_owned(), self.write_sessions(&made["acme"]).await);
        group.insert("kept_responses".to_owned(), self.write_kept_responses(&made["acme"]).await);
        for role in ["acme", "gone"] {
            self.export(&made[role], suffix).await;
        }
        self.change_states(&made).await;
        for role in ["idle", "held"] {
            self.export(&made[role], suffix).await;
        }
        for (role, organization) in &made {
            group.insert(role.clone(), self.facts_of(organization).await);
        }
        for role in ["acme", "tools", "full"] {
            let responses = self.responses_of(&made[role]).await;
            group[role].as_object_mut().unwrap().insert("responses".to_owned(), responses);
        }
        Value::Object(group)
    }

    async fn create(&self, name: &str, placement: Option<&str>) -> Organization {
        let email = format!("owner@{}.example", name.to_lowercase().replace(' ', "-"));
        let mut body = json!({ "organization_name": name, "email": email, "password": PASSWORD });
        if let Some(placement) = placement {
            body["placement"] = json!(placement);
        }
        let body = self.app.operator().post("/v1/organizations", &body).await.created();
        let tokens = sign_in(&self.app, &email).await;
        let owner = with_access(&self.app, &tokens);
        Organization { body, owner, tokens }
    }

    async fn rename(&self, made: &mut BTreeMap<String, Organization>, suffix: &str) {
        let acme = made.get_mut("acme").unwrap();
        let name = json!({ "organization_name": format!("Acme Global {suffix}") });
        acme.body = self.app.operator().patch(&acme.path(), &name).await.ok();
    }

    /// Documents of every type, and a collection with indexes of every kind; documents that were changed, replaced and
    /// deleted; a collection without documents and one that is gone.
    async fn fill_acme(&self, acme: &Organization) {
        let ids =
            IDS.iter().map(|id| format!("{{\"_id\":{id},\"a\":[1,{{\"b\":null}}]}}\n")).collect::<String>();
        let lines = format!("{EVERY_TYPE}\n{ids}");
        stored(&insert_lines(&acme.owner, &acme.documents(), &lines).await, 1 + IDS.len());
        for name in ["orders", "Empty", "old"] {
            acme.owner.post(&acme.collections(), &json!({ "name": name })).await.created();
        }
        let orders = format!("{}/orders", acme.collections());
        for (number, (keys, unique, name, _)) in INDEXES.iter().enumerate() {
            // Some are there before the documents, and some come after them.
            if number == INDEXES.len() / 2 {
                let lines = (0..ORDERS).map(|number| format!("{}\n", order(number))).collect::<String>();
                stored(&insert_lines(&acme.owner, &format!("{orders}/documents"), &lines).await, ORDERS);
            }
            let mut body = json!({ "keys": keys, "unique": unique });
            if !name.is_empty() {
                body["name"] = json!(name);
            }
            acme.owner.post(&format!("{orders}/indexes"), &body).await.created();
        }
        acme.owner.post(&acme.about("indexes"), &json!({ "keys": "i" })).await.created();
        acme.owner
            .post(&format!("{}/old/documents", acme.collections()), &json!({ "_id": 1 }))
            .await
            .created();
        acme.owner.delete(&format!("{}/old", acme.collections())).await.done();
        self.app.clock.advance(Duration::from_secs(1));
        acme.owner.patch(&format!("{orders}/documents/~1"), &json!({ "status": "paid" })).await.ok();
        acme.owner
            .put(&format!("{orders}/documents/~2"), &json!({ "number": 2, "status": "replaced" }))
            .await
            .ok();
        acme.owner.delete(&format!("{orders}/documents/~3")).await.done();
    }

    /// One document short of the quota, and hardly a byte.
    async fn fill_to_quota(&self, full: &Organization) {
        let documents: Vec<Value> =
            (0..8).map(|number| json!({ "_id": number, "text": "x".repeat(100) })).collect();
        full.store(&documents).await;
        full.owner.post(&full.collections(), &json!({ "name": "second" })).await.created();
        let bytes =
            full.owner.get(&format!("{}/usage", full.path())).await.ok()["bytes"].as_u64().unwrap() + 50;
        let quota = json!({ "quota": { "documents": 10, "bytes": bytes, "collections": 2 } });
        self.app.operator().patch(&full.path(), &quota).await.ok();
        // One that fits, so that what the quota limits has been counted; and gone again.
        full.owner.post(&full.documents(), &json!({ "_id": "passing" })).await.created();
        full.owner.delete(&format!("{}/passing", full.documents())).await.done();
    }

    /// A session as it began, one that was renewed, one that has ended.
    async fn write_sessions(&self, acme: &Organization) -> Value {
        let begun = sign_in(&self.app, acme.email()).await;
        let used = sign_in(&self.app, acme.email()).await;
        let refresh = json!({ "refresh_token": used["refresh_token"] });
        let renewed = self.app.client().post("/v1/auth/refresh", &refresh).await.ok();
        let ended = sign_in(&self.app, acme.email()).await;
        let logout = json!({ "refresh_token": ended["refresh_token"] });
        with_access(&self.app, &ended).post("/v1/auth/logout", &logout).await.done();
        json!({ "begun": begun, "used": used, "renewed": renewed, "ended": ended })
    }

    /// Requests of a member with an `Idempotency-Key`, and their responses.
    async fn write_kept_responses(&self, acme: &Organization) -> Value {
        let documents = acme.documents();
        let lines = "{\"kept\":1}\n{\"kept\":2}\nno document\n{\"_id\":\"kept-3\"}\n";
        let large = json!({ "_id": "large", "text": "x".repeat(20 << 10) }).to_string();
        let requests = [
            ("document", documents.clone(), "application/json", json!({ "kept": true, "n": 1 }).to_string()),
            // Its response is too large to be kept.
            ("large", documents.clone(), "application/json", large),
            ("collection", acme.collections(), "application/json", json!({ "name": "kept" }).to_string()),
            ("lines", documents, NDJSON, lines.to_owned()),
        ];
        let mut kept = Vec::new();
        for (key, path, media_type, body) in requests {
            kept.push(keyed(&acme.owner, key, &path, media_type, &body).await);
        }
        Value::Array(kept)
    }

    /// Creates with an `Idempotency-Key`, by anybody and by the operator.
    async fn write_kept_creates(&mut self) {
        let mut kept = Vec::new();
        for (key, client, path) in [
            ("anybody", self.app.client(), "/org/create"),
            ("operator", self.app.operator(), "/v1/organizations"),
        ] {
            let email = format!("owner@{key}.example");
            let body =
                json!({ "organization_name": format!("By {key}"), "email": email, "password": PASSWORD });
            let mut response = keyed(&client, key, path, "application/json", &body.to_string()).await;
            response["by"] = json!(key);
            kept.push(response);
        }
        self.facts.insert("kept_creates".to_owned(), Value::Array(kept));
    }

    async fn change_states(&self, made: &BTreeMap<String, Organization>) {
        let operator = self.app.operator();
        let post = async |role: &str, what: &str| {
            operator.post_empty(&format!("{}/{what}", made[role].path())).await.ok();
        };
        post("idle", "suspend").await;
        let hold = json!({ "legal_hold": true, "delete_protection": true });
        operator.patch(&made["held"].path(), &hold).await.ok();
        for role in ["gone", "kept"] {
            operator.delete(&made[role].path()).await.ok();
        }
        operator.patch(&made["kept"].path(), &json!({ "legal_hold": true })).await.ok();
    }

    async fn export(&mut self, organization: &Organization, suffix: &str) {
        let archive = self.app.operator().get(&format!("{}/export", organization.path())).await;
        assert_eq!(archive.status, 200, "{archive}");
        let role = organization.name().split(' ').next().unwrap().to_lowercase();
        self.archives.insert(format!("{role}-{suffix}"), archive.text);
    }

    async fn facts_of(&self, organization: &Organization) -> Value {
        let view = self.app.operator().get(&organization.path()).await.ok();
        let operations = self.app.operator().get(&format!("{}/operations", organization.path())).await;
        json!({
            "id": organization.id(), "name": organization.name(), "email": organization.email(),
            "path": organization.path(), "tokens": organization.tokens, "view": view,
            "operations": operations.ok()["items"],
        })
    }

    /// What the owner's requests for everything in an organization are answered.
    async fn responses_of(&self, organization: &Organization) -> Value {
        let owner = &organization.owner;
        let mut paths = vec![organization.collections(), format!("{}/usage", organization.path())];
        for collection in owner.get(&organization.collections()).await.ok()["items"].as_array().unwrap() {
            let path = format!("{}/{}", organization.collections(), collection["name"].as_str().unwrap());
            paths.extend([
                path.clone(),
                format!("{path}/indexes"),
                format!("{path}/count"),
                format!("{path}/documents?limit=200&revisions=true"),
            ]);
            if let Some(items) =
                owner.get(&format!("{path}/documents?limit=200")).await.json()["items"].as_array()
            {
                let ids = items.iter().map(|document| document["_id"].to_string());
                paths.extend(ids.map(|id| format!("{path}/documents/~{}", encoded(&id))));
            }
        }
        let mut responses = Vec::new();
        for path in paths {
            let response = owner.get(&path).await;
            let etag = response.headers.get("etag").map(|etag| etag.to_str().unwrap());
            responses.push(json!({
                "path": path, "status": response.status.as_u16(), "etag": etag, "body": response.json(),
            }));
        }
        Value::Array(responses)
    }

    /// Accounts whose hashes others have made, and those whose addresses are one mailbox's.
    async fn write_accounts(&mut self) {
        let mut accounts = Vec::new();
        let (_, template) = self.archives.iter().find(|(name, _)| name.starts_with("gone")).unwrap();
        for (name, password, hash) in FOREIGN_HASHES {
            let email = format!("owner@{}.example", name.to_lowercase().replace(' ', "-"));
            let archive = with_hash(template, hash);
            let path = format!(
                "/v1/organizations/import?id=new&organization_name={}&owner_email={}",
                encoded(name),
                encoded(&email)
            );
            let body = Some((NDJSON, archive.into_bytes()));
            let made = self.app.operator().send(Method::POST, &path, body).await.created();
            accounts.push(json!({ "name": name, "id": made["id"], "email": email, "password": password }));
        }
        for (name, email) in ONE_MAILBOX {
            // Each has a password of its own, so that a sign-in shows whose account it is.
            let password = format!("{PASSWORD} of {name}");
            let body = json!({ "organization_name": name, "email": email, "password": password });
            let made = self.app.client().post("/org/create", &body).await.created();
            accounts.push(json!({ "name": name, "id": made["id"], "email": email, "password": password }));
        }
        self.facts.insert("accounts".to_owned(), Value::Array(accounts));
    }
}

/// One order.
fn order(number: usize) -> Value {
    let status = ["open", "paid", "void"][number % 3];
    let mut order = json!({
        "_id": number,
        "number": number,
        "status": status,
        "placed": { "$date": format!("2026-11-{:02}T09:00:00Z", 1 + number % 20) },
        "total": { "$numberDecimal": format!("{number}.50") },
        "tags": ["all", number % 5, { "deep": [number] }],
        "customer": { "name": format!("Customer {number}"), "address": { "city": format!("Town {}", number % 7) } },
    });
    if number.is_multiple_of(4) {
        order["note"] = json!(format!("note {number}"));
    }
    order
}

/// Expects that this many documents were stored.
#[track_caller]
fn stored(answer: &Answer, count: usize) {
    assert_eq!(answer.lines().last().unwrap()["inserted"], count, "{answer}");
}

/// Sends a request with an `Idempotency-Key`; all that is needed to send it again and to compare the response.
pub async fn keyed(client: &Client, key: &str, path: &str, media_type: &str, body: &str) -> Value {
    let client = client.with_header("idempotency-key", key);
    let response = client.send(Method::POST, path, Some((media_type, body.as_bytes().to_vec()))).await;
    assert!(response.status.is_success(), "{response}");
    let header = |name: &str| response.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    json!({
        "key": key, "path": path, "media_type": media_type, "request": body, "status": response.status.as_u16(),
        "etag": header("etag"), "location": header("location"), "body": response.text,
    })
}

/// The archive with another hash of the owner's password.
fn with_hash(archive: &str, hash: &str) -> String {
    let mut lines: Vec<String> = archive.lines().map(|line| format!("{line}\n")).collect();
    let mut organization: Value = serde_json::from_str(&lines[1]).unwrap();
    organization["organization"]["owner"]["password_hash"] = json!(hash);
    lines[1] = format!("{organization}\n");
    let last = lines.len() - 1;
    let mut end: Value = serde_json::from_str(&lines[last]).unwrap();
    let sum = digest(&SHA256, lines[..last].concat().as_bytes());
    end["end"]["sha256"] = json!(sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    lines[last] = end.to_string();
    lines.concat() + "\n"
}
