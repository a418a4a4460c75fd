//! Batches under faults: of each one all is there, or nothing; one that was answered is there, and one that was refused is
//! not.
//!
//! A standalone server has no transactions. There a batch has one operation, and longer ones are refused.

use crate::support::client::Client;
use crate::support::fixtures::{PASSWORD, credentials, email_for};
use crate::support::process::Server;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const PAUSE: Duration = Duration::from_millis(2);
/// What the ids of all these documents begin with, and what comes after all of them.
const FIRST: &str = "batch-";
const AFTER: &str = "batch.";

/// The batches that were sent, round after round, to one organization.
pub struct Batches {
    path: String,
    email: String,
    /// Whether the servers have transactions.
    are_whole: bool,
    /// What became of each batch, by its key.
    sent: BTreeMap<String, BatchAnswer>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum BatchAnswer {
    Done,
    /// Nothing may be there.
    Refused,
    /// Nobody knows, but it is whole.
    Unknown,
}

/// The writers of a round.
pub struct BatchWriters(JoinSet<Vec<(String, BatchAnswer)>>);

impl Batches {
    /// For the organization of that id, whose owner is that of `name`; makes the collection that they need beside
    /// `documents`.
    pub async fn begin(server: &Server, id: &str, name: &str, are_whole: bool) -> Self {
        let path = format!("/v1/organizations/{id}");
        let batches = Self { path, email: email_for(name), are_whole, sent: BTreeMap::new() };
        let owner = batches.owner(server).await;
        owner.post(&format!("{}/collections", batches.path), &json!({ "name": "parts" })).await.created();
        if !are_whole {
            let operations = operations("batch-never", 0, true);
            owner.post(&batches.batch(), &operations).await.refused("batches_unsupported");
        }
        batches
    }

    fn batch(&self) -> String {
        format!("{}/batch", self.path)
    }

    async fn owner(&self, server: &Server) -> Client {
        let tokens = server.client().post("/admin/login", &credentials(&self.email, PASSWORD)).await.ok();
        server.client().with_token(tokens["access_token"].as_str().unwrap())
    }

    /// Writes through each of these instances until it is gone, or the round is over.
    pub async fn write(
        &self,
        instances: [&Server; 2],
        round: u32,
        is_over: &Arc<AtomicBool>,
    ) -> BatchWriters {
        let mut writers = JoinSet::new();
        for (number, instance) in instances.into_iter().enumerate() {
            let (owner, path) = (self.owner(instance).await, self.batch());
            let (are_whole, is_over) = (self.are_whole, Arc::clone(is_over));
            writers.spawn(async move {
                let mut sent = Vec::new();
                for count in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    let key = format!("{FIRST}{number}-{round}-{count}");
                    let body = operations(&key, number, are_whole).to_string().into_bytes();
                    let answer =
                        owner.try_send(Method::POST, &path, Some(("application/json", body))).await.ok();
                    let is_gone = answer.is_none();
                    sent.push((key, outcome(answer.map(|answer| answer.status.as_u16()))));
                    if is_gone {
                        break;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                sent
            });
        }
        BatchWriters(writers)
    }

    /// Takes what the writers of a round were answered; how many batches that has done.
    pub async fn end(&mut self, writers: BatchWriters) -> usize {
        let sent = writers.0.join_all().await.concat();
        let done = sent.iter().filter(|(_, answer)| *answer == BatchAnswer::Done).count();
        self.sent.extend(sent);
        done
    }

    /// Expects all of every batch, or nothing.
    pub async fn check(&self, server: &Server) {
        let owner = self.owner(server).await;
        let there: BTreeSet<String> = self.ids(&owner, "documents").await.into_keys().collect();
        for (key, answer) in &self.sent {
            match answer {
                BatchAnswer::Done => assert!(there.contains(key), "{key} was acknowledged and is lost"),
                BatchAnswer::Refused => assert!(!there.contains(key), "{key} was refused and is there"),
                BatchAnswer::Unknown => {}
            }
        }
        let unsent: Vec<_> = there.iter().filter(|key| !self.sent.contains_key(*key)).collect();
        assert!(unsent.is_empty(), "nobody has sent {unsent:?}");
        if !self.are_whole {
            return;
        }
        let mut parts = self.ids(&owner, "parts").await;
        for number in 0..2 {
            let of_writer = format!("{FIRST}{number}-");
            let count = there.iter().filter(|key| key.starts_with(&of_writer)).count();
            let counter =
                parts.remove(&counter(number)).map_or(0, |document| document["n"].as_u64().unwrap());
            assert_eq!(counter, count as u64, "writer {number}: a counter does not agree with its batches");
        }
        let parts: BTreeSet<String> =
            parts.into_keys().map(|id| id.strip_suffix(".part").unwrap().to_owned()).collect();
        let halves: Vec<_> = there.symmetric_difference(&parts).collect();
        assert!(halves.is_empty(), "of these batches only a part is there: {halves:?}");
    }

    /// The documents of batches in a collection, by their ids.
    async fn ids(&self, owner: &Client, collection: &str) -> BTreeMap<String, Value> {
        let path = format!("{}/collections/{collection}/query", self.path);
        let filter = json!({ "_id": { "$gte": FIRST, "$lt": AFTER } });
        let (mut found, mut cursor) = (BTreeMap::new(), None::<String>);
        loop {
            let body = json!({ "filter": filter, "limit": 200, "cursor": cursor });
            let page = owner.post(&path, &body).await.ok();
            for document in page["items"].as_array().unwrap() {
                found.insert(document["_id"].as_str().unwrap().to_owned(), document.clone());
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return found;
            }
        }
    }
}

fn counter(writer: usize) -> String {
    format!("{FIRST}{writer}.counter")
}

/// A document in each of two collections, and a counter of them.
fn operations(key: &str, writer: usize, is_whole: bool) -> Value {
    let mut operations =
        vec![json!({ "op": "insert", "collection": "documents", "document": { "_id": key } })];
    if is_whole {
        operations.extend([
            json!({ "op": "insert", "collection": "parts", "document": { "_id": format!("{key}.part") } }),
            json!({ "op": "update", "collection": "parts", "id": counter(writer),
                "update": { "$inc": { "n": 1 } }, "upsert": true }),
            json!({ "op": "check", "collection": "documents", "id": format!("{key}.none"), "exists": false }),
        ]);
    }
    json!({ "operations": operations })
}

/// What an answer with that status says.
fn outcome(status: Option<u16>) -> BatchAnswer {
    match status {
        Some(200) => BatchAnswer::Done,
        Some(403 | 404 | 409 | 412) => BatchAnswer::Refused,
        _ => BatchAnswer::Unknown,
    }
}
