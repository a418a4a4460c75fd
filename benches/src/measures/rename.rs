//! Renames of an organization with few documents and of one with many.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::documents::fill_embedded;
use crate::data::organizations::{PASSWORD, seed_embedded};
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::{Pairs, median};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tenantry_domain::ids::OrganizationId;

pub const FEW: u32 = 1_000;
pub const MANY: u32 = 1_000_000;
/// Renames of each in a round.
pub const RENAMES: u32 = 15;

/// The containers are filled while the service is stopped.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let many = MANY / bench.shrink;
    let server = fill(bench, "rename", &[FEW, many])?;
    let times = rename_in_turns(bench, &server, many)?;
    server.stop()?;
    Ok(vec![Finding {
        name: "rename",
        what: format!("rename: time with {many} documents, to that with {FEW}"),
        measured: times.ratio()?,
        unit: "",
        aim: Aim::AtMost(1.3),
        detail: format!("{:.2} ms, {:.2} ms", times.first()?, times.second()?),
    }])
}

/// The service on the embedded engine, with an organization for each number of documents.
pub fn fill(bench: &Bench, name: &str, documents: &[u32]) -> Result<Server> {
    let data_dir = bench.directory.path().join(name);
    seed_embedded(&data_dir, documents.len() as u32)?;
    let ids = organization_ids(bench, &data_dir, documents.len())?;
    for (id, count) in ids.into_iter().zip(documents) {
        fill_embedded(&data_dir, id, *count)?;
    }
    let server = Server::service(bench, &data_dir, &[])?;
    server.rest()?;
    Ok(server)
}

/// Renames the second organization, which has `many` documents, and the first, which has [`FEW`], in turns; the
/// milliseconds that took.
pub fn rename_in_turns(bench: &Bench, server: &Server, many: u32) -> Result<Pairs> {
    let mut large = RenameTarget::sign_in(server, 1, many)?;
    let mut small = RenameTarget::sign_in(server, 0, FEW)?;
    let mut times = Pairs::default();
    for _ in 0..bench.rounds {
        let mut round = Vec::new();
        for _ in 0..RENAMES {
            round.push((large.rename()?, small.rename()?));
        }
        let (large, small): (Vec<f64>, Vec<f64>) = round.into_iter().unzip();
        times.push(median(large)?, median(small)?);
    }
    Ok(times)
}

fn organization_ids(bench: &Bench, data_dir: &Path, count: usize) -> Result<Vec<OrganizationId>> {
    let server = Server::service(bench, data_dir, &[])?;
    let mut connection = Connection::open(server.address)?;
    let mut id = |number: usize| {
        let body = connection.get(&format!("/org/get?organization_name=Organization%20{number}"))?;
        anyhow::Ok(text(&serde_json::from_slice(body)?, "id")?.parse::<OrganizationId>()?)
    };
    let ids = (0..count).map(&mut id).collect::<Result<_>>()?;
    server.stop()?;
    Ok(ids)
}

/// An organization that is renamed again and again.
pub struct RenameTarget {
    connection: Connection,
    token: String,
    number: u32,
    documents: u32,
    renames: u32,
}

impl RenameTarget {
    pub fn sign_in(server: &Server, number: u32, documents: u32) -> Result<Self> {
        let mut connection = Connection::open(server.address)?;
        let login = json!({ "email": format!("admin{number}@example.com"), "password": PASSWORD });
        let grant = connection.call(&Request::json("POST", "/admin/login", None, &login))?;
        let token = text(&serde_json::from_slice(grant)?, "access_token")?;
        Ok(Self { connection, token, number, documents, renames: 0 })
    }

    /// Gives it another name; how long that took, in milliseconds.
    pub fn rename(&mut self) -> Result<f64> {
        self.renames += 1;
        let name = json!({ "organization_name": format!("Renamed {} {}", self.number, self.renames) });
        let request = Request::json("PUT", "/org/update", Some(&self.token), &name);
        let began = Instant::now();
        let response = self.connection.call(&request)?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        let migrated = &serde_json::from_slice::<Value>(response)?["documents_migrated"];
        ensure!(*migrated == self.documents, "{migrated} documents instead of {}", self.documents);
        Ok(took)
    }
}

fn text(response: &Value, field: &str) -> Result<String> {
    Ok(response[field].as_str().with_context(|| format!("a response without {field}"))?.to_owned())
}
