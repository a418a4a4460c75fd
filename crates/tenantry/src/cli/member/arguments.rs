//! The commands of `tenantry member`, their arguments and their help.

use crate::cli::arguments::organization_argument;
use crate::cli::print::switch;
use crate::config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};
use tenantry_domain::account::Role;
use tenantry_domain::account_link::LinkKind;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::AccountId;
use tenantry_domain::limits::LINK_LIFETIME_MAX;

const AFTER: &str = "\
`tenantry invite` brings somebody into an organization, and `tenantry org owner` makes owners.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Examples:
  tenantry member list acme-corp
  tenantry member set-role acme-corp new@acme.com viewer
  tenantry member remove acme-corp 674f1c2e9b1d4a0c5e8f7a6b
  tenantry member reset-link acme-corp new@acme.com
  tenantry member verify-link acme-corp new@acme.com
  tenantry member address-link acme-corp old@acme.com new@acme.com
  tenantry member links acme-corp new@acme.com";

/// `tenantry member`.
pub fn command() -> Command {
    let command = Command::new("member")
        .about("List and change the members of an organization of a running server")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommands([list(), set_role(), remove(), reset_link()])
        .subcommands([verify_link(), address_link(), links(), revoke_link()]);
    config::client_flags(command)
}

fn list() -> Command {
    Command::new("list")
        .about("List the members of an organization, in the order of their accounts' ids")
        .after_help("Examples:\n  tenantry member list acme-corp\n  tenantry member list acme-corp --json")
        .arg(organization_argument("Its id, identifier or name"))
}

fn set_role() -> Command {
    Command::new("set-role")
        .about("Give a member another role; one that allows less ends their sessions of this organization")
        .after_help("Examples:\n  tenantry member set-role acme-corp new@acme.com viewer")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
        .arg(role_argument("role").value_name("ROLE").required(true).help("The new role"))
}

fn remove() -> Command {
    Command::new("remove")
        .about("Remove a member from an organization; their sessions of it end, their account remains")
        .after_help("Examples:\n  tenantry member remove acme-corp new@acme.com")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
}

fn reset_link() -> Command {
    Command::new("reset-link")
        .about(
            "Make a link with which a member who has forgotten their password gives their account a new one",
        )
        .after_help("Examples:\n  tenantry member reset-link acme-corp new@acme.com")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
        .arg(lifetime_argument())
}

fn verify_link() -> Command {
    Command::new("verify-link")
        .about("Make a link with which a member proves that the address of their account is theirs")
        .after_help(
            "Bring it to who has the address, not to who asks for it.\n\n\
             Examples:\n  tenantry member verify-link acme-corp new@acme.com",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
        .arg(lifetime_argument())
}

fn address_link() -> Command {
    Command::new("address-link")
        .about("Make a link with which a member gives their account another address")
        .after_help(
            "Bring it to who has the new address: they use it while they are signed in.\n\n\
             Examples:\n  tenantry member address-link acme-corp old@acme.com new@acme.com",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
        .arg(
            Arg::new("new-address")
                .value_name("NEW_ADDRESS")
                .required(true)
                .help("The address that the account is to get"),
        )
        .arg(lifetime_argument())
}

fn links() -> Command {
    Command::new("links")
        .about("List the links of a member that nobody has used")
        .after_help("Examples:\n  tenantry member links acme-corp new@acme.com")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
}

fn revoke_link() -> Command {
    Command::new("revoke-link")
        .about("Revoke a link of a member")
        .after_help("Examples:\n  tenantry member revoke-link acme-corp new@acme.com password_reset")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(account_argument())
        .arg(
            Arg::new("kind")
                .value_name("KIND")
                .required(true)
                .help("What the link is for")
                .value_parser(PossibleValuesParser::new(LinkKind::ALL.map(LinkKind::as_str))),
        )
}

fn lifetime_argument() -> Arg {
    Arg::new("expires-in")
        .long("expires-in")
        .value_name("SECONDS")
        .value_parser(value_parser!(u64).range(1..=LINK_LIFETIME_MAX.as_secs()))
        .help("Seconds it is good; a day without it, at most 7 days")
}

/// An argument of one link command.
pub fn text<'a>(arguments: &'a ArgMatches, name: &str) -> &'a str {
    arguments.get_one::<String>(name).map_or("", String::as_str)
}

/// How long the link is good, as the arguments say.
pub fn lifetime(arguments: &ArgMatches) -> Option<u64> {
    arguments.get_one("expires-in").copied()
}

/// The argument that names an account.
pub fn account_argument() -> Arg {
    Arg::new("account")
        .value_name("ACCOUNT")
        .required(true)
        .help("The account's id or e-mail address")
        .value_parser(parse_account)
}

/// The account that the arguments name.
pub fn account(arguments: &ArgMatches) -> &str {
    arguments.get_one::<String>("account").map_or("", String::as_str)
}

/// An argument that is a role.
pub fn role_argument(name: &'static str) -> Arg {
    Arg::new(name).value_parser(parse_role)
}

/// The role that the arguments name.
pub fn role(arguments: &ArgMatches) -> &str {
    arguments.get_one::<String>("role").map_or("", String::as_str)
}

fn parse_role(text: &str) -> Result<String, String> {
    text.parse::<Role>().map(|_| text.to_owned())
}

fn parse_account(text: &str) -> Result<String, &'static str> {
    if let Ok(id) = text.parse::<AccountId>() {
        return Ok(id.to_string());
    }
    EmailAddress::parse_stored(text)
        .map(|_| text.to_owned())
        .map_err(|_| "it is neither an id, which has 24 hexadecimal digits, nor an e-mail address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_argument_is_id_or_address() {
        for (text, account) in
            [("674F1C2E9B1D4A0C5E8F7A6B", "674f1c2e9b1d4a0c5e8f7a6b"), ("New@acme.com", "New@acme.com")]
        {
            assert_eq!(parse_account(text).as_deref(), Ok(account));
        }
        for text in ["", "acme", "674f1c2e9b1d4a0c5e8f7a6"] {
            assert!(parse_account(text).is_err(), "{text}");
        }
    }
}
