//! Operations with documents per second, as a share of what the engine reaches when it is used directly.

use super::changes;
use crate::Bench;
use crate::baseline::documents::{Operation, driver, sqlite};
use crate::data::documents::{LISTED, lines, unnamed};
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use crate::tenant::{BULK, Tenant};
use crate::workload::Workload;
use anyhow::Result;

/// Documents there are before any is inserted.
const DOCUMENTS: u32 = 100_000;
/// Different documents that are inserted one by one.
const INSERTED: u32 = 1_000;
/// Threads of the load where responses come at once, as in the measure `get`: many would only take turns.
const FEW_THREADS: usize = 2;

/// An operation that is measured.
struct Case {
    what: &'static str,
    operation: Operation,
    /// Requests under way.
    at_once: usize,
    /// Who sends them. With a thread for each, none waits for the response to another before it goes on.
    threads: usize,
    aim: f64,
    /// On MongoDB, where it is another one.
    mongodb_aim: Option<f64>,
    names: Names,
}

/// The names of its findings.
struct Names {
    embedded: &'static str,
    in_process: &'static str,
    mongodb: &'static str,
}

/// Inserts come last: they change what the others read.
const CASES: [Case; 6] = [
    Case {
        what: "point read",
        operation: Operation::Read,
        at_once: 64,
        threads: FEW_THREADS,
        aim: 0.8,
        mongodb_aim: Some(0.9),
        names: Names {
            embedded: "documents_embedded_read",
            in_process: "documents_embedded_read_in_process",
            mongodb: "documents_mongodb_read",
        },
    },
    Case {
        what: "list of 100",
        operation: Operation::List,
        at_once: 16,
        threads: 16,
        aim: 0.85,
        mongodb_aim: Some(0.6),
        names: Names {
            embedded: "documents_embedded_list",
            in_process: "documents_embedded_list_in_process",
            mongodb: "documents_mongodb_list",
        },
    },
    Case {
        what: "insert",
        operation: Operation::Insert,
        at_once: 16,
        threads: 16,
        aim: 0.7,
        mongodb_aim: None,
        names: Names {
            embedded: "documents_embedded_insert",
            in_process: "documents_embedded_insert_in_process",
            mongodb: "documents_mongodb_insert",
        },
    },
    Case {
        what: "insert, 64 at once",
        operation: Operation::Insert,
        at_once: 64,
        threads: FEW_THREADS,
        aim: 0.7,
        // Those that come together go in one command.
        mongodb_aim: Some(2.5),
        names: Names {
            embedded: "documents_embedded_insert_busy",
            in_process: "documents_embedded_insert_busy_in_process",
            mongodb: "documents_mongodb_insert_busy",
        },
    },
    Case {
        what: "insert, one after the other",
        operation: Operation::Insert,
        at_once: 1,
        threads: 1,
        aim: 0.7,
        mongodb_aim: None,
        names: Names {
            embedded: "documents_embedded_insert_alone",
            in_process: "documents_embedded_insert_alone_in_process",
            mongodb: "documents_mongodb_insert_alone",
        },
    },
    Case {
        what: "bulk insert",
        operation: Operation::Bulk,
        at_once: 4,
        threads: 4,
        aim: 0.7,
        mongodb_aim: Some(1.0),
        names: Names {
            embedded: "documents_embedded_bulk",
            in_process: "documents_embedded_bulk_in_process",
            mongodb: "documents_mongodb_bulk",
        },
    },
];

