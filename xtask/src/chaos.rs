//! The long form of the fault tests: the code of the tests, run for the given number of minutes.

use crate::ci::ENGINE_VARIABLE;
use crate::shell::{nextest, run as sh};
use anyhow::Result;

/// Read by `crates/tenantry/tests/it/mongodb_only/chaos/long.rs`.
const MINUTES: &str = "TENANTRY_CHAOS_MINUTES";
/// Read by `crates/tenantry/tests/it/support/rng.rs`.
const SEED: &str = "TENANTRY_TEST_SEED";

/// Starts runs for `minutes` minutes, the first one with `seed`.
pub fn run(minutes: u64, seed: Option<u64>) -> Result<()> {
    let mut chaos = nextest("run --run-ignored only --no-capture")?;
    chaos.args(["-E", "test(=mongodb_only::chaos::long::chaos_loses_no_acknowledged_change)"]);
    chaos.env(ENGINE_VARIABLE, "mongodb");
    chaos.env(MINUTES, minutes.to_string());
    if let Some(seed) = seed {
        chaos.env(SEED, seed.to_string());
    }
    sh(chaos)
}
