//! The service is killed at moments that nobody chose, under a load of everything at once, again and again on the
//! same data. Each worker changes organizations that only it knows, so it can say what each of them must be: what
//! was answered, or that and the one change it got no answer to.
//!
//! A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

mod known;
mod people;
mod requests;

use super::recovered;
use crate::support::checker::{Snapshot, put_documents};
use crate::support::client::Client;
use crate::support::fixtures::{credentials, encoded, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use known::KnownOrganization;
use requests::{Gain, PendingRequest, Sender};
use reqwest::Method;
use serde_json::json;
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

/// Somebody who makes organizations of their own and changes them, one request after the other.
pub struct Worker {
    pub number: usize,
    rng: TestRng,
    /// The one that is being changed; then those that were left deleted or are gone.
    current: Option<KnownOrganization>,
    left: Vec<KnownOrganization>,
    /// What the organization is if the last request was carried out, until that is answered.
    pending: Option<KnownOrganization>,
    /// A service key, which exchanges itself.
    backend: Option<String>,
    made: usize,
    pub answered: usize,
    pub cut_off: usize,
}

impl Worker {
    pub fn new(number: usize, seed: u64) -> Self {
        let (rng, left) = (TestRng::new(seed), Vec::new());
        let (current, pending, backend) = (None, None, None);
        Self { number, rng, current, left, pending, backend, made: 0, answered: 0, cut_off: 0 }
    }

    /// One change; whether it was answered.
    pub async fn change(&mut self, client: &Client, operator: &Client) -> bool {
        if self.backend.is_none() && !self.get_backend(operator).await {
            return false;
        }
        let PendingRequest { next, method, path, body, sender, gain } = self.choose();
        self.pending = Some(next.clone());
        let client = match &sender {
            Sender::Operator => operator,
            Sender::Nobody => client,
            Sender::Token(token) => &client.with_token(token),
            Sender::Backend => &client.with_token(self.backend.as_deref().unwrap()),
        };
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        let Ok(answer) = client.try_send(method, &path, body).await else { return false };
        // The change may have happened or may still happen, as if there had been no response.
        if [202, 503].contains(&answer.status.as_u16()) || answer.is_refused("operation_in_progress") {
            return false;
        }
        assert!(answer.status.is_success(), "{answer}: {:?}", self.current);
        self.pending = None;
        self.settle(next.with_gain(gain, &answer));
        self.answered += 1;
        true
    }

    /// Makes its service key; one that is made and not answered is left alone.
    async fn get_backend(&mut self, operator: &Client) -> bool {
        let body = json!({ "name": format!("backend {}", self.number), "permissions": people::BACKEND });
        let body = Some(("application/json", body.to_string().into_bytes()));
        let Ok(answer) = operator.try_send(Method::POST, "/v1/keys", body).await else { return false };
        if answer.status.is_success() {
            self.backend = Some(answer.json()["key"].as_str().unwrap().to_owned());
        }
        answer.status.is_success()
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
            return if self.rng.below(3) == 0 { requests::purge(&known) } else { requests::restore(&known) };
        }
        if known.suspended {
            return requests::reactivate(&known);
        }
        self.made += 1;
        let number = self.made;
        match self.rng.below(18) {
            0 => requests::suspend(&known),
            1 if !known.protected => requests::delete(&known),
            2 => requests::protect(&known),
            3 | 4 => requests::sign_in(&known),
            5 => self.with_new_password(&known, requests::change_credentials),
            6 => self.with_new_password(&known, people::change_password),
            7 => people::make_link(&known),
            8 => self.with_new_password(&known, people::use_link),
            9 => people::make_key(&known, &format!("key {number}")),
            10 => people::rotate_key(&known),
            11 => people::revoke_key(&known),
            12 => people::invite(&known, &format!("guest-{number}@worker-{}.example", self.number)),
            13 => people::renew_invitation(&known),
            14 => people::revoke_invitation(&known),
            15 => people::accept_invitation(&known),
            16 => people::exchange(&known),
            _ => requests::rename(&known, name(self.number, number)),
        }
    }

    fn with_new_password(
        &mut self,
        known: &KnownOrganization,
        request: impl Fn(&KnownOrganization, String) -> PendingRequest,
    ) -> PendingRequest {
        request(known, format!("horse battery {}", self.rng.next()))
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
        let next = KnownOrganization::new(name, email);
        requests::request(next, Method::POST, "/org/create".to_owned(), Some(body))
            .by(Sender::Nobody)
            .for_gain(Gain::Ids)
    }

    /// Decides, from what the data directory holds, whether the change without an answer has happened.
    pub fn resolve(&mut self, found: &Snapshot) {
        let Some(mut pending) = self.pending.take() else { return };
        self.cut_off += 1;
        if pending.id.is_empty() {
            let Some(record) = found.named(&pending.name) else { return };
            record["id"].as_str().unwrap().clone_into(&mut pending.id);
        }
        pending.find_ids(found);
        // A sign-in changes nothing of what is compared.
        let is_changed = self.current.as_ref().is_none_or(|current| !current.is_like(&pending));
        if is_changed && pending.is(found) {
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

fn name(worker: usize, number: usize) -> String {
    format!("Load {worker} {number}")
}
