//! An earlier version and this one beside each other on one database of MongoDB, as they are while instances are replaced
//! one after the other.
//!
//! There is no release yet, so the earlier version is a commit: the last before the newest schema step of MongoDB, because
//! two versions with one schema would show little. Once there are releases it is the one before.

use crate::ci::ENGINE_VARIABLE;
use crate::shell::{command, nextest, root, run as sh, succeeds};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;

/// The earlier version.
const PREVIOUS: &str = "bfeb46c36dbf66f0a175b88fcb871e31a943780b";
/// Read by `crates/tenantry/tests/it/mongodb_only/neighbours.rs`.
const PROGRAM: &str = "TENANTRY_TEST_PREVIOUS";

/// Runs the tests with `program`, or with the earlier version from the history.
pub fn run(program: Option<PathBuf>) -> Result<()> {
    let program = match program {
        Some(program) => std::path::absolute(program)?,
        None => build()?,
    };
    let mut tests = nextest("run --run-ignored only --no-capture")?;
    tests.args(["-E", "test(/^mongodb_only::neighbours::/)"]);
    tests.env(ENGINE_VARIABLE, "mongodb").env(PROGRAM, program);
    sh(tests)
}

/// The program of the earlier version, built below `target/previous` if it is not there.
fn build() -> Result<PathBuf> {
    let directory = root().join("target/previous");
    let (source, built) = (directory.join(PREVIOUS), directory.join("build"));
    let program = directory.join(format!("tenantry-{PREVIOUS}"));
    if program.exists() {
        return Ok(program);
    }
    ensure!(
        succeeds(command("git", &["cat-file", "-e", &format!("{PREVIOUS}^{{commit}}")])),
        "the history of this clone has no commit {PREVIOUS}, which is the earlier version: fetch it with \
         `git fetch --unshallow`, or name a program with `cargo xtask neighbours --program PATH`"
    );
    println!("building the earlier version, which takes some minutes");
    fs::create_dir_all(&source)?;
    let archive = directory.join("source.tar");
    let mut pack = command("git", &["archive", "--format=tar", "--output"]);
    pack.arg(&archive).arg(PREVIOUS);
    sh(pack)?;
    let mut unpack = command("tar", &["-xf"]);
    unpack.arg(&archive).arg("-C").arg(&source);
    sh(unpack)?;
    fs::remove_file(&archive)?;
    let mut build = command("cargo", &["build", "--quiet", "--locked", "--package", "tenantry"]);
    build.current_dir(&source).env("CARGO_TARGET_DIR", &built);
    sh(build)?;
    fs::copy(built.join("debug/tenantry"), &program).context("the earlier version has no program")?;
    // A whole build of it is large, and only the program is used.
    fs::remove_dir_all(&built)?;
    fs::remove_dir_all(&source)?;
    Ok(program)
}
