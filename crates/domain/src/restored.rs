//! The mark of an installation that was restored from a backup: until somebody confirms it, every credential from before
//! is refused. They may have been revoked since the backup was made, or be in the hands of somebody who had the backup.
//!
//! A credential is known to be from before by the time in its id, so nothing is read or written for it.

use crate::app::operator;
use crate::audit::{AuditAction, AuditEvent};
use crate::error::{Error, Result};
use crate::ids::Entropy;
use crate::store::{Installation, UpdateOutcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the installation value with the mark. After the confirmation it is empty.
pub const RESTORED: &str = "restored";

/// How often to try while others change the mark.
const ATTEMPTS: u32 = 10;

/// See [`self`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMark {
    /// The backup.
    pub backup: String,
    /// When it was restored.
    pub restored_at: Timestamp,
    /// Credentials that were made up to this second are refused.
    pub until: Timestamp,
    /// The hash of the operator key of then, which is refused too.
    pub operator_key: Option<String>,
}

impl RestoreMark {
    /// Whether what was made in that second is refused.
    #[must_use]
    pub fn covers(&self, second: i64) -> bool {
        second <= self.until.as_second()
    }

    /// Whether that is the hash of the operator key of then.
    #[must_use]
    pub fn covers_operator_key(&self, hash: &[u8; 32]) -> bool {
        self.operator_key.as_deref() == Some(&hex::encode(hash))
    }
}

/// The mark, if the installation was restored and nobody has confirmed it.
///
/// # Errors
/// `store_unavailable`.
pub async fn stored_mark(installation: &dyn Installation) -> Result<Option<RestoreMark>> {
    read(installation.get_value(RESTORED).await?.as_deref())
}

/// Reads the value of the mark.
///
/// # Errors
/// `internal` for a value that no version of the service wrote: then nothing from before may be accepted.
pub fn read(value: Option<&[u8]>) -> Result<Option<RestoreMark>> {
    match value {
        None | Some([]) => Ok(None),
        Some(value) => serde_json::from_slice(value).map(Some).map_err(Error::internal),
    }
}

/// Marks an installation as restored from `backup` at `now`: what was made up to `until` is refused.
///
/// # Errors
/// `store_unavailable`.
pub async fn mark(
    installation: &dyn Installation,
    backup: &str,
    until: Timestamp,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<()> {
    let operator_key = operator::stored_hash(installation).await?.map(hex::encode);
    let mark = RestoreMark { backup: backup.to_owned(), restored_at: now, until, operator_key };
    let value = serde_json::to_vec(&mark).map_err(Error::internal)?;
    let event = event(AuditAction::InstallationRestored, &mark, now, entropy);
    for _ in 0..ATTEMPTS {
        let current = installation.get_value(RESTORED).await?;
        if installation.update_value(RESTORED, current.as_deref(), &value, Some(&event)).await?
            == UpdateOutcome::Done
        {
            return Ok(());
        }
    }
    Err(Error::unavailable("the mark of the restore changes all the time"))
}

/// Ends the mark: what was refused works again. Returns it; `None` if there is none.
///
/// # Errors
/// `store_unavailable`.
pub async fn confirm(
    installation: &dyn Installation,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Option<RestoreMark>> {
    for _ in 0..ATTEMPTS {
        let value = installation.get_value(RESTORED).await?;
        let Some(mark) = read(value.as_deref())? else { return Ok(None) };
        let event = event(AuditAction::RestoreConfirmed, &mark, now, entropy);
        if installation.update_value(RESTORED, value.as_deref(), &[], Some(&event)).await?
            == UpdateOutcome::Done
        {
            return Ok(Some(mark));
        }
    }
    Err(Error::unavailable("the mark of the restore changes all the time"))
}

fn event(action: AuditAction, mark: &RestoreMark, now: Timestamp, entropy: &dyn Entropy) -> AuditEvent {
    let event = AuditEvent::of_installation(action, now, entropy);
    event.detail("backup", Some(&mark.backup)).detail("until", Some(mark.until.to_string()))
}
