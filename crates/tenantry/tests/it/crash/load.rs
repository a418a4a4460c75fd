//! The service is killed at moments that nobody chose, under a load of everything at once, again and again on the
//! same data. Each worker changes organizations that only it knows, so it can say what each of them must be: what
//! was answered, or that and the one change it got no answer to.
//!
//! A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

use super::recovered;
use crate::support::checker::{Snapshot, put_documents};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, encoded, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

const ROUNDS: u32 = 6;
/// Further rounds, each longer than the one before, for a machine that is too busy to answer every worker in the first.
const MORE_ROUNDS: u32 = 12;
const WORKERS: usize = 8;
const READERS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_kills_under_load() {
    let mut rng = TestRng::of_this_run();
    let test_env = TestEnv::new();
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(number, rng.next())).collect();
    let mut kills = 0;
    for round in 0..ROUNDS + MORE_ROUNDS {
        let has_seen_all = workers.iter().all(|worker| worker.answered > 0)
            && workers.iter().any(|worker| worker.cut_off > 0);
        if round >= ROUNDS && has_seen_all {
            break;
        }
        let more = u64::from(round.saturating_sub(ROUNDS - 1)) * 1000;
        workers = load_and_kill(&test_env, workers, more + rng.between(150, 1200)).await;
        kills += 1 + kill_starts(&test_env, &mut rng).await;
        let server = recovered(&test_env).await;
        let found = Snapshot::sound(&test_env);
        for worker in &mut workers {
            worker.resolve(&found);
            worker.check(&found, &server).await;
        }
        server.stop().await;
        recover_once_more(&test_env).await;
        workers.iter_mut().for_each(|worker| worker.put_documents(&test_env));
        let answered: usize = workers.iter().map(|worker| worker.answered).sum();
        println!("round {round}: {kills} kills, {answered} answered changes checked");
    }
    assert!(workers.iter().all(|worker| worker.answered > 0), "a worker never got an answer");
    assert!(workers.iter().any(|worker| worker.cut_off > 0), "no change was ever cut off");
}

/// Runs the workers and some readers until the service is killed after `after` milliseconds.
async fn load_and_kill(test_env: &TestEnv, workers: Vec<Worker>, after: u64) -> Vec<Worker> {
    let server = Launch::on(test_env).start();
    let mut running = JoinSet::new();
    for mut worker in workers {
        let (client, operator) = (server.client(), server.operator());
        running.spawn(async move {
            while worker.change(&client, &operator).await {}
            worker
        });
    }
    let mut reading = JoinSet::new();
    for number in 0..READERS {
        reading.spawn(read(server.client(), TestRng::new(number as u64 + 1)));
    }
    tokio::time::sleep(Duration::from_millis(after)).await;
    server.kill().await;
    reading.join_all().await;
    let mut workers = running.join_all().await;
    workers.sort_by_key(|worker| worker.number);
    workers
}

/// Looks organizations up until the service is gone: what is found is whole, and is what was asked for.
async fn read(client: Client, mut rng: TestRng) {
    loop {
        let (worker, number) = (rng.below(WORKERS as u64), rng.below(40));
        let path = format!("/org/get?organization_name={}", encoded(&name(worker as usize, number as usize)));
        let Ok(answer) = client.try_send(Method::GET, &path, None).await else { return };
        if answer.status.is_success() {
            let body = answer.json();
            assert_eq!(body["organization_identifier"], format!("load-{worker}-{number}"));
            assert_eq!(body["tenant_collection"], format!("tenant_load_{worker}_{number}"));
            assert!(["active", "suspended"].contains(&body["status"].as_str().unwrap()), "{body}");
        } else {
            answer.refused("organization_not_found");
        }
    }
}

/// Perhaps starts the service a few times and kills it in the middle of its start; how often.
async fn kill_starts(test_env: &TestEnv, rng: &mut TestRng) -> u32 {
    let times = rng.below(3) as u32;
    for _ in 0..times {
        let process = Launch::on(test_env).spawn();
        tokio::time::sleep(Duration::from_millis(rng.below(60))).await;
        process.kill().await;
    }
    times
}

/// A further start finds nothing left to do.
pub async fn recover_once_more(test_env: &TestEnv) {
    let before = Snapshot::sound(test_env);
    recovered(test_env).await.stop().await;
    before.assert_unchanged(&Snapshot::sound(test_env));
}

/// What a worker knows about an organization that it has created.
#[derive(Clone, Debug, PartialEq)]
struct KnownOrganization {
    id: String,
    name: String,
    email: String,
    password: String,
    state: &'static str,
    suspended: bool,
    protected: bool,
    /// The kinds of its changes, in their order.
    log: Vec<String>,
    /// Access tokens, and whether each is good.
    tokens: Vec<(String, bool)>,
    documents: BTreeSet<String>,
}

