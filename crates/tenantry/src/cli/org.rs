//! `tenantry org`: the operator's side of organizations, over HTTP against a running server.
//!
//! It is a client like any other: it uses the API and knows nothing of the store, and shows fields that it
//! does not know only with `--json`.

mod archives;
mod arguments;
mod changes;
mod list;
mod operation;
mod session;
pub(super) mod view;

pub use arguments::command;

use super::client::{Client, ClientError, operator_key};
use super::print::complain;
use crate::config::{self, ClientConfig};
use clap::ArgMatches;
use session::Session;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    match try_run(matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let json = matches.subcommand().is_some_and(|(_, arguments)| arguments.get_flag("json"));
            complain(&if json { failure.to_json() } else { format!("tenantry: {failure}") });
            ExitCode::from(failure.exit_code())
        }
    }
}

fn try_run(matches: &ArgMatches) -> Result<(), ClientError> {
    let Some((name, arguments)) = matches.subcommand() else { return Ok(()) };
    let config = ClientConfig::load(arguments, config::environment(), Some(Path::new(".env")))
        .map_err(|errors| ClientError::Other(errors.to_string()))?;
    let client = Client::new(config.server_url.clone(), Some(operator_key(&config)?))?;
    let session = Session { client, json: arguments.get_flag("json") };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Other(format!("This machine gives no means to wait: {error}.")))?;
    runtime.block_on(async {
        match name {
            "list" => list::run(&session, arguments).await,
            "export" => archives::export(&session, arguments).await,
            "import" => archives::import(&session, arguments).await,
            "show" => session.show(&arguments::organization(arguments)).await,
            _ => changes::run(&session, name, arguments).await,
        }
    })
}
