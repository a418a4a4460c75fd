//! A running server, and what the system knows of its process.

use super::Bench;
use super::client::Connection;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Processor time is counted in hundredths of a second, whatever the processor (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process is watched to see whether it rests.
const REST_WATCH: Duration = Duration::from_millis(250);
/// For how long it may work after its start.
const REST_PATIENCE: Duration = Duration::from_secs(120);

/// A child process that listens; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub first_answer: Duration,
    /// Kept open: a closed one would stop what writes to it.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// The service on `data_dir`, without rate limits, with `flags`.
    pub fn service(bench: &Bench, data_dir: &Path, flags: &[&str]) -> Result<Self> {
        Self::program(&bench.programs.service, data_dir, flags)
    }

    /// The service that is `program`, likewise.
    pub fn program<F: AsRef<OsStr>>(program: &Path, data_dir: &Path, flags: &[F]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(data_dir).args(["--port=0", "--rate-limit=off"]).args(flags);
        Self::start(command, "/health")
    }

    /// A bare axum route at `/org/get` that answers `body`.
    pub fn bare(bench: &Bench, body: &str) -> Result<Self> {
        let mut command = Command::new(&bench.programs.helper);
        command.arg("bare").arg(body);
        Self::start(command, "/org/get")
    }

    /// A route that keeps documents in `file` with SQLite and nothing else.
    pub fn documents_route(bench: &Bench, file: &Path) -> Result<Self> {
        let mut command = Command::new(&bench.programs.helper);
        command.arg("documents-route").arg(file);
        Self::start(command, "/health")
    }

    fn start(mut command: Command, probe: &str) -> Result<Self> {
        let began = Instant::now();
        // Nothing from outside decides on its settings, and nobody reads its log.
        command.env_clear().current_dir("/").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start the server")?;
        let mut stdout = BufReader::new(child.stdout.take().context("the server has no output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some((_, address)) = line.trim().split_once("listens on http://") else {
            let status = child.wait()?;
            anyhow::bail!("the server did not start ({status}): {line}");
        };
        let address = address.parse()?;
        Connection::open(address)?.get(probe)?;
        Ok(Self { child, address, first_answer: began.elapsed(), _stdout: stdout })
    }

    /// Ends it as a service manager would.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
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

    /// Begins [`Self::peak_memory`] anew.
    pub fn forget_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Files and sockets it has open.
    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Waits until it uses no processor time any more: what it does by itself after a start is over.
    pub fn rest(&self) -> Result<()> {
        let began = Instant::now();
        let mut before = self.cpu_seconds()?;
        while began.elapsed() < REST_PATIENCE {
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
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("{path} (the benchmark needs Linux)"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets `span` pass: waits for a message that nobody sends.
pub fn wait(span: Duration) {
    let (_sender, receiver): (_, Receiver<()>) = channel();
    let _ = receiver.recv_timeout(span);
}
