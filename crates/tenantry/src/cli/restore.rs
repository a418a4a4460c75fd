//! `tenantry restore`: a whole installation from a backup, into an empty place; and the end of the time in which
//! credentials from before are refused.

mod organization;
mod source;

use super::backup::{self, moments, progress_line, size, work_dir_argument};
use super::print::{say, switch};
use super::terminal::Progress;
use crate::config::{self, Config};
use crate::engine;
use crate::system::{SystemClock, SystemEntropy};
use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use source::open;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tenantry_domain::clock::Clock;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::restored;
use tenantry_store::backup::{BackupReader, RestoreReport, RestoreStamp, rehearse_restore, restore_data_dir};
use tokio::runtime::Runtime;

const AFTER: &str = "\
Run it as the user of the service and with its settings, while no service runs. The data directory, or the database of \
MongoDB, must be empty. A restore that was stopped is run again with the same command; no service starts before it is \
complete.

Passwords work at once. Every key, link, session and token from before is refused, because it may have been revoked since, \
until you run `tenantry restore confirm`. The operator key is one of them: `tenantry operator-key` makes a new one.

With --organization, one organization comes back into an installation that is there, running or stopped, by the rules of \
`tenantry org import`; everything else stays as it is. On the embedded engine a running service is asked at SERVER_URL.

Examples:
  tenantry restore /mnt/backups --identity backup-key.txt --rehearse
  tenantry restore /mnt/backups --identity backup-key.txt --data-dir /var/lib/tenantry
  tenantry restore - --passphrase-file /etc/tenantry/backup-passphrase < tenantry.backup
  tenantry restore /mnt/backups --identity backup-key.txt --organization 674f1c2e9b1d4a0c5e8f7a6b
  tenantry restore confirm";

/// The settings that say where the installation is.
const SHOWN: [&str; 7] =
    ["DATA_DIR", "MONGO_URI", "MASTER_DB", "TENANT_PREFIX", "PLACEMENT", "SERVER_URL", "OPERATOR_KEY"];

/// The command.
pub fn command() -> Command {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("PATH").help(help).value_parser(value_parser!(PathBuf))
    };
    config::flags_showing(Command::new("restore"), &SHOWN)
        .about("Restore an installation from a backup into an empty place, or rehearse that")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .arg(
            Arg::new("place")
                .value_name("DIR|-")
                .required(true)
                .help("The directory of the backups, or `-` for standard input")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("backup")
                .long("backup")
                .value_name("ID")
                .help("The backup to restore [default: the newest]"),
        )
        .arg(path("identity", "The file with the age identity that opens the backup"))
        .arg(
            path("passphrase-file", "The file whose first line is the passphrase of the backup")
                .conflicts_with("identity"),
        )
        .arg(switch(
            "rehearse",
            "Check everything in a temporary directory, say what would come, and change nothing",
        ))
        .arg(switch("json", "Print what was restored as JSON"))
        .arg(work_dir_argument(
            "Where to put files of a rehearsal, and on MongoDB; needs room for the whole backup",
        ))
        .arg(
            Arg::new("without")
                .long("without")
                .value_name("ID")
                .action(ArgAction::Append)
                .conflicts_with("organization")
                .value_parser(|text: &str| text.parse::<OrganizationId>().map_err(|_| "must be the id of an organization"))
                .help("Leave out the data of this organization, which comes back empty; may be given several times"),
        )
        .args(organization::arguments())
        .subcommand(
            config::flags_showing(Command::new("confirm"), &SHOWN)
                .about("Accept the keys, links, sessions and tokens from before the restore again")
                .after_help(
                    "On the embedded engine, stop the service first.\n\nExample:\n  tenantry restore confirm",
                ),
        )
        .subcommand(
            config::flags_showing(Command::new("mark"), &SHOWN)
                .about("Refuse credentials from before now, after a restore by other tools, until `confirm`")
                .after_help("Stop every service first.\n\nExample:\n  tenantry restore mark"),
        )
}

/// Runs the command.
///
/// # Errors
/// A sentence that names the obstacle and the fix.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let load = |matches| Config::load_for_command(matches, config::environment(), Some(Path::new(".env")));
    match matches.subcommand() {
        Some(("confirm", matches)) => runtime.block_on(confirm(&load(matches)?)),
        Some((_, matches)) => runtime.block_on(mark(&load(matches)?)),
        None => {
            let config = load(matches)?;
            match organization::asked(matches) {
                Some(id) => organization::run(matches, &config, &runtime, id),
                None => restore(matches, &config, &runtime),
            }
        }
    }
}

/// The organizations whose data is left out.
fn without(matches: &ArgMatches) -> BTreeSet<OrganizationId> {
    matches.get_many("without").into_iter().flatten().copied().collect()
}

