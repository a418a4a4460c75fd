//! What is between the service and its records breaks at each named point: the server dies, or the connection is
//! cut before the next request has reached it, or after it has carried that out and before its answer.

use super::StoppedInstance;
use crate::crash::{Case, ChangeOutcome, Expected, Scenario, every_case, sample};
use crate::support::checker::Snapshot;
use crate::support::process::Launch;
use crate::support::proxy::{Cut, Proxy};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use std::time::Duration;
use tenantry_test_mongod::Mongod;

/// What happens while the service is stopped at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The server is killed, and comes back this many milliseconds after the service has gone on.
    Kill(u64),
    /// A connection is cut.
    Cut(Cut),
}

/// A server that may be killed, and a way to it that may be cut.
pub struct Surroundings {
    mongod: Mongod,
    proxy: Proxy,
}

impl Surroundings {
    pub async fn new() -> Self {
        let mongod = Mongod::start();
        let proxy = Proxy::to(mongod.port()).await;
        Self { mongod, proxy }
    }

    /// A place on that server, where calls are given up soon.
    pub fn test_env(&self) -> TestEnv {
        TestEnv::at(&self.mongod.uri()).flag("--mongo-timeout=2")
    }

    /// Injects `fault` into an instance that is stopped at `point` of `case`, and checks the result.
    pub async fn meet(&mut self, scenario: &Scenario, case: Case, point: &str, fault: Fault) {
        let before = Snapshot::sound(&scenario.test_env);
        let launch = Launch::on(&scenario.test_env).with(&format!("--mongo-uri={}", self.proxy.uri()));
        let asleep = StoppedInstance::at(scenario, case, point, &launch).await;
        let database = scenario.test_env.database().unwrap();
        let answer = match fault {
            Fault::Cut(when) => {
                let met = self.proxy.met().len();
                self.proxy.cut(when);
                let answer = asleep.wake().await;
                println!("{point}: {when:?} of {:?}", &self.proxy.met()[met..]);
                answer
            }
            Fault::Kill(away) => {
                self.mongod.kill();
                let waking = asleep.wake();
                let (answer, ()) = tokio::join!(waking, async {
                    tokio::time::sleep(Duration::from_millis(away)).await;
                    self.mongod.restart();
                    database.wait_until_there();
                });
                answer
            }
        };
        let server = scenario.recover().await;
        let found = Snapshot::sound(&scenario.test_env);
        let logged = found.log().len() - before.log().len();
        assert!(!answer.status.is_success() || logged > 0, "{answer}: and it has not happened");
        assert!(logged > 0 || point.ends_with(".intent.before"), "it had begun and has not happened");
        let outcome = match found.log_of(&scenario.subject_id()).last() {
            // Where calls failed, an import is undone: the stream that it came from is behind it.
            Some(entry) if case == Case::Import && logged > 0 && entry == "import failed" => {
                ChangeOutcome::Undone
            }
            _ if logged > 0 && !case.is_refused() => ChangeOutcome::Done,
            _ => ChangeOutcome::Undone,
        };
        assert!(!answer.status.is_success() || outcome == ChangeOutcome::Done, "{answer}: and it was undone");
        let expected = Expected { outcome, logged };
        scenario.expect(case, expected, &before, &server).await;
        let expected = scenario.ask_again(case, expected, &server).await;
        scenario.expect(case, expected, &before, &server).await;
        server.stop().await;
        Snapshot::sound(&scenario.test_env);
    }
}

const FAULTS: [Fault; 4] = [
    Fault::Cut(Cut::BeforeRequest),
    Fault::Cut(Cut::BeforeAnswer),
    Fault::Kill(0),
    // Longer than a call may take.
    Fault::Kill(2500),
];

/// Every point of `case`, or some of them, each with one of the faults.
async fn meet_everywhere(case: Case) {
    let mut surroundings = Surroundings::new().await;
    let template = Scenario::at(surroundings.test_env(), case).await;
    let mut rng = TestRng::of_this_run();
    for point in sample(case.points(), 3) {
        let fault = *rng.pick(&FAULTS);
        println!("{point}: {fault:?}");
        surroundings.meet(&template.copy(), case, &point, fault).await;
    }
}

macro_rules! cases {
    ($($name:ident: $case:ident;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn operation_stays_whole_when_server_dies_or_connection_cuts() {
                meet_everywhere(Case::$case).await;
            }
        }
    )*};
}

every_case!(cases);
