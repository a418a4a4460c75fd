//! The soak test, run for the given number of minutes on one engine after the other.

use crate::ci::ENGINE_VARIABLE;
use crate::shell::{nextest, run as sh};
use anyhow::Result;
use clap::ValueEnum;

/// Read by `crates/tenantry/tests/it/soak.rs`.
const MINUTES: &str = "TENANTRY_SOAK_MINUTES";
/// Read by `crates/tenantry/tests/it/support/rng.rs`.
const SEED: &str = "TENANTRY_TEST_SEED";

/// Where the records are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Files
    Embedded,
    /// A server
    Mongodb,
}

/// Runs it for `minutes` minutes on each of `engines`, or on both if none is named.
pub fn run(minutes: u64, engines: &[Engine], seed: Option<u64>) -> Result<()> {
    let engines = if engines.is_empty() { Engine::value_variants() } else { engines };
    for engine in engines {
        let mut soak = nextest("run --run-ignored only --no-capture")?;
        soak.args(["-E", "test(=soak::soak_keeps_acknowledged_changes_and_grows_not)"]);
        soak.env(ENGINE_VARIABLE, if *engine == Engine::Embedded { "embedded" } else { "mongodb" });
        soak.env(MINUTES, minutes.to_string());
        if let Some(seed) = seed {
            soak.env(SEED, seed.to_string());
        }
        sh(soak)?;
    }
    Ok(())
}
