//! Renames, deletes, restores and a purge of an organization whose members keep reading and writing.
//!
//! Each writer records its responses. A write may be refused while the organization is deleted, but an
//! acknowledged one must be there, in its collection, under any later name of the organization.

use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::client::Client;
use crate::support::fixtures::{Organization, PASSWORD, credentials, email_for, sign_in, with_access};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tenantry_domain::organization::Placement;
use tokio::task::JoinSet;

const WRITERS: usize = 4;
const READERS: usize = 4;
const COLLECTIONS: [&str; 2] = ["documents", "orders"];
const RENAMES: usize = 6;

/// The placements of the engine under test.
fn placements() -> Vec<Placement> {
    match crate::engine() {
        crate::support::test_env::Engine::Embedded => vec![Placement::Database],
        crate::support::test_env::Engine::MongoDb => Placement::ALL.to_vec(),
    }
}

/// An organization of that name, whose owner's address is made from `owner`.
async fn organization(app: &App, name: &str, owner: &str, placement: Placement) -> Organization {
    let email = email_for(owner);
    let body = json!({
        "organization_name": name, "email": email, "password": PASSWORD, "placement": placement.as_str(),
    });
    let body = app.operator().post("/v1/organizations", &body).await.created();
    let tokens = sign_in(app, &email).await;
    let owner = with_access(app, &tokens);
    Organization { body, owner, tokens }
}

/// Writes until it is told to stop; what was answered.
async fn write(
    writer: usize,
    client: Client,
    path: String,
    stop: Arc<AtomicBool>,
) -> BTreeSet<(usize, String)> {
    let mut answered = BTreeSet::new();
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (at, id) = (number % COLLECTIONS.len(), format!("w{writer}-{number}"));
        let path = format!("{path}/collections/{}/documents", COLLECTIONS[at]);
        let body = Some(("application/json", json!({ "_id": id, "n": number }).to_string().into_bytes()));
        let answer = client.try_send(Method::POST, &path, body).await.unwrap();
        match answer.status.as_u16() {
            201 => assert!(answered.insert((at, id))),
            // Deleted meanwhile: the sign-in has ended.
            401 | 404 => break,
            _ => panic!("{answer}"),
        }
    }
    answered
}

/// Reads until it is told to stop: what was there from the beginning is there.
async fn read(client: Client, path: String, stop: Arc<AtomicBool>) -> usize {
    let mut reads = 0;
    while !stop.load(Ordering::SeqCst) {
        for collection in COLLECTIONS {
            let base = format!("{path}/collections/{collection}");
            for path in [
                format!("{base}/documents/first"),
                format!("{base}/documents?limit=5&filter=%7B%22n%22%3A-1%7D"),
            ] {
                let answer = client.get(&path).await;
                match answer.status.as_u16() {
                    200 => assert!(answer.text.contains("\"first\""), "{answer}"),
                    401 | 404 => return reads,
                    _ => panic!("{answer}"),
                }
                reads += 1;
            }
        }
    }
    reads
}

struct MemberLoad {
    stop: Arc<AtomicBool>,
    writers: JoinSet<BTreeSet<(usize, String)>>,
    readers: JoinSet<usize>,
}

impl MemberLoad {
    fn begin(owner: &Client, path: &str, round: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for writer in 0..WRITERS {
            writers.spawn(write(round * 100 + writer, owner.clone(), path.to_owned(), Arc::clone(&stop)));
        }
        for _ in 0..READERS {
            readers.spawn(read(owner.clone(), path.to_owned(), Arc::clone(&stop)));
        }
        Self { stop, writers, readers }
    }

    /// Lets them end; what was answered.
    async fn end(self) -> BTreeSet<(usize, String)> {
        self.stop.store(true, Ordering::SeqCst);
        let reads: usize = self.readers.join_all().await.into_iter().sum();
        let answered: BTreeSet<_> = self.writers.join_all().await.into_iter().flatten().collect();
        assert!(reads > 0 && !answered.is_empty(), "nobody was at work");
        answered
    }
}

async fn there(owner: &Client, path: &str) -> BTreeSet<(usize, String)> {
    let mut there = BTreeSet::new();
    for (at, collection) in COLLECTIONS.into_iter().enumerate() {
        let base = format!("{path}/collections/{collection}/documents?limit=200&fields=_id");
        let mut next = base.clone();
        loop {
            let page: Value = owner.get(&next).await.ok();
            let ids =
                page["items"].as_array().unwrap().iter().map(|item| item["_id"].as_str().unwrap().to_owned());
            there.extend(ids.filter(|id| id != "first").map(|id| (at, id)));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{base}&cursor={cursor}");
        }
    }
    there
}

/// Rename, delete and restore take all collections along while clients read and write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organization_changes_keep_collections_under_load() {
    for placement in placements() {
        let app = App::start().await;
        let acme = organization(&app, "Acme", "First", placement).await;
        // The next owner of the old name must not get anything.
        let path = acme.path();
        acme.owner.post(&format!("{path}/collections"), &json!({ "name": "orders" })).await.created();
        for collection in COLLECTIONS {
            let first = json!({ "_id": "first", "n": -1 });
            acme.owner.post(&format!("{path}/collections/{collection}/documents"), &first).await.created();
        }

        let load = MemberLoad::begin(&acme.owner, &path, 1);
        for number in 0..RENAMES {
            let to = json!({ "organization_name": format!("Acme {number}") });
            app.operator().patch(&path, &to).await.ok();
            if number == 0 {
                let next = organization(&app, "Acme", "Next", placement).await;
                next.owner
                    .post(&format!("{}/collections", next.path()), &json!({ "name": "orders" }))
                    .await
                    .created();
            }
        }
        let mut answered = load.end().await;
        assert_eq!(there(&acme.owner, &path).await, answered, "{placement:?}");

        let load = MemberLoad::begin(&acme.owner, &path, 2);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        app.operator().delete(&path).await.ok();
        // All of them are sent away.
        let came = load.end().await;
        answered.extend(came);
        acme.owner.get(&format!("{path}/collections/documents/documents")).await.refused("token_revoked");
        app.operator().post(&format!("{path}/restore"), &json!({})).await.ok();
        let tokens = app.client().post("/admin/login", &credentials(acme.email(), PASSWORD)).await.ok();
        let owner = with_access(&app, &tokens);
        assert_eq!(there(&owner, &path).await, answered, "{placement:?}");

        let load = MemberLoad::begin(&owner, &path, 3);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        app.operator().delete(&format!("{path}?purge=true")).await;
        load.end().await;
        owner.get(&format!("{path}/collections/documents/documents")).await.refused("token_revoked");
        let next = with_access(&app, &sign_in(&app, &email_for("Next")).await);
        let next = there(&next, "/v1/organizations/acme").await;
        assert!(next.is_empty(), "{placement:?}: another's documents: {next:?}");
        let test_env = app.stop().await;
        Snapshot::sound(&test_env);
    }
}
