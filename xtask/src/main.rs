//! The only automation of the project: the checks of CI, the setup of a new contributor, the generated pages.
//!
//! Each command is a module with one entry function. It needs nothing but a Rust toolchain to start;
//! [`tools`] installs everything else that a check needs. A check that is not a step of [`ci`] does not run,
//! so add it there and not to a workflow file.
#![expect(
    clippy::print_stdout,
    reason = "this is a command line program, and its progress is what it prints"
)]

mod bench;
mod chaos;
mod ci;
mod clients;
mod conformance;
mod deny;
mod deploy;
mod dist;
mod docs;
mod fuzz;
mod generate;
mod neighbours;
#[path = "../../benches/src/process.rs"]
mod process;
mod shell;
mod soak;
mod suites;
mod tidy;
mod tools;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's automation.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need and runs every check in order, up to the first that fails
    ///
    /// This is what CI runs. With names of steps it runs only those, in the usual order; long steps run only
    /// if they are named, or with `--long`.
    Ci {
        /// The steps to run; all of them if none is named
        #[arg(value_enum)]
        steps: Vec<ci::Step>,
        /// Also the steps that are too long for every change: all faults of MongoDB, all clients, what is shipped, the
        /// samples for proxies, the suites of others, an earlier version beside this one, half an hour each of chaos and of mixed work
        #[arg(long, conflicts_with = "steps")]
        long: bool,
        /// Only the steps that find most mistakes soon: formatting, clippy, and the tests that need no
        /// MongoDB
        #[arg(long, conflicts_with_all = ["steps", "long"])]
        fast: bool,
    },
    /// Installs what the tests need and this machine lacks: a browser with its driver, curl, Python packages
    ///
    /// Debian packages are installed with apt-get, through sudo where the caller is not root. Python packages
    /// go below target/tools and touch nothing else. Quick, and without network, if everything is installed.
    Tools,
    /// Writes the pages that are generated from the code: docs/errors.md, docs/settings.md, docs/metrics.md,
    /// docs/schema.md, docs/openapi.json
    Generate {
        /// Write nothing; fail if a page does not match the code
        #[arg(long)]
        check: bool,
    },
    /// Checks the links and tables of all Markdown files, and builds the book of docs/ into target/book
    Docs,
    /// Checks what neither rustfmt nor clippy looks at: long files, missing module heads, left-over notes, and names
    /// of files, types and tests on the pages
    Tidy,
    /// Kills, stops and cuts off the service and its servers, run after run, and checks what is left
    ///
    /// Every kind of fault, at every named point and under load, chosen at random. Prints the runs, kills,
    /// checks and violations, and for each violation the seed that repeats it. Fails on a violation.
    Chaos {
        /// For how many minutes to start new runs; 0 means one run
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Start with the run of this seed
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Runs mixed work on a service for minutes, kills it every few of them, and checks that nothing is lost and nothing grows
    ///
    /// On the embedded engine and then on MongoDB. Prints what each process held: memory, open files, disk. Fails if something
    /// that was acknowledged is not there, or memory, files or disk grow without documents.
    Soak {
        /// For how many minutes on each engine
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// On this engine alone; may be repeated
        #[arg(long, value_enum)]
        engine: Vec<soak::Engine>,
        /// The seed of an earlier run
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Runs an earlier version and this one beside each other on one database of MongoDB
    ///
    /// Builds the earlier version from the history into target/previous, which takes some minutes once.
    Neighbours {
        /// The program of an earlier version, instead of one from the history
        #[arg(long)]
        program: Option<std::path::PathBuf>,
    },
    /// Tries changed texts, documents, tokens and archives on everything that reads them
    ///
    /// The targets are the tests called `fuzz_…`, which every test run tries for a moment. A failure prints the input
    /// and the seed that repeats it. Fails if a target fails.
    Fuzz {
        /// For how many minutes, all targets together
        #[arg(long, default_value_t = 10)]
        minutes: u64,
    },
    /// Draws requests from the OpenAPI document, with schemathesis, and holds the answers against it, with all checks
    ///
    /// Installs schemathesis below target/tools. The short form is a step of every run; the long one is on both engines.
    /// Fails on what `xtask/src/conformance/accepted.py` does not explain.
    Conformance {
        /// Many requests, also ones that build on each other, on both engines
        #[arg(long)]
        long: bool,
        /// Draw the requests of this seed again
        #[arg(long)]
        seed: Option<u32>,
    },
    /// Runs the samples in deploy/ with nginx, Caddy and HAProxy in front of the service
    ///
    /// Installs the programs first: nginx and Caddy below target/tools, HAProxy with apt-get. Takes some minutes.
    Proxies,
    /// Runs public suites of others against the service on both engines
    ///
    /// Fetches pinned source archives from the registry of Python packages into target/tools/suites. Prints for each
    /// suite and engine its source and version, the cases run, passed, refused as documented and failed. Fails if one
    /// fails, or fewer pass than were recorded.
    Suites,
    /// Builds what is shipped into target/package: the binary, its manual and completions, an archive, a Debian package,
    /// an SBOM, checksums
    Dist(dist::Arguments),
    /// Measures how fast the service is, against its upper bounds, and writes target/bench.json
    ///
    /// Builds the binary as it is shipped first (`--profile dist`). Takes some minutes and wants the machine for itself.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Ci { steps, long, fast } => {
            let extent = match (fast, long) {
                (true, _) => ci::Extent::Fast,
                (_, true) => ci::Extent::Long,
                _ => ci::Extent::Usual,
            };
            ci::run(&steps, extent)
        }
        Command::Tools => tools::install(),
        Command::Generate { check } => generate::run(check),
        Command::Docs => docs::build(),
        Command::Tidy => tidy::check(),
        Command::Chaos { minutes, seed } => chaos::run(minutes, seed),
        Command::Conformance { long, seed } => conformance::run(long, seed),
        Command::Soak { minutes, engine, seed } => soak::run(minutes, &engine, seed),
        Command::Neighbours { program } => neighbours::run(program),
        Command::Fuzz { minutes } => fuzz::run(minutes),
        Command::Proxies => ci::proxies(),
        Command::Suites => suites::run(),
        Command::Dist(arguments) => dist::run(&arguments).map(drop),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nFAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
