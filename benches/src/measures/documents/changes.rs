//! Changes of documents: a counter that many callers increase, updates of different documents, and inserts of many
//! organizations in one collection of MongoDB.

use crate::Bench;
use crate::baseline::documents::{Operation, driver};
use crate::client::Request;
use crate::data::documents::{lines, unnamed};
use crate::data::organizations::seed_mongodb;
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use crate::tenant::Tenant;
use crate::workload::Workload;
use anyhow::Result;
use serde_json::json;
use std::time::Duration;
use tenantry_domain::organization::Placement;

const DOCUMENTS: u32 = 100_000;
const INSERTED: u32 = 1_000;
const CONNECTIONS: usize = 64;
const THREADS: usize = 2;
/// Organizations that insert at the same time, a connection for each.
const ORGANIZATIONS: u32 = 64;

/// `$inc` of one document, to inserts.
pub fn counter(bench: &Bench, server: &Server) -> Result<Finding> {
    let tenant = Tenant::sign_in(server, 0)?;
    let mut counters = side(server, vec![tenant.update(0, &json!({ "$inc": { "pages": 1 } }))])?;
    let mut inserts = side(server, tenant.inserts(&lines(DOCUMENTS, INSERTED, unnamed)))?;
    let rates = in_turns(bench, &mut counters, |span| Ok(inserts.run(span)?.per_second()))?;
    finding(
        "documents_embedded_counter",
        "documents, embedded: `$inc` of one document, to single inserts",
        0.6,
        &rates,
    )
}

/// Updates of different documents, to the driver's.
pub fn updates(bench: &Bench, server: &Server, uri: &str, direct: &str, documents: u32) -> Result<Finding> {
    let tenant = Tenant::sign_in(server, 0)?;
    let set = json!({ "$set": { "owner": "sales" }, "$inc": { "pages": 1 } });
    let mut updates =
        side(server, (0..INSERTED * 2).map(|turn| tenant.update(turn % documents, &set)).collect())?;
    let direct = |span| driver::measure(uri, direct, Operation::Update, documents, CONNECTIONS, span);
    let rates = in_turns(bench, &mut updates, direct)?;
    finding(
        "documents_mongodb_update",
        "documents, mongodb: updates of different documents, of the driver",
        2.5,
        &rates,
    )
}

/// Inserts of many organizations that share a collection, to the driver's.
pub fn shared_inserts(bench: &Bench, uri: &str, direct: &str, documents: u32) -> Result<Finding> {
    const PART: &str = "documents_shared";
    seed_mongodb(uri, PART, Placement::Shared, 0, ORGANIZATIONS)?;
    let server = Engine::Mongodb(uri).start(bench, PART)?;
    let lines = lines(documents, INSERTED / 10, unnamed);
    let mut of_each = Vec::new();
    for number in 0..ORGANIZATIONS {
        of_each.push(Tenant::sign_in(&server, number)?.inserts(&lines));
    }
    // One of each organization after the other.
    let mut requests = Vec::new();
    while of_each.iter().all(|requests| !requests.is_empty()) {
        requests.extend(of_each.iter_mut().filter_map(Vec::pop));
    }
    let mut inserts = side(&server, requests)?;
    let direct = |span| driver::measure(uri, direct, Operation::Insert, documents, CONNECTIONS, span);
    let rates = in_turns(bench, &mut inserts, direct)?;
    finding(
        "documents_mongodb_shared_insert",
        "documents, mongodb: inserts of 64 organizations in `shared`, of the driver",
        1.5,
        &rates,
    )
}

/// The rates of the service and of what it is compared with. The first round warms up.
fn in_turns(
    bench: &Bench,
    service: &mut Workload,
    mut other: impl FnMut(Duration) -> Result<f64>,
) -> Result<Pairs> {
    let mut rates = Pairs::default();
    for turn in 0..=bench.rounds {
        let pair = (service.run(bench.span)?.per_second(), other(bench.span)?);
        if turn > 0 {
            rates.push(pair.0, pair.1);
        }
    }
    Ok(rates)
}

fn side(server: &Server, requests: Vec<Request>) -> Result<Workload> {
    Workload::new(server.address, THREADS, CONNECTIONS, requests)
}

fn finding(name: &'static str, what: &str, aim: f64, rates: &Pairs) -> Result<Finding> {
    Ok(Finding {
        name,
        what: what.to_owned(),
        measured: rates.ratio()?,
        unit: "",
        aim: Aim::AtLeast(aim),
        detail: format!("{:.0}/s, {:.0}/s; {CONNECTIONS} at once", rates.first()?, rates.second()?),
    })
}
