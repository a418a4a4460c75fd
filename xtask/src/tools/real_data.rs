//! Real data for the tests: the world's administrative subdivisions, and every package of a Linux distribution.
//!
//! Both come from packages that the machine's own tools install, and are kept as NDJSON in
//! `target/tools/data`: `subdivisions.ndjson` (ISO 3166-2, some 5,000) and `packages.ndjson` (some 60,000).
//!
//! # Pitfalls
//! The data changes with time, so no test may contain a count or a name from it: compute expected values from
//! the same file.

use super::PIP_INSTALL;
use crate::shell::{command, root, run, tools_directory};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The Python package that carries ISO 3166-2.
const SUBDIVISIONS_PACKAGE: &str = "pycountry>=24,<27";

/// Reads what the package carries.
const SUBDIVISIONS: &str = "xtask/src/tools/subdivisions.py";

/// Reads the records of `apt-cache dumpavail`.
const PACKAGES: &str = "xtask/src/tools/packages.py";

/// Fetches what is missing.
pub fn install() -> Result<()> {
    let directory = tools_directory().join("data");
    fs::create_dir_all(&directory)?;
    once(&directory.join("subdivisions.ndjson"), subdivisions)?;
    once(&directory.join("packages.ndjson"), packages)
}

/// Makes `file` by `make`, which gets another name for it: what is there is whole.
fn once(file: &Path, make: fn(&Path) -> Result<()>) -> Result<()> {
    if !file.exists() {
        let unfinished = file.with_extension("unfinished");
        make(&unfinished).with_context(|| format!("cannot make {}", file.display()))?;
        fs::rename(&unfinished, file)?;
    }
    println!("{}: there", file.display());
    Ok(())
}

fn subdivisions(file: &Path) -> Result<()> {
    println!("fetching ISO 3166-2 in the Python package {SUBDIVISIONS_PACKAGE}");
    let unpacked = tools_directory().join("data/pycountry-package");
    let python = tools_directory().join("python");
    let mut install = command(&python, &PIP_INSTALL);
    install.args(["--no-deps", "--upgrade", "--target"]).arg(&unpacked).arg(SUBDIVISIONS_PACKAGE);
    run(install)?;
    let mut convert = command(&python, &[root().join(SUBDIVISIONS)]);
    convert.arg(&unpacked).arg(file);
    run(convert)?;
    Ok(fs::remove_dir_all(&unpacked)?)
}

/// Reads the lists that the machine's own sources name into a directory of ours, which needs no right to change the
/// machine.
fn packages(file: &Path) -> Result<()> {
    println!("fetching the lists of Debian's packages");
    let state = tools_directory().join("data/apt");
    for directory in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(directory))?;
    }
    let options = format!(
        "-qq -o Dir::State={0} -o Dir::State::status={0}/status -o Dir::State::lists={0}/lists -o Dir::Cache={0}/cache",
        state.display()
    );
    fs::write(state.join("status"), "")?;
    let script =
        format!("set -e; apt-get {options} update; apt-cache {options} dumpavail | \"$1\" \"$2\" \"$3\"");
    let mut convert = command("sh", &["-c", &script, "sh"]);
    convert.arg(tools_directory().join("python")).arg(root().join(PACKAGES)).arg(file);
    run(convert)?;
    Ok(fs::remove_dir_all(&state)?)
}
