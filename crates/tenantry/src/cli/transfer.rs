//! `tenantry transfer`: a whole installation from one engine to another.

use super::print::say;
use super::terminal::Progress;
use crate::config::{self, Config};
use crate::engine;
use anyhow::Result;
use clap::{Arg, ArgMatches, Command};
use std::path::Path;
use tenantry_store::{TransferProgress, TransferReport, transfer};

const AFTER: &str = "\
Each side is a data directory, or a MongoDB: its connection string, or the word MONGO_URI for the one of that setting \
(other users of the machine can read flags). On a MongoDB, MASTER_DB, TENANT_PREFIX and PLACEMENT say where things go.

Stop every service on either side first. The target must be empty. A transfer that was stopped is run again with the \
same command, and goes on; no service starts on the target before it is complete. At the end both sides are read once \
more and compared, by counts and hashes. Nothing of the source is changed.

Give the service on the target the same JWT_SECRET (the file jwt-secret of the data directory), and everybody stays \
signed in; if tokens are signed with EdDSA, set JWT_ALGORITHM=EdDSA too. The operator key stays what it was. Limits that attempts have used up and answers kept for an \
Idempotency-Key are not copied, nor are indexes that programs of your own have made.

Examples:
  tenantry transfer --from ./data --to MONGO_URI
  tenantry transfer --from mongodb://127.0.0.1:27017 --to /var/lib/tenantry";

/// The settings of a MongoDB on either side.
const SHOWN: [&str; 7] = [
    "TENANT_PREFIX",
    "MONGO_URI",
    "MASTER_DB",
    "PLACEMENT",
    "MAX_NAMESPACES",
    "AT_CAPACITY",
    "MONGO_TIMEOUT",
];

/// The command.
pub fn command() -> Command {
    let side = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("DIRECTORY|MONGO_URI").required(true).help(help)
    };
    config::flags_showing(Command::new("transfer"), &SHOWN)
        .about("Copy a whole installation from one engine to another, and compare the two")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .arg(side("from", "The side that has everything"))
        .arg(side("to", "The side that is to have it"))
}

/// Runs the command.
///
/// # Errors
/// A sentence that names the obstacle and the fix.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let config = Config::load_for_command(matches, config::environment(), Some(Path::new(".env")))?;
    let side = |name: &str| engine::side(&config, matches.get_one::<String>(name).map_or("", String::as_str));
    let (from, to) = (side("from")?, side("to")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let progress = Progress::new();
    let done = runtime.block_on(transfer(&from, &to, &mut |step| progress.show(&line(&step))));
    drop(progress);
    say(&summary(&done?));
    Ok(())
}

fn line(step: &TransferProgress) -> String {
    match step {
        TransferProgress::Copied { organizations, of, documents } => {
            format!("copied {organizations} of {of} organizations, {documents} documents")
        }
        TransferProgress::Records => {
            "copied accounts, sessions, API keys, invitations, finished operations and the audit trail"
                .to_owned()
        }
        TransferProgress::Compared { organizations, of } => {
            format!("compared {organizations} of {of} organizations")
        }
    }
}

fn summary(done: &TransferReport) -> String {
    let TransferReport { organizations, accounts, sessions, api_keys, invitations, .. } = done;
    let TransferReport { identities, operations, audit_entries, documents, .. } = done;
    format!(
        "Both sides have the same {organizations} organizations, {accounts} accounts, {sessions} sessions, \
         {api_keys} API keys, {invitations} invitations, {identities} identities, {operations} finished operations, \
         {audit_entries} audit entries and {documents} documents."
    )
}
