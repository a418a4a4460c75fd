//! Lookups and creates, memory, start and disk of the service with more and more organizations.

use super::Effort;
use super::timed;
use crate::Bench;
use crate::client::Request;
use crate::data::STRIDE;
use crate::data::organizations::{PASSWORD, seed_embedded};
use crate::results::Row;
use crate::server::{Server, megabytes};
use crate::statistics::median;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

const LOOKUP_CONNECTIONS: usize = 16;
/// A create hashes a password; one at a time, so that its time is its own.
const CREATE_CONNECTIONS: usize = 1;

/// All services run throughout and take turns; none has been asked for anything before.
pub fn measure(bench: &Bench, effort: &Effort) -> Result<Vec<Row>> {
    println!("\n== organizations ==");
    let mut nodes = Vec::new();
    for &count in effort.organizations {
        nodes.push(Node::start(bench, count)?);
    }
    for round in 0..=effort.rounds {
        for node in &mut nodes {
            node.round(effort, round == 0)?;
        }
    }
    nodes.into_iter().map(Node::row).collect()
}

struct Node {
    count: u32,
    server: Server,
    data_dir: PathBuf,
    created: AtomicU32,
    lookups: Vec<[f64; 3]>,
    creates: Vec<[f64; 2]>,
}

impl Node {
    fn start(bench: &Bench, count: u32) -> Result<Self> {
        let data_dir = bench.directory.path().join(format!("organizations-{count}"));
        seed_embedded(&data_dir, count)?;
        let server = Server::service(bench, &data_dir, &[])?;
        server.rest()?;
        println!("{count} organizations are there");
        let created = AtomicU32::new(0);
        Ok(Self { count, server, data_dir, created, lookups: Vec::new(), creates: Vec::new() })
    }

    fn round(&mut self, effort: &Effort, is_first: bool) -> Result<()> {
        let (count, address) = (self.count, self.server.address);
        let look_up = |turn: u32| {
            let number = u64::from(turn) * u64::from(STRIDE) % u64::from(count);
            Some(Request::get(&format!("/org/get?organization_name=Organization%20{number}")))
        };
        let create = |turn: u32| {
            let body = json!({
                "organization_name": format!("Created {turn}"), "email": format!("created{turn}@example.com"),
                "password": PASSWORD,
            });
            Some(Request::json("POST", "/org/create", None, &body))
        };
        let asked = AtomicU32::new(0);
        let lookups = timed::run(address, LOOKUP_CONNECTIONS, &look_up, &asked, effort.span)?;
        let creates = timed::run(address, CREATE_CONNECTIONS, &create, &self.created, effort.span)?;
        if !is_first {
            self.lookups.push([lookups.per_second(), lookups.percentile(0.5)?, lookups.percentile(0.99)?]);
            self.creates.push([creates.percentile(0.5)?, creates.percentile(0.99)?]);
        }
        Ok(())
    }

    fn row(self) -> Result<Row> {
        let lookup = |index: usize| median(self.lookups.iter().map(|round| round[index]));
        let create = |index: usize| median(self.creates.iter().map(|round| round[index]));
        let disk = megabytes(&self.data_dir)?;
        let row = Row::new(
            super::peers::EMBEDDED,
            f64::from(self.count),
            &[
                ("get_per_second", lookup(0)?),
                ("get_p50_ms", lookup(1)?),
                ("get_p99_ms", lookup(2)?),
                ("create_p50_ms", create(0)?),
                ("create_p99_ms", create(1)?),
                ("start_ms", self.server.first_response.as_secs_f64() * 1e3),
                ("memory_mb", self.server.memory()?),
                ("disk_mb", disk),
            ],
        );
        println!("{} organizations: {:?}", self.count, row.values);
        self.server.stop()?;
        Ok(row)
    }
}
