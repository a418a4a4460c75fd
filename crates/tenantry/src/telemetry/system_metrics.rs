//! What the system tells about this process and its disk: as Linux tells it, and 0 elsewhere.
//!
//! It is read in the background: with many open files that takes milliseconds, and a scrape must not wait for a disk.

use metrics::{counter, gauge};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory of the process that is in use.
pub const PROCESS_RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
/// Memory that the process has reserved.
pub const PROCESS_VIRTUAL_MEMORY: &str = "process_virtual_memory_bytes";
/// Processor time of the process.
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
/// How the line with its value begins.
const CPU_SAMPLE: &str = "\nprocess_cpu_seconds_total ";
/// Open files of the process.
pub const PROCESS_OPEN_FDS: &str = "process_open_fds";
/// How many files the process may have open.
pub const PROCESS_MAX_FDS: &str = "process_max_fds";
/// Bytes free on the disk of the data directory.
pub const DISK_FREE: &str = "data_disk_free_bytes";
/// Bytes of the disk of the data directory.
pub const DISK_SIZE: &str = "data_disk_size_bytes";
/// Bytes of the write-ahead logs that are open.
pub const WAL_SIZE: &str = "store_wal_bytes";

/// How often it is read.
const INTERVAL: Duration = Duration::from_secs(15);

/// Reads it at intervals; `data_dir` is that of the embedded engine. Never returns.
pub async fn refresh(data_dir: Option<PathBuf>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let data_dir = data_dir.clone();
        let _ = tokio::task::spawn_blocking(move || record(data_dir.as_deref())).await;
    }
}

/// Reads the memory and the processor time, which costs next to nothing.
pub fn record_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, field) in [(PROCESS_RESIDENT_MEMORY, "VmRSS:"), (PROCESS_VIRTUAL_MEMORY, "VmSize:")] {
        if let Some(bytes) = bytes_of(&status, field) {
            gauge!(name).set(bytes);
        }
    }
    counter!(PROCESS_CPU).absolute(processor_time().as_secs());
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds)
}

/// The text of all metrics, with the processor time in fractions of a second: counters of the recorder are whole numbers,
/// and in steps of a second a rate over some scrapes says little.
pub fn with_fractions(text: String) -> String {
    let Some(at) = text.find(CPU_SAMPLE).map(|at| at + CPU_SAMPLE.len()) else { return text };
    let (before, sample) = text.split_at(at);
    let after = sample.find('\n').map_or("", |end| &sample[end..]);
    format!("{before}{:.3}{after}", processor_time().as_secs_f64())
}

fn bytes_of(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of disks and files are below 2^52 in all that matters")]
fn record(data_dir: Option<&Path>) {
    record_process();
    let open = OpenFiles::count();
    gauge!(PROCESS_OPEN_FDS).set(open.count as f64);
    gauge!(WAL_SIZE).set(open.wal_bytes as f64);
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        gauge!(PROCESS_MAX_FDS).set(limit as f64);
    }
    if let Some(disk) = data_dir.and_then(|path| rustix::fs::statvfs(path).ok()) {
        gauge!(DISK_FREE).set((disk.f_bavail * disk.f_frsize) as f64);
        gauge!(DISK_SIZE).set((disk.f_blocks * disk.f_frsize) as f64);
    }
}

/// The open files of this process.
#[derive(Debug, Default, PartialEq, Eq)]
struct OpenFiles {
    count: u64,
    wal_bytes: u64,
}

impl OpenFiles {
    fn count() -> Self {
        let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Self::default() };
        let (mut count, mut logs) = (0, HashSet::new());
        for entry in entries.flatten() {
            count += 1;
            // SQLite calls the write-ahead log of a file so. Each connection has it open.
            let path = std::fs::read_link(entry.path()).unwrap_or_default();
            if path.as_os_str().as_encoded_bytes().ends_with(b"-wal") {
                logs.insert(path);
            }
        }
        let sizes = logs.iter().filter_map(|path| path.metadata().ok());
        Self { count, wal_bytes: sizes.map(|file| file.len()).sum() }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_reported() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let bytes = bytes_of(&status, "VmRSS:").unwrap();
        assert!((1e6..1e11).contains(&bytes), "{bytes}");
    }

    #[test]
    fn processor_time_has_fractions_of_a_second() {
        let text =
            "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 7\n\nother 7\n".to_owned();
        let began = processor_time().as_secs_f64();
        let text = with_fractions(text);
        let (_, sample) = text.split_once(CPU_SAMPLE).unwrap();
        let (value, rest) = sample.split_once('\n').unwrap();
        assert_eq!((value.split_once('.').unwrap().1.len(), rest), (3, "\nother 7\n"), "{text}");
        let value: f64 = value.parse().unwrap();
        assert!((began - 0.001..=processor_time().as_secs_f64() + 0.001).contains(&value), "{value} {began}");
        assert_eq!(with_fractions("other 7\n".to_owned()), "other 7\n");
    }

    #[test]
    fn write_ahead_log_counts_once_however_often_it_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.db-wal");
        std::fs::write(&path, [0; 1000]).unwrap();
        let before = OpenFiles::count();
        let open = [std::fs::File::open(&path).unwrap(), std::fs::File::open(&path).unwrap()];
        let after = OpenFiles::count();
        assert_eq!(after.wal_bytes - before.wal_bytes, 1000);
        assert!(after.count > 3);
        drop(open);
    }
}
