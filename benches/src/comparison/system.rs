//! A system with its organizations and documents, started and stopped as the measures need it.

use super::api::{Member, document, text};
use super::peers::{Definition, EVE, Start, eve};
use super::process_tree::ProcessTree;
use crate::client::{Connection, Request};
use crate::server::wait;
use anyhow::{Context, Result, bail, ensure};
use std::cell::Cell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Organizations that have documents.
pub const ORGANIZATIONS: u32 = 10;
/// Documents of a kind, all of which a list returns.
pub const OF_A_KIND: u32 = 20;
/// How long a start may take, of all its processes.
const START_TIMEOUT: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);

/// What all systems share.
pub struct Surroundings<'a> {
    pub service: &'a Path,
    pub target: &'a Path,
    /// Where each has a folder.
    pub directory: &'a Path,
    pub mongodb: &'a str,
    /// The processors there are.
    pub cores: usize,
}

/// A system that was started at least once.
pub struct System<'a> {
    pub definition: &'static Definition,
    surroundings: &'a Surroundings<'a>,
    data: PathBuf,
    processes: Option<ProcessTree>,
    pub address: SocketAddr,
    /// An account of each organization.
    pub members: Vec<Member>,
    /// The documents: the number of the organization, the id, the kind.
    pub documents: Vec<(usize, String, String)>,
    /// The number of the next organization that a measure makes.
    pub next_organization: Cell<u32>,
}

impl<'a> System<'a> {
    /// Starts it and gives it organizations, and documents if it has such.
    pub fn set_up(
        definition: &'static Definition,
        surroundings: &'a Surroundings<'a>,
        documents: u32,
    ) -> Result<Self> {
        if let Some(reason) = definition.missing(surroundings.target) {
            bail!("{reason}");
        }
        let data = surroundings.directory.join(definition.name.to_lowercase().replace(' ', "-"));
        fs::create_dir_all(&data)?;
        let mut system = Self {
            definition,
            surroundings,
            data,
            processes: None,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            members: Vec::new(),
            documents: Vec::new(),
            next_organization: Cell::new(ORGANIZATIONS),
        };
        system.start(surroundings.cores, false)?;
        system.make_organizations()?;
        system.make_documents(documents)?;
        system.ensure_isolated()?;
        Ok(system)
    }

    pub fn name(&self) -> &'static str {
        self.definition.name
    }

    /// Starts it on that many processors, and waits until all of its processes serve.
    pub fn start(&mut self, cores: usize, hashes_on_all: bool) -> Result<()> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let Surroundings { service, target, mongodb, .. } = *self.surroundings;
        let start = Start { service, target, data: &self.data, port, cores, hashes_on_all, mongodb };
        let command = self.definition.command(&start);
        let log = self.data.join("log.txt");
        let mut processes = ProcessTree::start(command, &log)?;
        self.address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let began = Instant::now();
        while let Err(error) = self.probe() {
            processes.ensure_runs().and_then(|()| {
                ensure!(began.elapsed() < START_TIMEOUT, "it does not serve: {error:#}");
                Ok(())
            })?;
            wait(PAUSE);
        }
        self.processes = Some(processes);
        Ok(())
    }

    pub fn stop(&mut self) {
        self.processes = None;
    }

    /// On new connections: several processes share them.
    fn probe(&self) -> Result<()> {
        for _ in 0..4 * self.surroundings.cores {
            let mut connection = Connection::open(self.address)?;
            let (status, _) = connection.respond(&Request::get(self.definition.api.health()))?;
            ensure!(status < 500, "{status}");
        }
        Ok(())
    }

    pub fn processes(&self) -> Result<&ProcessTree> {
        self.processes.as_ref().with_context(|| format!("{} does not run", self.name()))
    }

    fn make_organizations(&mut self) -> Result<()> {
        if self.definition.name == EVE {
            let database = self.definition.database.context("Eve without a database")?;
            self.members = eve::seed(self.surroundings.mongodb, database, ORGANIZATIONS)?;
            return Ok(());
        }
        let api = self.definition.api;
        let mut connection = Connection::open(self.address)?;
        for number in 0..ORGANIZATIONS {
            let create = api.create(number).context("it makes no organizations")?;
            let organization = text(connection.call(&create)?, api.pointers().organization)?;
            self.members.push(Member { organization, token: String::new() });
        }
        self.sign_in_all()?;
        for member in &self.members {
            if let Some(prepare) = api.prepare(member) {
                connection.call(&prepare)?;
            }
        }
        Ok(())
    }

    /// New tokens: the first ones may end before the run does.
    pub fn sign_in_all(&mut self) -> Result<()> {
        let api = self.definition.api;
        let mut connection = Connection::open(self.address)?;
        for (member, number) in self.members.iter_mut().zip(0..) {
            if let Some(sign_in) = api.sign_in(number) {
                member.token = text(connection.call(&sign_in)?, api.pointers().token)?;
            }
        }
        Ok(())
    }

    /// Documents of all organizations, each inserted like any other, on a connection for each organization.
    fn make_documents(&mut self, documents: u32) -> Result<()> {
        let (api, address) = (self.definition.api, self.address);
        let of_each = documents / ORGANIZATIONS;
        let made: Result<Vec<_>> = thread::scope(|scope| {
            let running: Vec<_> = (self.members.iter().enumerate())
                .map(|(number, member)| {
                    scope.spawn(move || -> Result<Vec<(usize, String, String)>> {
                        let mut connection = Connection::open(address)?;
                        let mut made = Vec::new();
                        for document_number in 0..of_each {
                            let kind = format!("k{}", document_number / OF_A_KIND);
                            let Some(insert) = api.insert(member, document(&kind)) else { break };
                            let id = text(connection.call(&insert)?, api.pointers().document)?;
                            made.push((number, id, kind));
                        }
                        Ok(made)
                    })
                })
                .collect();
            running.into_iter().map(|made| made.join().map_err(|_| anyhow::anyhow!("it panicked"))?).collect()
        });
        self.documents = made?.concat();
        Ok(())
    }

    /// Nobody reads the document of another organization: what is compared keeps them apart.
    fn ensure_isolated(&self) -> Result<()> {
        let (Some((number, id, _)), api) = (self.documents.first(), self.definition.api) else {
            return Ok(());
        };
        let stranger = self.members.get(number + 1).context("one organization alone")?;
        let mut connection = Connection::open(self.address)?;
        // In the service the organization is in the path: the stranger's token with the owner's path.
        let owner = &self.members[*number].organization;
        let stranger = Member { organization: owner.clone(), token: stranger.token.clone() };
        let request = api.read(&stranger, id).context("it reads no documents")?;
        let (status, _) = connection.respond(&request)?;
        ensure!((400..500).contains(&status), "{}: a stranger got {status}", self.name());
        Ok(())
    }
}
