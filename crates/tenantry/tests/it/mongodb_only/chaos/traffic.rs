//! Applications that read and write the documents of one organization while that moves, as they should: by the name
//! and the identity of its container, which they look up again when the server says that these do not belong
//! together.

use crate::support::checker::Snapshot;
use crate::support::mongodb::{Database, spawn};
use crate::support::test_env::TestEnv;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// "The collection of this UUID is not called so."
const COLLECTION_UUID_MISMATCH: i32 = 361;
const DUPLICATE_KEY: i32 = 11000;
/// "PrimarySteppedDown".
const PRIMARY_STEPPED_DOWN: i32 = 189;
const PAUSE: Duration = Duration::from_millis(2);

/// One organization's documents, and those who are at work on them.
pub struct Traffic {
    id: ObjectId,
    is_over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<(String, Duration)>>>,
    readers: Vec<JoinHandle<usize>>,
}

/// What came of it.
pub struct TrafficResult {
    /// The ids of the documents that were acknowledged.
    pub acknowledged: BTreeSet<String>,
    /// How long each of them took, in order.
    pub took: Vec<Duration>,
    /// How many reads were answered.
    pub reads: usize,
}

impl Traffic {
    /// Begins, with `writers` and as many readers, where `before` documents are acknowledged already. `round` tells
    /// its documents from others.
    pub fn begin(test_env: &TestEnv, id: &str, round: u32, before: usize, writers: u32) -> Self {
        let id = ObjectId::parse_str(id).unwrap();
        let (is_over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(before)));
        let database = test_env.database().unwrap();
        // The first to be elected may not know yet what most members have; this makes it ask them.
        let is_set = database.uri().contains("replicaSet");
        let application = || Application {
            database: Database::handle(database),
            read_concern: if is_set { "linearizable" } else { "majority" },
            id,
            container: None,
            is_over: Arc::clone(&is_over),
            written: Arc::clone(&written),
        };
        Self {
            writers: (0..writers).map(|it| spawn(application().write(format!("{round}-{it}")))).collect(),
            readers: (0..writers).map(|_| spawn(application().read())).collect(),
            id,
            is_over,
        }
    }

    /// Ends it, once the server can be reached.
    pub async fn end(self) -> TrafficResult {
        self.is_over.store(true, Ordering::SeqCst);
        let (mut acknowledged, mut took, mut reads) = (BTreeSet::new(), Vec::new(), 0);
        for writer in self.writers {
            for (id, time) in writer.await.unwrap() {
                acknowledged.insert(id);
                took.push(time);
            }
        }
        for reader in self.readers {
            reads += reader.await.unwrap();
        }
        took.sort();
        TrafficResult { acknowledged, took, reads }
    }

    /// Whose documents they are.
    pub fn id(&self) -> String {
        self.id.to_hex()
    }
}

/// Expects every acknowledged document to be in the container of that organization, once.
pub fn assert_all_there(found: &Snapshot, id: &str, acknowledged: &BTreeSet<String>) {
    let documents = found.documents(id);
    let ids: BTreeSet<String> = documents
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), documents.len(), "documents are there twice");
    let lost: Vec<_> = acknowledged.difference(&ids).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
}

/// One that reads or writes.
struct Application {
    database: mongodb::Database,
    /// What makes a read see all that was acknowledged before it.
    read_concern: &'static str,
    id: ObjectId,
    /// Name and UUID, as last looked up.
    container: Option<(String, Bson)>,
    is_over: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
}

impl Application {
    /// Writes one document after the other until it is over, each until it is acknowledged.
    async fn write(mut self, prefix: String) -> Vec<(String, Duration)> {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            let (id, began) = (format!("{prefix}-{number}"), Instant::now());
            let document = doc! { "_id": &id, "owner": self.id, "number": number };
            while !self.is_acknowledged(&document).await {
                // At the end nothing may stay open: whether it was written nobody would know.
                if self.is_over.load(Ordering::SeqCst) && began.elapsed() > Duration::from_secs(60) {
                    return acknowledged;
                }
                tokio::time::sleep(PAUSE).await;
            }
            acknowledged.push((id, began.elapsed()));
            self.written.fetch_add(1, Ordering::SeqCst);
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
        }
        acknowledged
    }

    async fn is_acknowledged(&mut self, document: &Document) -> bool {
        let concern = doc! { "w": "majority", "j": true, "wtimeout": 5000 };
        let insert = doc! { "documents": [document.clone()], "writeConcern": concern };
        let Some(answer) = self.command("insert", insert).await else { return false };
        let error = |list: &str| answer.get_array(list).ok()?.first()?.as_document()?.get_i32("code").ok();
        match error("writeErrors") {
            None => !answer.contains_key("writeConcernError"),
            // Of a try before, which got no answer. That it is there for good is not said yet.
            Some(DUPLICATE_KEY) => self.is_there(document).await,
            Some(COLLECTION_UUID_MISMATCH) => {
                self.container = None;
                false
            }
            // It may have been written: the next try finds out.
            Some(PRIMARY_STEPPED_DOWN) => false,
            Some(code) => panic!("a write is refused with {code}"),
        }
    }

    /// Whether most members have it.
    async fn is_there(&mut self, document: &Document) -> bool {
        let find = doc! { "filter": { "_id": document.get("_id") }, "readConcern": { "level": "majority" } };
        let answer = self.command("find", find).await;
        answer.is_some_and(|answer| {
            let cursor = answer.get_document("cursor").unwrap();
            !cursor.get_array("firstBatch").unwrap().is_empty()
        })
    }

    /// Counts again and again: never fewer than were acknowledged before.
    async fn read(mut self) -> usize {
        let mut reads = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            let least = self.written.load(Ordering::SeqCst);
            let pipeline = [doc! { "$match": { "owner": self.id } }, doc! { "$count": "found" }];
            let count = doc! {
                "pipeline": &pipeline[..], "cursor": {}, "readConcern": { "level": self.read_concern },
                "maxTimeMS": 5000,
            };
            if let Some(answer) = self.command("aggregate", count).await {
                let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
                let found = batch.first().map_or(0, |it| it.as_document().unwrap().get_i32("found").unwrap());
                assert!(found as usize >= least, "found {found} where {least} were acknowledged before");
                reads += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
        reads
    }

    /// Sends a command to the container; `None` if it has to be sent again.
    async fn command(&mut self, name: &str, rest: Document) -> Option<Document> {
        if self.container.is_none() {
            self.container = self.look_up().await;
        }
        let (namespace, uuid) = self.container.clone()?;
        let mut command = doc! { name: namespace };
        command.extend(rest);
        command.insert("collectionUUID", uuid);
        match self.database.run_command(command).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                if code(&error) == Some(COLLECTION_UUID_MISMATCH) {
                    self.container = None;
                }
                None
            }
        }
    }

    /// Where the container is, as its organization's record says.
    async fn look_up(&self) -> Option<(String, Bson)> {
        let organizations = self.database.collection::<Document>("organizations");
        let record = organizations.find_one(doc! { "_id": self.id }).await.ok()??;
        Some((record.get_str("namespace").ok()?.to_owned(), record.get("container")?.clone()))
    }
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(refusal) => Some(refusal.code),
        _ => None,
    }
}
