//! What it costs to trace one request of a hundred, and to trace none, to a service that sends nothing.

use super::collector;
use crate::Bench;
use crate::data::organizations::seed_embedded;
use crate::load::Load;
use crate::measures::get::round;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
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
    let mut sides = [side(bench, "traces-on", &sampled)?, side(bench, "traces-off", &[])?];
    let (mut rates, mut costs) = (Pairs::default(), Pairs::default());
    for turn in 0..=bench.rounds {
        let (rate, cost) = sides[0].run(bench)?;
        let (plain_rate, plain_cost) = sides[1].run(bench)?;
        // The first round warms up.
        if turn > 0 {
            rates.push(rate, plain_rate);
            costs.push(cost, plain_cost);
        }
    }
    let detail = format!(
        "{:.2} µs, {:.2} µs; throughput {:.3}: {:.0}/s, {:.0}/s",
        costs.first()?,
        costs.second()?,
        rates.ratio()?,
        rates.first()?,
        rates.second()?
    );
    for side in sides {
        side.server.stop()?;
    }
    Ok(vec![Finding {
        name: "edge_traces",
        what: "edge: processor time per read with 1 % traced, to none".to_owned(),
        measured: costs.ratio()?,
        unit: "",
        aim: Aim::AtMost(1.05),
        detail,
    }])
}

struct Side {
    server: Server,
    load: Load,
    tenant: Tenant,
}

impl Side {
    /// Reads per second, and the processor time of one in microseconds.
    fn run(&mut self, bench: &Bench) -> Result<(f64, f64)> {
        let reads = self.tenant.reads(DOCUMENTS);
        let (rate, cost) = round(&self.server, &mut self.load, &reads, bench.span)?;
        Ok((rate.per_second(), cost))
    }
}

fn side(bench: &Bench, name: &str, flags: &[&str]) -> Result<Side> {
    let data_dir = bench.directory.path().join(name);
    seed_embedded(&data_dir, 1)?;
    let server = Server::service(bench, &data_dir, flags)?;
    let tenant = Tenant::sign_in(&server, 0)?;
    tenant.fill(DOCUMENTS)?;
    let load = Load::open(server.address, 2, CONNECTIONS)?;
    Ok(Side { server, load, tenant })
}
