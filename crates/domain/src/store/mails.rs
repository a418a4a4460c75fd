//! The port of mails.

use super::{BoundedInsert, UpdateOutcome};
use crate::error::Result;
use crate::ids::MailId;
use crate::mail::QueuedMail;
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

/// The queue of mails that wait to be sent.
#[async_trait]
pub trait Mails: Send + Sync {
    /// Adds a mail, unless `limit` are waiting already. (On an engine with several writers, of those that are added at
    /// the same moment a few more may find room.)
    async fn insert_mail(&self, mail: &QueuedMail, limit: u32) -> Result<BoundedInsert>;

    /// Claims the mail that has been due for longest at `now`: its next version, with one more attempt. Nobody else gets
    /// it within `lease`, by the engine's own clock where that has one, unless it is updated before. An engine that
    /// only one process can use ends the leases of earlier processes when it is opened.
    async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>>;

    /// Replaces the previous version by `mail`, and ends its lease.
    async fn update_mail(&self, mail: &QueuedMail) -> Result<UpdateOutcome>;

    /// Removes the mail if it still has that version.
    async fn delete_mail(&self, id: MailId, version: u64) -> Result<UpdateOutcome>;

    /// How many wait, about.
    async fn count_mails(&self) -> Result<u64>;
}
