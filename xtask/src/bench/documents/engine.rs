//! The service on one engine or the other.

use crate::bench::server::Server;
use crate::bench::{Bench, mongodb};
use anyhow::{Context, Result};
use std::fs;

/// Where the service keeps its data.
#[derive(Clone, Copy)]
pub enum Engine<'a> {
    /// In files.
    Embedded,
    /// On the server at this address, a collection for each organization.
    Mongodb(&'a str),
}

impl Engine<'_> {
    /// What findings call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mongodb(_) => "mongodb",
        }
    }

    /// Makes organizations for the part of that name.
    pub fn seed(self, bench: &Bench, part: &str, organizations: u32) -> Result<()> {
        match self {
            Self::Embedded => bench.programs.seed(&bench.directory.path().join(part), organizations),
            Self::Mongodb(uri) => {
                let count = organizations.to_string();
                bench.programs.help(&["seed-mongodb", uri, part, "collection", "0", &count]).map(|_| ())
            }
        }
    }

    /// Starts the service of that part.
    pub fn start(self, bench: &Bench, part: &str) -> Result<Server> {
        let server = match self {
            Self::Embedded => Server::service(bench, &bench.directory.path().join(part), &[])?,
            Self::Mongodb(uri) => mongodb::service(bench, uri, part, &[])?,
        };
        // After a start it looks through its files.
        server.rest()?;
        Ok(server)
    }

    /// The operator key of that part, once its service has been started.
    pub fn operator_key(self, bench: &Bench, part: &str) -> Result<String> {
        let file = bench.directory.path().join(part).join("operator.key");
        let key = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(key.trim().to_owned())
    }
}
