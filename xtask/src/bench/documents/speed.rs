//! How fast documents are got at, of what the engine used directly reaches.

use super::engine::Engine;
use super::tenant::{BULK, Tenant};
use crate::bench::Bench;
use crate::bench::client::Connection;
use crate::bench::client::Request;
use crate::bench::load::Load;
use crate::bench::report::{Aim, Finding};
use crate::bench::server::Server;
use crate::bench::statistics::Pairs;
use anyhow::{Result, anyhow};
use std::thread;
use std::time::{Duration, Instant};

/// Documents there are before any is inserted.
const DOCUMENTS: u32 = 100_000;
/// Different documents that are inserted one by one.
const INSERTED: u32 = 1_000;
/// Threads of the load where answers come at once, as in the measure `get`: many would only take turns.
const FEW_THREADS: usize = 2;

/// What is done with documents.
struct Operation {
    what: &'static str,
    /// What the example `bench` calls it.
    word: &'static str,
    /// Requests under way.
    at_once: usize,
    /// Who sends them. With a thread for each, none waits for the answer to another before it goes on.
    threads: usize,
    aim: f64,
    names: Names,
}

/// What its findings are called.
struct Names {
    embedded: &'static str,
    in_process: &'static str,
    mongodb: &'static str,
}

/// What inserts comes last: it changes what the others read.
const OPERATIONS: [Operation; 5] = [
    Operation {
        what: "point read",
        word: "read",
        at_once: 64,
        threads: FEW_THREADS,
        aim: 0.5,
        names: Names {
            embedded: "documents_embedded_read",
            in_process: "documents_embedded_read_in_process",
            mongodb: "documents_mongodb_read",
        },
    },
    Operation {
        what: "list of 100",
        word: "list",
        at_once: 16,
        threads: 16,
        aim: 0.6,
        names: Names {
            embedded: "documents_embedded_list",
            in_process: "documents_embedded_list_in_process",
            mongodb: "documents_mongodb_list",
        },
    },
    Operation {
        what: "insert",
        word: "insert",
        at_once: 16,
        threads: 16,
        aim: 0.7,
        names: Names {
            embedded: "documents_embedded_insert",
            in_process: "documents_embedded_insert_in_process",
            mongodb: "documents_mongodb_insert",
        },
    },
    Operation {
        what: "insert, one after the other",
        word: "insert",
        at_once: 1,
        threads: 1,
        aim: 0.7,
        names: Names {
            embedded: "documents_embedded_insert_alone",
            in_process: "documents_embedded_insert_alone_in_process",
            mongodb: "documents_mongodb_insert_alone",
        },
    },
    Operation {
        what: "bulk insert",
        word: "bulk",
        at_once: 4,
        threads: 4,
        aim: 0.7,
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
    let (_server, tenant) = filled(bench, Engine::Embedded, PART, documents)?;
    let file = bench.directory.path().join("direct.db");
    let route = Server::documents_route(bench, &file)?;
    let direct = tenant.on(&route);
    direct.fill(bench, documents)?;
    let file = file.display().to_string();
    let (count, span) = (documents.to_string(), bench.span.as_millis().to_string());
    let mut findings = Vec::new();
    for operation in &OPERATIONS {
        let mut loads = [operation.by(bench, &tenant, documents)?, operation.by(bench, &direct, documents)?];
        for load in &mut loads {
            load.run(bench.span)?;
        }
        let (mut rates, mut calls) = (Pairs::default(), Pairs::default());
        for _ in 0..bench.rounds {
            let rate = loads[0].run(bench.span)?;
            rates.push(rate, loads[1].run(bench.span)?);
            let alone = ["documents-in-process", &file, operation.word, &count, &span];
            calls.push(rate, bench.programs.help(&alone)?.parse()?);
        }
        let names = &operation.names;
        let aim = Aim::AtLeast(operation.aim);
        findings.push(operation.finding(names.embedded, "embedded", "SQLite behind a route", aim, &rates)?);
        let calls =
            operation.finding(names.in_process, "embedded", "SQLite in-process", Aim::None, &calls)?;
        findings.push(calls);
    }
    Ok(findings)
}

/// On MongoDB: of its driver.
pub fn mongodb(bench: &Bench, uri: &str) -> Result<Vec<Finding>> {
    const PART: &str = "documents_mongodb";
    const DIRECT: &str = "documents_direct";
    let documents = DOCUMENTS / bench.shrink;
    let (_server, tenant) = filled(bench, Engine::Mongodb(uri), PART, documents)?;
    let (count, span) = (documents.to_string(), bench.span.as_millis().to_string());
    bench.programs.help(&["documents-fill", uri, DIRECT, &count])?;
    let mut findings = Vec::new();
    for operation in &OPERATIONS {
        let mut load = operation.by(bench, &tenant, documents)?;
        load.run(bench.span)?;
        let mut rates = Pairs::default();
        let at_once = operation.at_once.to_string();
        for _ in 0..bench.rounds {
            let rate = load.run(bench.span)?;
            let driver = ["documents-driver", uri, DIRECT, operation.word, &count, &at_once, &span];
            rates.push(rate, bench.programs.help(&driver)?.parse()?);
        }
        let aim = Aim::AtLeast(operation.aim);
        findings.push(operation.finding(operation.names.mongodb, "mongodb", "the driver", aim, &rates)?);
    }
    Ok(findings)
}

/// The service with one organization that has documents.
fn filled(bench: &Bench, engine: Engine<'_>, part: &str, documents: u32) -> Result<(Server, Tenant)> {
    engine.seed(bench, part, 1)?;
    let server = engine.start(bench, part)?;
    let tenant = Tenant::sign_in(&server, 0)?;
    tenant.index()?;
    tenant.fill(bench, documents)?;
    Ok((server, tenant))
}

impl Operation {
    /// The load that does it with the first `documents` documents, or adds some to them.
    fn by(&self, bench: &Bench, tenant: &Tenant, documents: u32) -> Result<Side> {
        let requests = match self.word {
            "read" => tenant.reads(documents),
            "list" => tenant.lists(documents),
            "insert" => tenant.inserts(&bench.programs.lines(documents, INSERTED, false)?),
            _ => return Side::bulk(bench, tenant, documents, self.at_once),
        };
        Ok(Side::Requests { load: Load::open(tenant.address, self.threads, self.at_once)?, requests })
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

/// Who asks one of the sides that are compared.
enum Side {
    Requests { load: Load, requests: Vec<Request> },
    Bulk { tenant: Tenant, connections: Vec<Connection>, lines: String },
}

impl Side {
    fn bulk(bench: &Bench, tenant: &Tenant, documents: u32, at_once: usize) -> Result<Self> {
        let connections = (0..at_once).map(|_| Connection::open(tenant.address)).collect::<Result<_>>()?;
        let lines = bench.programs.lines(documents, BULK, false)?;
        Ok(Self::Bulk { tenant: tenant.clone(), connections, lines })
    }

    /// Answers per second, or documents that were inserted in bulk.
    fn run(&mut self, span: Duration) -> Result<f64> {
        match self {
            Self::Requests { load, requests } => Ok(load.run(requests, span)?.per_second()),
            Self::Bulk { tenant, connections, lines } => insert_all(tenant, connections, lines, span),
        }
    }
}

/// On every connection the next documents follow the answer, until `span` is over.
fn insert_all(tenant: &Tenant, connections: &mut [Connection], lines: &str, span: Duration) -> Result<f64> {
    let began = Instant::now();
    let inserted: Result<u32> = thread::scope(|scope| {
        let mut running = Vec::new();
        for connection in connections {
            running.push(scope.spawn(move || -> Result<u32> {
                let mut inserted = 0;
                while began.elapsed() < span {
                    tenant.insert_all(connection, lines, BULK)?;
                    inserted += BULK;
                }
                Ok(inserted)
            }));
        }
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.map_err(|_| anyhow!("a thread of the load panicked"))?).sum()
    });
    Ok(f64::from(inserted?) / began.elapsed().as_secs_f64())
}