/// On SQLite: of a bare route that does the same with it, and of nothing but the calls.
pub fn embedded(bench: &Bench) -> Result<Vec<Finding>> {
    const PART: &str = "documents";
    let documents = DOCUMENTS / bench.shrink;
    let (server, tenant) = filled(bench, Engine::Embedded, PART, documents)?;
    let file = bench.directory.path().join("direct.db");
    let route = Server::documents_route(&file)?;
    let direct = tenant.on(&route);
    direct.fill(documents)?;
    let mut findings = Vec::new();
    for case in &CASES {
        let mut workloads = [case.workload(&tenant, documents)?, case.workload(&direct, documents)?];
        for workload in &mut workloads {
            workload.run(bench.span)?;
        }
        let (mut rates, mut calls) = (Pairs::default(), Pairs::default());
        for _ in 0..bench.rounds {
            let rate = workloads[0].run(bench.span)?.per_second();
            rates.push(rate, workloads[1].run(bench.span)?.per_second());
            calls.push(rate, sqlite::measure(&file, case.operation, documents, bench.span)?);
        }
        let names = &case.names;
        let aim = Aim::AtLeast(case.aim);
        findings.push(case.finding(names.embedded, "embedded", "SQLite behind a route", aim, &rates)?);
        findings.push(case.finding(names.in_process, "embedded", "SQLite in-process", Aim::None, &calls)?);
    }
    findings.push(changes::counter(bench, &server)?);
    Ok(findings)
}

/// On MongoDB: of its driver.
pub fn mongodb(bench: &Bench, uri: &str) -> Result<Vec<Finding>> {
    const PART: &str = "documents_mongodb";
    const DIRECT: &str = "documents_direct";
    let documents = DOCUMENTS / bench.shrink;
    let (server, tenant) = filled(bench, Engine::Mongodb(uri), PART, documents)?;
    driver::fill(uri, DIRECT, documents)?;
    let mut findings = Vec::new();
    for case in &CASES {
        let mut workload = case.workload(&tenant, documents)?;
        workload.run(bench.span)?;
        let mut rates = Pairs::default();
        for _ in 0..bench.rounds {
            let rate = workload.run(bench.span)?.per_second();
            let direct = driver::measure(uri, DIRECT, case.operation, documents, case.at_once, bench.span)?;
            rates.push(rate, direct);
        }
        let aim = Aim::AtLeast(case.mongodb_aim.unwrap_or(case.aim));
        findings.push(case.finding(case.names.mongodb, "mongodb", "the driver", aim, &rates)?);
    }
    findings.push(changes::updates(bench, &server, uri, DIRECT, documents)?);
    findings.push(changes::shared_inserts(bench, uri, DIRECT, documents)?);
    Ok(findings)
}

/// The service with one organization that has documents.
fn filled(bench: &Bench, engine: Engine<'_>, part: &str, documents: u32) -> Result<(Server, Tenant)> {
    engine.seed(bench, part, 1)?;
    let server = engine.start(bench, part)?;
    let tenant = Tenant::sign_in(&server, 0)?;
    tenant.index()?;
    tenant.fill(documents)?;
    Ok((server, tenant))
}

impl Case {
    /// What does it with the first `documents` documents, or adds some to them.
    fn workload(&self, tenant: &Tenant, documents: u32) -> Result<Workload> {
        let requests = match self.operation {
            Operation::Read => tenant.reads(documents),
            Operation::List => tenant.lists(documents, LISTED),
            Operation::Update => anyhow::bail!("no case of these"),
            Operation::Insert => tenant.inserts(&lines(documents, INSERTED, unnamed)),
            Operation::Bulk => {
                return Workload::bulk(tenant, self.at_once, lines(documents, BULK, unnamed), BULK);
            }
        };
        Workload::new(tenant.address, self.threads, self.at_once, requests)
    }

    fn finding(
        &self,
        name: &'static str,
        engine: &str,
        direct: &str,
        aim: Aim,
        rates: &Pairs,
    ) -> Result<Finding> {
        let Self { what, at_once, .. } = self;
        Ok(Finding {
            name,
            what: format!("documents, {engine}: {what}, of {direct}"),
            measured: rates.ratio()?,
            unit: "",
            aim,
            detail: format!("{:.0}/s, {:.0}/s; {at_once} at once", rates.first()?, rates.second()?),
        })
    }
}
