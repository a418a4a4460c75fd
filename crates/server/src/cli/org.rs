//! `tenantry org`.
use crate::config::Config;
use anyhow::Result;
use clap::{ArgMatches, Command};
pub fn command() -> Command {
    Command::new("org")
}
pub fn run(_: Config, _: &ArgMatches) -> Result<()> {
    Ok(())
}
