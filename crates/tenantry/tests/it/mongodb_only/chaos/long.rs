//! The long form, for `cargo xtask chaos`: run after run of what the other tests do a little of, each chosen by
//! chance, for as long as there is time.
//!
//! # Pitfalls
//! Repeat a run with its own seed, which it prints when it fails, not with the first one. The seed does not
//! choose moments: a failure that depends on them may need a few repetitions.

use super::load::{ALONE, IN_A_SET, Servers, Tally, run};
use super::paused::{all_is_as_it_was_when_it_wakes, names_are_others_when_it_wakes};
use super::point_faults::{Fault, Surroundings};
use crate::crash::{Case, Scenario, kill_and_kill_again};
use crate::support::proxy::Cut;
use crate::support::rng::TestRng;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// One run in this many is of that kind; the others are at points.
const LOAD_ALONE: u64 = 6;
const LOAD_IN_A_SET: u64 = 12;

/// One run, which is what this seed makes of it.
async fn one(seed: u64) -> Tally {
    let mut rng = TestRng::new(seed);
    if rng.below(LOAD_ALONE) == 0 {
        return run(&mut Servers::alone().await, &ALONE, 3, &mut rng).await;
    }
    if rng.below(LOAD_IN_A_SET) == 0 {
        return run(&mut Servers::set(), &IN_A_SET, 3, &mut rng).await;
    }
    at_a_point(&mut rng).await
}

/// A fault at one point of one change, in one placement.
async fn at_a_point(rng: &mut TestRng) -> Tally {
    let case = *rng.pick(&Case::ALL);
    let points = case.points();
    let point = rng.pick(&points).clone();
    let placement = *rng.pick(&["collection", "collection", "database", "shared"]);
    let mut surroundings = Surroundings::new().await;
    let test_env = surroundings.test_env().flag(&format!("--placement={placement}"));
    let scenario = Scenario::at(test_env, case).await;
    let fault = rng.below(6);
    println!("{case:?} at {point}, {placement}, fault {fault}");
    match fault {
        0 => kill_and_kill_again(&scenario, case, &point, rng.below(3)).await,
        1 => names_are_others_when_it_wakes(scenario, case, &point).await,
        2 if point.ends_with(".intent.before") => {
            names_are_others_when_it_wakes(scenario, case, &point).await;
        }
        2 => all_is_as_it_was_when_it_wakes(scenario, case, &point).await,
        3 => surroundings.meet(&scenario, case, &point, Fault::Kill(rng.below(3000))).await,
        4 => surroundings.meet(&scenario, case, &point, Fault::Cut(Cut::BeforeRequest)).await,
        _ => surroundings.meet(&scenario, case, &point, Fault::Cut(Cut::BeforeAnswer)).await,
    }
    Tally { kills: usize::from([0, 3].contains(&fault)), answered: 1, ..Tally::default() }
}

/// Runs only on request, for `TENANTRY_CHAOS_MINUTES`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told to: `cargo xtask chaos`"]
async fn chaos_loses_no_acknowledged_change() {
    #[expect(clippy::disallowed_methods, reason = "no setting: how long a test runs")]
    let minutes: u64 = std::env::var("TENANTRY_CHAOS_MINUTES").unwrap().parse().unwrap();
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut seed = TestRng::seed_of_this_run();
    let mut seeds = TestRng::new(seed);
    let (mut total, mut runs, mut violations) = (Tally::default(), 0, Vec::new());
    while runs == 0 || Instant::now() < end {
        runs += 1;
        // On a thread of its own: what panics there is a violation, and the next run comes all the same. Not on a
        // worker, because it waits for processes, and what it waits for may need the workers.
        let here = Handle::current();
        match spawn_blocking(move || here.block_on(one(seed))).await {
            Ok(tally) => total.add(tally),
            Err(panic) => {
                println!("VIOLATION in the run with seed {seed}: {panic}");
                violations.push(seed);
            }
        }
        seed = seeds.next();
    }
    let Tally { kills, answered, written, batches, reads } = total;
    println!("{runs} runs, {kills} kills");
    println!(
        "{answered} answered changes, {written} acknowledged writes, {batches} batches and {reads} reads checked"
    );
    println!("{} violations", violations.len());
    for seed in &violations {
        println!("  again: cargo xtask chaos --minutes 0 --seed {seed}");
    }
    assert!(violations.is_empty());
}
