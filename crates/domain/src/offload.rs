//! Runs work whose length depends on a request: on this thread if it is short, else on a blocking thread.
//!
//! There are few async threads. One that parses a mebibyte of JSON serves no other request for ten
//! milliseconds.

use crate::error::{Error, Result};
use crate::limits::INLINE_MAX_BYTES;
use tenantry_documents::filter::FilterPrice;

/// Runs `work`, which takes time in proportion to `bytes`.
///
/// # Errors
/// `internal` if it panics; `store_unavailable` during shutdown.
pub async fn by_size<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if bytes <= INLINE_MAX_BYTES { Ok(work()) } else { elsewhere(work).await }
}

/// Runs `work`, which parses a filter of `bytes` bytes.
///
/// # Errors
/// As [`by_size`].
pub async fn by_filter_size<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    // A pattern takes several times as long to parse as a value.
    by_size(bytes.saturating_mul(8), work).await
}

/// Runs `work` on a filter, such as planning a query or rendering it.
///
/// # Errors
/// As [`by_size`].
pub async fn by_price<T: Send + 'static>(
    price: FilterPrice,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if price.is_short() { Ok(work()) } else { elsewhere(work).await }
}

/// Runs `work` on a blocking thread.
///
/// # Errors
/// As [`by_size`].
pub async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.is_panic() {
        true => Error::internal("work on another thread has panicked"),
        false => Error::unavailable("the runtime is shutting down"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use std::thread;

    #[tokio::test]
    async fn offload_runs_large_work_on_another_thread() {
        let own = thread::current().id();
        assert_eq!(by_size(INLINE_MAX_BYTES, || thread::current().id()).await.unwrap(), own);
        assert_ne!(by_size(INLINE_MAX_BYTES + 1, || thread::current().id()).await.unwrap(), own);
    }

    #[tokio::test]
    async fn offload_maps_panic_to_internal_error() {
        let panicked: Result<()> = elsewhere(|| panic!("as a test")).await;
        assert_eq!(panicked.unwrap_err().code(), ErrorCode::Internal);
    }
}
