//! The runtime of what this program does with the libraries of the service.

use anyhow::Result;

/// Runs `work` on a runtime like the service's.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
