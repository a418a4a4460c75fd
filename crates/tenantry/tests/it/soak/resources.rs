//! What a process holds while it runs, and what is left on the disk.
//!
//! The bounds leave room for caches, which are bounded and fill during the warm-up, and for what an allocator keeps of the
//! busiest moment. They are far below a leak: at some 200 requests a second, one kilobyte lost for each would be 30 MB more
//! within the second half of a life of five minutes.

use crate::support::test_env::TestEnv;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const INTERVAL: Duration = Duration::from_secs(1);
/// Resident memory may grow to this many percent of before ..
const MEMORY_PERCENT: u64 = 125;
/// .. and by this much.
const MEMORY_SLACK_KIB: u64 = 24 << 10;
/// Open files of a process beside those of organizations: connections of clients, at most a hundred to MongoDB, the log.
const FILES_SLACK: usize = 160;
/// Open files of an organization: data, log, index of the log.
const FILES_OF_ORGANIZATION: usize = 3;
/// The file of the organization whose documents come and go may grow to this many percent, and by this much.
const DISK_PERCENT: u64 = 150;
const DISK_SLACK_BYTES: u64 = 8 << 20;
/// Records of a change that are kept: operation, audit event, sessions, their indexes. They were 1.3 KiB.
const RECORDS_OF_CHANGE_BYTES: u64 = 4 << 10;

/// Takes samples of a process until it is told to end.
pub struct Samples {
    is_over: Arc<AtomicBool>,
    task: JoinHandle<LifeSamples>,
    id: u32,
}

/// The samples of one life.
#[derive(Default)]
pub struct LifeSamples {
    /// Resident memory, in KiB.
    memory: Vec<u64>,
    /// Open files at the end.
    files: usize,
}

impl Samples {
    pub fn begin(id: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let task = tokio::spawn(async move {
            let mut samples = LifeSamples::default();
            while !over.load(Ordering::SeqCst) {
                samples.memory.extend(resident_kib(id));
                samples.files = open_files(id).unwrap_or(samples.files);
                tokio::time::sleep(INTERVAL).await;
            }
            samples
        });
        Self { is_over, task, id }
    }

    /// The samples until now, while the process is still there.
    pub async fn end(self) -> LifeSamples {
        self.is_over.store(true, Ordering::SeqCst);
        let samples = self.task.await.unwrap();
        assert!(resident_kib(self.id).is_some(), "the service has ended by itself");
        samples
    }
}

fn resident_kib(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn open_files(id: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{id}/fd")).ok()?.count())
}

/// The bytes of the files below `directory` whose path `is_meant`.
fn disk_bytes(directory: &Path, is_meant: &dyn Fn(&str) -> bool) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().map_while(Result::ok);
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => disk_bytes(&entry.path(), is_meant),
            Ok(_) if is_meant(&entry.path().to_string_lossy()) => {
                entry.metadata().map_or(0, |data| data.len())
            }
            _ => 0,
        })
        .sum()
}

/// What a life held, and what was left after it.
struct Held {
    memory_after_warm_up: u64,
    memory_at_end: u64,
    files: usize,
    /// Containers on the disk.
    containers: usize,
    documents_bytes: u64,
    control_bytes: u64,
    changes: usize,
}

/// Life after life.
#[derive(Default)]
pub struct Growth {
    lives: Vec<Held>,
    is_on_disk: bool,
}

impl Growth {
    /// Adds a life, once the service has been stopped cleanly.
    pub fn add(&mut self, samples: &LifeSamples, test_env: &TestEnv, organization: &str, changes: usize) {
        let count = samples.memory.len();
        let data = test_env.data_dir();
        self.is_on_disk = test_env.database().is_none();
        let held = Held {
            memory_after_warm_up: median(&samples.memory[count * 2 / 5..=count * 3 / 5]),
            memory_at_end: median(&samples.memory[count * 4 / 5..]),
            files: samples.files,
            containers: count_files(&data.join("containers")),
            documents_bytes: disk_bytes(&data, &|path| path.contains(organization)),
            control_bytes: disk_bytes(&data, &|path| path.contains("control.db")),
            changes,
        };
        println!(
            "  memory {} MiB after warm-up, {} MiB at the end; {} open files; documents {} KiB, records {} KiB",
            held.memory_after_warm_up >> 10,
            held.memory_at_end >> 10,
            held.files,
            held.documents_bytes >> 10,
            held.control_bytes >> 10,
        );
        self.lives.push(held);
    }

    /// Expects nothing to have grown without documents.
    pub fn assert_bounded(&self) {
        let first = &self.lives[0];
        let memory = |before: u64| before * MEMORY_PERCENT / 100 + MEMORY_SLACK_KIB;
        for (number, held) in (1..).zip(&self.lives) {
            let at_end = held.memory_at_end;
            assert!(
                at_end <= memory(held.memory_after_warm_up),
                "life {number}: memory grows to {at_end} KiB"
            );
            assert!(
                at_end <= memory(first.memory_at_end),
                "life {number}: {at_end} KiB, more than in the first"
            );
            let files = FILES_SLACK + FILES_OF_ORGANIZATION * (held.containers + 1);
            assert!(held.files <= files, "life {number}: {} open files, at most {files}", held.files);
            if self.is_on_disk {
                let documents = first.documents_bytes * DISK_PERCENT / 100 + DISK_SLACK_BYTES;
                assert!(held.documents_bytes <= documents, "life {number}: {} bytes", held.documents_bytes);
                let changes = (held.changes - first.changes) as u64;
                let records = first.control_bytes + DISK_SLACK_BYTES + changes * RECORDS_OF_CHANGE_BYTES;
                assert!(
                    held.control_bytes <= records,
                    "life {number}: records of {} bytes",
                    held.control_bytes
                );
            }
        }
    }
}

fn count_files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().map_while(Result::ok);
    entries.map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 }).sum()
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
