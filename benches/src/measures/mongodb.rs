//! The service on MongoDB: lookups, renames, and how creates grow with the number of organizations.
//!
//! One real `mongod` beside the service and the load, on the same cores.
//!
//! # Pitfalls
//! A lookup without the cache is two reads, of the organization and of its admin, so it is compared with the driver
//! making the same two.

use super::engine::Engine;
use super::get::{open, round};
use super::rename::{FEW, MANY, rename_in_turns};
use crate::Bench;
use crate::baseline::lookups;
use crate::client::{Connection, Request};
use crate::data::documents::fill_mongodb;
use crate::data::organizations::{PASSWORD, seed_mongodb};
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::{Pairs, median};
use anyhow::Result;
use serde_json::json;
use std::time::Instant;
use tenantry_domain::organization::Placement;
use tenantry_test_mongod::Mongod;

const LOOKUP: &str = "/org/get?organization_name=Organization%200";
/// Connections of the lookups, as in the measure `get`.
const CONNECTIONS: usize = 64;
/// Organizations that there are when creates are timed.
const FEW_ORGANIZATIONS: u32 = 100;
/// See [`FEW_ORGANIZATIONS`]. A collection or index is a file that the server keeps open, and a machine where nothing
/// was set allows some 20,000 of those.
const MANY_ORGANIZATIONS: [(Placement, u32); 3] =
    [(Placement::Collection, 8_000), (Placement::Database, 4_000), (Placement::Shared, 10_000)];
/// Creates that are timed.
const CREATES: u32 = 50;

/// Every part has a database of its own.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mongod = Mongod::start();
    let uri = mongod.uri();
    let mut findings = gets(bench, &uri)?;
    findings.push(renames(bench, &uri)?);
    for (placement, many) in MANY_ORGANIZATIONS {
        findings.push(creates(bench, placement, many / bench.shrink)?);
    }
    Ok(findings)
}

/// The service on that database.
fn service(bench: &Bench, uri: &str, database: &str, flags: &[&str]) -> Result<Server> {
    let settings = Engine::Mongodb(uri).flags(database);
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(flags.iter().copied()).collect();
    Server::service(bench, &bench.directory.path().join(database), &settings)
}

fn gets(bench: &Bench, uri: &str) -> Result<Vec<Finding>> {
    const DATABASE: &str = "lookups";
    seed_mongodb(uri, DATABASE, Placement::Shared, 0, 1)?;
    let cached = service(bench, uri, DATABASE, &[])?;
    let uncached = service(bench, uri, DATABASE, &["--cache-mib=0"])?;
    let body = String::from_utf8(Connection::open(cached.address)?.get(LOOKUP)?.to_vec())?;
    let bare = Server::bare(&body)?;
    let requests = [Request::get(LOOKUP)];
    let mut loads = [open(&cached)?, open(&bare)?, open(&uncached)?];
    for load in &mut loads {
        load.run(&requests, bench.span)?;
    }
    let (mut rates, mut reads) = (Pairs::default(), Pairs::default());
    for _ in 0..bench.rounds {
        let (rate, _) = round(&cached, &mut loads[0], &requests, bench.span)?;
        let (bare_rate, _) = round(&bare, &mut loads[1], &requests, bench.span)?;
        rates.push(rate.per_second(), bare_rate.per_second());
        let (rate, _) = round(&uncached, &mut loads[2], &requests, bench.span)?;
        reads.push(rate.per_second(), lookups::measure(uri, DATABASE, CONNECTIONS, bench.span)?);
    }
    Ok(vec![
        Finding {
            name: "mongodb_get",
            what: "mongodb: get, requests per second, of a bare axum route's".to_owned(),
            measured: rates.ratio()?,
            unit: "",
            aim: Aim::AtLeast(0.7),
            detail: format!("{:.0}/s, bare {:.0}/s", rates.first()?, rates.second()?),
        },
        Finding {
            name: "mongodb_get_uncached",
            what: "mongodb: get without the cache, of the driver's own two reads".to_owned(),
            measured: reads.ratio()?,
            unit: "",
            aim: Aim::AtLeast(0.8),
            detail: format!("{:.0}/s, driver {:.0}/s", reads.first()?, reads.second()?),
        },
    ])
}

/// The service on that database, with an organization for each number of documents.
pub fn fill(bench: &Bench, uri: &str, database: &str, documents: &[u32]) -> Result<Server> {
    seed_mongodb(uri, database, Placement::Collection, 0, documents.len() as u32)?;
    for (number, count) in documents.iter().enumerate() {
        fill_mongodb(uri, database, &format!("tenant_organization_{number}"), *count)?;
    }
    service(bench, uri, database, &[])
}

fn renames(bench: &Bench, uri: &str) -> Result<Finding> {
    const DATABASE: &str = "renames";
    let many = MANY / bench.shrink;
    let server = fill(bench, uri, DATABASE, &[FEW, many])?;
    let times = rename_in_turns(bench, &server, many)?;
    server.stop()?;
    Ok(Finding {
        name: "mongodb_rename",
        what: format!("mongodb: rename, time with {many} documents, to that with {FEW}"),
        measured: times.ratio()?,
        unit: "",
        aim: Aim::AtMost(1.5),
        detail: format!("{:.2} ms, {:.2} ms", times.first()?, times.second()?),
    })
}

/// On a server of its own, so that one placement's collections do not weigh on the next.
fn creates(bench: &Bench, placement: Placement, many: u32) -> Result<Finding> {
    let mongod = Mongod::start();
    let uri = mongod.uri();
    let name = placement.as_str();
    let database = format!("creates_{name}");
    let seed = |first, count| seed_mongodb(&uri, &database, placement, first, count);
    seed(0, FEW_ORGANIZATIONS)?;
    let server = service(bench, &uri, &database, &[&format!("--placement={name}")])?;
    let few = time_creates(&server, "Early")?;
    seed(FEW_ORGANIZATIONS, many - FEW_ORGANIZATIONS)?;
    let late = time_creates(&server, "Late")?;
    server.stop()?;
    Ok(Finding {
        name: match placement {
            Placement::Collection => "mongodb_create_collection",
            Placement::Database => "mongodb_create_database",
            Placement::Shared => "mongodb_create_shared",
        },
        what: format!("mongodb: create in `{name}` with {many} organizations, to {FEW_ORGANIZATIONS}"),
        measured: late / few,
        unit: "",
        aim: Aim::None,
        detail: format!("{late:.1} ms, {few:.1} ms"),
    })
}

/// The median time of a create, in milliseconds.
fn time_creates(server: &Server, name: &str) -> Result<f64> {
    let mut connection = Connection::open(server.address)?;
    let mut times = Vec::new();
    for number in 0..CREATES {
        let body = json!({
            "organization_name": format!("{name} {number}"), "email": format!("{name}{number}@example.com"),
            "password": PASSWORD,
        });
        let request = Request::json("POST", "/org/create", None, &body);
        let began = Instant::now();
        connection.call(&request)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}
