//! The service is killed at the points of every change in the placements that the crash tests leave out: in a database
//! of its own, and in a share. Elsewhere it is the placement of the settings.
//!
//! # Pitfalls
//!
//! A point that is never reached proves nothing, and whether it is reached can depend on the placement: into a share,
//! an id comes back only after a rest.

use crate::crash::{Case, Scenario, every_case, kill_and_kill_again, sample};
use crate::support::checker::Snapshot;
use crate::support::test_env::TestEnv;

/// Each placement tries one point of a change in this many, unless all are tried.
const SHARE: usize = 16;

async fn kill_in(placement: &str, case: Case) {
    let new = async || Scenario::at(TestEnv::new().flag(&format!("--placement={placement}")), case).await;
    // A container that is a database cannot be copied.
    let template = if placement == "shared" { Some(new().await) } else { None };
    for point in sample(case.points(), SHARE) {
        println!("{case:?} at {point}, {placement}");
        let scenario = match &template {
            Some(template) => template.copy(),
            None => new().await,
        };
        let before = Snapshot::sound(&scenario.test_env);
        kill_and_kill_again(&scenario, case, &point, 1).await;
        let server = scenario.recover().await;
        let expected = scenario.ask_again(case, case.after(&point), &server).await;
        scenario.expect(case, expected, &before, &server).await;
        server.stop().await;
        Snapshot::sound(&scenario.test_env);
    }
}

macro_rules! cases {
    ($($name:ident: $case:ident;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn operation_stays_whole_in_own_database() {
                kill_in("database", Case::$case).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn operation_stays_whole_in_shared_collection() {
                kill_in("shared", Case::$case).await;
            }
        }
    )*};
}

every_case!(cases);