fn restore(matches: &ArgMatches, config: &Config, runtime: &Runtime) -> Result<()> {
    let mut reader = open(matches)?;
    let without = without(matches);
    let progress = Progress::new();
    let mut tell = |step| progress.show(&progress_line("restored", step));
    if matches.get_flag("rehearse") {
        let scratch = backup::scratch(matches)?;
        let report = rehearse_restore(&mut *reader, scratch.path(), &without, &mut tell)?;
        drop(progress);
        return print(matches, &report, "A restore would bring");
    }
    let marking = RestoreStamp { clock: Arc::new(SystemClock), entropy: &SystemEntropy };
    let report = if config.mongo_uri.is_some() {
        Some(to_mongodb(matches, config, runtime, &mut *reader, &marking, &mut tell)?)
    } else {
        runtime.block_on(restore_data_dir(&mut *reader, &config.data_dir, &without, &marking, &mut tell))?
    };
    drop(progress);
    match report {
        Some(report) => print(matches, &report, "Restored")?,
        None => say("Everything was there from the try before, and is in its place now."),
    }
    if !matches.get_flag("json") {
        say("Keys, links, sessions and tokens from before are refused until `tenantry restore confirm`.");
    }
    Ok(())
}

fn print(matches: &ArgMatches, report: &RestoreReport, verb: &str) -> Result<()> {
    let organizations = &report.organizations;
    if matches.get_flag("json") {
        let listed: Vec<_> = organizations
            .iter()
            .map(|restored| {
                serde_json::json!({
                    "id": restored.organization,
                    "moment": restored.moment,
                    "until": restored.until.unwrap_or(restored.moment),
                    "bytes": restored.bytes,
                })
            })
            .collect();
        let report = serde_json::json!({
            "backup": report.summary, "organizations": listed, "left_out": report.left_out,
        });
        say(&serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    for restored in organizations {
        if report.left_out.contains(&restored.organization) {
            say(&format!("{}  left out: it is empty", restored.organization));
            continue;
        }
        let until = restored.until.map_or(String::new(), |until| format!(" to {until}"));
        let bytes = size(restored.bytes);
        say(&format!("{}  as of {}{until}  {bytes}", restored.organization, restored.moment));
    }
    let summary = &report.summary;
    let range = moments(organizations.iter().map(|restored| (restored.moment, restored.until)));
    let range = range.map_or(String::new(), |(first, last)| format!(" as of {first} to {last}"));
    let mails = match report.mails {
        0 => String::new(),
        mails => format!(" {mails} mails that waited then are left out."),
    };
    say(&format!(
        "{verb} backup {}: {} organizations{range}, the records as of {}. Every page was checked.{mails}",
        summary.id,
        organizations.len(),
        summary.records
    ));
    Ok(())
}

#[cfg(feature = "mongodb")]
fn to_mongodb(
    matches: &ArgMatches,
    config: &Config,
    runtime: &Runtime,
    reader: &mut dyn BackupReader,
    marking: &RestoreStamp<'_>,
    tell: &mut (dyn FnMut(tenantry_store::backup::BackupProgress) + Send),
) -> Result<RestoreReport> {
    use anyhow::Context;
    let options = engine::mongodb(config).context("no MONGO_URI is set")?;
    let (scratch, without) = (backup::scratch(matches)?, without(matches));
    let restoring =
        tenantry_store::backup::restore_mongodb(reader, &options, scratch.path(), &without, marking, tell);
    let report = runtime.block_on(restoring)?;
    for name in &report.summary.keys {
        let (from, to) = (scratch.path().join(name), config.data_dir.join(name));
        if to.exists() {
            say(&format!("{} is there already, and was left as it is.", to.display()));
            continue;
        }
        crate::keys::make_directory(&config.data_dir)?;
        crate::keys::write_new(
            &to,
            &std::fs::read(&from).with_context(|| format!("{} cannot be read", from.display()))?,
        )?;
    }
    Ok(report)
}

#[cfg(not(feature = "mongodb"))]
fn to_mongodb(
    _: &ArgMatches,
    _: &Config,
    _: &Runtime,
    _: &mut dyn BackupReader,
    _: &RestoreStamp<'_>,
    _: &mut (dyn FnMut(tenantry_store::backup::BackupProgress) + Send),
) -> Result<RestoreReport> {
    anyhow::bail!(
        "MONGO_URI is set, and this binary was built without MongoDB: use one with the feature `mongodb`"
    )
}

async fn confirm(config: &Config) -> Result<()> {
    let opened = engine::open_existing(config, Arc::new(SystemClock)).await?;
    let confirmed = restored::confirm(&*opened.store.installation, SystemClock.now(), &SystemEntropy).await;
    opened.close().await;
    match confirmed? {
        Some(mark) => say(&format!(
            "The restore of backup {} is confirmed: keys, links, sessions and tokens that were made up to {} work again, as \
             far as they have not ended.",
            mark.backup, mark.until
        )),
        None => say("There is no restore to confirm: nothing is refused for one."),
    }
    Ok(())
}

async fn mark(config: &Config) -> Result<()> {
    let opened = engine::open_existing(config, Arc::new(SystemClock)).await?;
    let now = SystemClock.now();
    let marked =
        restored::mark(&*opened.store.installation, "of other tools", now, now, &SystemEntropy).await;
    opened.close().await;
    marked?;
    say(&format!(
        "Keys, links, sessions and tokens that were made up to {now} are refused until `tenantry restore confirm`."
    ));
    Ok(())
}
