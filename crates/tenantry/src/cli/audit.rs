//! `tenantry audit`: the audit trail of an organization or of the installation, over HTTP against a running server,
//! and the check of an exported chain, which needs no server.

mod arguments;
mod trail;
mod verify;
mod view;

pub use arguments::command;

use super::print::complain;
use super::remote;
use clap::ArgMatches;
use std::process::ExitCode;
use trail::Trail;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    if let Some(("verify", arguments)) = matches.subcommand()
        && let Some(file) = arguments.get_one::<String>("file")
    {
        return match verify::verify_file(file, arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                let json = arguments.get_flag("json");
                complain(&if json { failure.to_json() } else { format!("tenantry: {failure}") });
                ExitCode::from(failure.exit_code())
            }
        };
    }
    remote::run(matches, async |client, name, arguments| {
        let trail = Trail::new(client, arguments);
        match name {
            "list" => trail.list(arguments).await,
            "export" => trail.export(arguments).await,
            "checkpoint" => trail.checkpoint(arguments).await,
            _ => verify::verify_served(&trail, arguments).await,
        }
    })
}
