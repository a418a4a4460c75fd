//! `tenantry man`: the manual pages, one for each command.

use super::print::{print, say};
use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_mangen::{Man, generate_to};
use std::fs;
use std::path::PathBuf;

const AFTER: &str = "\
Without a directory, the page of `tenantry` itself is printed.

Examples:
  tenantry man | man -l -
  tenantry man /usr/share/man/man1";

/// The command.
pub fn command() -> Command {
    Command::new("man").about("Write the manual pages into a directory").after_help(AFTER).arg(
        Arg::new("directory")
            .value_name("DIRECTORY")
            .value_parser(value_parser!(PathBuf))
            .help("Where to write `tenantry.1`, `tenantry-serve.1` ..; created if it is missing"),
    )
}

/// Writes or prints them for `whole`, the command line.
///
/// # Errors
/// The directory cannot be written.
pub fn run(matches: &ArgMatches, whole: Command) -> Result<()> {
    let Some(directory) = matches.get_one::<PathBuf>("directory") else {
        let mut page = Vec::new();
        Man::new(whole).render(&mut page)?;
        print(&page);
        return Ok(());
    };
    let shown = directory.display();
    fs::create_dir_all(directory)
        .and_then(|()| generate_to(whole, directory))
        .with_context(|| format!("the pages cannot be written to {shown}"))?;
    say(&format!("The pages are in {shown}."));
    Ok(())
}
