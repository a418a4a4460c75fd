//! What large queries cost: the memory of many lists at once and of an aggregate, and the time of a scan without an index.

use crate::Bench;
use crate::baseline::documents::driver;
use crate::client::Connection;
use crate::data::documents::{json, lines, named};
use crate::load::Load;
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use crate::tenant::{BULK, Tenant};
use anyhow::{Result, ensure};
use bson::{Document, doc};
use serde_json::{Value, json};
use std::time::Instant;

const MANY: u32 = 1_000_000;
/// Groups of the aggregate.
const GROUPS: u32 = 1_000;
/// Documents that are listed, a hundred at a time, and the bytes of each.
const LARGE: (u32, usize) = (1_000, 10_000);
const LISTS: usize = 64;
/// The flag with which a scan of all has time.
const PATIENCE: &str = "--query-timeout=60";

/// On one engine; `mongod` is the server that a scan is compared with.
pub fn measure(bench: &Bench, engine: Engine<'_>, mongod: &str) -> Result<Vec<Finding>> {
    let part = format!("queries_{}", engine.name());
    let many = MANY / bench.shrink;
    engine.seed(bench, &part, 2)?;
    let start = || -> Result<Server> {
        let mut flags = engine.flags(&part);
        flags.push(PATIENCE.to_owned());
        let server = Server::program(&bench.service, &bench.directory.path().join(&part), &flags)?;
        server.rest()?;
        Ok(server)
    };
    let server = start()?;
    fill(&Tenant::sign_in(&server, 0)?, many)?;
    fill_large(&Tenant::sign_in(&server, 1)?)?;
    server.stop()?;
    let server = start()?;
    let mut findings = vec![lists(bench, engine, &server)?];
    server.stop()?;
    let server = start()?;
    findings.push(aggregate(engine, &server, many)?);
    if matches!(engine, Engine::Embedded) {
        findings.push(scan(bench, &server, mongod, many)?);
    }
    Ok(findings)
}

/// A document that belongs to one of the groups.
fn grouped(number: u32) -> Document {
    let mut document = named(number);
    document.insert("group", i32::try_from(number % GROUPS).unwrap_or(0));
    document
}

fn fill(tenant: &Tenant, many: u32) -> Result<()> {
    let mut connection = Connection::open(tenant.address)?;
    for first in (0..many).step_by(BULK as usize) {
        let count = BULK.min(many - first);
        tenant.insert_all(&mut connection, &lines(first, count, grouped), count)?;
    }
    Ok(())
}

fn fill_large(tenant: &Tenant) -> Result<()> {
    let (count, bytes) = LARGE;
    let mut connection = Connection::open(tenant.address)?;
    for first in (0..count).step_by(100) {
        let line = |number: u32| json(doc! { "_id": number.to_string(), "text": "x".repeat(bytes) }) + "\n";
        tenant.insert_all(&mut connection, &(first..first + 100).map(line).collect::<String>(), 100)?;
    }
    Ok(())
}

/// The most memory while many lists of large documents are under way, above what was in use.
fn lists(bench: &Bench, engine: Engine<'_>, server: &Server) -> Result<Finding> {
    let request = Tenant::sign_in(server, 1)?.list(100);
    Connection::open(server.address)?.call(&request)?;
    let before = server.memory()?;
    server.forget_peak()?;
    let rate = Load::open(server.address, 2, LISTS)?.run(&[request], bench.span * 4)?;
    let peak = server.peak_memory()?;
    Ok(Finding {
        name: engine.pick(["documents_embedded_list_memory", "documents_mongodb_list_memory"]),
        what: format!(
            "documents, {}: memory for {LISTS} lists at once of 100 documents of 10 KB",
            engine.name()
        ),
        measured: peak - before,
        unit: "MB",
        aim: Aim::AtMost(40.0),
        detail: format!("{before:.1} MB, {peak:.1} MB; {:.0}/s", rate.per_second()),
    })
}

fn aggregate(engine: Engine<'_>, server: &Server, many: u32) -> Result<Finding> {
    let stages =
        [json!({ "$group": { "_id": "$group", "count": { "$sum": 1 }, "pages": { "$avg": "$pages" } } })];
    let request =
        Tenant::sign_in(server, 0)?.of_collection("POST", "/aggregate", &json!({ "pipeline": stages }));
    let before = server.memory()?;
    server.forget_peak()?;
    let began = Instant::now();
    let mut connection = Connection::open(server.address)?;
    let answer: Value = serde_json::from_slice(connection.call(&request)?)?;
    let took = began.elapsed();
    let groups = answer["items"].as_array().map_or(0, Vec::len);
    ensure!(groups == GROUPS as usize, "{groups} groups");
    let peak = server.peak_memory()?;
    Ok(Finding {
        name: engine.pick(["documents_embedded_aggregate_memory", "documents_mongodb_aggregate_memory"]),
        what: format!("documents, {}: memory to make {GROUPS} groups of {many} documents", engine.name()),
        measured: peak - before,
        unit: "MB",
        aim: Aim::AtMost(32.0),
        detail: format!("{before:.1} MB, {peak:.1} MB; took {took:.1?}"),
    })
}

/// The time that a query takes to look at all documents and find none, to that of MongoDB.
fn scan(bench: &Bench, server: &Server, mongod: &str, many: u32) -> Result<Finding> {
    const DIRECT: &str = "queries_direct";
    driver::fill(mongod, DIRECT, many)?;
    let request = Tenant::sign_in(server, 0)?.query(&json!({ "pages": 13 }));
    let mut connection = Connection::open(server.address)?;
    let mut times = Pairs::default();
    for _ in 0..=bench.rounds {
        let began = Instant::now();
        connection.call(&request)?;
        let own = began.elapsed().as_secs_f64();
        times.push(own, driver::scan(mongod, DIRECT, doc! { "pages": 13 })?);
    }
    Ok(Finding {
        name: "documents_embedded_scan",
        what: format!("documents, embedded: a scan of {many} documents without an index, to MongoDB's"),
        measured: times.ratio()?,
        unit: "",
        aim: Aim::AtMost(1.0),
        detail: format!("{:.2} s, {:.2} s", times.first()?, times.second()?),
    })
}
