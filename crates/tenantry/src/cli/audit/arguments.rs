//! The commands of `tenantry audit`, their arguments and their help.

use crate::cli::print::switch;
use crate::config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use tenantry_domain::audit::AuditAction;

/// Events that a list shows when the command does not say.
pub const LIST_DEFAULT: u32 = 50;

const AFTER: &str = "\
Every organization has an audit trail, and so has the installation: leave the organization out for that one. \
docs/guides/audit.md says what is in it, and how the chain is computed.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY. `verify --file` needs neither.

Examples:
  tenantry audit list acme-corp --action session.started
  tenantry audit verify acme-corp
  tenantry audit checkpoint acme-corp > acme-2027-01.checkpoint
  tenantry audit export acme-corp > acme.audit.ndjson
  tenantry audit verify --file acme.audit.ndjson --checkpoint acme-2027-01.checkpoint";

/// `tenantry audit`.
pub fn command() -> Command {
    let command = Command::new("audit")
        .about("Read and verify the audit trail")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print JSON").global(true))
        .subcommands([list(), export(), checkpoint(), verify()]);
    config::client_flags(command)
}

fn list() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let actions = AuditAction::ALL.iter().map(|action| action.as_str());
    Command::new("list")
        .about("List events, the newest first")
        .arg(organization())
        .arg(
            text("action", "ACTION", "Only events of this action")
                .value_parser(PossibleValuesParser::new(actions))
                .hide_possible_values(true),
        )
        .arg(text("actor", "ACTOR", "Only events of `operator`, `system`, `account:ID` or `api_key:ID`"))
        .arg(text("since", "TIME", "Only events of this time or later, such as 2027-01-31T12:00:00Z"))
        .arg(text("until", "TIME", "Only events before this time"))
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("NUMBER")
                .value_parser(value_parser!(u32).range(1..))
                .help(format!("How many events at most; {LIST_DEFAULT} without it")),
        )
}

fn export() -> Command {
    Command::new("export").about("Print the chain as NDJSON, one entry a line").arg(organization()).arg(
        Arg::new("trail")
            .long("trail")
            .value_name("ID")
            .requires("organization")
            .help("Print a trail that an import has brought along instead; `audit verify` lists them"),
    )
}

fn checkpoint() -> Command {
    Command::new("checkpoint")
        .about("Print a signed statement of where the chain ends now, to be kept elsewhere")
        .arg(organization())
}

fn verify() -> Command {
    Command::new("verify")
        .about("Check that no entry of a chain was changed, inserted or removed")
        .arg(organization().conflicts_with("file"))
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .help("Check an exported chain instead, without a server; `-` reads standard input"),
        )
        .arg(Arg::new("checkpoint").long("checkpoint").value_name("FILE").action(ArgAction::Append).help(
            "Also check that the chain still has the entry of this checkpoint; may be given several times",
        ))
}

fn organization() -> Arg {
    Arg::new("organization").value_name("ORG").help("Its id or identifier; without it, the installation")
}
