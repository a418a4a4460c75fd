//! The long form of the fault tests: the same code that the tests run a little of, for as long as one likes.

use crate::shell::{command, run as sh};
use anyhow::Result;

/// Read by `crates/server/tests/it/chaos/long.rs`.
const MINUTES: &str = "TENANTRY_CHAOS_MINUTES";
/// Read by `crates/server/tests/it/support/chance.rs`.
const SEED: &str = "TENANTRY_TEST_SEED";

/// Begins runs for so many minutes, the first one with `seed`.
pub fn run(minutes: u64, seed: Option<u64>) -> Result<()> {
    let test = "test --locked --package tenantry --features crash-points --test on_mongodb -- \
                --ignored --exact chaos::long::chaos --nocapture";
    let mut chaos = command("cargo", &test.split_whitespace().collect::<Vec<_>>());
    chaos.env(MINUTES, minutes.to_string());
    if let Some(seed) = seed {
        chaos.env(SEED, seed.to_string());
    }
    sh(chaos)
}
