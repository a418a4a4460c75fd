//! Everything at once, on two instances: organizations that are made, changed and removed, one that moves while
//! applications read and write its documents, and faults that nobody expects. What was acknowledged is there.

use super::batches::{BatchWriters, Batches};
use super::traffic::{Traffic, assert_all_there};
use super::{PATIENCE, sound_at_last};
use crate::crash::load::{Worker, recover_once_more};
use crate::crash::recovered;
use crate::support::client::Client;
use crate::support::fixtures::{email_for, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::proxy::{Cut, Proxy};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use mongodb::bson::doc;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tenantry_test_mongod::{Mongod, ReplicaSet};
use tokio::task::JoinSet;

const WORKERS: usize = 6;
const APPLICATIONS: u32 = 2;
/// How many connections are cut, one after another.
const CUTS: u64 = 12;

/// The fault that happens during it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// An instance is killed.
    KillService,
    /// An instance is stopped, others take its operations over, and it wakes.
    PauseService,
    /// The server, or the primary of a set, is killed and comes back.
    KillServer,
    /// The server, or the primary of a set, freezes for a while.
    FreezeServer,
    /// Connections are cut, before requests and before answers.
    CutConnections,
    /// The primary gives its part to another.
    StepDown,
}

/// The faults of a standalone server.
pub const ALONE: [Fault; 5] =
    [Fault::KillService, Fault::PauseService, Fault::KillServer, Fault::FreezeServer, Fault::CutConnections];
/// The faults of a replica set.
pub const IN_A_SET: [Fault; 5] =
    [Fault::KillService, Fault::PauseService, Fault::KillServer, Fault::FreezeServer, Fault::StepDown];

/// The servers with the records.
pub enum Servers {
    /// One server, and a way to it that may be cut.
    Alone(Mongod, Proxy),
    /// Three of them.
    Set(ReplicaSet),
}

impl Servers {
    pub async fn alone() -> Self {
        let mongod = Mongod::start();
        let proxy = Proxy::to(mongod.port()).await;
        Self::Alone(mongod, proxy)
    }

    pub fn set() -> Self {
        Self::Set(ReplicaSet::start())
    }

    fn uri(&self) -> String {
        match self {
            Self::Alone(mongod, _) => mongod.uri(),
            Self::Set(set) => set.uri(),
        }
    }

    /// The way that may be cut.
    fn uri_of_the_first(&self) -> String {
        match self {
            Self::Alone(_, proxy) => proxy.uri(),
            Self::Set(set) => set.uri(),
        }
    }

    /// The server that takes the writes.
    fn first(&mut self) -> &mut Mongod {
        match self {
            Self::Alone(mongod, _) => mongod,
            Self::Set(set) => {
                let primary = set.primary();
                set.node(primary)
            }
        }
    }
}

/// The counts of a run.
#[derive(Default, Clone, Copy, Debug)]
pub struct Tally {
    pub kills: usize,
    pub answered: usize,
    pub written: usize,
    pub batches: usize,
    pub reads: usize,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.answered += other.answered;
        self.written += other.written;
        self.batches += other.batches;
        self.reads += other.reads;
    }
}

/// A load that goes on from round to round on the same data.
struct Load {
    test_env: TestEnv,
    workers: Vec<Worker>,
    /// The organization that moves, and what was acknowledged in it.
    moving: String,
    written: BTreeSet<String>,
    /// Those that are sent to the same organization.
    batches: Batches,
    tally: Tally,
}

/// What goes on in a round beside the workers.
struct RoundTraffic {
    applications: Traffic,
    batches: BatchWriters,
}

/// Rounds of load, each with another of `faults`.
pub async fn run(servers: &mut Servers, faults: &[Fault], rounds: u32, rng: &mut TestRng) -> Tally {
    let test_env = TestEnv::at(&servers.uri()).flag("--mongo-timeout=2");
    let server = Launch::on(&test_env).start();
    let moving = new_organization("Moving 0", &email_for("Moving"));
    let moving = server.client().post("/org/create", &moving).await.created();
    let moving = moving["id"].as_str().unwrap().to_owned();
    let batches = Batches::begin(&server, &moving, "Moving", matches!(servers, Servers::Set(_))).await;
    server.stop().await;
    let mut load = Load {
        workers: (0..WORKERS).map(|number| Worker::new(number, rng.next())).collect(),
        moving,
        batches,
        written: BTreeSet::new(),
        tally: Tally::default(),
        test_env,
    };
    let mut faults = faults.to_vec();
    rng.shuffle(&mut faults);
    for (round, fault) in (0..rounds).zip(faults.into_iter().cycle()) {
        println!("round {round}: {fault:?}");
        let traffic = load.run_until(fault, round, servers, rng).await;
        load.check(traffic).await;
    }
    load.tally
}

