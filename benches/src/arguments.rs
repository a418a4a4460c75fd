//! The options of `cargo xtask bench`.
//!
//! `xtask` includes this file: its `--help`, and its refusal of a wrong option, come before the long build.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::{fs, io};

/// What to measure, and how thoroughly.
#[derive(Args)]
pub struct Arguments {
    /// Measure this alone; may be given several times
    #[arg(long, value_name = "MEASURE", value_enum, requires_if("versions", "before"))]
    pub only: Vec<Measure>,
    /// Fewer and shorter rounds on smaller data: to see that it works, not for figures
    #[arg(long)]
    pub quick: bool,
    /// Measure the service beside other projects instead, and write the page docs/report.md with its plots
    ///
    /// With --quick both go to target/report.
    #[arg(long, conflicts_with_all = ["only", "before"])]
    pub report: bool,
    /// The program `tenantry` of an earlier version, which the measure `versions` compares with
    #[arg(long, value_name = "PATH", value_parser = existing_file)]
    pub before: Option<PathBuf>,
}

/// A measure. They run in this order.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Memory at rest, and the time to the first response
    Idle,
    /// Lookups over kept connections, against a bare axum route
    Get,
    /// Sign-ins, against the same Argon2 calls alone
    Login,
    /// Renames of a small and of a large container
    Rename,
    /// A hundred thousand organizations, against a hundred
    Scale,
    /// A million organizations that have written nothing
    Million,
    /// Lookups, renames and creates on MongoDB
    Mongodb,
    /// Keys, exchanged tokens and many members, against a session and few
    Access,
    /// Documents, against the engines used directly
    Documents,
    /// Memory of lists and aggregates, and a scan of a million documents
    Queries,
    /// What one organization notices of another that asks for ten times as much
    Neighbours,
    /// Memory to export and import a million documents, against ten thousand
    Archives,
    /// Slow clients, overload, and the cost of traces and of TLS
    Edge,
    /// The service, against an earlier version of it (needs --before)
    Versions,
}

impl Measure {
    /// What the option calls it.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// An absolute path: the programs that read it run in other directories.
fn existing_file(path: &str) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}