impl KnownOrganization {
    fn new(name: String, email: String) -> Self {
        Self {
            id: String::new(),
            name,
            email,
            password: PASSWORD.to_owned(),
            state: "active",
            suspended: false,
            protected: false,
            log: vec!["create succeeded".to_owned()],
            tokens: Vec::new(),
            documents: BTreeSet::new(),
        }
    }

    /// After a change of that kind that went well.
    fn after(&self, kind: &str) -> Self {
        let mut next = self.clone();
        next.log.push(format!("{kind} succeeded"));
        next
    }

    fn end_tokens(&mut self) {
        self.tokens.iter_mut().for_each(|(_, good)| *good = false);
    }

    fn path(&self) -> String {
        format!("/v1/organizations/{}", self.id)
    }

    /// Whether this is what the data directory holds.
    fn is(&self, found: &Snapshot) -> bool {
        found.log_of(&self.id) == self.log
    }

    /// Expects the data directory and the service to agree.
    async fn check(&self, found: &Snapshot, server: &Server) {
        assert_eq!(found.log_of(&self.id), self.log, "{self:?}");
        assert_eq!(found.documents(&self.id), self.documents, "{self:?}");
        let record = found.organization(&self.id);
        assert_eq!(record.is_some(), self.state != "gone", "{self:?}");
        if let Some(record) = record {
            assert_eq!(record["name"], self.name, "{self:?}");
            assert_eq!(record["state"], self.state, "{self:?}");
            assert_eq!(record["suspended"], self.suspended, "{self:?}");
            assert_eq!(record["delete_protection"], self.protected, "{self:?}");
        }
        for (token, good) in &self.tokens {
            let answer = server.client().with_token(token).get(&self.path()).await;
            assert_eq!(answer.status.is_success(), *good, "{answer}: {self:?}");
        }
    }
}

/// A request that was sent, and what the organization is if it was carried out.
struct PendingRequest {
    next: KnownOrganization,
    method: Method,
    path: String,
    body: Option<Value>,
    token: Option<String>,
}

/// Somebody who makes organizations of their own and changes them, one request after the other.
pub struct Worker {
    pub number: usize,
    rng: TestRng,
    /// The one that is being changed; then those that were left deleted or are gone.
    current: Option<KnownOrganization>,
    left: Vec<KnownOrganization>,
    /// The last request, until it is answered.
    pending: Option<KnownOrganization>,
    made: usize,
    pub answered: usize,
    pub cut_off: usize,
}

impl Worker {
    pub fn new(number: usize, seed: u64) -> Self {
        let rng = TestRng::new(seed);
        Self { number, rng, current: None, left: Vec::new(), pending: None, made: 0, answered: 0, cut_off: 0 }
    }

    /// One change; whether it was answered.
    pub async fn change(&mut self, client: &Client, operator: &Client) -> bool {
        let sent = self.choose();
        self.pending = Some(sent.next.clone());
        let client = match &sent.token {
            Some(token) => &client.with_token(token),
            None if sent.path == "/org/create" || sent.path == "/admin/login" => client,
            None => operator,
        };
        let body = sent.body.map(|body| ("application/json", body.to_string().into_bytes()));
        let Ok(answer) = client.try_send(sent.method, &sent.path, body).await else { return false };
        // The change may have happened or may still happen, as if there had been no response.
        if [202, 503].contains(&answer.status.as_u16()) || answer.is_refused("operation_in_progress") {
            return false;
        }
        assert!(answer.status.is_success(), "{answer}: {:?}", self.current);
        self.pending = None;
        self.take_over(sent.next, &answer);
        self.answered += 1;
        true
    }

    /// The requested change has been made.
    fn take_over(&mut self, mut next: KnownOrganization, answer: &Answer) {
        match self.current.as_ref() {
            None => next.id = answer.json()["id"].as_str().unwrap().to_owned(),
            Some(current) if current.log == next.log => {
                next.tokens.push((answer.json()["access_token"].as_str().unwrap().to_owned(), true));
            }
            Some(_) => {}
        }
        self.settle(next);
    }

    fn settle(&mut self, next: KnownOrganization) {
        self.current = Some(next);
        // One that is gone is left alone; of the deleted some are, so that their names are taken by others.
        let is_left = self.current.as_ref().is_some_and(|known| match known.state {
            "gone" => true,
            "deleted" => self.rng.below(4) == 0,
            _ => false,
        });
        if is_left {
            self.left.extend(self.current.take());
        }
    }

    /// The next request: one that cannot be refused.
    fn choose(&mut self) -> PendingRequest {
        let Some(known) = self.current.clone() else { return self.create() };
        if known.state == "deleted" {
            return if self.rng.below(3) == 0 { purge(&known) } else { restore(&known) };
        }
        match self.rng.below(9) {
            _ if known.suspended => operate(&known, "reactivate", |next| next.suspended = false),
            0 => operate(&known, "suspend", |next| {
                next.suspended = true;
                next.end_tokens();
            }),
            1 if !known.protected => delete(&known),
            2 => protect(&known),
            3 | 4 => sign_in(&known),
            5 => self.change_password(&known),
            _ => self.rename(&known),
        }
    }

