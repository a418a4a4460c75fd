//! Real data end to end: loaded, queried, exported, imported elsewhere, renamed, and unchanged throughout.
//!
//! # Pitfalls
//! The data differs between machines, so compute every expected value here, from the same files that are
//! loaded.

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::{encoded, organization, sign_in, with_access};
use bson::RawDocumentBuf;
use reqwest::Method;
use serde_json::{Value, json};
use sha2_of::sha256;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tenantry_documents::document::{DocumentId, NewDocument, write_canonical_json};
use tenantry_domain::organization::Placement;

mod sha2_of {
    use aws_lc_rs::digest::{Context, SHA256};

    /// The hash of lines, each with its end, in hexadecimal digits.
    pub fn sha256<'a>(lines: impl Iterator<Item = &'a [u8]>) -> String {
        let mut context = Context::new(&SHA256);
        for line in lines {
            context.update(line);
            context.update(b"\n");
        }
        context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A file of real data, as it is sent and as it is expected back.
struct Data {
    name: &'static str,
    text: String,
    documents: Vec<Value>,
}

impl Data {
    fn read(name: &'static str) -> Self {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/data").join(name);
        let text = std::fs::read_to_string(file.with_extension("ndjson"))
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask tools`", file.display()));
        let documents = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Self { name, text, documents }
    }

    /// The hash of its export, the same on every engine.
    fn hash(&self) -> String {
        let mut bodies: Vec<RawDocumentBuf> = (self.text.lines())
            .map(|line| NewDocument::parse(line, 1 << 20).unwrap().with_id(|| unreachable!("each has one")))
            .collect();
        bodies.sort_by_key(|body| DocumentId::of(body).unwrap().key());
        let lines: Vec<Vec<u8>> = bodies
            .iter()
            .map(|body| {
                let mut line = br#"{"document":"#.to_vec();
                write_canonical_json(body, &mut line);
                line.push(b'}');
                line
            })
            .collect();
        sha256(lines.iter().map(Vec::as_slice))
    }

    /// Documents by the text in that field.
    fn by(&self, field: &str) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for value in self.documents.iter().filter_map(|document| document[field].as_str()) {
            *counts.entry(value).or_default() += 1;
        }
        counts
    }

    fn count(&self, holds: impl Fn(&Value) -> bool) -> u64 {
        self.documents.iter().filter(|document| holds(document)).count() as u64
    }
}

/// An organization's client, and its path.
struct Home {
    client: Client,
    path: String,
}

impl Home {
    fn collection(&self, name: &str) -> String {
        format!("{}/collections/{name}", self.path)
    }

    async fn load(&self, data: &Data) {
        self.client
            .post(&format!("{}/collections", self.path), &json!({ "name": data.name }))
            .await
            .created();
        let body = Some(("application/x-ndjson", data.text.clone().into_bytes()));
        let path = format!("{}/documents?outcomes=refused", self.collection(data.name));
        let answer = self.client.send(Method::POST, &path, body).await;
        let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{answer}");
        let total = data.documents.len();
        assert_eq!((&lines[0]["inserted"], &lines[0]["lines"]), (&json!(total), &json!(total)), "{answer}");
    }

    async fn add_index(&self, collection: &str, keys: &str) {
        let answer = self
            .client
            .post(&format!("{}/indexes", self.collection(collection)), &json!({ "keys": keys }))
            .await;
        assert!([201, 202].contains(&answer.status.as_u16()), "{answer}");
        // A slow machine may still be at it.
        for _ in 0..600 {
            let indexes = self.client.get(&format!("{}/indexes", self.collection(collection))).await.ok();
            if indexes["items"].as_array().unwrap().iter().any(|index| index["keys"] == keys) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the index on {keys} is never made");
    }

    async fn count(&self, collection: &str, filter: &Value) -> u64 {
        let path = format!("{}/count?filter={}", self.collection(collection), encoded(&filter.to_string()));
        self.client.get(&path).await.ok()["count"].as_u64().unwrap()
    }

    /// All that match, page by page.
    async fn all(&self, collection: &str, filter: &Value, sort: &str) -> Vec<Value> {
        let filter = encoded(&filter.to_string());
        let base = format!("{}/documents?filter={filter}&sort={sort}&limit=200", self.collection(collection));
        let (mut all, mut path) = (Vec::new(), base.clone());
        loop {
            let page = self.client.get(&path).await.ok();
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("{base}&cursor={cursor}"),
                None => return all,
            }
        }
    }

    /// The number of documents and the hash of each collection in an export.
    async fn exported(&self) -> (String, BTreeMap<String, (u64, String)>) {
        let archive = self.client.get(&format!("{}/export", self.path)).await;
        assert_eq!(archive.status.as_u16(), 200);
        let ends = archive.text.lines().filter_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let end = line.get("collection_end")?.clone();
            let found = (end["documents"].as_u64().unwrap(), end["sha256"].as_str().unwrap().to_owned());
            Some((end["name"].as_str().unwrap().to_owned(), found))
        });
        let ends = ends.collect();
        (archive.text, ends)
    }
}

fn expected(data: &[&Data]) -> BTreeMap<String, (u64, String)> {
    data.iter().map(|data| (data.name.to_owned(), (data.documents.len() as u64, data.hash()))).collect()
}

fn without_default(mut found: BTreeMap<String, (u64, String)>) -> BTreeMap<String, (u64, String)> {
    assert_eq!(found.remove("documents").unwrap().0, 0);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_data_survives_storage_queries_and_archives() {
    let (subdivisions, packages) = (Data::read("subdivisions"), Data::read("packages"));
    assert!(subdivisions.documents.len() > 4_000 && packages.documents.len() > 50_000);
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let home = Home { client: acme.owner.clone(), path: acme.path() };
    home.load(&subdivisions).await;
    home.load(&packages).await;
    for keys in ["section,-installed-size", "depends", "-size"] {
        home.add_index("packages", keys).await;
    }
    home.add_index("subdivisions", "type,name").await;

    ask_subdivisions(&home, &subdivisions).await;
    ask_packages(&home, &packages).await;

    let wanted = expected(&[&subdivisions, &packages]);
    let (archive, found) = home.exported().await;
    assert_eq!(without_default(found), wanted);

    let rename = json!({ "organization_name": "Acme Worldwide" });
    home.client.put("/org/update", &rename).await.ok();
    let renamed = Home { client: with_access(&app, &sign_in(&app, acme.email()).await), path: acme.path() };
    assert_eq!(without_default(renamed.exported().await.1), wanted);

    for placement in placements() {
        import(&app, &archive, placement, &wanted, &subdivisions).await;
    }
}

/// The placements of the engine under test.
fn placements() -> Vec<Placement> {
    match crate::engine() {
        crate::support::test_env::Engine::Embedded => vec![Placement::Database],
        crate::support::test_env::Engine::MongoDb => vec![Placement::Database, Placement::Shared],
    }
}

async fn import(
    app: &App,
    archive: &str,
    placement: Placement,
    wanted: &BTreeMap<String, (u64, String)>,
    subdivisions: &Data,
) {
    let name = format!("Copy in {}", placement.as_str());
    let email = format!("{}@copy.example", placement.as_str());
    let path = format!(
        "/v1/organizations/import?id=new&organization_name={}&placement={}&owner_email={}",
        encoded(&name),
        placement.as_str(),
        encoded(&email)
    );
    let body = Some(("application/x-ndjson", archive.as_bytes().to_vec()));
    let made = app.operator().send(Method::POST, &path, body).await.created();
    assert_eq!((&made["organization_name"], &made["placement"]), (&json!(name), &json!(placement.as_str())));
    let copy = Home {
        client: with_access(app, &sign_in(app, &email).await),
        path: format!("/v1/organizations/{}", made["id"].as_str().unwrap()),
    };
    assert_eq!(&without_default(copy.exported().await.1), wanted);
    let indexes = copy.client.get(&format!("{}/indexes", copy.collection("packages"))).await.ok();
    assert_eq!(indexes["items"].as_array().unwrap().len(), 3, "{indexes}");
    ask_subdivisions(&copy, subdivisions).await;
}

async fn ask_subdivisions(home: &Home, data: &Data) {
    for (kind, count) in data.by("type") {
        assert_eq!(home.count(data.name, &json!({ "type": kind })).await, count, "{kind}");
    }
    let orphans = data.count(|document| document.get("parent").is_none());
    assert_eq!(home.count(data.name, &json!({ "parent": { "$exists": false } })).await, orphans);
    let of_country = |document: &&Value| document["_id"].as_str().unwrap().starts_with("GB-");
    let mut wanted: Vec<Value> = data.documents.iter().filter(of_country).cloned().collect();
    wanted
        .sort_by_key(|document| (document["name"].as_str().unwrap().to_owned(), document["_id"].to_string()));
    assert_eq!(home.all(data.name, &json!({ "_id": { "$regex": "^GB-" } }), "name").await, wanted);
}

async fn ask_packages(home: &Home, data: &Data) {
    for (section, count) in data.by("section").into_iter().take(12) {
        let filter = json!({ "section": section, "installed-size": { "$gte": 0 } });
        let sized = data.count(|one| one["section"] == section && one["installed-size"].is_number());
        assert_eq!(home.count(data.name, &filter).await, sized, "{section}");
        assert_eq!(home.count(data.name, &json!({ "section": section })).await, count, "{section}");
    }
    let needs = |one: &Value| one["depends"].as_array().is_some_and(|all| all.contains(&json!("zlib1g")));
    assert_eq!(home.count(data.name, &json!({ "depends": "zlib1g" })).await, data.count(needs));
    let mut large: Vec<&Value> = data
        .documents
        .iter()
        .filter(|one| one["size"].as_u64().is_some_and(|size| size > 100_000_000))
        .collect();
    large.sort_by_key(|one| (std::cmp::Reverse(one["size"].as_u64()), one["_id"].to_string()));
    let found = home.all(data.name, &json!({ "size": { "$gt": 100_000_000 } }), "-size").await;
    assert_eq!(found.iter().collect::<Vec<_>>(), large);
    let games = |one: &Value| {
        one["section"] == "games" && one["description"].as_str().is_some_and(|text| text.contains("puzzle"))
    };
    let filter = json!({ "section": "games", "description": { "$regex": "puzzle" } });
    assert_eq!(home.count(data.name, &filter).await, data.count(games));
}
