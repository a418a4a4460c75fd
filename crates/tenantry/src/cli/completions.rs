//! `tenantry completions`: what a shell needs to complete the command line.
//!
//! The binary prints it itself, so that it fits the commands of this very version, wherever the binary came from.

use super::print::print;
use anyhow::Result;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::{Shell, generate};

const AFTER: &str = "\
Examples:
  tenantry completions bash > /usr/share/bash-completion/completions/tenantry
  tenantry completions zsh > \"${fpath[1]}/_tenantry\"
  tenantry completions fish > ~/.config/fish/completions/tenantry.fish";

/// The command.
pub fn command() -> Command {
    Command::new("completions")
        .about("Print the completions of the command line for a shell")
        .after_help(AFTER)
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)))
}

/// Prints them for `whole`, the command line.
///
/// # Errors
/// None that could happen.
pub fn run(matches: &ArgMatches, mut whole: Command) -> Result<()> {
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        let mut script = Vec::new();
        generate(*shell, &mut whole, "tenantry", &mut script);
        print(&script);
    }
    Ok(())
}
