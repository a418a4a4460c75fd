//! What the file system says of a database and its log: two that are equal, and not too fresh, mean that nothing was
//! written in between.

use crate::inspect::beside;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How long after a change another one may leave the same time behind: the ticks of the kernel's clock.
const TICK_NANOSECONDS: i64 = 100_000_000;
/// The same where the file system keeps whole seconds.
const COARSE_TICK_NANOSECONDS: i64 = 2_100_000_000;

/// A file, by number, size, and times of its last changes in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stat(u64, u64, i64, i64);

/// The state of a database and its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    database: Stat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<Stat>,
    /// Whether a process may have it open.
    #[serde(skip)]
    is_open: bool,
}

impl FileState {
    /// The state of `file`; `None` if there is no such file.
    pub(super) fn of(file: &Path) -> io::Result<Option<Self>> {
        let Some(database) = stat(file)? else { return Ok(None) };
        let log = stat(&beside(file, "-wal"))?.filter(|log| log.1 > 0);
        Ok(Some(Self { database, log, is_open: stat(&beside(file, "-shm"))?.is_some() }))
    }

    /// Whether a process may have the file open: it has an index of the log.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a change after this state was read would show in it.
    pub(super) fn shows_changes_after(&self, now: Timestamp) -> bool {
        let is_old = |stat: &Stat| {
            let changed = stat.2.max(stat.3);
            let tick = if changed % 1_000_000_000 == 0 { COARSE_TICK_NANOSECONDS } else { TICK_NANOSECONDS };
            now.as_nanosecond() - i128::from(changed) > i128::from(tick)
        };
        is_old(&self.database) && self.log.as_ref().is_none_or(is_old)
    }

    /// Whether nothing was written between the two.
    #[must_use]
    pub fn is_unchanged_since(&self, earlier: &Self) -> bool {
        self.database == earlier.database && self.log == earlier.log
    }
}

fn stat(file: &Path) -> io::Result<Option<Stat>> {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    match fs::metadata(file) {
        Ok(meta) => Ok(Some(Stat(
            meta.ino(),
            meta.len(),
            nanoseconds(meta.mtime(), meta.mtime_nsec()),
            nanoseconds(meta.ctime(), meta.ctime_nsec()),
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
