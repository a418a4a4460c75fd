//! A program that prints where it listens: started, waited for, and ended.
//!
//! `xtask` includes this file for the service that it runs clients and suites against.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A child process that listens; killed when dropped.
pub struct Process {
    /// The child.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Kept open: the child would fail to write to a closed one.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// The service that is `program`, on `data_dir` and any free port, without rate limits, with `flags`.
    pub fn service<F: AsRef<OsStr>>(program: &Path, data_dir: &Path, flags: &[F]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(data_dir).args(["--port=0", "--rate-limit=off"]).args(flags);
        Self::start(command)
    }

    /// Starts a program and waits until it listens.
    pub fn start(mut command: Command) -> Result<Self> {
        // Its settings come from the flags alone, and its log is not read.
        command.env_clear().current_dir("/").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start the server")?;
        let mut stdout = BufReader::new(child.stdout.take().context("the server has no output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let url = line.trim().split_once("listens on ").map(|(_, url)| url);
        let address =
            url.and_then(|url| url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")));
        let Some(address) = address else {
            let status = child.wait()?;
            bail!("the server did not start ({status}): {line}");
        };
        Ok(Self { child, address: address.parse()?, _stdout: stdout })
    }

    /// Ends it as a service manager would.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
