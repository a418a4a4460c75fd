//! `tenantry org`: the operator's side of organizations, over HTTP against a running server.
//!
//! It is a client like any other: it uses the API and knows nothing of the store, and shows fields that it
//! does not know only with `--json`.

mod archives;
mod arguments;
mod changes;
mod list;
pub(super) mod operation;
mod owner;
mod session;
pub(super) mod view;

pub(super) use archives::import_file;
pub use arguments::command;

use super::arguments::organization;
use super::remote;
use clap::ArgMatches;
use session::Session;
use std::process::ExitCode;

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, name, arguments| {
        let session = Session { client, json: arguments.get_flag("json") };
        match name {
            "list" => list::run(&session, arguments).await,
            "operations" => list::operations(&session, arguments).await,
            "owner" => owner::run(&session, arguments).await,
            "export" => archives::export(&session, arguments).await,
            "import" => archives::import(&session, arguments).await,
            "show" => session.show(&organization(arguments)).await,
            _ => changes::run(&session, name, arguments).await,
        }
    })
}
