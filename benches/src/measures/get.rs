//! Lookups by name over kept connections, against a bare axum route that returns the same bytes.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::organizations::seed_embedded;
use crate::load::{Load, Rate};
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use anyhow::Result;
use std::time::Duration;

/// Connections, each with one request under way.
const CONNECTIONS: usize = 64;
/// Threads of the load: with one, the load would be what bounds the bare route.
const THREADS: usize = 2;

/// Both servers run throughout; the load goes to one of them at a time.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let data_dir = bench.directory.path().join("get");
    seed_embedded(&data_dir, 1)?;
    let path = "/org/get?organization_name=Organization%200";
    let service = Server::service(bench, &data_dir, &[])?;
    let body = String::from_utf8(Connection::open(service.address)?.get(path)?.to_vec())?;
    let bare = Server::bare(&body)?;

    let requests = [Request::get(path)];
    let mut loads = [open(&service)?, open(&bare)?];
    for load in &mut loads {
        load.run(&requests, bench.span)?;
    }
    let (mut rates, mut costs) = (Pairs::default(), Pairs::default());
    for _ in 0..bench.rounds {
        let (rate, cost) = round(&service, &mut loads[0], &requests, bench.span)?;
        let (bare_rate, bare_cost) = round(&bare, &mut loads[1], &requests, bench.span)?;
        rates.push(rate.per_second(), bare_rate.per_second());
        costs.push(cost, bare_cost);
    }
    Ok(vec![
        Finding {
            name: "get_throughput",
            what: "get: requests per second, of a bare axum route's".to_owned(),
            measured: rates.ratio()?,
            unit: "",
            aim: Aim::AtLeast(0.75),
            detail: format!("{:.0}/s, bare {:.0}/s", rates.first()?, rates.second()?),
        },
        Finding {
            name: "get_cpu",
            what: "get: processor time per request, to a bare axum route's".to_owned(),
            measured: costs.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.4),
            detail: format!("{:.2} µs, bare {:.2} µs", costs.first()?, costs.second()?),
        },
    ])
}

pub fn open(server: &Server) -> Result<Load> {
    Load::open(server.address, THREADS, CONNECTIONS)
}

/// The rate, and the processor time of the server per request in microseconds.
#[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
pub fn round(server: &Server, load: &mut Load, requests: &[Request], span: Duration) -> Result<(Rate, f64)> {
    let before = server.cpu_seconds()?;
    let rate = load.run(requests, span)?;
    let spent = server.cpu_seconds()? - before;
    Ok((rate, spent / rate.responses as f64 * 1e6))
}
