//! The commands of `tenantry role`, their arguments and their help.

use crate::cli::arguments::organization_argument;
use crate::cli::print::switch;
use crate::config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgGroup, Command};
use tenantry_domain::permission::Permission;
use tenantry_domain::role::{OWN_ROLE_PERMISSIONS, RoleName};

const AFTER: &str = "\
Every organization has the roles owner, admin, member and viewer (`GET /v1/roles`). These commands are about the roles \
that it defines beside them; `tenantry member set-role` and `tenantry invite create` give them to people.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Examples:
  tenantry role list acme-corp
  tenantry role create acme-corp billing --permission documents:read --permission audit:read
  tenantry role update acme-corp billing --permission documents:read
  tenantry role delete acme-corp billing";

/// `tenantry role`.
pub fn command() -> Command {
    let command = Command::new("role")
        .about("List and change the roles that an organization of a running server has defined")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommands([list(), create(), update(), delete()]);
    config::client_flags(command)
}

fn list() -> Command {
    Command::new("list")
        .about("List the roles that an organization has defined, in the order of their names")
        .after_help("Examples:\n  tenantry role list acme-corp\n  tenantry role list acme-corp --json")
        .arg(organization_argument("Its id, identifier or name"))
}

fn create() -> Command {
    Command::new("create")
        .about("Define a role")
        .after_help(
            "Examples:\n  tenantry role create acme-corp billing --permission documents:read --permission audit:read \
             --description 'Reads invoices'",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(name())
        .arg(permission().required(true))
        .arg(description())
}

fn update() -> Command {
    Command::new("update")
        .about("Change what a role allows, or its description; its members may do more or less at once")
        .after_help("Examples:\n  tenantry role update acme-corp billing --permission documents:read")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(name())
        .arg(permission().help("What it allows from then on, all of it; give it once for each permission"))
        .arg(description())
        .group(ArgGroup::new("change").args(["permission", "description"]).multiple(true).required(true))
}

fn delete() -> Command {
    Command::new("delete")
        .about("Delete a role that no member has; invitations that offer it are no longer valid")
        .after_help("Examples:\n  tenantry role delete acme-corp billing")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(name())
}

fn name() -> Arg {
    Arg::new("name")
        .value_name("ROLE")
        .required(true)
        .help("Its name: small letters, digits, `_` and `-`")
        .value_parser(|text: &str| RoleName::parse(text).map(|name| name.to_string()))
}

fn permission() -> Arg {
    Arg::new("permission")
        .long("permission")
        .value_name("PERMISSION")
        .action(ArgAction::Append)
        .value_parser(PossibleValuesParser::new(OWN_ROLE_PERMISSIONS.iter().map(Permission::as_str)))
        .help("What it allows; give it once for each permission")
}

fn description() -> Arg {
    Arg::new("description")
        .long("description")
        .value_name("TEXT")
        .help("What people say of it, at most 200 characters")
}
