//! Runs the fuzz targets for longer than a test run does.

use crate::shell::{nextest, run as sh};
use anyhow::{Result, ensure};
use std::time::Duration;

/// How many targets run at the same time; each uses a core.
const THREADS: u64 = 2;

/// Runs every fuzz target, all together for about `minutes` minutes.
pub fn run(minutes: u64) -> Result<()> {
    let mut list = nextest("list --message-format oneline -E test(/fuzz_/)")?;
    list.stderr(std::process::Stdio::inherit());
    let listed = crate::shell::output(list)?;
    let targets =
        String::from_utf8_lossy(&listed).lines().filter(|line| line.contains("fuzz_")).count() as u64;
    ensure!(targets > 0, "there are no fuzz targets");
    let each = Duration::from_secs(minutes * 60 * THREADS) / u32::try_from(targets)?;
    println!("{targets} targets, each for {} s", each.as_secs());
    let mut fuzz = nextest("run --no-fail-fast -E test(/fuzz_/)")?;
    fuzz.arg(format!("--test-threads={THREADS}"));
    fuzz.env("TENANTRY_FUZZ_SECONDS", each.as_secs().to_string());
    sh(fuzz)
}
