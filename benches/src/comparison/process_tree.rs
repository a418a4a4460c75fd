//! A program with the processes it starts: what they use, and their end.

use crate::server::wait;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Processor time is counted in hundredths of a second on every processor (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// How long it may take to end before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A running program; ended when dropped.
pub struct ProcessTree {
    root: Child,
}

impl ProcessTree {
    /// Starts a program, whose output goes to `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let root = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { root })
    }

    /// Fails if its first process has ended.
    pub fn ensure_runs(&mut self) -> Result<()> {
        let ended = self.root.try_wait()?;
        ensure!(ended.is_none(), "it ended with {}", ended.unwrap_or_default());
        Ok(())
    }

    /// Processor time of all its processes so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.pids().into_iter().filter_map(|pid| Some(Stat::of(pid)?.ticks / TICKS_PER_SECOND)).sum()
    }

    /// Memory of all its processes, in MB; what several share counts once (PSS).
    pub fn memory(&self) -> f64 {
        let kibibytes: f64 = self.pids().into_iter().filter_map(proportional_set).sum();
        kibibytes * 1024.0 / 1e6
    }

    /// Its processes: the first one, and all that descend from it.
    fn pids(&self) -> HashSet<u32> {
        let all: Vec<(u32, Stat)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, Stat::of(pid)?)))
            .collect();
        let mut found = HashSet::from([self.root.id()]);
        loop {
            let before = found.len();
            let children = all.iter().filter(|(_, stat)| found.contains(&stat.parent)).map(|(pid, _)| *pid);
            let children: Vec<u32> = children.collect();
            found.extend(children);
            if found.len() == before {
                return found;
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        let pids = self.pids();
        kill_process(Pid::from_child(&self.root), Signal::TERM)?;
        let began = Instant::now();
        while self.root.try_wait()?.is_none() && began.elapsed() < END_TIMEOUT {
            wait(PAUSE);
        }
        // Those that it has not ended itself. It is killed last, so that none of the numbers belongs to somebody else.
        for pid in pids.into_iter().filter(|pid| *pid != self.root.id()) {
            if Stat::of(pid).is_some_and(|stat| stat.parent == self.root.id() || stat.parent == 1)
                && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.root.kill();
        self.root.wait()?;
        Ok(())
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.end();
    }
}

/// What the system says of a process.
struct Stat {
    parent: u32,
    ticks: f64,
}

impl Stat {
    /// Nothing of one that has ended.
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may hold spaces. The first one after it is field 3.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks: ticks(11)? + ticks(12)? })
    }
}

fn proportional_set(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
