//! What a container that is being closed tells the work under way on it.
//!
//! # Pitfalls
//! Work that never asks is waited for, however long it takes: by a purge, by the end of the service, by the next one to open the
//! container next.

use std::sync::atomic::{AtomicBool, Ordering};
use tenantry_documents::fuel::Interruption;

/// Whether the container is being closed.
#[derive(Default)]
pub(crate) struct Closing {
    is_begun: AtomicBool,
    is_abandoned: AtomicBool,
}

impl Closing {
    /// Queries and index builds stop; writes that are queued are finished.
    pub(super) fn begin(&self) {
        self.is_begun.store(true, Ordering::Relaxed);
    }

    /// All stops: what is in the container goes.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        self.begin();
    }

    /// Refuses to go on with a query or an index.
    pub(crate) fn check(&self) -> Result<(), Interruption> {
        if self.is_begun.load(Ordering::Relaxed) { Err(Interruption::Closing) } else { Ok(()) }
    }

    /// Refuses to go on with a write.
    pub(crate) fn check_write(&self) -> Result<(), Interruption> {
        if self.is_abandoned.load(Ordering::Relaxed) { Err(Interruption::Closing) } else { Ok(()) }
    }
}
