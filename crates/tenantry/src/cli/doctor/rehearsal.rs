//! The upgrade of the schema, tried on a copy: whether it goes well, how long it takes, and what it changes.

use super::data_dir::size;
use super::report::Report;
use crate::cli::scratch::Scratch;
use clap::{Arg, ArgMatches, value_parser};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
#[cfg(feature = "mongodb")]
use tenantry_store::MONGODB_SCHEMA_STEPS;
use tenantry_store::{CONTROL_SCHEMA_STEPS, Rehearsal, RehearsedFile, rehearse};

/// The flag that asks for it.
pub const SWITCH: &str = "rehearse-upgrade";
const CHECK: &str = "rehearsal";
/// How many containers that fail are named.
const SHOWN: usize = 5;

/// Where to put the copy.
pub fn directory_argument() -> Arg {
    Arg::new("rehearsal-dir")
        .long("rehearsal-dir")
        .value_name("PATH")
        .requires(SWITCH)
        .value_parser(value_parser!(PathBuf))
        .help("Where to put the copy, which is removed again; it needs room for the largest file of the data twice [default: the system's temporary directory]")
}

/// Upgrades a copy of the data directory.
pub fn run(report: &mut Report, data_dir: &Path, matches: &ArgMatches) {
    let parent = matches.get_one::<PathBuf>("rehearsal-dir").cloned().unwrap_or_else(std::env::temp_dir);
    let scratch = match Scratch::below(&parent, "rehearsal") {
        Ok(scratch) => scratch,
        Err(error) => {
            let found = format!("no copy can be made in {} ({error})", parent.display());
            return report.fail(CHECK, found, "choose another directory with --rehearsal-dir");
        }
    };
    match rehearse(data_dir, scratch.path()) {
        Ok(rehearsal) => done(report, &rehearsal),
        Err(error) => report.fail(CHECK, error.to_string(), ""),
    }
}

fn done(report: &mut Report, rehearsal: &Rehearsal) {
    match &rehearsal.control {
        None => report.ok(CHECK, "there is nothing to upgrade yet"),
        Some(file) => {
            report.ok(CHECK, format!("control.db: {}", upgraded(file)));
            list(report, file.from, CONTROL_SCHEMA_STEPS, "step");
        }
    }
    let Rehearsal { containers, outdated, containers_took, failures, .. } = rehearsal;
    if *containers > 0 {
        let took = seconds(*containers_took);
        report.ok(
            CHECK,
            format!(
                "{containers} containers are sound, {outdated} of them after an upgrade ({took} together)"
            ),
        );
    }
    for (file, cause) in failures.iter().take(SHOWN) {
        let bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
        report.fail(
            CHECK,
            format!("{} ({}) cannot be upgraded ({cause})", file.display(), size(bytes)),
            "keep the old version, and restore this file from a backup",
        );
    }
    if failures.len() > SHOWN {
        let found = format!("{} further containers cannot be upgraded, either", failures.len() - SHOWN);
        report.fail(CHECK, found, "restore them from a backup");
    }
}

fn upgraded(file: &RehearsedFile) -> String {
    let RehearsedFile { from, to, took } = file;
    if from == to {
        return format!("version {to}, the newest, and sound");
    }
    format!("upgraded from version {from} to {to} in {}, and sound", seconds(*took))
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Says which steps an upgrade of a MongoDB at that version takes, and that they are not run: no copy of a server can be
/// made here.
#[cfg(feature = "mongodb")]
pub fn list_mongodb_steps(report: &mut Report, from: i64) {
    let missing = MONGODB_SCHEMA_STEPS.len().saturating_sub(usize::try_from(from).unwrap_or(0));
    if missing == 0 {
        return report.ok(CHECK, "no step would run");
    }
    report.warn(
        CHECK,
        format!(
            "steps of the upgrade: {missing}, listed here and not run, because a server cannot be copied here"
        ),
        "restore a backup into another server, and start this version on that",
    );
    list(report, from, MONGODB_SCHEMA_STEPS, "not run: step");
}

fn list(report: &mut Report, from: i64, steps: &[&str], what: &str) {
    let from = usize::try_from(from).unwrap_or(0);
    for (version, step) in (1..).zip(steps).skip(from) {
        report.ok(CHECK, format!("{what} to version {version}: {step}"));
    }
}
