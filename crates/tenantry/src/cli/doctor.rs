//! `tenantry doctor`: checks everything the service needs, and says how to fix what is wrong.
//!
//! It changes and creates nothing, so it may run at any time, beside a running service too. On a machine
//! where the service never ran, a good check finds nothing to report.

mod data_dir;
mod keys;
mod mail;
mod mailboxes;
#[cfg(feature = "mongodb")]
mod mongodb;
mod records;
mod rehearsal;
mod report;
mod server;
mod tls;

use super::print::{complain, say, switch};
use crate::config::{self, ClientConfig, Config, ConfigErrors};
#[cfg(feature = "mongodb")]
use crate::engine;
use crate::system::SystemClock;
use clap::{ArgMatches, Command};
pub use data_dir::size;
use report::Report;
use std::path::Path;
use std::process::ExitCode;
use tenantry_domain::clock::Clock;

const AFTER: &str = "\
Each line is a check: `ok`, `warn` or `FAIL`, what was found, and what to do about it. Nothing is changed or created, \
so you may run it at any time, also beside the running service. Run it as the user of the service and with its \
settings. The exit code is 1 if a check failed.

Examples:
  tenantry doctor
  tenantry doctor --rehearse-upgrade --rehearsal-dir /var/tmp
  sudo -u tenantry tenantry doctor --data-dir /var/lib/tenantry --json";

/// The command.
pub fn command() -> Command {
    config::flags_showing(Command::new("doctor"), &[])
        .about("Check settings, data directory, keys, schema and clock, and say what to do")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .arg(switch("json", "Print the checks as JSON"))
        .arg(switch(
            rehearsal::SWITCH,
            "Also upgrade a copy of the data, file by file, and check it; on MongoDB, say which steps would run",
        ))
        .arg(rehearsal::directory_argument())
        .arg(switch(
            CONTAINERS,
            "Check every page of every organization's file as well; reads them all, so it takes as long as copying them",
        ))
}

/// The switch that checks the files of all organizations.
const CONTAINERS: &str = "containers";

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    let mut report = Report::default();
    examine(&mut report, matches);
    if matches.get_flag("json") {
        match report.to_json() {
            Ok(json) => say(&json),
            Err(error) => complain(&format!("tenantry: {error}")),
        }
    } else {
        say(&report.to_string());
    }
    if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn examine(report: &mut Report, matches: &ArgMatches) {
    let dotenv = Some(Path::new(".env"));
    let config = Config::load(matches, config::environment(), dotenv);
    settings(report, &config);
    if config.is_ok() {
        for (name, path) in config::secret_files(matches, config::environment(), dotenv) {
            report.ok("settings", format!("{name} is read from {path}"));
        }
    }
    if let Ok(config) = &config {
        tls::examine(report, config, SystemClock.now());
        mail::examine(report, config);
    }
    let Ok(client) = ClientConfig::load(matches, config::environment(), dotenv) else {
        report.warn("data directory", "its location is unknown", "correct the settings");
        return;
    };
    if config.as_ref().is_ok_and(keeps_no_files) {
        report.ok("data directory", "it is not used: everything is in MongoDB and in the settings");
    } else if !data_dir::examine(report, &client.data_dir) {
        return;
    }
    #[cfg(feature = "mongodb")]
    if let Ok(config) = &config
        && let Some(options) = engine::mongodb(config)
    {
        let schema = mongodb::examine(report, config, &options);
        if let (true, Some(schema)) = (matches.get_flag(rehearsal::SWITCH), schema) {
            rehearsal::list_mongodb_steps(report, schema);
        }
        server::examine(report, config, &client, None);
        return;
    }
    if matches.get_flag(rehearsal::SWITCH) {
        rehearsal::run(report, &client.data_dir, matches);
    }
    let inspection = tenantry_store::inspect(&client.data_dir);
    records::examine(report, &inspection, SystemClock.now());
    if matches.get_flag(CONTAINERS) {
        records::check_containers(report, &client.data_dir);
    }
    let Ok(config) = config else { return };
    keys::examine(report, &config, &inspection);
    let in_use = inspection.in_use.as_ref().ok().copied();
    server::examine(report, &config, &client, in_use);
}

/// Whether the service neither reads nor writes files of its own.
const fn keeps_no_files(config: &Config) -> bool {
    config.mongo_uri.is_some() && config.operator_key.is_some()
}

fn settings(report: &mut Report, config: &Result<Config, ConfigErrors>) {
    match config {
        Err(errors) => errors.iter().for_each(|sentence| report.fail("settings", sentence, "")),
        Ok(config) => {
            let warnings = config::warnings(config, config::environment());
            if warnings.is_empty() {
                report.ok("settings", "all are valid");
            }
            warnings.iter().for_each(|warning| report.warn("settings", &warning.found, warning.advice));
        }
    }
}
