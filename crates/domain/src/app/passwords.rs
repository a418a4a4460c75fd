//! Hashes passwords on dedicated threads.

use super::clock_and_entropy::ClockAndEntropy;
use crate::account::PasswordHash;
use crate::error::Result;
use crate::password::hash::{PasswordCheck, of_no_password};
use crate::password::policy::{NewPassword, PresentedPassword};
use crate::password::pool::HashPool;

/// Hashes and checks passwords.
pub(super) struct PasswordHasher {
    pool: HashPool,
    sources: ClockAndEntropy,
}

impl PasswordHasher {
    pub(super) fn new(pool: HashPool, sources: &ClockAndEntropy) -> Self {
        Self { pool, sources: sources.clone() }
    }

    pub(super) async fn hash(&self, password: NewPassword) -> Result<PasswordHash> {
        self.pool.hash(password, self.sources.random()).await.map(PasswordHash)
    }

    /// Checks a password. Without a stored hash, it takes just as long and does not match.
    pub(super) async fn verify(
        &self,
        password: PresentedPassword,
        stored: Option<String>,
    ) -> Result<PasswordCheck> {
        self.pool.verify(password, stored).await
    }

    /// Passwords that wait for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.pool.depth()
    }
}

/// What an account has in place of the hash of a password: none is known that matches it.
pub(super) fn unknown_password(sources: &ClockAndEntropy) -> PasswordHash {
    PasswordHash(of_no_password(sources.random(), sources.random()))
}
