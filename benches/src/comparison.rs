//! The report: the service beside other projects, doing the same work in the same run, and alone as its data grows.
//!
//! All systems of a comparison run throughout and take turns. The load is ours, and so are the documents and the checks
//! that what is compared is durable and keeps organizations apart.
//!
//! # Pitfalls
//! The processes of a system share the machine with the load, and with the `mongod` if they use one. So a system that
//! MongoDB keeps the data of is never to be compared with one that has its own files, but for what the page says.

mod api;
mod by_connections;
mod durability;
mod memory;
mod organizations;
mod peers;
mod process_tree;
mod renames;
mod sign_ins;
mod system;
mod timed;
mod work;

use crate::Bench;
use crate::report::{processor, system_name};
use crate::results::{Machine, Results, Row, SystemRecord};
use anyhow::{Context, Result};
pub use peers::SYSTEMS;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;
use system::{Surroundings, System};
use tenantry::system::SystemClock;
use tenantry_domain::clock::Clock;
use tenantry_test_mongod::Mongod;

/// How thorough a run is.
struct Effort {
    rounds: usize,
    /// How long a system works in a round.
    span: Duration,
    /// Documents of all organizations.
    documents: u32,
    connections: &'static [usize],
    /// The same for what hashes passwords.
    few_connections: &'static [usize],
    /// For how long memory is watched.
    watch: Duration,
    organizations: &'static [u32],
    rename_documents: &'static [u32],
}

const WHOLE: Effort = Effort {
    rounds: 3,
    span: Duration::from_secs(2),
    documents: 10_000,
    connections: &[1, 4, 16, 64],
    few_connections: &[1, 4, 16],
    watch: Duration::from_secs(60),
    organizations: &[100, 1_000, 10_000, 100_000, 1_000_000],
    rename_documents: &[1_000, 10_000, 100_000, 1_000_000],
};

const QUICK: Effort = Effort {
    rounds: 1,
    span: Duration::from_millis(300),
    documents: 1_000,
    connections: &[1, 16],
    few_connections: &[1, 4],
    watch: Duration::from_secs(4),
    organizations: &[100, 1_000, 10_000],
    rename_documents: &[1_000, 10_000, 100_000],
};

/// Measures everything.
pub fn measure(bench: &Bench, target: &Path, quick: bool) -> Result<Results> {
    let effort = if quick { &QUICK } else { &WHOLE };
    let cores = available_parallelism()?.get();
    let mut sections = BTreeMap::new();
    let records = beside_peers(bench, target, effort, cores, &mut sections)?;
    sections.insert("organizations".to_owned(), organizations::measure(bench, effort)?);
    sections.insert("renames".to_owned(), renames::measure(bench, effort)?);
    Ok(Results {
        quick,
        date: SystemClock.now().strftime("%Y-%m-%d").to_string(),
        machine: Machine { cores, processor: processor(), system: kernel(), mongod: mongod_version() },
        systems: records,
        sections,
    })
}

fn beside_peers(
    bench: &Bench,
    target: &Path,
    effort: &Effort,
    cores: usize,
    sections: &mut BTreeMap<String, Vec<Row>>,
) -> Result<Vec<SystemRecord>> {
    peers::copy_scripts(target)?;
    let mongod = Mongod::start();
    let (mongodb, directory) = (mongod.uri(), bench.directory.path().join("systems"));
    let surroundings =
        Surroundings { service: &bench.service, target, directory: &directory, mongodb: &mongodb, cores };
    let (mut records, mut systems) = (Vec::new(), Vec::new());
    for definition in &SYSTEMS {
        println!("\n== {} ==", definition.name);
        let set_up = System::set_up(definition, &surroundings, effort.documents);
        let set_up = set_up.and_then(|system| durability::check(&system, &mongodb).map(|()| system));
        let not_run = match set_up {
            Ok(system) => {
                println!("{} documents in {} organizations", system.documents.len(), system.members.len());
                systems.push(system);
                None
            }
            // Without the service there is nothing to compare.
            Err(error) if definition.peer.is_none() => return Err(error).context(definition.name),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(reason) = &not_run {
            println!("not run: {reason}");
        }
        let (name, version) = (definition.name.to_owned(), definition.version()?);
        records.push(SystemRecord { name, version, not_run });
    }
    sections.extend(by_connections::measure(&mut systems, effort)?);
    drop_those_that_lost_durability(&mut systems, &mut records, sections, &mongodb)?;
    sections.insert("sign_ins".to_owned(), sign_ins::measure(&mut systems, effort, cores)?);
    sections.insert("memory".to_owned(), memory::measure(&mut systems, effort, cores)?);
    Ok(records)
}

/// What a peer has done does not count if it was no longer durable in the end.
fn drop_those_that_lost_durability(
    systems: &mut Vec<System<'_>>,
    records: &mut [SystemRecord],
    sections: &mut BTreeMap<String, Vec<Row>>,
    mongodb: &str,
) -> Result<()> {
    let mut kept = Vec::new();
    for system in systems.drain(..) {
        let Err(error) = durability::check(&system, mongodb) else {
            kept.push(system);
            continue;
        };
        if system.definition.peer.is_none() {
            return Err(error).context(system.name());
        }
        println!("{} does not count: {error:#}", system.name());
        for rows in sections.values_mut() {
            rows.retain(|row| row.system != system.name());
        }
        for record in records.iter_mut().filter(|record| record.name == system.name()) {
            record.not_run = Some(format!("{error:#}"));
        }
    }
    systems.extend(kept);
    Ok(())
}

/// The kernel without what its builder has added to its version, and the machine.
fn kernel() -> Option<String> {
    let name = system_name()?;
    Some(name.split(' ').map(|word| word.split('-').next().unwrap_or(word)).collect::<Vec<_>>().join(" "))
}

/// The version that the `mongod` says.
fn mongod_version() -> Option<String> {
    let output = Command::new(tenantry_test_mongod::program()?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.trim_start_matches("db version v").to_owned())
}
