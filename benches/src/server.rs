//! A running server, and what the system reports about its process.

use crate::Bench;
use crate::client::Connection;
use crate::process::Process;
use anyhow::{Context, Result};
use rustls::ClientConfig;
use std::env::current_exe;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, io};

/// Processor time is counted in hundredths of a second on every processor (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process is watched to see whether it rests.
const REST_WATCH: Duration = Duration::from_millis(250);
/// How long it may work after its start.
const REST_TIMEOUT: Duration = Duration::from_secs(120);

/// A child process that listens; killed when dropped.
pub struct Server {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first response.
    pub first_response: Duration,
}

impl Server {
    /// The service on `data_dir`, without rate limits, with `flags`.
    pub fn service(bench: &Bench, data_dir: &Path, flags: &[&str]) -> Result<Self> {
        Self::program(&bench.service, data_dir, flags)
    }

    /// The service that is `program`, likewise.
    pub fn program<F: AsRef<OsStr>>(program: &Path, data_dir: &Path, flags: &[F]) -> Result<Self> {
        Self::wait_for("/health", None, || Process::service(program, data_dir, flags))
    }

    /// The service on `data_dir`, which `flags` make speak TLS, for a client with that configuration.
    pub fn service_by_tls(
        bench: &Bench,
        data_dir: &Path,
        flags: &[&str],
        tls: &Arc<ClientConfig>,
    ) -> Result<Self> {
        Self::wait_for("/health", Some(tls), || Process::service(&bench.service, data_dir, flags))
    }

    /// A bare axum route at `/org/get` that returns `body`.
    pub fn bare(body: &str) -> Result<Self> {
        Self::baseline("/org/get", "bare", body.as_ref())
    }

    /// A route that keeps documents in `file` with SQLite and nothing else.
    pub fn documents_route(file: &Path) -> Result<Self> {
        Self::baseline("/health", "documents", file.as_ref())
    }

    /// A route that looks organizations up in that control database.
    pub fn organizations(file: &Path) -> Result<Self> {
        Self::baseline("/health", "organizations", file.as_ref())
    }

    fn baseline(probe: &str, command: &str, argument: &OsStr) -> Result<Self> {
        let mut baseline = Command::new(current_exe()?);
        baseline.arg(command).arg(argument);
        Self::wait_for(probe, None, || Process::start(baseline))
    }

    fn wait_for(
        probe: &str,
        tls: Option<&Arc<ClientConfig>>,
        start: impl FnOnce() -> Result<Process>,
    ) -> Result<Self> {
        let began = Instant::now();
        let process = start()?;
        let address = process.address;
        Connection::open_by(address, tls)?.get(probe)?;
        Ok(Self { process, address, first_response: began.elapsed() })
    }

    /// Ends it as a service manager would.
    pub fn stop(self) -> Result<()> {
        self.process.stop()
    }

    /// Processor time it has used so far, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        // The second field is the program's name in parentheses and may hold spaces.
        let (_, fields) = stat.rsplit_once(')').context("an unreadable stat")?;
        let field = |index: usize| -> Result<f64> {
            Ok(fields.split_ascii_whitespace().nth(index).context("a short stat")?.parse()?)
        };
        // Fields 14 and 15, `utime` and `stime`; what is left begins with field 3.
        Ok((field(11)? + field(12)?) / TICKS_PER_SECOND)
    }

    /// Memory in use, in MB.
    pub fn memory(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory that was in use since the start or the last [`Self::forget_peak`], in MB.
    pub fn peak_memory(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    /// Starts [`Self::peak_memory`] again.
    pub fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.process.child.id()), "5")?)
    }

    /// Files and sockets it has open.
    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.process.child.id()))?.count())
    }

    /// Waits until it uses no processor time any more: what it does by itself after a start is over.
    pub fn rest(&self) -> Result<()> {
        let began = Instant::now();
        let mut before = self.cpu_seconds()?;
        while began.elapsed() < REST_TIMEOUT {
            wait(REST_WATCH);
            let now = self.cpu_seconds()?;
            if now - before < 1.5 / TICKS_PER_SECOND {
                return Ok(());
            }
            before = now;
        }
        anyhow::bail!("the server does not come to rest")
    }

    fn status(&self, name: &str) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a short status")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.process.child.id());
        fs::read_to_string(&path).with_context(|| format!("{path} (the benchmark needs Linux)"))
    }
}

/// Lets `span` pass: waits for a message that is never sent.
pub fn wait(span: Duration) {
    let (_sender, receiver): (_, Receiver<()>) = channel();
    let _ = receiver.recv_timeout(span);
}

/// What the files below a directory take, with their directories.
#[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
pub fn megabytes(directory: &Path) -> Result<f64> {
    fn bytes(path: &Path) -> io::Result<u64> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Ok(metadata.len());
        }
        fs::read_dir(path)?.try_fold(metadata.len(), |sum, entry| Ok(sum + bytes(&entry?.path())?))
    }
    Ok(bytes(directory)? as f64 / 1e6)
}
