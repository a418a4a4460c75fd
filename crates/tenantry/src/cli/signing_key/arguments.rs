//! The commands of `tenantry signing-key`, their arguments and their help.

use crate::cli::print::switch;
use crate::config;
use clap::{Arg, Command};

const AFTER: &str = "\
Keys that sign tokens with EdDSA rotate by themselves, every 90 days; docs/guides/secrets.md says how. Rotate by hand to \
have the next key take over now: nothing ends. Retire a key that has leaked: every token that it signed is refused at once.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Examples:
  tenantry signing-key list
  tenantry signing-key rotate
  tenantry signing-key retire kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
  tenantry signing-key retire --all";

/// `tenantry signing-key`.
pub fn command() -> Command {
    let command = Command::new("signing-key")
        .about("List, rotate and retire the keys that sign access tokens of a running server")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommands([
            Command::new("list")
                .about("List the keys: which signs, which is next, until when each is accepted"),
            Command::new("rotate")
                .about("Have the next key sign from now on; tokens of the key before go on"),
            retire(),
        ]);
    config::client_flags(command)
}

fn retire() -> Command {
    Command::new("retire")
        .about("End a key at once, with every token that it signed")
        .arg(
            Arg::new("kid")
                .value_name("KID")
                .required_unless_present("all")
                .conflicts_with("all")
                .help("Its name, as `tenantry signing-key list` and the header of a token show it"),
        )
        .arg(switch("all", "Every key: new ones take their place"))
}
