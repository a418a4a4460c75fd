//! What the credentials of a backend and many members cost, on both engines: a key or an exchanged token to a session's
//! token, an exchange to an insert, and a large organization and an account of many to small ones.

mod credentials;
mod sizes;

use super::engine::Engine;
use crate::Bench;
use crate::client::Request;
use crate::load::{Load, Rate};
use crate::report::Finding;
use crate::server::Server;
use anyhow::Result;
use tenantry_test_mongod::Mongod;

/// Connections, each with one request under way.
const CONNECTIONS: usize = 64;
/// Threads of the load.
const THREADS: usize = 2;

/// On both engines.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut findings = credentials::measure(bench, Engine::Embedded)?;
    findings.extend(sizes::measure(bench, Engine::Embedded)?);
    let mongod = Mongod::start();
    let engine = Engine::Mongodb(&mongod.uri());
    findings.extend(credentials::measure(bench, engine)?);
    findings.extend(sizes::measure(bench, engine)?);
    Ok(findings)
}

/// Requests of one sort to one server.
struct Side<'a> {
    server: &'a Server,
    load: Load,
    requests: Vec<Request>,
}

impl<'a> Side<'a> {
    /// Connects, and lets the server meet the requests once.
    fn new(bench: &Bench, server: &'a Server, requests: Vec<Request>) -> Result<Self> {
        let mut side = Self { server, load: Load::open(server.address, THREADS, CONNECTIONS)?, requests };
        side.run(bench)?;
        Ok(side)
    }

    /// The rate, and the processor time of the server per request in microseconds.
    fn run(&mut self, bench: &Bench) -> Result<(Rate, f64)> {
        super::get::round(self.server, &mut self.load, &self.requests, bench.span)
    }
}
