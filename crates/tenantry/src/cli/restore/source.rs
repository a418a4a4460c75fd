//! The backup that a restore reads.

use crate::cli::backup::{self, STREAM, place};
use anyhow::{Result, bail};
use clap::ArgMatches;
use std::path::Path;
use tenantry_store::backup::{BackupReader, Repository, StreamReader};

/// Opens the backup that the arguments name.
///
/// # Errors
/// There is none, or it cannot be opened.
pub fn open(matches: &ArgMatches) -> Result<Box<dyn BackupReader>> {
    let identities = backup::identities(matches)?;
    let (place, id) = (place(matches), matches.get_one::<String>("backup").map(String::as_str));
    if place == Path::new(STREAM) {
        if id.is_some() {
            bail!("a stream is one backup: leave out --backup");
        }
        return Ok(Box::new(StreamReader::new(Box::new(std::io::stdin()), identities)));
    }
    Ok(Box::new(Repository::open(place)?.reader(id, identities)?))
}