    fn create(&mut self) -> PendingRequest {
        // Sometimes the name and the address of one that was deleted: both are free.
        let freed = self.left.last().filter(|left| left.state == "deleted").cloned();
        let (name, email) = match freed.filter(|_| self.rng.below(2) == 0) {
            Some(left) if self.left.iter().all(|other| other.name != left.name || other == &left) => {
                (left.name, left.email)
            }
            _ => {
                self.made += 1;
                let name = name(self.number, self.made);
                (name.clone(), format!("owner@{}.example", name.to_lowercase().replace(' ', "-")))
            }
        };
        let body = new_organization(&name, &email);
        request(KnownOrganization::new(name, email), Method::POST, "/org/create".to_owned(), Some(body))
    }

    fn rename(&mut self, known: &KnownOrganization) -> PendingRequest {
        self.made += 1;
        let mut next = known.after("rename");
        next.name = name(self.number, self.made);
        let body = json!({ "organization_name": next.name });
        request(next, Method::PATCH, known.path(), Some(body))
    }

    fn change_password(&mut self, known: &KnownOrganization) -> PendingRequest {
        let Some((token, _)) = known.tokens.iter().rev().find(|(_, good)| *good).cloned() else {
            return sign_in(known);
        };
        let mut next = known.after("rename");
        next.end_tokens();
        next.tokens.iter_mut().filter(|(kept, _)| *kept == token).for_each(|(_, good)| *good = true);
        next.password = format!("horse battery {}", self.rng.next());
        let body = json!({ "organization_name": known.name, "password": next.password });
        PendingRequest {
            token: Some(token),
            ..request(next, Method::PUT, "/org/update".to_owned(), Some(body))
        }
    }

    /// Decides, from what the data directory holds, whether the change without an answer has happened.
    pub fn resolve(&mut self, found: &Snapshot) {
        let Some(mut pending) = self.pending.take() else { return };
        self.cut_off += 1;
        if pending.id.is_empty() {
            let Some(record) = found.named(&pending.name) else { return };
            record["id"].as_str().unwrap().clone_into(&mut pending.id);
        }
        let is_sign_in = self.current.as_ref().is_some_and(|current| current.log == pending.log);
        if !is_sign_in && pending.is(found) {
            self.settle(pending);
        }
    }

    pub async fn check(&self, found: &Snapshot, server: &Server) {
        for known in self.current.iter().chain(&self.left) {
            known.check(found, server).await;
        }
        let Some(known) = &self.current else { return };
        let sign_in = server.client().post("/admin/login", &credentials(&known.email, &known.password)).await;
        let status = match (known.state, known.suspended) {
            ("active", false) => 200,
            ("active", true) => 403,
            _ => 401,
        };
        assert_eq!(sign_in.status.as_u16(), status, "{sign_in}: {known:?}");
    }

    /// Writes into the containers that have no documents yet.
    pub fn put_documents(&mut self, test_env: &TestEnv) {
        for known in self.current.iter_mut().chain(&mut self.left) {
            if known.documents.is_empty() && known.state != "gone" {
                known.documents = put_documents(test_env, &known.id, 5);
            }
        }
    }
}

fn request(next: KnownOrganization, method: Method, path: String, body: Option<Value>) -> PendingRequest {
    PendingRequest { next, method, path, body, token: None }
}

fn operate(
    known: &KnownOrganization,
    kind: &str,
    change: impl FnOnce(&mut KnownOrganization),
) -> PendingRequest {
    let mut next = known.after(kind);
    change(&mut next);
    request(next, Method::POST, format!("{}/{kind}", known.path()), None)
}

fn restore(known: &KnownOrganization) -> PendingRequest {
    operate(known, "restore", |next| next.state = "active")
}

fn purge(known: &KnownOrganization) -> PendingRequest {
    operate(known, "purge", |next| {
        next.state = "gone";
        next.suspended = false;
        next.documents.clear();
    })
}

fn delete(known: &KnownOrganization) -> PendingRequest {
    let mut next = known.after("delete");
    next.state = "deleted";
    next.end_tokens();
    request(next, Method::DELETE, known.path(), None)
}

fn protect(known: &KnownOrganization) -> PendingRequest {
    let mut next = known.after("update");
    next.protected = !known.protected;
    let body = json!({ "delete_protection": next.protected });
    request(next, Method::PATCH, known.path(), Some(body))
}

fn sign_in(known: &KnownOrganization) -> PendingRequest {
    let body = credentials(&known.email, &known.password);
    request(known.clone(), Method::POST, "/admin/login".to_owned(), Some(body))
}

fn name(worker: usize, number: usize) -> String {
    format!("Load {worker} {number}")
}
