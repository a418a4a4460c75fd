//! When keys were last used: noted in memory, and written to their records at intervals, so that a use costs
//! no write.

use crate::api_key::ApiKey;
use crate::error::Result;
use crate::ids::ApiKeyId;
use crate::store;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How old the stored time of last use is before a new one is noted.
const PRECISION: SignedDuration = SignedDuration::from_secs(60);

/// The uses that are not in the records yet: at most one for each key that was used since the last round of
/// maintenance.
#[derive(Debug, Default)]
pub(super) struct KeyUses(Mutex<HashMap<ApiKeyId, Timestamp>>);

impl KeyUses {
    /// Notes that the key is used at `now`, if the record does not say about the same.
    pub(super) fn note(&self, key: &ApiKey, now: Timestamp) {
        let is_noted = key.last_used_at.is_some_and(|at| now.duration_since(at) < PRECISION);
        if !is_noted {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.id, now);
        }
    }

    /// Writes them to the records. Those that cannot be written are lost.
    pub(super) async fn save(&self, keys: &dyn store::ApiKeys) -> Result<()> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, at) in uses {
            keys.touch_api_key(id, at).await?;
        }
        Ok(())
    }
}
