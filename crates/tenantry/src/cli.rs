//! The command line: one binary, its commands, and what they print.

mod audit;
mod client;
mod docs;
mod doctor;
mod key;
mod operator_key;
mod org;
mod output;
mod print;
mod remote;
mod serve;
mod terminal;
#[cfg(feature = "mongodb")]
mod transfer;

use crate::config::{self, Config};
use clap::{ArgMatches, Command};
use print::complain;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const ABOUT: &str = "Keeps the organizations of a SaaS product and the isolated data of each";
const AFTER: &str = "Without a command, `tenantry` is `tenantry serve`. Every flag is also an environment variable and a line \
    of `.env`; see docs/settings.md.";

/// The command line, whole.
#[must_use]
pub fn command() -> Command {
    let command = config::flags(Command::new("tenantry"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .args_conflicts_with_subcommands(true)
        .subcommand(config::flags(Command::new("serve")).about("Run the service (the default)"))
        .subcommand(org::command())
        .subcommand(key::command())
        .subcommand(audit::command())
        .subcommand(doctor::command())
        .subcommand(operator_key::command());
    #[cfg(feature = "mongodb")]
    let command = command.subcommand(transfer::command());
    command
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(docs::command())
}

/// Runs the command of `arguments`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let matches = command().get_matches_from(arguments);
    let result = match matches.subcommand() {
        None => return serve(&matches),
        Some(("serve", matches)) => return serve(matches),
        Some(("org", matches)) => return org::run(matches),
        Some(("key", matches)) => return key::run(matches),
        Some(("audit", matches)) => return audit::run(matches),
        Some(("doctor", matches)) => return doctor::run(matches),
        Some(("operator-key", matches)) => operator_key::run(matches),
        #[cfg(feature = "mongodb")]
        Some(("transfer", matches)) => transfer::run(matches),
        Some(("openapi", _)) => docs::openapi(),
        Some((_, matches)) => docs::run(matches),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("tenantry: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(matches: &ArgMatches) -> ExitCode {
    let config = Config::load(matches, config::environment(), Some(Path::new(".env")));
    match config.map_err(Into::into).and_then(|config| serve::run(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::fail_to_serve(matches, &error);
            ExitCode::FAILURE
        }
    }
}
