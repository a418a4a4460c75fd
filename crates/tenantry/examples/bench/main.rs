//! What `cargo xtask bench` compares the service with, and what it prepares its data with.
//!
//! An example, so that it is built as the service is, by the same profile and on the same library, and is in no
//! release. Not for use by hand: `cargo xtask bench` knows the order.

mod bare;
mod documents;
mod driver;
mod fill;
mod hashes;
mod seed;

use clap::{Parser, Subcommand};
use documents::Operation;
use std::path::PathBuf;
use std::time::Duration;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Placement;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves one body from memory, on a port that it prints
    Bare { body: String },
    /// Checks passwords on so many threads for so long, and prints how many it was per second
    Hashes { threads: usize, milliseconds: u64 },
    /// Makes organizations, numbered from zero, in a data directory
    Seed { data_dir: PathBuf, organizations: u32 },
    /// Makes organizations in a database of MongoDB, numbered from `first`
    SeedMongodb { uri: String, database: String, placement: Placement, first: u32, organizations: u32 },
    /// Puts documents into a collection of MongoDB
    FillMongodb { uri: String, database: String, collection: String, documents: u32 },
    /// Reads what a lookup reads by the driver alone, and prints how often it was per second
    Driver { uri: String, database: String, at_once: usize, milliseconds: u64 },
    /// Puts documents into the container of an organization of a stopped service
    Fill { data_dir: PathBuf, organization: OrganizationId, documents: u32 },
    /// Prints documents as JSON, a line each
    Lines {
        first: u32,
        count: u32,
        /// With an `_id` each
        #[arg(long)]
        named: bool,
    },
    /// Serves documents in a file of SQLite, on a port that it prints
    DocumentsRoute { file: PathBuf },
    /// Uses documents in a file of SQLite with nothing around it, and prints how many it was per second
    DocumentsInProcess { file: PathBuf, operation: Operation, documents: u32, milliseconds: u64 },
    /// Puts documents into a database of MongoDB
    DocumentsFill { uri: String, database: String, documents: u32 },
    /// Uses them by the driver alone, and prints how many it was per second
    DocumentsDriver {
        uri: String,
        database: String,
        operation: Operation,
        documents: u32,
        at_once: u32,
        milliseconds: u64,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Bare { body } => bare::serve(body),
        Command::Hashes { threads, milliseconds } => {
            hashes::count(threads, Duration::from_millis(milliseconds));
            Ok(())
        }
        Command::Seed { data_dir, organizations } => seed::embedded(&data_dir, organizations),
        Command::SeedMongodb { uri, database, placement, first, organizations } => {
            seed::mongodb(&uri, &database, placement, first, organizations)
        }
        Command::Fill { data_dir, organization, documents } => {
            fill::embedded(&data_dir, organization, documents)
        }
        Command::FillMongodb { uri, database, collection, documents } => {
            fill::mongodb(&uri, &database, &collection, documents)
        }
        Command::Driver { uri, database, at_once, milliseconds } => {
            driver::run(&uri, &database, at_once, Duration::from_millis(milliseconds))
        }
        Command::Lines { first, count, named } => {
            documents::print(first, count, named);
            Ok(())
        }
        Command::DocumentsRoute { file } => documents::route::serve(&file),
        Command::DocumentsInProcess { file, operation, documents, milliseconds } => {
            documents::sqlite::run(&file, operation, documents, Duration::from_millis(milliseconds))
        }
        Command::DocumentsFill { uri, database, documents } => {
            documents::driver::fill(&uri, &database, documents)
        }
        Command::DocumentsDriver { uri, database, operation, documents, at_once, milliseconds } => {
            let span = Duration::from_millis(milliseconds);
            documents::driver::run(&uri, &database, operation, documents, at_once, span)
        }
    }
}
