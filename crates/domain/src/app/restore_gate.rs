//! Refuses credentials from before a restore until that is confirmed.
//!
//! The mark is read once; if there is none, nothing is read any more: an installation is restored while no instance runs.
//! Otherwise it is read again before each refusal, so a confirmation is in force at once, on every instance.

use crate::error::{ErrorCode, Result};
use crate::restored::{RestoreMark, stored_mark};
use crate::store::{self, Store};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Nothing is refused.
const NONE: i64 = i64::MIN;
/// Nothing is known yet.
const UNKNOWN: i64 = i64::MAX;

/// See [`self`].
pub(super) struct RestoreGate {
    installation: Arc<dyn store::Installation>,
    /// The second up to which credentials are refused.
    until: AtomicI64,
}

impl RestoreGate {
    pub(super) fn new(store: &Store) -> Self {
        Self { installation: store.installation.clone(), until: AtomicI64::new(UNKNOWN) }
    }

    /// Refuses what was made at `milliseconds` since 1970, if that is before a restore that nobody has confirmed.
    pub(super) async fn check_id(&self, milliseconds: u64) -> Result<()> {
        self.check_second(i64::try_from(milliseconds / 1000).unwrap_or(0)).await
    }

    /// As [`Self::check_id`].
    pub(super) async fn check(&self, made_at: Timestamp) -> Result<()> {
        self.check_second(made_at.as_second()).await
    }

    async fn check_second(&self, second: i64) -> Result<()> {
        if second > self.until.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.read().await? {
            Some(mark) if mark.covers(second) => Err(ErrorCode::CredentialUnconfirmed.into()),
            _ => Ok(()),
        }
    }

    /// Refuses the operator key from before the restore.
    pub(super) async fn check_operator(&self, hash: &[u8; 32]) -> Result<()> {
        if self.until.load(Ordering::Relaxed) == NONE {
            return Ok(());
        }
        match self.read().await? {
            Some(mark) if mark.covers_operator_key(hash) => Err(ErrorCode::CredentialUnconfirmed.into()),
            _ => Ok(()),
        }
    }

    async fn read(&self) -> Result<Option<RestoreMark>> {
        let mark = stored_mark(&*self.installation).await?;
        self.until.store(mark.as_ref().map_or(NONE, |mark| mark.until.as_second()), Ordering::Relaxed);
        Ok(mark)
    }
}
