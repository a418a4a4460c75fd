//! A soak: everything at once for many minutes, with a kill every few of them. Nothing that was acknowledged is lost, and
//! what the service holds (memory, open files, disk) follows what is stored, not how long it runs.
//!
//! It runs only on request: `cargo xtask soak`. A process that is killed and started again is a *life*. In each life,
//! workers change organizations of their own ([`crate::crash::load`]), writers and readers are at the documents of one
//! organization, and archives are imported and purged.
//!
//! # Pitfalls
//! What is stored must not grow by itself, or growth would prove nothing: a writer deletes as much as it inserts.

#![expect(clippy::print_stdout, reason = "a run says what it has measured")]

mod documents;
mod imports;
mod resources;

use crate::crash::load::{Worker, recover_once_more};
use crate::crash::recovered;
use crate::support::checker::Snapshot;
use crate::support::client::Client;
use crate::support::fixtures::{email_for, new_organization};
use crate::support::process::Launch;
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use documents::{DocumentWriter, read_documents, stored_documents};
use imports::Importer;
use resources::{Growth, LifeSamples, Samples};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const WORKERS: usize = 4;
const WRITERS: usize = 4;
const READERS: usize = 2;
/// Minutes between kills, if there is time for several.
const LIFE_MINUTES: u64 = 5;
/// Between two changes of a worker: each makes records that are kept, and all of them are checked after each life.
const WORKER_PAUSE: Duration = Duration::from_millis(200);
const WRITER_PAUSE: Duration = Duration::from_millis(10);
const READER_PAUSE: Duration = Duration::from_millis(20);
const IMPORT_PAUSE: Duration = Duration::from_millis(500);

/// All that is at work, and what it knows.
struct Soak {
    test_env: TestEnv,
    workers: Vec<Worker>,
    writers: Vec<DocumentWriter>,
    importer: Importer,
    /// The organization whose documents are written, and a key of it, which outlives every process.
    organization: String,
    key: String,
}

impl Soak {
    async fn new(test_env: TestEnv, rng: &mut TestRng) -> Self {
        let server = Launch::on(&test_env).start();
        let client = server.client();
        let made = client.post("/org/create", &new_organization("Soak", &email_for("Soak"))).await.created();
        let organization = made["id"].as_str().unwrap().to_owned();
        let key = documents::key(&client, &organization).await;
        let importer = Importer::new(&client, &server.operator()).await;
        server.stop().await;
        Self {
            workers: (0..WORKERS).map(|number| Worker::new(number, rng.next())).collect(),
            writers: (0..WRITERS).map(|number| DocumentWriter::new(number, rng.next())).collect(),
            importer,
            organization,
            key,
            test_env,
        }
    }

    fn collection(&self) -> String {
        format!("/v1/organizations/{}/collections/documents", self.organization)
    }

    /// Everything at once, until the process is killed after `length`.
    async fn live(&mut self, length: Duration) -> LifeSamples {
        let server = Launch::on(&self.test_env).start();
        let samples = Samples::begin(server.id());
        let is_over = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for mut worker in self.workers.drain(..) {
            let (client, operator) = (server.client(), server.operator());
            workers.spawn(async move {
                while worker.change(&client, &operator).await {
                    tokio::time::sleep(WORKER_PAUSE).await;
                }
                worker
            });
        }
        let (member, collection) = (server.client().with_token(&self.key), self.collection());
        let mut writers = JoinSet::new();
        for mut writer in self.writers.drain(..) {
            let (member, collection) = (member.clone(), collection.clone());
            writers.spawn(async move {
                while writer.change(&member, &collection).await {
                    tokio::time::sleep(WRITER_PAUSE).await;
                }
                writer
            });
        }
        let mut readers = JoinSet::new();
        for number in 0..READERS {
            readers.spawn(read_until_gone(member.clone(), collection.clone(), number as u64));
        }
        let mut importer = std::mem::take(&mut self.importer);
        let (operator, over) = (server.operator(), Arc::clone(&is_over));
        let imports = tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) && importer.import_and_purge(&operator).await {
                tokio::time::sleep(IMPORT_PAUSE).await;
            }
            importer
        });
        tokio::time::sleep(length).await;
        let samples = samples.end().await;
        is_over.store(true, Ordering::SeqCst);
        server.kill().await;
        self.workers = workers.join_all().await;
        self.workers.sort_by_key(|worker| worker.number);
        self.writers = writers.join_all().await;
        self.importer = imports.await.unwrap();
        let reads: usize = readers.join_all().await.into_iter().sum();
        println!("  {reads} reads");
        samples
    }

    /// Recovers, and expects everything to be as it was acknowledged.
    async fn check(&mut self) {
        let server = recovered(&self.test_env).await;
        self.importer.settle(&server.operator()).await;
        let found = Snapshot::sound(&self.test_env);
        for worker in &mut self.workers {
            worker.resolve(&found);
            worker.check(&found, &server).await;
        }
        let member = server.client().with_token(&self.key);
        let stored = stored_documents(&member, &self.collection()).await;
        self.writers.iter_mut().for_each(|writer| writer.settle(&stored));
        let known: usize = self.writers.iter().map(DocumentWriter::len).sum();
        assert_eq!(stored.len(), known, "documents that nobody has written");
        server.stop().await;
        recover_once_more(&self.test_env).await;
    }

    fn answered(&self) -> usize {
        let changes: usize = self.workers.iter().map(|worker| worker.answered).sum();
        changes + self.importer.imported
    }
}

/// Reads until the service is gone; how often.
async fn read_until_gone(member: Client, collection: String, seed: u64) -> usize {
    let (mut rng, mut reads) = (TestRng::new(seed), 0);
    while read_documents(&member, &collection, &mut rng).await {
        reads += 1;
        tokio::time::sleep(READER_PAUSE).await;
    }
    reads
}

/// Runs only on request, for `TENANTRY_SOAK_MINUTES`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told to: `cargo xtask soak`"]
async fn soak_keeps_acknowledged_changes_and_grows_not() {
    #[expect(clippy::disallowed_methods, reason = "no setting: how long a test runs")]
    let minutes: u64 = std::env::var("TENANTRY_SOAK_MINUTES").unwrap().parse().unwrap();
    let lives = (minutes / LIFE_MINUTES).max(2);
    let length = Duration::from_secs(60 * minutes) / u32::try_from(lives).unwrap();
    let mut rng = TestRng::of_this_run();
    // Access tokens are good for the whole of a run: workers know of each whether it is.
    let test_env = TestEnv::new().flag("--jwt-exp-seconds=86400");
    let mut soak = Soak::new(test_env, &mut rng).await;
    let mut growth = Growth::default();
    for life in 1..=lives {
        println!("life {life} of {lives}, {} s", length.as_secs());
        let samples = soak.live(length).await;
        soak.check().await;
        let written: usize = soak.writers.iter().map(|writer| writer.answered).sum();
        let (answered, imported) = (soak.answered(), soak.importer.imported);
        println!("  {answered} changes ({imported} imports) and {written} writes so far, all of them there");
        growth.add(&samples, &soak.test_env, &soak.organization, answered);
    }
    assert!(soak.workers.iter().all(|worker| worker.answered > 0), "a worker never got an answer");
    assert!(soak.writers.iter().all(|writer| writer.answered > 0), "a writer never got an answer");
    assert!(soak.importer.imported > 0, "nothing was imported");
    growth.assert_bounded();
}
