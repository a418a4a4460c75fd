//! Every check, in order, each with its heading and its time; the first failure ends the run.
//!
//! All steps that compile build the whole workspace with all features in the one dev profile, so that what
//! clippy, the tests and the binary share is compiled once. The quick checks come first.

use crate::shell::{cargo, nextest, run as sh};
use crate::tools::programs::TYPOS;
use crate::{
    chaos, clients, conformance, deny, deploy, dist, docs, generate, neighbours, soak, suites, tidy, tools,
};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::time::{Duration, Instant};

/// A check. They run in this order.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Long files, missing module heads, left-over notes, names on the pages
    Tidy,
    /// rustfmt
    Fmt,
    /// Installs what the other steps need
    Tools,
    /// Misspelt words
    Typos,
    /// Links and tables of the Markdown files; the book
    Docs,
    /// Licences, versions, sources and advisories of the dependencies
    Deny,
    /// clippy on everything, warnings denied
    Clippy,
    /// The examples in the documentation of the code
    DocTests,
    /// The service without MongoDB compiles
    NoMongodb,
    /// All tests but the doc tests
    Tests,
    /// The generated pages match the code
    Generate,
    /// What `deploy/` has: image, compose files, manifests, unit, alerts, dashboard
    Deploy,
    /// Clients that two tools generate from the OpenAPI document, against the service
    Clients,
    /// Requests that schemathesis draws from the OpenAPI document, answered by the service on the embedded engine
    Conformance,
    /// Long: the clients of all tools
    AllClients,
    /// Long: many more such requests, on both engines
    AllConformance,
    /// Fast: the tests that need no MongoDB, on the embedded engine
    FastTests,
    /// Long: every case of the faults of MongoDB, where the tests run a sample
    AllFaults,
    /// Long, as root: what is shipped is built, installed, upgraded, removed, and started as the image and the compose
    /// files do
    Package,
    /// Long: the samples for proxies, each run by its program
    Proxies,
    /// Long: public suites of others
    Suites,
    /// Long: an earlier version and this one, beside each other on MongoDB
    Neighbours,
    /// Long: half an hour of mixed work with kills, on each engine
    Soak,
    /// Long: half an hour of chaos
    Chaos,
}

/// Minutes of chaos in the long form.
const CHAOS_MINUTES: u64 = 30;
/// Minutes of mixed work on each engine in the long form.
const SOAK_MINUTES: u64 = 30;

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether it takes too long for every change.
    const fn is_long(self) -> bool {
        matches!(
            self,
            Self::AllClients
                | Self::AllConformance
                | Self::AllFaults
                | Self::Package
                | Self::Proxies
                | Self::Suites
                | Self::Neighbours
                | Self::Soak
                | Self::Chaos
        )
    }

    /// Whether it is part of a quick run during work on a change.
    const fn is_fast(self) -> bool {
        matches!(self, Self::Tidy | Self::Fmt | Self::Clippy | Self::FastTests)
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Tidy => tidy::check(),
            Self::Fmt => sh(cargo("fmt --all --check")),
            Self::Typos => sh(TYPOS.command("")?),
            Self::Docs => docs::build(),
            Self::Deny => deny::check(),
            Self::Tools => tools::install(),
            Self::Clippy => {
                sh(cargo("clippy --locked --workspace --all-targets --all-features -- -D warnings"))
            }
            Self::NoMongodb => sh(cargo("check --locked --package tenantry --no-default-features")),
            Self::Tests => tests(),
            Self::FastTests => fast_tests(),
            Self::DocTests => sh(cargo("test --locked --workspace --all-features --doc")),
            Self::Generate => generate::run(true),
            Self::Deploy => deploy::check(),
            Self::Clients => clients::run(false),
            Self::AllClients => clients::run(true),
            Self::Conformance => conformance::run(false, None),
            Self::AllConformance => conformance::run(true, None),
            Self::AllFaults => all_faults(),
            Self::Package => package(),
            Self::Proxies => proxies(),
            Self::Suites => suites::run(),
            Self::Neighbours => neighbours::run(None),
            Self::Soak => soak::run(SOAK_MINUTES, &[], None),
            Self::Chaos => chaos::run(CHAOS_MINUTES, None),
        }
    }
}

/// Which steps run if none is chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The steps that find most mistakes soon.
    Fast,
    /// The steps that a change must pass.
    Usual,
    /// All steps.
    Long,
}

