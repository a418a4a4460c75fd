//! The programs that are measured, built as they are released.

use crate::shell::{command, output, run as sh, target_directory};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where the programs are.
pub struct Programs {
    /// The service.
    pub service: PathBuf,
    /// What it is compared with: the example `bench` of the server's package.
    pub helper: PathBuf,
    target: PathBuf,
}

impl Programs {
    /// Builds both as they are shipped.
    pub fn build() -> Result<Self> {
        let arguments = "build --profile dist --locked --package tenantry --bin tenantry --example bench \
            --message-format json-render-diagnostics";
        let build = command("cargo", &arguments.split_ascii_whitespace().collect::<Vec<_>>());
        println!("$ cargo build --profile dist");
        let messages = String::from_utf8(output(build)?)?;
        let artifacts: Vec<Value> = messages.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self {
            service: executable(&artifacts, "tenantry")?,
            helper: executable(&artifacts, "bench")?,
            target: target_directory()?,
        })
    }

    /// The directory that cargo builds into.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes `count` organizations in `data_dir`, with `Organization {n}` and `admin{n}@example.com`, n from 0.
    pub fn seed(&self, data_dir: &Path, count: u32) -> Result<()> {
        let count = count.to_string();
        sh(command(&self.helper, &["seed".as_ref(), data_dir.as_os_str(), count.as_ref()]))
    }

    /// Puts documents into the container of that organization; the service must not run.
    pub fn fill(&self, data_dir: &Path, organization: &str, documents: u32) -> Result<()> {
        let documents = documents.to_string();
        let arguments = ["fill".as_ref(), data_dir.as_os_str(), organization.as_ref(), documents.as_ref()];
        sh(command(&self.helper, &arguments))
    }

    /// So many documents from that number on, a line of JSON each; with an `_id` if they are to be named.
    pub fn lines(&self, first: u32, count: u32, named: bool) -> Result<String> {
        let (first, count) = (first.to_string(), count.to_string());
        let mut arguments = vec!["lines", &first, &count];
        if named {
            arguments.push("--named");
        }
        self.help(&arguments)
    }

    /// Carries out a command of the helper; what it prints.
    pub fn help(&self, arguments: &[&str]) -> Result<String> {
        let mut help = command(&self.helper, arguments);
        help.stderr(Stdio::inherit());
        Ok(String::from_utf8(output(help)?)?.trim().to_owned())
    }

    /// Passwords per second that `threads` threads check with nothing around them.
    pub fn hashes(&self, threads: usize, milliseconds: u128) -> Result<f64> {
        let arguments = ["hashes".to_owned(), threads.to_string(), milliseconds.to_string()];
        let mut hashes = command(&self.helper, &arguments);
        hashes.stderr(Stdio::inherit());
        Ok(String::from_utf8(output(hashes)?)?.trim().parse()?)
    }
}

/// The path that cargo names for the program `name`.
fn executable(artifacts: &[Value], name: &str) -> Result<PathBuf> {
    let found = artifacts.iter().find_map(|artifact| {
        let path = artifact["executable"].as_str()?;
        (artifact["target"]["name"] == name).then(|| PathBuf::from(path))
    });
    found.with_context(|| format!("cargo built no program `{name}`"))
}

/// The password of every seeded admin, as the example `bench` sets it.
pub const PASSWORD: &str = "correct horse battery staple";
