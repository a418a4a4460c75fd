//! Tells the running work on a container that the container is being closed.
//!
//! # Pitfalls
//! Work that never checks is waited for, however long it takes: by a purge, by the shutdown, by the next open
//! of the container.

use std::sync::atomic::{AtomicBool, Ordering};
use tenantry_documents::fuel::Interruption;

/// Whether the container is being closed.
#[derive(Default)]
pub(crate) struct CloseSignal {
    is_begun: AtomicBool,
    is_abandoned: AtomicBool,
}

impl CloseSignal {
    /// Stops queries and index builds; queued writes are still done.
    pub(super) fn begin(&self) {
        self.is_begun.store(true, Ordering::Relaxed);
    }

    /// Stops everything: the contents of the container are to be removed.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        self.begin();
    }

    /// Refuses to continue a query or an index build.
    pub(crate) fn check(&self) -> Result<(), Interruption> {
        if self.is_begun.load(Ordering::Relaxed) { Err(Interruption::Closing) } else { Ok(()) }
    }

    /// Refuses to continue a write.
    pub(crate) fn check_write(&self) -> Result<(), Interruption> {
        if self.is_abandoned.load(Ordering::Relaxed) { Err(Interruption::Closing) } else { Ok(()) }
    }
}
