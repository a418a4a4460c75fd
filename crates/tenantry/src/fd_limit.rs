//! File descriptors: raises the limit of the process as far as allowed, and reserves some for the service
//! itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Reserved for the engine's files, the listener and the log. The embedded engine keeps 64 containers open,
/// each with a writer (database, write-ahead log and its index) and up to four readers (database and log).
const RESERVED: u64 = 64 * (3 + 4 * 2) + 128;

/// How many of `wanted` connections there can be, once the limit of the process is raised as far as it goes.
#[must_use]
pub fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // If the system refuses, the old limit still holds.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let Some(current) = current else { return wanted };
    let possible = usize::try_from(current.saturating_sub(RESERVED).max(current / 2)).unwrap_or(usize::MAX);
    if possible < wanted {
        tracing::warn!(wanted, possible, "the limit of open files (`ulimit -n`) allows fewer connections");
    }
    possible.min(wanted)
}
