//! A node with a hundred thousand organizations, against one with a hundred.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::data::STRIDE;
use crate::data::organizations::{PASSWORD, seed_embedded};
use crate::load::Load;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::{Pairs, median};
use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};

const FEW: u32 = 100;
const MANY: u32 = 100_000;
/// Lookups of a round that are timed one by one.
const LOOKUPS: usize = 2_000;
/// Organizations made in a round.
const CREATES: u32 = 15;
/// Connections of the lookups that come all at once.
const CONNECTIONS: usize = 64;

/// Both services run throughout and take turns.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let many = MANY / bench.shrink;
    let mut large = Node::start(bench, "many", many)?;
    let mut small = Node::start(bench, "few", FEW)?;
    let (mut lookups, mut creates, mut crowds) = (Pairs::default(), Pairs::default(), Pairs::default());
    // Every organization has been asked for, and all memory that may be used for them is.
    for node in [&mut large, &mut small] {
        node.look_up_all()?;
    }
    for round in 0..bench.rounds {
        lookups.push(large.look_up(round)?, small.look_up(round)?);
        crowds.push(large.look_up_at_once(bench.span)?, small.look_up_at_once(bench.span)?);
        creates.push(large.create()?, small.create()?);
    }
    let files = (large.open_files()?, small.open_files()?);
    let memory = large.server.peak_memory()?;
    let start = large.restart(bench)?;
    let to = |what: &str| format!("scale: {what} with {many} organizations, to {FEW}");
    let with = |what: &str| format!("scale: {what} with {many} organizations");
    Ok(vec![
        Finding {
            name: "scale_get",
            what: to("get"),
            measured: lookups.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.2),
            detail: format!("{:.1} µs, {:.1} µs", lookups.first()?, lookups.second()?),
        },
        Finding {
            name: "scale_get_busy",
            what: to(&format!("get, {CONNECTIONS} at once,")),
            measured: crowds.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.2),
            detail: format!("{:.1} µs, {:.1} µs", crowds.first()?, crowds.second()?),
        },
        Finding {
            name: "scale_create",
            what: to("create"),
            measured: creates.ratio()?,
            unit: "",
            aim: Aim::AtMost(1.2),
            detail: format!("{:.1} ms, {:.1} ms", creates.first()?, creates.second()?),
        },
        Finding {
            name: "scale_start",
            what: with("start to first answer"),
            measured: start,
            unit: "ms",
            aim: Aim::AtMost(200.0),
            detail: String::new(),
        },
        Finding {
            name: "scale_memory",
            what: with("the most memory"),
            measured: memory,
            unit: "MB",
            aim: Aim::AtMost(150.0),
            detail: format!("{:.0} MB with {FEW}", small.server.peak_memory()?),
        },
        Finding {
            name: "scale_files",
            what: to("open files more"),
            measured: files.0 - files.1,
            unit: "",
            aim: Aim::AtMost(0.0),
            detail: format!("{} and {} are open", files.0, files.1),
        },
    ])
}

/// A service with many organizations or few.
struct Node {
    server: Server,
    data_dir: std::path::PathBuf,
    connection: Connection,
    load: Load,
    lookups: Vec<Request>,
    created: u32,
}

impl Node {
    fn start(bench: &Bench, name: &str, organizations: u32) -> Result<Self> {
        let data_dir = bench.directory.path().join(name);
        seed_embedded(&data_dir, organizations)?;
        let server = Server::service(bench, &data_dir, &[])?;
        // After a start it looks through its files.
        server.rest()?;
        let count = organizations as usize;
        let lookup = |number: usize| {
            let number = number * STRIDE as usize % count;
            Request::get(&format!("/org/get?organization_name=Organization%20{number}"))
        };
        Ok(Self {
            connection: Connection::open(server.address)?,
            load: Load::open(server.address, 1, CONNECTIONS)?,
            lookups: (0..count).map(lookup).collect(),
            server,
            data_dir,
            created: 0,
        })
    }

    fn look_up_all(&mut self) -> Result<()> {
        self.lookups.iter().try_for_each(|request| self.connection.call(request).map(|_| ()))
    }

    /// The median time of one lookup after the other, in microseconds.
    fn look_up(&mut self, round: usize) -> Result<f64> {
        let mut times = Vec::with_capacity(LOOKUPS);
        for request in self.lookups.iter().cycle().skip(round * LOOKUPS).take(LOOKUPS) {
            let began = Instant::now();
            self.connection.call(request)?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        median(times)
    }

    /// The time per lookup when many come at once, in microseconds.
    fn look_up_at_once(&mut self, span: Duration) -> Result<f64> {
        Ok(1e6 / self.load.run(&self.lookups, span)?.per_second())
    }

    /// The median time of making an organization, in milliseconds.
    fn create(&mut self) -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..CREATES {
            self.created += 1;
            let number = self.created;
            let body = json!({
                "organization_name": format!("Created {number}"),
                "email": format!("created{number}@example.com"),
                "password": PASSWORD,
            });
            let request = Request::json("POST", "/org/create", None, &body);
            let began = Instant::now();
            self.connection.call(&request)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        median(times)
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of files")]
    fn open_files(&self) -> Result<f64> {
        Ok(self.server.open_files()? as f64)
    }

    /// Stops it and starts it again, several times; the median time to its first response, in milliseconds.
    fn restart(self, bench: &Bench) -> Result<f64> {
        let Self { mut server, data_dir, .. } = self;
        let mut times = Vec::new();
        for _ in 0..bench.rounds {
            server.stop()?;
            server = Server::service(bench, &data_dir, &[])?;
            times.push(server.first_response.as_secs_f64() * 1e3);
        }
        median(times)
    }
}
