//! How fast the service is: the real binary as it is shipped, measured against what bounds it, as ratios of one run.
//!
//! Machines differ and are noisy, so no figure stands alone: two things that are compared take turns, round by
//! round, and the median of the rounds' ratios is what counts. `docs/benchmarks.md` says what each measure means.
//! What a newcomer gets wrong: the load comes from the same cores, so a figure of one run says nothing about
//! another machine, and little about another run.

mod client;
mod documents;
mod get;
mod idle;
mod load;
mod login;
mod mongodb;
mod programs;
mod rename;
mod report;
mod scale;
mod server;
mod statistics;

use anyhow::{Context, Result};
use clap::ValueEnum;
use programs::Programs;
use report::{Finding, Report};
pub use server::Server;
use std::time::Duration;
use tempfile::TempDir;

/// A measure. They run in this order.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Memory at rest, and the time to the first answer
    Idle,
    /// Lookups over kept connections, against a bare axum route
    Get,
    /// Sign-ins, against the same Argon2 calls alone
    Login,
    /// Renames of a small and of a large container
    Rename,
    /// A hundred thousand organizations, against a hundred
    Scale,
    /// Lookups, renames and creates on MongoDB
    Mongodb,
    /// Documents, against the engines used directly
    Documents,
    /// What one organization notices of another that asks for ten times as much
    Neighbours,
    /// Memory to export and import a million documents, against ten thousand
    Archives,
}

/// What the measures share.
pub struct Bench {
    programs: Programs,
    /// Where data directories go: on the disk of the build, which unlike /tmp is one.
    directory: TempDir,
    /// Rounds of each comparison.
    rounds: usize,
    /// How long one side of a round runs.
    span: Duration,
    /// Divides the sizes that take long to prepare.
    shrink: u32,
}

/// Runs `only` these measures, or all if none is named, and writes `target/bench.json`.
pub fn run(only: &[Measure], quick: bool) -> Result<()> {
    let programs = Programs::build()?;
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(programs.target())?;
    let bench = if quick {
        Bench { programs, directory, rounds: 3, span: Duration::from_millis(500), shrink: 10 }
    } else {
        Bench { programs, directory, rounds: 7, span: Duration::from_secs(2), shrink: 1 }
    };
    let chosen = |measure: &&Measure| only.is_empty() || only.contains(measure);
    let mut findings = Vec::new();
    for measure in Measure::value_variants().iter().filter(chosen) {
        let name = measure.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("\n== {name} ==");
        let found = measure.run(&bench).with_context(|| format!("the measure `{name}`"))?;
        findings.extend(found.into_iter().inspect(|finding| println!("{finding}")));
    }
    Report::new(quick, findings).publish(&bench.programs.target().join("bench.json"))
}

impl Measure {
    fn run(self, bench: &Bench) -> Result<Vec<Finding>> {
        match self {
            Self::Idle => idle::measure(bench),
            Self::Get => get::measure(bench),
            Self::Login => login::measure(bench),
            Self::Rename => rename::measure(bench),
            Self::Scale => scale::measure(bench),
            Self::Mongodb => mongodb::measure(bench),
            Self::Documents => documents::speed(bench),
            Self::Neighbours => documents::neighbours(bench),
            Self::Archives => documents::archives(bench),
        }
    }
}