/// Runs `chosen` steps or, if none is chosen, those that `extent` says.
pub fn run(chosen: &[Step], extent: Extent) -> Result<()> {
    let is_meant = |step: &Step| match (chosen, extent) {
        ([], Extent::Fast) => step.is_fast(),
        ([], Extent::Usual) => !step.is_long() && *step != Step::FastTests,
        ([], Extent::Long) => *step != Step::FastTests,
        (chosen, _) => chosen.contains(step),
    };
    let steps: Vec<Step> = Step::value_variants().iter().copied().filter(is_meant).collect();
    let start = Instant::now();
    for (number, step) in (1..).zip(&steps) {
        println!("\n== {number}/{} {} ==", steps.len(), step.name());
        let step_start = Instant::now();
        step.run().with_context(|| {
            format!("step {number}/{} `{}` after {}", steps.len(), step.name(), seconds(step_start.elapsed()))
        })?;
        println!("-- {} passed in {}", step.name(), seconds(step_start.elapsed()));
    }
    println!("\nAll {} steps passed in {}.", steps.len(), seconds(start.elapsed()));
    Ok(())
}

/// Builds what is shipped, and installs and starts it in every form.
fn package() -> Result<()> {
    let package = dist::run(&dist::Arguments::default())?;
    if let Some(deb) = &package.deb {
        deploy::install(deb, &package.image)?;
    }
    deploy::unit(&package.binary)?;
    deploy::processes(&package.binary)
}

/// The engine that the tests over HTTP run on; read by `crates/tenantry/tests/it/main.rs`.
pub const ENGINE_VARIABLE: &str = "TENANTRY_TEST_ENGINE";

/// Runs the tests, those over HTTP on each engine.
fn tests() -> Result<()> {
    let runs = [
        ("embedded", "not test(/^(mongodb_only|embedded_only::deployed)::/)"),
        ("mongodb", "binary(it) & not test(/^embedded_only::/)"),
    ];
    run_tests(&runs, &[])
}

/// Runs the tests that need no MongoDB, on the embedded engine.
fn fast_tests() -> Result<()> {
    let meant = "not test(/^(mongodb_only|crash|embedded_only::deployed)::/) & not binary(on_mongodb) & not binary(differential) \
                 & not package(tenantry-store-mongodb)";
    let mut tests = nextest("run")?;
    tests.args(["-E", meant]).env(ENGINE_VARIABLE, "embedded").env("TENANTRY_TEST_EMBEDDED_ONLY", "yes");
    sh(tests)
}

/// The samples in `deploy`, each run by its program.
pub fn proxies() -> Result<()> {
    tools::install()?;
    tools::proxies::install()?;
    let mut tests = nextest("run")?;
    tests.args(["-E", "test(/^embedded_only::deployed::/)"]).env(ENGINE_VARIABLE, "embedded");
    sh(tests)
}

/// Every case of the faults of MongoDB, and the long form of random updates, aggregates and partial indexes, where the
/// tests run a sample. Seeds and numbers of cases are printed.
fn all_faults() -> Result<()> {
    let compared = [("embedded", "binary(differential) & test(/^(aggregates|partial_indexes|updates)::/)")];
    let variables = [("TENANTRY_TEST_DIFFERENTIAL", "all"), ("NEXTEST_SUCCESS_OUTPUT", "immediate")];
    let compared = run_tests(&compared, &variables);
    let runs = [
        ("embedded", "binary(it) & test(/^crash::/)"),
        ("mongodb", "binary(it) & test(/^(crash|mongodb_only::chaos)::/)"),
    ];
    compared.and(run_tests(&runs, &[("TENANTRY_CHAOS", "all")]))
}

/// Runs the tests of each expression, with one `mongod` for all their processes: one for each would take
/// longer than the tests.
fn run_tests(runs: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<()> {
    let mongod = tenantry_test_mongod::Mongod::start();
    let mut outcome = Ok(());
    for (engine, expression) in runs {
        let mut tests = nextest("run")?;
        tests.args(["-E", expression]).env(ENGINE_VARIABLE, engine);
        tests.env(tenantry_test_mongod::SHARED_URI_VARIABLE, mongod.uri());
        tests.envs(variables.iter().copied());
        // A failure on one engine hides none on the other.
        outcome = outcome.and(sh(tests));
    }
    outcome
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use crate::shell::root;

    /// Nothing is published before the long form has passed.
    #[test]
    fn release_waits_for_the_long_form_of_ci() {
        let workflow = std::fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
        let (before, publish) = workflow.split_once("\n  publish:\n").unwrap();
        let (_, check) = before.split_once("\n  check:\n").unwrap();
        assert!(check.contains("cargo xtask ci --long\n") && check.contains("fetch-depth: 0"), "{check}");
        assert!(publish.starts_with("    needs: [build, check]\n"), "{publish}");
    }
}
