//! The commands of `tenantry org`, their arguments and their help.

use super::owner;
use crate::cli::arguments::{count_argument, organization_argument};
use crate::cli::print::switch;
use crate::config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgGroup, Command};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::{Placement, QuotaLimit, Status};

const AFTER: &str = "\
These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Results go to standard output, everything else to standard error. The exit code is 1 if the server refuses or cannot \
be reached, and 2 if the command line is wrong.

Examples:
  tenantry org list --json | jq -r '.[].admin_email'
  tenantry org create --name 'Tech Innovations Corp' --email admin@techcorp.com
  tenantry org delete tech-innovations-corp";

/// The limits of a quota: the flags, and the names of the JSON members.
pub const QUOTA: [&str; 4] = ["documents", "bytes", "collections", "index_bytes"];

/// `tenantry org`.
pub fn command() -> Command {
    let command = Command::new("org")
        .about("Manage the organizations of a running server")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommands([list(), show(), create(), rename(), set(), quota(), set_password(), suspend()])
        .subcommands([compact(), reactivate()])
        .subcommands([delete(), restore(), purge(), export(), import(), operations(), owner::command()]);
    config::client_flags(command)
}

fn list() -> Command {
    let statuses = PossibleValuesParser::new(Status::ALL.map(Status::as_str));
    Command::new("list")
        .about("List organizations, in the order of their identifiers")
        .after_help(
            "Goes through all pages of the server's list. With --json, prints one array.\n\n\
             Examples:\n  tenantry org list --name-prefix tech\n  tenantry org list --status deleted",
        )
        .arg(
            Arg::new("status")
                .long("status")
                .value_name("STATUS")
                .value_parser(statuses)
                .help("Only those of this status"),
        )
        .arg(
            Arg::new("name-prefix").long("name-prefix").value_name("TEXT").help(
                "Only those whose name begins with this text; case, spaces and punctuation do not matter",
            ),
        )
        .arg(switch("deleted", "Include those that are deleted or being purged"))
        .arg(count_argument())
}

fn operations() -> Command {
    Command::new("operations")
        .about("List the finished operations of an organization, the newest first")
        .after_help(
            "The log of its changes: what was done, by whom, and why it failed if it did. It outlives the organization.\n\n\
             Examples:\n  tenantry org operations acme-corp --limit 20\n  \
             tenantry org operations 674f1c2e9b1d4a0c5e8f7a6b --json",
        )
        .arg(organization_argument("Its id, identifier or name, also those of before it was deleted"))
        .arg(count_argument())
}

fn show() -> Command {
    Command::new("show")
        .about("Show an organization")
        .after_help(
            "Examples:\n  tenantry org show tech-innovations-corp\n  \
             tenantry org show 'Tech Innovations Corp'\n  tenantry org show 674f1c2e9b1d4a0c5e8f7a6b --json",
        )
        .arg(organization_argument("Its id, identifier or name; a deleted one has only its id"))
}

fn create() -> Command {
    Command::new("create")
        .about("Create an organization, its first admin and its container")
        .after_help(
            "Asks for the password of the admin, twice, without showing it. It is never a flag: other users of the \
             machine can read flags.\n\n\
             Examples:\n  tenantry org create --name 'Acme Corp' --email admin@acme.com\n  \
             pass show acme | tenantry org create --name 'Acme Corp' --email admin@acme.com --password-stdin",
        )
        .arg(text("name", "NAME", "Its name, 2 to 120 characters").required(true))
        .arg(text("email", "ADDRESS", "The e-mail address its first admin signs in with").required(true))
        .arg(placement())
        .arg(switch("password-stdin", "Read the password from standard input, up to its end"))
}

fn rename() -> Command {
    Command::new("rename")
        .about("Rename an organization; its data follows")
        .after_help("Examples:\n  tenantry org rename acme-corp 'Acme Global Inc'")
        .arg(organization_argument("Its id, identifier or name"))
        .arg(Arg::new("name").value_name("NEW NAME").required(true).help("Its new name, 2 to 120 characters"))
}

