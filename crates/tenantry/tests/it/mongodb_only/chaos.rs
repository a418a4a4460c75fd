//! Faults that come with a separate database server: instances that sleep while others go on, servers that
//! die, freeze and change their roles, connections that break at the worst moment. The changes are those of
//! [`crate::crash`], and so are the expected results.
//!
//! # Pitfalls
//! A lease promises progress and nothing else. The tests end leases at any time, even those of working
//! instances, and the only permitted effect is that such an instance silently stops.

#![expect(clippy::print_stdout, reason = "a run says what it has met")]

mod away;
mod batches;
mod every_placement;
mod foreign;
mod load;
mod long;
mod paused;
mod point_faults;
mod rename;
mod traffic;

use crate::crash::{Case, Scenario};
use crate::support::checker::Snapshot;
use crate::support::client::Answer;
use crate::support::process::{Launch, Server};
use crate::support::test_env::TestEnv;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long an instance may take to clear up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until all that is kept is sound, as long as an instance may take to clear up, and expects it to be.
async fn sound_at_last(test_env: &TestEnv) -> Snapshot {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = Snapshot::read(test_env);
        if found.problems().is_empty() || Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Snapshot::sound(test_env)
}

/// An instance that has stopped in the middle of a request.
struct StoppedInstance {
    server: Arc<Server>,
    request: JoinHandle<Answer>,
}

impl StoppedInstance {
    /// Sends the request that begins `case` to an instance that stops at `point`.
    async fn at(scenario: &Scenario, case: Case, point: &str, launch: &Launch) -> Self {
        let server = Arc::new(launch.clone().env("TENANTRY_STOP_AT", point).start());
        let (request, there) = (case.request(scenario), Arc::clone(&server));
        let mut request = tokio::spawn(async move { request.send(&there).await.unwrap() });
        tokio::select! {
            () = server.stopped() => {}
            answer = &mut request => {
                // A change may be answered while it goes on; one that is refused never comes there.
                let answer = answer.unwrap();
                assert!(answer.status.is_success(), "{case:?} is refused before it comes to {point}: {answer}");
                request = tokio::spawn(async move { answer });
                server.stopped().await;
            }
        }
        Self { server, request }
    }

    /// Lets it go on, and waits for its response, which may be any.
    async fn wake(self) -> Answer {
        self.server.wake();
        let answer = self.request.await.unwrap();
        Arc::into_inner(self.server).unwrap().stop().await;
        answer
    }
}
