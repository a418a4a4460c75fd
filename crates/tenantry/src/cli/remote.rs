//! Runs a command that talks to a running server with the operator key, and reports its failure.

use super::client::{Client, ClientError, operator_key};
use super::print::complain;
use crate::config::{self, ClientConfig};
use clap::ArgMatches;
use std::path::Path;
use std::process::ExitCode;

/// Runs the subcommand in `matches`: `command` gets the client, the subcommand's name and its arguments, among
/// which is `json`.
pub fn run(
    matches: &ArgMatches,
    command: impl AsyncFnOnce(Client, &str, &ArgMatches) -> Result<(), ClientError>,
) -> ExitCode {
    match try_run(matches, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let json = matches.subcommand().is_some_and(|(_, arguments)| arguments.get_flag("json"));
            complain(&if json { failure.to_json() } else { format!("tenantry: {failure}") });
            ExitCode::from(failure.exit_code())
        }
    }
}

fn try_run(
    matches: &ArgMatches,
    command: impl AsyncFnOnce(Client, &str, &ArgMatches) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let Some((name, arguments)) = matches.subcommand() else { return Ok(()) };
    let config = ClientConfig::load(arguments, config::environment(), Some(Path::new(".env")))
        .map_err(|errors| ClientError::Other(errors.to_string()))?;
    let client = Client::new(config.server_url.clone(), Some(operator_key(&config)?))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Other(format!("This machine gives no means to wait: {error}.")))?;
    runtime.block_on(command(client, name, arguments))
}
