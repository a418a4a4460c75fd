//! How old a claim is: one that is too old may have been taken for that of somebody who died.

use crate::engine_error::EngineResult;
use std::time::{Duration, Instant};
use tenantry_domain::Error;

/// How long after it was made a claim may still be used.
pub(super) const CLAIM: Duration = Duration::from_secs(30);

/// When a claim was made, by the clock of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimAge(Instant);

impl ClaimAge {
    /// That of a claim that is being made.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Refuses to go on when the claim may have been taken for that of somebody who died.
    pub(crate) fn check(self) -> EngineResult<()> {
        if self.0.elapsed() > CLAIM {
            return Err(Error::unavailable("a change has waited too long").into());
        }
        Ok(())
    }
}
