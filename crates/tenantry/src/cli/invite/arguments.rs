//! The commands of `tenantry invite`, their arguments and their help.

use crate::cli::arguments::organization_argument;
use crate::cli::member::role_argument;
use crate::cli::print::switch;
use crate::config;
use clap::{Arg, Command, value_parser};
use tenantry_domain::ids::InvitationId;
use tenantry_domain::limits::INVITATION_LIFETIME_MAX;

const AFTER: &str = "\
An invitation is for one address and for one use. The server sends no mail: bring the token, or the link, to the person.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Examples:
  tenantry invite create acme-corp --email new@acme.com --role member
  tenantry invite list acme-corp
  tenantry invite revoke acme-corp 674f1c2e9b1d4a0c5e8f7a6b";

/// `tenantry invite`.
pub fn command() -> Command {
    let command = Command::new("invite")
        .about("Make, list, renew and revoke invitations into an organization of a running server")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommands([create(), list(), renew(), revoke()]);
    config::client_flags(command)
}

fn create() -> Command {
    Command::new("create")
        .about("Invite somebody into an organization; the token is shown once")
        .after_help(
            "Examples:\n  tenantry invite create acme-corp --email new@acme.com --role member\n  \
             tenantry invite create acme-corp --email boss@acme.com --role owner --expires-in 3600",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(
            Arg::new("email")
                .long("email")
                .value_name("ADDRESS")
                .required(true)
                .help("The only address that can use it"),
        )
        .arg(role_argument("role").long("role").value_name("ROLE").required(true).help("The role it offers"))
        .arg(lifetime())
}

fn list() -> Command {
    Command::new("list")
        .about("List the invitations that nobody has used, in the order in which they were made")
        .after_help("Examples:\n  tenantry invite list acme-corp")
        .arg(organization_argument("Its id, identifier or name"))
}

fn renew() -> Command {
    Command::new("renew")
        .about("Give an invitation a new token and a new end; the earlier token is no longer valid")
        .after_help("Examples:\n  tenantry invite renew acme-corp 674f1c2e9b1d4a0c5e8f7a6b")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(id())
        .arg(lifetime())
}

fn revoke() -> Command {
    Command::new("revoke")
        .about("End an invitation: its token is no longer valid")
        .after_help("Examples:\n  tenantry invite revoke acme-corp 674f1c2e9b1d4a0c5e8f7a6b")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(id())
}

fn lifetime() -> Arg {
    Arg::new("expires-in")
        .long("expires-in")
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(1..=INVITATION_LIFETIME_MAX.as_secs()))
        .help("Seconds it is good, at most 2592000 (30 days); without it, 7 days")
}

fn id() -> Arg {
    Arg::new("id")
        .value_name("ID")
        .required(true)
        .help("Its id, as `tenantry invite list` shows it; also a part of the token")
        .value_parser(|text: &str| {
            text.parse::<InvitationId>()
                .map(|id| id.to_string())
                .map_err(|_| "an id has 24 hexadecimal digits")
        })
}
