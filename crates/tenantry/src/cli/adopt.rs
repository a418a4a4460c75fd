//! `tenantry adopt`: the organizations of another program, from its database on MongoDB.

mod arguments;
mod view;

use super::print::say;
use super::terminal::Progress;
use crate::config::{self, Config};
use crate::engine;
use crate::system::{SystemClock, SystemEntropy};
use anyhow::Result;
use arguments::Action;
use clap::{ArgMatches, Command};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tenantry_domain::clock::Clock;
use tenantry_store::{AdoptOptions, Side, adopt, confirm, rehearse_adoption, undo};

const AFTER: &str = "\
Without --apply it is a rehearsal: it says how the data is laid out, what would happen, and every conflict with a way \
out of it, and changes nothing. The exit code is 1 if there are conflicts.

--from is a connection string, or the word MONGO_URI for the one of that setting (other users of the machine can read \
flags). The organizations are copied into the installation of the settings, which must be new, or where --to says. With \
--in-place the data stays in its database, MASTER_DB, and collections are renamed. Stop the old service first. An \
adoption that was stopped goes on with the same command.

Examples:
  tenantry adopt --from MONGO_URI --database master_db --to ./data
  tenantry adopt --from MONGO_URI --database master_db --to ./data --rename 65a1b2c3d4e5f60718293a4b='Acme West' --apply
  tenantry adopt --from MONGO_URI --database old_db --master-db old_db --in-place --apply";

/// The settings that say where the organizations go.
const SHOWN: [&str; 2] = ["MONGO_URI", "MASTER_DB"];

/// The command.
pub fn command() -> Command {
    config::flags_showing(Command::new("adopt"), &SHOWN)
        .about("Adopt the organizations of another program, with their data, accounts and passwords")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .args(arguments::arguments())
}

/// Runs the command.
///
/// # Errors
/// A sentence that names the obstacle and the fix.
pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    #[cfg(feature = "crash-points")]
    crate::failpoints::arm();
    let config = Config::load_for_command(matches, config::environment(), Some(Path::new(".env")))?;
    let options = options(&config, matches)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let progress = Progress::new();
    let mut tell = |step| progress.show(&view::line(&step));
    match arguments::action(matches) {
        Action::Rehearse => {
            let report = runtime.block_on(rehearse_adoption(&options, &mut tell));
            drop(progress);
            let report = report?;
            say(&if matches.get_flag("json") { view::json(&report)? } else { view::text(&report) });
            Ok(if report.conflicts.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Action::Apply => {
            let adopted = runtime.block_on(adopt(&options, &mut tell));
            drop(progress);
            say(&view::adopted(&adopted?, options.in_place));
            Ok(ExitCode::SUCCESS)
        }
        Action::Undo => {
            runtime.block_on(undo(&options))?;
            drop(progress);
            say("The adoption is taken back.");
            Ok(ExitCode::SUCCESS)
        }
        Action::Confirm => {
            runtime.block_on(confirm(&options))?;
            drop(progress);
            say("The adoption is confirmed.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn options(config: &Config, matches: &ArgMatches) -> Result<AdoptOptions> {
    let mut source = engine::mongodb_at(config, &arguments::source(config, matches)?);
    matches.get_one::<String>("database").cloned().unwrap_or_default().clone_into(&mut source.database);
    let embedded =
        |directory: &Path| Side::Embedded(engine::embedded_at(config, directory, Arc::new(SystemClock)));
    let target = match matches.get_one::<String>("to") {
        Some(text) => engine::side(config, text)?,
        None => engine::mongodb(config).map_or_else(|| embedded(&config.data_dir), Side::MongoDb),
    };
    Ok(AdoptOptions {
        source,
        target,
        in_place: matches.get_flag("in-place"),
        rules: arguments::rules(matches),
        tenant_prefix: config.tenant_prefix.as_str().to_owned(),
        document_max_bytes: config.max_document_bytes,
        retention: config.retention,
        watch: arguments::watch(matches),
        now: SystemClock.now(),
        entropy: Arc::new(SystemEntropy),
    })
}
