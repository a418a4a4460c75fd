//! `tenantry org owner`: the owners of an organization, which are its members with that role.

use super::session::Session;
use crate::cli::arguments::organization_argument;
use crate::cli::client::ClientError;
use crate::cli::member::{Members, account, account_argument, role, role_argument};
use clap::{ArgMatches, Command};
use tenantry_domain::account::Role;

const AFTER: &str = "\
Examples:
  tenantry org owner list acme-corp
  tenantry org owner add acme-corp new@acme.com
  tenantry org owner remove acme-corp former@acme.com --role viewer";

/// The command.
pub fn command() -> Command {
    Command::new("owner")
        .about("List the owners of an organization, make a member an owner, or take that role away")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List the owners of an organization")
                .after_help("Examples:\n  tenantry org owner list acme-corp")
                .arg(organization_argument("Its id, identifier or name")),
        )
        .subcommand(
            Command::new("add")
                .about("Make a member an owner; `tenantry invite create --role owner` invites one who is no member")
                .after_help("Examples:\n  tenantry org owner add acme-corp new@acme.com")
                .arg(organization_argument("Its id, identifier or name"))
                .arg(account_argument()),
        )
        .subcommand(
            Command::new("remove")
                .about("Give an owner another role; an organization keeps its last owner")
                .after_help("Examples:\n  tenantry org owner remove acme-corp former@acme.com --role viewer")
                .arg(organization_argument("Its id, identifier or name"))
                .arg(account_argument())
                .arg(
                    role_argument("role")
                        .long("role")
                        .value_name("ROLE")
                        .default_value(Role::Admin.as_str())
                        .help("The role they get instead"),
                ),
        )
}

/// Runs the subcommand.
pub async fn run(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let Some((name, arguments)) = arguments.subcommand() else { return Ok(()) };
    let members = Members::new(&session.client, arguments);
    match name {
        "list" => members.list(|member| member.role == Role::Owner.as_str()).await,
        "add" => members.set_role(account(arguments), Role::Owner.as_str()).await,
        _ => {
            let found = members.find(account(arguments)).await?;
            if found.role != Role::Owner.as_str() {
                let sentence =
                    format!("{} is no owner, but has the role {}.", account(arguments), found.role);
                return Err(ClientError::Other(sentence));
            }
            members.set_role(account(arguments), role(arguments)).await
        }
    }
}
