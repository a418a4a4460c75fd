//! What it costs to trace one request of a hundred, and to trace none, to a service that sends nothing.

use super::collector;
use super::side::Side;
use crate::Bench;
use crate::data::organizations::seed_embedded;
use crate::load::Load;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::tenant::Tenant;
use anyhow::Result;

/// Documents of the organization.
const DOCUMENTS: u32 = 1_000;
/// Connections, each with one request under way.
const CONNECTIONS: usize = 32;

/// Reads of documents, on two services at a time.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let endpoint = format!("--otel-exporter-otlp-endpoint=http://{}", collector::start()?);
    let sampled = [endpoint.as_str(), "--otel-traces-sampler-arg=0.01"];
    let what = "edge: processor time per read with 1 % traced, to none";
    let sides = [side(bench, "traces-on", &sampled)?, side(bench, "traces-off", &[])?];
    Ok(vec![Side::compare(bench, sides, "edge_traces", what, Aim::AtMost(1.05))?])
}

fn side(bench: &Bench, name: &str, flags: &[&str]) -> Result<Side> {
    let data_dir = bench.directory.path().join(name);
    seed_embedded(&data_dir, 1)?;
    let server = Server::service(bench, &data_dir, flags)?;
    let tenant = Tenant::sign_in(&server, 0)?;
    tenant.fill(DOCUMENTS)?;
    let load = Load::open(server.address, 2, CONNECTIONS)?;
    Ok(Side { server, load, reads: tenant.reads(DOCUMENTS) })
}