fn set() -> Command {
    Command::new("set")
        .about("Protect an organization from deletion, or its data from purges")
        .after_help(
            "Examples:\n  tenantry org set acme-corp --delete-protection on\n  \
             tenantry org set acme-corp --legal-hold off",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(on_or_off("delete-protection", "Whether a delete is refused"))
        .arg(on_or_off("legal-hold", "Whether a purge is refused, even at the end of its retention"))
        .group(
            ArgGroup::new("settings").args(["delete-protection", "legal-hold"]).multiple(true).required(true),
        )
}

fn quota() -> Command {
    Command::new("quota")
        .about("Set how much an organization may have; limits that are not named stay as they are")
        .after_help(
            "If an organization already has more, nothing is deleted: it just cannot add any.\n\n\
             Examples:\n  tenantry org quota acme-corp --documents 100000 --bytes 1073741824\n  \
             tenantry org quota acme-corp --collections none",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(limit("documents", "How many documents, in all its collections"))
        .arg(limit("bytes", "How many bytes these may take as BSON"))
        .arg(limit("collections", "How many collections, including `documents`"))
        .arg(limit("index_bytes", "How many bytes the entries of all indexes may take").long("index-bytes"))
        .group(ArgGroup::new("quota").args(QUOTA).multiple(true).required(true))
}

fn set_password() -> Command {
    Command::new("set-password")
        .about("Give the owner of an organization a new password; all their sessions end")
        .after_help(
            "Asks for the password, twice, without showing it. It is never a flag: other users of the machine can read \
             flags.\n\n\
             Examples:\n  tenantry org set-password acme-corp\n  \
             pass show acme | tenantry org set-password acme-corp --password-stdin",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(switch("password-stdin", "Read the password from standard input, up to its end"))
}

fn suspend() -> Command {
    Command::new("suspend")
        .about("Stop everybody of an organization from signing in or reaching its data; its tokens end")
        .after_help("Examples:\n  tenantry org suspend acme-corp")
        .arg(organization_argument("Its id, identifier or name"))
}

fn compact() -> Command {
    Command::new("compact")
        .about("Give space on disk that an organization does not use any more back to the file system")
        .after_help(
            "Writes to this organization wait meanwhile. Deletes give most of it back without this; an organization that \
             an earlier version has created gives nothing back until it is compacted once.\n\n\
             Examples:\n  tenantry org compact acme-corp",
        )
        .arg(organization_argument("Its id, identifier or name"))
}

fn reactivate() -> Command {
    Command::new("reactivate")
        .about("End a suspension; everybody has to sign in again")
        .after_help("Examples:\n  tenantry org reactivate acme-corp")
        .arg(organization_argument("Its id, identifier or name"))
}

fn delete() -> Command {
    Command::new("delete")
        .about("Delete an organization; it can be restored until its retention ends")
        .after_help(
            "Asks for confirmation. Its name and its people's addresses are free at once.\n\n\
             Examples:\n  tenantry org delete acme-corp\n  tenantry org delete acme-corp --purge --yes",
        )
        .arg(organization_argument("Its id, identifier or name"))
        .arg(switch("purge", "Do not keep it: remove it and all its data permanently"))
        .arg(yes())
}

fn restore() -> Command {
    Command::new("restore")
        .about("Bring a deleted organization back, with its members and data")
        .after_help(
            "Examples:\n  tenantry org restore 674f1c2e9b1d4a0c5e8f7a6b\n  \
             tenantry org restore 674f1c2e9b1d4a0c5e8f7a6b --name 'Acme Corp (old)'",
        )
        .arg(id_argument())
        .arg(text("name", "NAME", "Another name, if the old one is taken"))
        .arg(text("email", "ADDRESS", "Another address for its owner, if the old one is taken"))
}

fn purge() -> Command {
    Command::new("purge")
        .about("Remove a deleted organization and all its data permanently, before its retention ends")
        .after_help("Asks for confirmation.\n\nExamples:\n  tenantry org purge 674f1c2e9b1d4a0c5e8f7a6b")
        .arg(id_argument())
        .arg(yes())
}

fn export() -> Command {
    Command::new("export")
        .about("Write an archive of an organization, with its settings, its people and all its data")
        .after_help(
            "The archive is checked while it is written, and the file gets its name only when it is complete. It is no \
             snapshot: each document is whole, but changes made meanwhile may or may not be in it. It contains \
             hashes of passwords and API keys, so nobody else can read the file.\n\n\
             Examples:\n  tenantry org export acme-corp\n  \
             tenantry org export acme-corp --output - | zstd > acme.ndjson.zst",
        )
        .arg(organization_argument("Its id, identifier or name; a deleted one has only its id"))
        .arg(text("output", "FILE", "Where to write it: a file that does not exist yet, or - for standard output. \
             Without it, a file named after the organization, ending in .ndjson"))
        .arg(switch("no-audit", "Leave the audit trail out"))
}

fn import() -> Command {
    Command::new("import")
        .about("Create an organization from an archive, with its settings, its people and all its data")
        .after_help(
            "Nobody sees the organization before all of the archive has been read and checked. If anything is wrong \
             with it, nothing of it is left. A member whose address has an account here is invited; API keys open \
             nothing before an admin has confirmed them.\n\n\
             Examples:\n  tenantry org import acme-corp.ndjson\n  \
             tenantry org import acme-corp.ndjson --new-id --name 'Acme Copy' --owner-email copy@acme.com\n  \
             zstd -d < acme.ndjson.zst | tenantry org import -",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("The archive, or - for standard input"))
        .arg(text("name", "NAME", "Another name, if that of the archive is taken"))
        .arg(switch("new-id", "Give it a new id instead of the old one"))
        .arg(placement())
        .arg(text("owner-email", "ADDRESS", "Another address for its owner, if the old one is taken"))
}

fn placement() -> Arg {
    text(
        "placement",
        "PLACEMENT",
        "Where its data goes on MongoDB, instead of where the server's settings say",
    )
    .value_parser(PossibleValuesParser::new(Placement::ALL.map(Placement::as_str)))
}

fn text(name: &'static str, shape: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(shape).help(help)
}

fn on_or_off(name: &'static str, help: &'static str) -> Arg {
    text(name, "on|off", help).value_parser(parse_on_or_off)
}

fn limit(name: &'static str, help: &'static str) -> Arg {
    text(name, "N|none", help).value_parser(parse_limit)
}

fn yes() -> Arg {
    switch("yes", "Do not ask for confirmation").short('y')
}

fn id_argument() -> Arg {
    Arg::new("organization")
        .value_name("ID")
        .required(true)
        .help("Its id, as `tenantry org list --status deleted` shows it")
        .value_parser(parse_id)
}

fn parse_id(text: &str) -> Result<String, String> {
    let id = text.parse::<OrganizationId>().map_err(|_| {
        "a deleted organization no longer has a name, so give its id: 24 hex digits, as \
         `tenantry org list --status deleted` shows it"
    })?;
    Ok(id.to_string())
}

fn parse_on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it is `on` or `off`".to_owned()),
    }
}

fn parse_limit(text: &str) -> Result<Option<QuotaLimit>, String> {
    match text {
        "none" => Ok(None),
        _ => text
            .parse()
            .map(Some)
            .map_err(|_| format!("it is a whole number from 0 to {} (2^53), or `none`", QuotaLimit::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_argument_says_where_to_find_one() {
        assert!(parse_id("acme").unwrap_err().contains("list --status deleted"));
    }

    #[test]
    fn org_commands_have_examples_in_their_help() {
        let mut org = command();
        org.build();
        org.clone().debug_assert();
        for command in org.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let help = command.render_long_help().to_string();
            for part in
                ["Examples:\n  tenantry org ", "--server-url", "--operator-key", "--data-dir", "--json"]
            {
                assert!(help.contains(part), "{part} is missing in\n{help}");
            }
        }
    }
}
