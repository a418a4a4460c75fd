//! How long the calls of an engine take, and how many fail: what tells a slow store from a slow service.
//!
//! A call is measured where its engine begins it, below the cache and the limits of organizations, and includes waiting
//! for the engine itself: for a connection, for a turn in a queue, for the disk.
//! It costs two looks at the monotonic clock and one at the table of metrics, and allocates nothing: labels are constants.

use crate::error::{Error, ErrorCode};
use crate::metrics::{STORE_CALL_DURATION, STORE_CALL_ERRORS};
use metrics::{counter, histogram};
use std::time::Instant;

/// An error of an engine.
pub trait StoreFailure {
    /// Whether the engine has failed. It has not if it refuses what was asked, such as a name that is taken.
    fn is_failure(&self) -> bool;
}

impl StoreFailure for Error {
    fn is_failure(&self) -> bool {
        self.code() == ErrorCode::StoreUnavailable || self.code() == ErrorCode::Internal
    }
}

macro_rules! store_calls {
    ($($(#[$doc:meta])* $call:ident = $label:literal,)*) => {
        /// What an engine is asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum StoreCall {
            $($(#[$doc])* $call,)*
        }

        /// The values of the label `call`.
        pub const STORE_CALLS: &[&str] = &[$($label),*];

        impl StoreCall {
            fn record(self, seconds: f64, has_failed: bool) {
                match self {
                    $(Self::$call => {
                        histogram!(STORE_CALL_DURATION, "call" => $label).record(seconds);
                        if has_failed {
                            counter!(STORE_CALL_ERRORS, "call" => $label).increment(1);
                        }
                    })*
                }
            }
        }
    };
}

store_calls! {
    /// The embedded engine: a short read of records.
    RecordRead = "record_read",
    /// The embedded engine: a read of records that may be long.
    RecordScan = "record_scan",
    /// The embedded engine: a write of records, until it is on disk.
    RecordWrite = "record_write",
    /// The embedded engine: a short read of an organization's data.
    ContainerRead = "container_read",
    /// The embedded engine: a read of an organization's data that may be long.
    ContainerScan = "container_scan",
    /// The embedded engine: a write of an organization's data, until it is on disk.
    ContainerWrite = "container_write",
    /// MongoDB: a command on records.
    RecordCommand = "record_command",
    /// MongoDB: a command on organizations' data.
    ContainerCommand = "container_command",
}

impl StoreCall {
    /// Carries out `call`, and records how long it took and whether it failed. One that is dropped is not recorded.
    pub async fn measure<T, E: StoreFailure>(self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let result = call.await;
        self.record(began.elapsed().as_secs_f64(), result.as_ref().is_err_and(E::is_failure));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_of_an_engine_is_no_failure() {
        assert!(Error::unavailable("the disk is full").is_failure());
        assert!(Error::internal("a defect").is_failure());
        for code in [ErrorCode::NameTaken, ErrorCode::QueryTooSlow, ErrorCode::QuotaExceeded] {
            assert!(!Error::from(code).is_failure(), "{}", code.code());
        }
    }
}