impl Load {
    /// Runs everything on two instances until the fault has been met and is over.
    async fn run_until(
        &mut self,
        fault: Fault,
        round: u32,
        servers: &mut Servers,
        rng: &mut TestRng,
    ) -> RoundTraffic {
        let first = Launch::on(&self.test_env).with(&format!("--mongo-uri={}", servers.uri_of_the_first()));
        let (first, second) = (first.start(), Launch::on(&self.test_env).start());
        let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut running = JoinSet::new();
        for mut worker in self.workers.drain(..) {
            let instance = if worker.number % 2 == 0 { &first } else { &second };
            let (client, operator) = (instance.client(), instance.operator());
            let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
            running.spawn(async move {
                while !is_over.load(Ordering::SeqCst) && worker.change(&client, &operator).await {
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                worker
            });
        }
        let batches = self.batches.write([&first, &second], round, &is_over).await;
        let traffic = Traffic::begin(&self.test_env, &self.moving, round, self.written.len(), APPLICATIONS);
        let moves = tokio::spawn(keep_moving(first.operator(), traffic.id(), round, Arc::clone(&is_over)));
        // A fault in the middle of nothing would prove nothing.
        let since = Instant::now();
        while answered.load(Ordering::SeqCst) < 2 * WORKERS && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.below(500))).await;
        let left = meet(fault, first, &self.test_env, servers, rng, &mut self.tally).await;
        tokio::time::sleep(Duration::from_millis(rng.between(200, 800))).await;
        is_over.store(true, Ordering::SeqCst);
        // Who is left ends as suddenly as it may.
        for server in left.into_iter().chain([second]) {
            server.kill().await;
            self.tally.kills += 1;
        }
        self.workers = running.join_all().await;
        self.workers.sort_by_key(|worker| worker.number);
        moves.await.unwrap();
        RoundTraffic { applications: traffic, batches }
    }

    /// Recovers, and expects all to be as it was answered.
    async fn check(&mut self, traffic: RoundTraffic) {
        let server = recovered(&self.test_env).await;
        // Only now: until its move was finished, nobody may have got to the container.
        let result = traffic.applications.end().await;
        self.tally.batches += self.batches.end(traffic.batches).await;
        self.tally.reads += result.reads;
        self.tally.written += result.acknowledged.len();
        self.written.extend(result.acknowledged);
        let found = sound_at_last(&self.test_env).await;
        for worker in &mut self.workers {
            worker.resolve(&found);
            worker.check(&found, &server).await;
        }
        assert_all_there(&found, &self.moving, &self.written);
        self.batches.check(&server).await;
        server.stop().await;
        recover_once_more(&self.test_env).await;
        self.tally.answered = self.workers.iter().map(|worker| worker.answered).sum();
        let Self { workers, test_env, .. } = self;
        workers.iter_mut().for_each(|worker| worker.put_documents(test_env));
    }
}

/// Renames one organization again and again; some of it fails, as it may.
async fn keep_moving(operator: Client, id: String, round: u32, is_over: Arc<AtomicBool>) {
    for number in 0.. {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let body = json!({ "organization_name": format!("Moving {round} {number}") }).to_string();
        let body = Some(("application/json", body.into_bytes()));
        let asked = operator.try_send(Method::PATCH, &format!("/v1/organizations/{id}"), body).await;
        if asked.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Brings a fault about, with `first` at work on a way that may be cut, and waits until it is over. Who of the
/// instances is left.
async fn meet(
    fault: Fault,
    first: Server,
    test_env: &TestEnv,
    servers: &mut Servers,
    rng: &mut TestRng,
    tally: &mut Tally,
) -> Option<Server> {
    let a_while = Duration::from_millis(rng.between(50, 1500));
    match fault {
        Fault::KillService => {
            first.kill().await;
            tally.kills += 1;
            return None;
        }
        Fault::PauseService => {
            first.pause();
            // The other instance looks for such operations every two seconds.
            for _ in 0..5 {
                test_env.end_leases();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            first.wake();
        }
        Fault::KillServer => {
            let server = servers.first();
            server.kill();
            tally.kills += 1;
            tokio::time::sleep(a_while).await;
            server.restart();
        }
        Fault::FreezeServer => {
            let server = servers.first();
            server.pause();
            tokio::time::sleep(a_while).await;
            server.resume();
        }
        Fault::CutConnections => {
            let Servers::Alone(_, proxy) = &*servers else { return Some(first) };
            for _ in 0..CUTS {
                proxy.cut(*rng.pick(&[Cut::BeforeRequest, Cut::BeforeAnswer]));
                tokio::time::sleep(a_while / 10).await;
            }
        }
        Fault::StepDown => {
            let step_down = doc! { "replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 3 };
            let admin = test_env.database().unwrap().handle().client().database("admin");
            // It may close the connection instead of an answer.
            let _ = crate::support::mongodb::spawn(async move { admin.run_command(step_down).await }).await;
        }
    }
    if let Servers::Set(set) = &*servers {
        set.primary();
    }
    test_env.database().unwrap().wait_until_there();
    Some(first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_faults() {
    let mut rng = TestRng::of_this_run();
    let tally = run(&mut Servers::alone().await, &ALONE, 5, &mut rng).await;
    println!("{tally:?}");
    assert_all_met(tally);
}

fn assert_all_met(tally: Tally) {
    let Tally { answered, written, batches, reads, .. } = tally;
    assert!([answered, written, batches, reads].iter().all(|count| *count > 0), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_loss_of_primary() {
    let mut rng = TestRng::of_this_run();
    let mut servers = Servers::set();
    for fault in [Fault::StepDown, Fault::KillServer] {
        let tally = run(&mut servers, &[fault], 1, &mut rng).await;
        println!("{tally:?}");
        assert_all_met(tally);
    }
}
