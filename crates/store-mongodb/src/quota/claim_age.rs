//! The age of a claim: one that is too old may count as abandoned.

use crate::engine_error::EngineResult;
use std::time::{Duration, Instant};
use tenantry_domain::Error;

/// How long after its creation a claim may be used.
pub(super) const CLAIM_TTL: Duration = Duration::from_secs(30);

/// When a claim was created, by the clock of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimAge(Instant);

impl ClaimAge {
    /// The age of a new claim.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Refuses to continue once the claim may count as abandoned.
    pub(crate) fn check(self) -> EngineResult<()> {
        if self.0.elapsed() > CLAIM_TTL {
            return Err(Error::unavailable("a change has waited too long").into());
        }
        Ok(())
    }
}
