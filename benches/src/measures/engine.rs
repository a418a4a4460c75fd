//! The service on one engine or the other.

use crate::Bench;
use crate::data::members::{Members, add_embedded, add_mongodb};
use crate::data::organizations::{seed_embedded, seed_mongodb};
use crate::server::Server;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use tenantry_domain::organization::Placement;

/// Where the service keeps its data.
#[derive(Clone, Copy)]
pub enum Engine<'a> {
    /// In files.
    Embedded,
    /// On the server at this address, a collection for each organization.
    Mongodb(&'a str),
}

impl Engine<'_> {
    /// Its name in findings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mongodb(_) => "mongodb",
        }
    }

    /// What belongs to it: the embedded engine's comes first.
    pub fn pick<T>(self, [embedded, mongodb]: [T; 2]) -> T {
        match self {
            Self::Embedded => embedded,
            Self::Mongodb(_) => mongodb,
        }
    }

    /// Makes organizations for the part of that name.
    pub fn seed(self, bench: &Bench, part: &str, organizations: u32) -> Result<()> {
        match self {
            Self::Embedded => seed_embedded(&bench.directory.path().join(part), organizations),
            Self::Mongodb(uri) => seed_mongodb(uri, part, Placement::Collection, 0, organizations),
        }
    }

    /// Adds members to the organizations of that part.
    pub fn add_members(self, bench: &Bench, part: &str, members: Members) -> Result<()> {
        match self {
            Self::Embedded => add_embedded(&bench.directory.path().join(part), members),
            Self::Mongodb(uri) => add_mongodb(uri, part, members),
        }
    }

    /// The flags of a service that keeps the data of that part on it.
    pub fn flags(self, part: &str) -> Vec<String> {
        match self {
            Self::Embedded => Vec::new(),
            Self::Mongodb(uri) => vec![
                format!("--mongo-uri={uri}"),
                format!("--master-db={part}"),
                "--jwt-secret=what signs the tokens of a benchmark".to_owned(),
                "--max-namespaces=0".to_owned(),
            ],
        }
    }

    /// Starts the service of that part.
    pub fn start(self, bench: &Bench, part: &str) -> Result<Server> {
        self.start_program(bench, &bench.service, part)
    }

    /// Starts the service that is `program`, likewise.
    pub fn start_program(self, bench: &Bench, program: &Path, part: &str) -> Result<Server> {
        let server = Server::program(program, &bench.directory.path().join(part), &self.flags(part))?;
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
