//! Schemathesis against the service, with all its checks: requests that are drawn from the OpenAPI document, good and bad
//! ones, and answers that are held against it. Nothing may be left: what it finds is mended in the service or in the document,
//! or is a row of `conformance/accepted.py` with its reason.
//!
//! `conformance/hooks.py` gives the requests credentials, and names of what exists.

use crate::process::Process;
use crate::shell::{command, root, run as sh, service_program, tools_directory};
use crate::tools;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Instant;
use tenantry_test_mongod::Mongod;

/// The folder of hooks, settings and packages.
const SOURCES: &str = "xtask/src/conformance";
/// The seed of the short form, so that a change meets the same requests as the one before.
const SEED: u32 = 1;
/// A key that only this run has: signs access tokens where the service may not make a key of its own.
const JWT_SECRET: &str = "conformance: no secret, for this run only";

/// How much is tried.
struct Extent {
    engines: &'static [&'static str],
    phases: &'static str,
    /// Requests for each operation, beside those that cover each field.
    examples: u32,
}

const SHORT: Extent = Extent { engines: &["embedded"], phases: "coverage,fuzzing", examples: 2 };
const LONG: Extent =
    Extent { engines: &["embedded", "mongodb"], phases: "examples,coverage,fuzzing,stateful", examples: 60 };

/// Runs the checks: the short form, with a fixed seed, or the long one, on both engines and with a seed that it prints. A `seed`
/// repeats a run.
pub fn run(is_long: bool, seed: Option<u32>) -> Result<()> {
    let extent = if is_long { LONG } else { SHORT };
    let seed = seed.unwrap_or_else(|| if is_long { random_seed() } else { SEED });
    println!(
        "seed {seed}: `cargo xtask conformance{} --seed {seed}` repeats it",
        if is_long { " --long" } else { "" }
    );
    tools::install()?;
    let packages = tools::python_packages(&format!("{SOURCES}/requirements.txt"), "conformance-python")?;
    let program = service_program()?;
    let mut failed = Vec::new();
    for engine in extent.engines {
        let began = Instant::now();
        let outcome = check(engine, &extent, seed, &program, &packages);
        println!("{engine}: {:.0} s", began.elapsed().as_secs_f64());
        if let Err(error) = outcome {
            println!("{engine}: {error:#}");
            failed.push(*engine);
        }
    }
    ensure!(failed.is_empty(), "service and OpenAPI document differ: {}", failed.join(", "));
    Ok(())
}

fn random_seed() -> u32 {
    u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(SEED)
}

/// Runs schemathesis on a service of that engine.
fn check(engine: &str, extent: &Extent, seed: u32, program: &Path, packages: &Path) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    // With keys that rotate, and metadata of the issuer.
    let mut flags = vec!["--jwt-algorithm=EdDSA".to_owned(), "--jwt-issuer=https://id.example".to_owned()];
    let mongod = (engine == "mongodb").then(Mongod::start);
    if let Some(mongod) = &mongod {
        flags.push(format!("--mongo-uri={}", mongod.uri()));
        flags.push("--master-db=conformance".to_owned());
        flags.push(format!("--jwt-secret={JWT_SECRET}"));
    }
    let server = Process::service(program, &data, &flags)?;
    let url = format!("http://{}", server.address);
    let key = fs::read_to_string(data.join("operator.key")).context("the service has no operator key")?;
    let sources = root().join(SOURCES);
    let mut schemathesis =
        command(tools_directory().join("python"), &["-m", "schemathesis.cli", "--config-file"]);
    schemathesis.arg(sources.join("schemathesis.toml")).arg("run").arg(format!("{url}/openapi.json"));
    schemathesis.args(["--checks=all", "--continue-on-failure", "--generation-database=none", "--no-color"]);
    schemathesis.arg(format!("--phases={}", extent.phases));
    schemathesis.arg(format!("--max-examples={}", extent.examples)).arg(format!("--seed={seed}"));
    // Where it may leave files of its own.
    schemathesis.current_dir(directory.path());
    schemathesis
        .env("PYTHONPATH", std::env::join_paths([packages, &sources])?)
        .env("SCHEMATHESIS_HOOKS", "hooks");
    schemathesis.env("TENANTRY_URL", &url).env("TENANTRY_OPERATOR_KEY", key.trim());
    // Nothing of it beside the hooks.
    schemathesis.env("PYTHONDONTWRITEBYTECODE", "1");
    sh(schemathesis)?;
    server.stop()
}
