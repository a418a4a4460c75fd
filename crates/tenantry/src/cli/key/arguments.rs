//! The commands of `tenantry key`, their arguments and their help.

use crate::cli::print::switch;
use crate::config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use tenantry_domain::ids::ApiKeyId;
use tenantry_domain::limits::KEY_OVERLAP_MAX;
use tenantry_domain::permission::{Permission, SERVICE_KEY_PERMISSIONS};

const AFTER: &str = "\
A service key is for the backend of your product: it acts on organizations as its permissions say, and exchanges itself \
for tokens of one organization. docs/guides/backend.md shows the whole pattern.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Examples:
  tenantry key create --name 'billing backend' --permission tokens:issue --permission documents:read
  tenantry key list
  tenantry key rotate 674f1c2e9b1d4a0c5e8f7a6b --overlap 3600
  tenantry key revoke 674f1c2e9b1d4a0c5e8f7a6b";

/// `tenantry key`.
pub fn command() -> Command {
    let command = Command::new("key")
        .about("Make, list, rotate and revoke service keys of a running server")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommands([create(), list(), rotate(), revoke()]);
    config::client_flags(command)
}

fn create() -> Command {
    let permissions = SERVICE_KEY_PERMISSIONS.iter().map(Permission::as_str);
    Command::new("create")
        .about("Make a service key; its text is shown once")
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .required(true)
                .help("What people call it, 1 to 100 characters"),
        )
        .arg(
            Arg::new("permission")
                .long("permission")
                .value_name("PERMISSION")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(permissions))
                .help("What it allows; give it once for each permission"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("ORG")
                .action(ArgAction::Append)
                .help("Limit it to this organization, by its id or identifier; may be given several times"),
        )
        .arg(
            Arg::new("expires-in")
                .long("expires-in")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64))
                .help("Seconds until it ends; without it, it lasts until it is revoked"),
        )
}

fn list() -> Command {
    Command::new("list")
        .about("List the service keys, or the API keys of an organization")
        .arg(organization("List the API keys that this organization has made instead"))
}

fn rotate() -> Command {
    Command::new("rotate").about("Give a service key a new secret, which is shown once").arg(id()).arg(
        Arg::new("overlap")
            .long("overlap")
            .value_name("SECONDS")
            .value_parser(value_parser!(u64).range(0..=KEY_OVERLAP_MAX.as_secs()))
            .help("Accept the old secret for so many seconds more; without it, it ends at once"),
    )
}

fn revoke() -> Command {
    Command::new("revoke")
        .about("End a key at once, with every token it was exchanged for")
        .arg(id())
        .arg(organization("Revoke an API key that this organization has made"))
}

fn id() -> Arg {
    Arg::new("id")
        .value_name("ID")
        .required(true)
        .help("Its id, as `tenantry key list` shows it; also a part of the key")
        .value_parser(|text: &str| {
            text.parse::<ApiKeyId>().map(|id| id.to_string()).map_err(|_| "an id has 24 hexadecimal digits")
        })
}

fn organization(help: &'static str) -> Arg {
    Arg::new("organization").long("organization").value_name("ORG").help(help)
}
