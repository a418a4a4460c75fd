//! The arguments of backups.

use crate::cli::print::switch;
use crate::config;
use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use tenantry_store::backup::{Identities, Protection, Recipients, Retention, read_passphrase};

/// Stands for standard output and input.
pub const STREAM: &str = "-";

const AFTER: &str = "\
Run it on the host of the service, as its user and with its settings. The service goes on meanwhile.

The backups of a directory share what has not changed. One that was stopped is run again with the same command, and goes \
on. Encrypted ones are in the age format; a later backup of the directory is encrypted as the one before, unless you say \
otherwise. With `-` the backup is one stream on standard output, a tar archive.

Examples:
  tenantry backup /mnt/backups --recipient age1… --keep 14
  tenantry backup /mnt/backups --keep 7 --keep-days 90
  tenantry backup - --passphrase-file /etc/tenantry/backup-passphrase > tenantry.backup
  tenantry backup list /mnt/backups
  tenantry backup verify /mnt/backups";

/// The settings that say where the installation is.
const SHOWN: [&str; 5] = ["DATA_DIR", "MONGO_URI", "MASTER_DB", "TENANT_PREFIX", "MONGO_TIMEOUT"];

/// The command.
pub fn command() -> Command {
    config::flags_showing(Command::new("backup"), &SHOWN)
        .about("Copy a whole installation while its service runs; list and verify such backups")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .arg(place_argument("DIR|-", "The directory of the backups, or `-` for standard output"))
        .args(keep())
        .arg(recipient())
        .arg(file("recipients-file", "Encrypt to the age recipients in this file, one per line"))
        .arg(file("passphrase-file", "Encrypt with the passphrase in the first line of this file"))
        .arg(switch("unencrypted", "Do not encrypt, even if there are keys in the backup"))
        .group(ArgGroup::new("to").args(["recipient", "recipients-file"]).multiple(true))
        .group(ArgGroup::new("protection").args(["passphrase-file", "unencrypted"]).conflicts_with("to"))
        .arg(switch("without-keys", "Leave out the key files of the data directory: keep them elsewhere"))
        .arg(work_dir_argument("On MongoDB: where to prepare files; needs room for the largest organization"))
        .subcommand(
            Command::new("list")
                .about("List the backups of a directory")
                .arg(place_argument("DIR", "The directory of the backups"))
                .arg(switch("json", "Print them as JSON"))
                .after_help("Example:\n  tenantry backup list /mnt/backups"),
        )
        .subcommand(
            Command::new("verify")
                .about(
                    "Read everything that backups need, and compare it with what was written; needs no key",
                )
                .arg(place_argument("DIR", "The directory of the backups"))
                .arg(backup_argument("Verify this backup only"))
                .arg(switch(
                    "repair",
                    "Set damaged files aside, so that the next backup copies them again from the installation",
                ))
                .after_help(
                    "Examples:\n  tenantry backup verify /mnt/backups\n  tenantry backup verify /mnt/backups --repair",
                ),
        )
}

fn place_argument(value: &'static str, help: &'static str) -> Arg {
    Arg::new("place").value_name(value).required(true).help(help).value_parser(value_parser!(PathBuf))
}

/// The directory of a command, or [`STREAM`].
pub fn place(matches: &ArgMatches) -> &Path {
    matches.get_one::<PathBuf>("place").map_or(Path::new(STREAM), PathBuf::as_path)
}

/// The name of a backup.
fn backup_argument(help: &'static str) -> Arg {
    Arg::new("backup").long("backup").value_name("ID").help(help)
}

/// A file.
fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("PATH").help(help).value_parser(value_parser!(PathBuf))
}

/// How many backups stay, and how long.
fn keep() -> [Arg; 2] {
    let parser = |text: &str| match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be a number from 1".to_owned()),
    };
    let arg = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(parser).help(help)
    };
    [
        arg("keep", "Afterwards remove all but the newest N backups, and what none of these needs"),
        arg(
            "keep-days",
            "Afterwards remove backups that are older than N days; with --keep, the newest stay anyway",
        ),
    ]
}

/// Which backups stay after the one that began at `now`, if others are to be removed.
pub fn retention(matches: &ArgMatches, now: Timestamp) -> Option<Retention> {
    let number = |name: &str| matches.get_one::<u32>(name).copied();
    let newest = number("keep").map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let since = number("keep-days").map(|days| {
        let age = SignedDuration::from_hours(i64::from(days) * 24);
        // So many days that time has no such moment: everything stays.
        now.checked_sub(age).unwrap_or(Timestamp::MIN)
    });
    (newest.is_some() || since.is_some()).then_some(Retention { newest, since })
}

fn recipient() -> Arg {
    Arg::new("recipient")
        .long("recipient")
        .value_name("AGE1…")
        .action(ArgAction::Append)
        .help("Encrypt to this age recipient; may be given several times")
}

/// Where temporary files go.
pub fn work_dir_argument(help: &'static str) -> Arg {
    file("work-dir", help).long_help(format!("{help} [default: the system's temporary directory]"))
}

/// The directory of temporary files.
pub fn work_dir(matches: &ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("work-dir").cloned().unwrap_or_else(std::env::temp_dir)
}

/// How the backup is to be protected.
///
/// # Errors
/// A recipient is none, or a file cannot be read.
pub fn protection(matches: &ArgMatches) -> Result<Protection> {
    if matches.get_flag("unencrypted") {
        return Ok(Protection::Unencrypted);
    }
    if let Some(file) = matches.get_one::<PathBuf>("passphrase-file") {
        return Ok(Protection::Passphrase(read_passphrase(file)?));
    }
    let mut texts: Vec<String> = matches.get_many("recipient").into_iter().flatten().cloned().collect();
    if let Some(file) = matches.get_one::<PathBuf>("recipients-file") {
        let listed = Recipients::read(file)?;
        if listed.is_empty() {
            bail!("{} has no recipient: write one `age1…` per line", file.display());
        }
        texts.extend(listed);
    }
    if texts.is_empty() {
        return Ok(Protection::Inherited);
    }
    Ok(Protection::Recipients(Recipients::parse(texts.iter().map(String::as_str))?))
}

/// What opens the backup.
///
/// # Errors
/// A file cannot be read, or has nothing of the kind.
pub fn identities(matches: &ArgMatches) -> Result<Identities> {
    if let Some(file) = matches.get_one::<PathBuf>("identity") {
        return Ok(Identities::read(file)?);
    }
    match matches.get_one::<PathBuf>("passphrase-file") {
        Some(file) => Ok(Identities::passphrase(read_passphrase(file)?)),
        None => Ok(Identities::none()),
    }
}
