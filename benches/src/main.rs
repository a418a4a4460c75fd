//! Measures how fast the service is: the real binary as it is shipped, against its upper bounds, as ratios of one run.
//!
//! `cargo xtask bench` builds the service and this program by the same profile and runs it.
//! Machines differ and are noisy, so no figure stands alone: two things that are compared take turns, round by
//! round, and the median of the rounds' ratios is what counts. `docs/benchmarks.md` says what each measure means.
//!
//! # Pitfalls
//! The load comes from the same cores, so a figure of one run says nothing about another machine, and little about
//! another run.
#![expect(
    clippy::print_stdout,
    reason = "this is a command line program, and its progress is what it prints"
)]

mod arguments;
mod baseline;
mod client;
mod comparison;
mod data;
mod load;
mod measures;
mod page;
mod process;
mod report;
mod results;
mod runtime;
mod server;
mod statistics;
mod tenant;
mod workload;

use anyhow::{Context, Result};
use arguments::{Arguments, Measure};
use clap::{Parser, Subcommand, ValueEnum};
use report::Report;
use std::env::current_exe;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the page of the report is.
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

#[derive(Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
    #[command(subcommand)]
    baseline: Option<Baseline>,
}

/// A server that the service is compared with, which the benchmark starts itself as a process of its own, whose processor
/// time can be read; or a part of its work.
#[derive(Subcommand)]
enum Baseline {
    /// Serves one body from memory, on a port that it prints
    #[command(hide = true)]
    Bare { body: String },
    /// Serves documents in a file of SQLite, on a port that it prints
    #[command(hide = true)]
    Documents { file: PathBuf },
    /// Looks organizations up in a control database, on a port that it prints
    #[command(hide = true)]
    Organizations { file: PathBuf },
    /// Makes docs/report.md again, of its recorded results
    #[command(hide = true)]
    Page,
}

fn main() -> Result<()> {
    let CommandLine { arguments, baseline } = CommandLine::parse();
    match baseline {
        None => measure(arguments),
        Some(Baseline::Bare { body }) => baseline::bare::serve(body),
        Some(Baseline::Documents { file }) => baseline::documents::route::serve(&file),
        Some(Baseline::Organizations { file }) => baseline::organizations::serve(&file),
        Some(Baseline::Page) => page::refresh(Path::new(DOCS)),
    }
}

/// The environment that the measures share.
pub struct Bench {
    /// The service.
    service: PathBuf,
    /// An earlier version of it.
    before: Option<PathBuf>,
    /// Where data directories go: on the disk of the build, because `/tmp` may be in memory.
    directory: TempDir,
    /// Rounds of each comparison.
    rounds: usize,
    /// How long one side of a round runs.
    span: Duration,
    /// Divides the sizes that take long to prepare.
    shrink: u32,
}

/// Runs the chosen measures, or all if none is chosen, and writes `target/bench.json`; or makes the report.
fn measure(arguments: Arguments) -> Result<()> {
    let Arguments { only, quick, before, report } = arguments;
    let program = current_exe()?;
    let target = program.ancestors().nth(2).context("the benchmark is not in a directory of cargo's")?;
    let service = program.with_file_name("tenantry");
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(target)?;
    let (rounds, span, shrink) =
        if quick { (3, Duration::from_millis(500), 10) } else { (7, Duration::from_secs(2), 1) };
    let bench = Bench { service, before, directory, rounds, span, shrink };
    if report {
        let results = comparison::measure(&bench, target, quick)?;
        return page::publish(&results, &if quick { target.join("report") } else { DOCS.into() });
    }
    let is_chosen = |measure: &&Measure| only.is_empty() || only.contains(measure);
    let mut findings = Vec::new();
    for measure in Measure::value_variants().iter().filter(is_chosen) {
        let name = measure.name();
        println!("\n== {name} ==");
        let found = measures::run(*measure, &bench).with_context(|| format!("the measure `{name}`"))?;
        findings.extend(found.into_iter().inspect(|finding| println!("{finding}")));
    }
    Report::new(quick, findings).publish(&target.join("bench.json"))
}
