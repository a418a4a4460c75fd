//! The service, against an earlier version of it: each with its own data, in turns.
//!
//! # Pitfalls
//! Only what both versions understand can be compared: flags, paths and media types are those of the earlier one, and
//! each version makes its organization itself, because stored data of the later one may be unknown to the earlier one.

mod cases;

use super::engine::Engine;
use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::organizations::PASSWORD;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use crate::tenant::Tenant;
use crate::workload::Workload;
use anyhow::Result;
use cases::{Case, EMBEDDED, MONGODB};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tenantry_test_mongod::Mongod;

/// Documents there are before any is inserted.
const DOCUMENTS: u32 = 100_000;

/// On both engines, if there is a version to compare with.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let Some(before) = &bench.before else {
        println!("skipped: name the program of an earlier version with `--before PATH`");
        return Ok(Vec::new());
    };
    let mut findings = on_engine(bench, Engine::Embedded, before, &EMBEDDED)?;
    let mongod = Mongod::start();
    findings.extend(on_engine(bench, Engine::Mongodb(&mongod.uri()), before, &MONGODB)?);
    Ok(findings)
}

fn on_engine(bench: &Bench, engine: Engine<'_>, before: &Path, cases: &[Case]) -> Result<Vec<Finding>> {
    let documents = DOCUMENTS / bench.shrink;
    let now = Version::start(bench, engine, &bench.service, "now", documents)?;
    let before = Version::start(bench, engine, before, "before", documents)?;
    let mut findings = Vec::new();
    for case in cases {
        let mut sides = [Side::new(&now, case, documents)?, Side::new(&before, case, documents)?];
        for side in &mut sides {
            side.run(bench.span)?;
        }
        let (mut rates, mut efficiencies) = (Pairs::default(), Pairs::default());
        for _ in 0..bench.rounds {
            let (now, before) = (sides[0].run(bench.span)?, sides[1].run(bench.span)?);
            rates.push(now.per_second, before.per_second);
            efficiencies.push(now.per_cpu_second, before.per_cpu_second);
        }
        findings.extend(case.findings(engine, &rates, &efficiencies)?);
    }
    Ok(findings)
}

impl Case {
    fn findings(&self, engine: Engine<'_>, rates: &Pairs, efficiencies: &Pairs) -> Result<[Finding; 2]> {
        let what = |unit| format!("versions, {}: {}, per {unit}", engine.name(), self.what);
        let (rate_aim, efficiency_aim) = match engine {
            Engine::Embedded => (Aim::None, self.aim),
            Engine::Mongodb(_) => (self.aim, Aim::None),
        };
        Ok([
            Finding {
                name: self.names.rate,
                what: what("second"),
                measured: rates.ratio()?,
                unit: "",
                aim: rate_aim,
                detail: format!("{:.0}/s, before {:.0}/s", rates.first()?, rates.second()?),
            },
            Finding {
                name: self.names.efficiency,
                what: what("CPU second"),
                measured: efficiencies.ratio()?,
                unit: "",
                aim: efficiency_aim,
                detail: format!("{:.0}/s, before {:.0}/s", efficiencies.first()?, efficiencies.second()?),
            },
        ])
    }
}

/// A running version with one organization that has documents.
struct Version {
    server: Server,
    tenant: Tenant,
}

impl Version {
    fn start(bench: &Bench, engine: Engine<'_>, program: &Path, name: &str, documents: u32) -> Result<Self> {
        let part = format!("versions_{}_{name}", engine.name());
        let server = engine.start_program(bench, program, &part)?;
        let organization = json!({
            "organization_name": "Organization 0", "email": "admin0@example.com", "password": PASSWORD,
        });
        Connection::open(server.address)?.call(&Request::json("POST", "/org/create", None, &organization))?;
        // By its identifier, which an earlier version looked up for each request; by the id it did not.
        let mut tenant = Tenant::sign_in(&server, 0)?;
        "organization-0".clone_into(&mut tenant.id);
        tenant.index()?;
        tenant.fill(documents)?;
        Ok(Self { server, tenant })
    }
}

/// One version, and its requests in a case.
struct Side<'a> {
    server: &'a Server,
    workload: Workload,
}

/// The result of a round.
struct Round {
    per_second: f64,
    /// Per second of processor time of the service alone, without `mongod` and the load.
    per_cpu_second: f64,
}

impl<'a> Side<'a> {
    fn new(version: &'a Version, case: &Case, documents: u32) -> Result<Self> {
        Ok(Self { server: &version.server, workload: case.workload(&version.tenant, documents)? })
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    fn run(&mut self, span: Duration) -> Result<Round> {
        let before = self.server.cpu_seconds()?;
        let rate = self.workload.run(span)?;
        let spent = self.server.cpu_seconds()? - before;
        Ok(Round { per_second: rate.per_second(), per_cpu_second: rate.responses as f64 / spent })
    }
}
