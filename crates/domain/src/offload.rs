//! Work whose length follows from what somebody has sent: on this thread while it is short, else on one for such work.
//!
//! The threads that serve requests are few. One that reads a mebibyte of JSON serves nobody else for ten milliseconds.

use crate::error::{Error, Result};
use crate::limits::INLINE_MAX_BYTES;
use tenantry_documents::filter::FilterPrice;

/// Does `work`, which takes as long as going through `bytes` bytes does.
///
/// # Errors
/// `internal` if it panics; `store_unavailable` while the service ends.
pub async fn by_size<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if bytes <= INLINE_MAX_BYTES { Ok(work()) } else { elsewhere(work).await }
}

/// Does `work`, which reads a filter of `bytes` bytes.
///
/// # Errors
/// As [`by_size`].
pub async fn by_filter_size<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    // A pattern takes several times as long to read as a value does.
    by_size(bytes.saturating_mul(8), work).await
}

/// Does `work` with a filter, such as planning a query or rewriting it.
///
/// # Errors
/// As [`by_size`].
pub async fn by_price<T: Send + 'static>(
    price: FilterPrice,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if price.is_short() { Ok(work()) } else { elsewhere(work).await }
}

/// Does `work` on a thread for what may take long.
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
