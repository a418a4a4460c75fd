//! The credentials of a backend, to the token of somebody who signed in.

use super::Side;
use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::documents::{lines, unnamed};
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use crate::tenant::Tenant;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Documents there are.
const DOCUMENTS: u32 = 10_000;
/// Different documents that are inserted one by one.
const INSERTED: u32 = 1_000;

/// All of them on one server, which takes turns.
pub fn measure(bench: &Bench, engine: Engine<'_>) -> Result<Vec<Finding>> {
    let part = format!("access_{}", engine.name());
    engine.seed(bench, &part, 1)?;
    let server = engine.start(bench, &part)?;
    let session = Tenant::sign_in(&server, 0)?;
    session.fill(DOCUMENTS)?;
    let service_key = service_key(&server, &engine.operator_key(bench, &part)?)?;
    let exchange = exchange(&session, &service_key);
    let exchanged = text(&server, &exchange, "access_token")?;
    let key = text(&server, &session.new_key(), "key")?;
    let mut findings = Vec::new();
    for (names, what, token) in [
        (["access_embedded_key", "access_mongodb_key"], "an API key", key),
        (["access_embedded_exchanged", "access_mongodb_exchanged"], "an exchanged token", exchanged),
    ] {
        let reads = session.with_token(&token).reads(DOCUMENTS);
        let mut other = Side::new(bench, &server, reads)?;
        let mut by_session = Side::new(bench, &server, session.reads(DOCUMENTS))?;
        let mut costs = Pairs::default();
        for _ in 0..bench.rounds {
            costs.push(other.run(bench)?.1, by_session.run(bench)?.1);
        }
        findings.push(Finding {
            name: engine.pick(names),
            what: format!("access, {}: processor time of a read with {what}, to a session's", engine.name()),
            measured: costs.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.1),
            detail: format!("{:.1} µs, {:.1} µs", costs.first()?, costs.second()?),
        });
    }
    let mut exchanges = Side::new(bench, &server, vec![exchange])?;
    let mut inserts = Side::new(bench, &server, session.inserts(&lines(DOCUMENTS, INSERTED, unnamed)))?;
    let mut rates = Pairs::default();
    for _ in 0..bench.rounds {
        rates.push(exchanges.run(bench)?.0.per_second(), inserts.run(bench)?.0.per_second());
    }
    findings.push(Finding {
        name: engine.pick(["access_embedded_exchanges", "access_mongodb_exchanges"]),
        what: format!("access, {}: exchanges per second, to single inserts", engine.name()),
        measured: rates.ratio()?,
        unit: "",
        aim: Aim::AtLeast(0.8),
        detail: format!("{:.0}/s, {:.0}/s", rates.first()?, rates.second()?),
    });
    Ok(findings)
}

fn service_key(server: &Server, operator_key: &str) -> Result<String> {
    let body = json!({ "name": "bench", "permissions": ["tokens:issue", "documents:read"] });
    text(server, &Request::json("POST", "/v1/keys", Some(operator_key), &body), "key")
}

fn exchange(tenant: &Tenant, service_key: &str) -> Request {
    let path = format!("/v1/organizations/{}/tokens", tenant.id);
    let body = json!({ "permissions": ["documents:read"], "expires_in": 3600 });
    Request::json("POST", &path, Some(service_key), &body)
}

/// That member of the answer.
fn text(server: &Server, request: &Request, member: &str) -> Result<String> {
    let mut connection = Connection::open(server.address)?;
    let answer: Value = serde_json::from_slice(connection.call(request)?)?;
    answer[member].as_str().map(str::to_owned).context("an answer without it")
}
