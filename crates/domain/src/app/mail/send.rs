//! Empties the queue.

use super::{MailTransport, Mailer, SendError};
use crate::app::address_lookup::MailStatus;
use crate::clock;
use crate::error::Result;
use crate::limits::{
    MAIL_BACKOFF, MAIL_BACKOFF_MAX, MAIL_LEASE, MAIL_NOTICE_DELAY, MAIL_SEND_TIMEOUT, MAIL_WORKERS,
};
use crate::mail::{Mail, MailKind, QueuedMail};
use crate::metrics::{MAIL_DROP_REASONS, MAILS_DROPPED, MAILS_SENT, MAILS_TRIED_AGAIN};
use crate::store::UpdateOutcome;
use std::time::Duration;

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailRound {
    /// Nothing more is due.
    Done,
    /// The server cannot be used: wait before the next round.
    Unreachable,
}

/// The outcome for one mail.
enum DeliveryOutcome {
    /// There was none.
    Nothing,
    /// It is dealt with.
    Mail,
    /// It waits, because the server cannot be used.
    Unreachable,
}

impl Mailer {
    /// Sends what is due, a few at a time. Nothing waits for another but by their number: a slow server takes as
    /// long for each.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn send_due(&self) -> Result<MailRound> {
        let Some(transport) = &self.transport else { return Ok(MailRound::Done) };
        let workers = (0..MAIL_WORKERS).map(|_| self.send_until_empty(&**transport));
        let rounds = futures_util::future::join_all(workers).await;
        let rounds = rounds.into_iter().collect::<Result<Vec<_>>>()?;
        let is_away = rounds.contains(&MailRound::Unreachable);
        Ok(if is_away { MailRound::Unreachable } else { MailRound::Done })
    }

    async fn send_until_empty(&self, transport: &dyn MailTransport) -> Result<MailRound> {
        loop {
            match self.send_next(transport).await? {
                DeliveryOutcome::Nothing => return Ok(MailRound::Done),
                DeliveryOutcome::Unreachable => return Ok(MailRound::Unreachable),
                DeliveryOutcome::Mail => {}
            }
        }
    }

    async fn send_next(&self, transport: &dyn MailTransport) -> Result<DeliveryOutcome> {
        let Some(queued) = self.mails.claim_mail(self.sources.now(), MAIL_LEASE).await? else {
            return Ok(DeliveryOutcome::Nothing);
        };
        if queued.expires_at <= self.sources.now() {
            return self.drop_mail(&queued, "expired").await;
        }
        let Some(mail) = queued.open(&self.mac_keys) else {
            return self.drop_mail(&queued, "unreadable").await;
        };
        let Some((queued, mail)) = self.complete(queued, mail).await? else {
            return Ok(DeliveryOutcome::Mail);
        };
        match self.lookup.status_of(&mail, queued.organization_id).await? {
            MailStatus::Current => {}
            MailStatus::Outdated => return self.drop_mail(&queued, "outdated").await,
            MailStatus::Pending => {
                let due_at = clock::after(self.sources.now(), MAIL_NOTICE_DELAY);
                let _ = self.mails.update_mail(&queued.rescheduled(due_at)).await?;
                return Ok(DeliveryOutcome::Mail);
            }
        }
        let id = queued.id.to_string();
        let sending = tokio::time::timeout(MAIL_SEND_TIMEOUT, transport.send(&id, &mail));
        match sending.await.unwrap_or(Err(SendError::Unreachable)) {
            Ok(()) => {
                metrics::counter!(MAILS_SENT).increment(1);
                tracing::info!(mail = %queued.id, kind = mail.kind.as_str(), "mail sent");
                let _ = self.mails.delete_mail(queued.id, queued.version).await?;
                Ok(DeliveryOutcome::Mail)
            }
            Err(SendError::Refused(code)) => {
                tracing::warn!(mail = %queued.id, code, "the mail server refused a mail for good");
                self.drop_mail(&queued, "refused").await
            }
            Err(SendError::Later(code)) => {
                tracing::warn!(mail = %queued.id, code, "the mail server does not take a mail now");
                self.try_again(&queued).await?;
                Ok(DeliveryOutcome::Mail)
            }
            Err(SendError::Unreachable) => {
                tracing::warn!(mail = %queued.id, "the mail server cannot be used: mails wait; `tenantry doctor` says why");
                self.try_again(&queued).await?;
                Ok(DeliveryOutcome::Unreachable)
            }
        }
    }

    /// Gives a mail for a new password its link, and saves that: each further try sends the same one. `None` if there is
    /// nothing to send.
    async fn complete(&self, queued: QueuedMail, mail: Mail) -> Result<Option<(QueuedMail, Mail)>> {
        if mail.kind != MailKind::PasswordReset || mail.token.is_some() {
            return Ok(Some((queued, mail)));
        }
        let Some(mail) = self.lookup.with_reset_link(&mail).await? else {
            let _ = self.mails.delete_mail(queued.id, queued.version).await?;
            return Ok(None);
        };
        let now = self.sources.now();
        let rewritten = queued.rewritten(&mail, &self.mac_keys, self.sources.entropy())?;
        // An update ends the lease, so the mail is not due until we have had the time to send it.
        let due_at = clock::after(now, MAIL_LEASE);
        let rewritten = QueuedMail { due_at, ..rewritten };
        match self.mails.update_mail(&rewritten).await? {
            UpdateOutcome::Done => Ok(Some((rewritten, mail))),
            // Another instance has it: its link is the good one.
            UpdateOutcome::Stale => Ok(None),
        }
    }

    async fn try_again(&self, queued: &QueuedMail) -> Result<()> {
        metrics::counter!(MAILS_TRIED_AGAIN).increment(1);
        let due_at = clock::after(self.sources.now(), backoff(queued.attempts));
        let _ = self.mails.update_mail(&queued.rescheduled(due_at)).await?;
        Ok(())
    }

    async fn drop_mail(&self, queued: &QueuedMail, reason: &'static str) -> Result<DeliveryOutcome> {
        debug_assert!(MAIL_DROP_REASONS.contains(&reason), "{reason} is not in the table");
        metrics::counter!(MAILS_DROPPED, "reason" => reason).increment(1);
        tracing::info!(mail = %queued.id, reason, "a mail is not sent");
        let _ = self.mails.delete_mail(queued.id, queued.version).await?;
        Ok(DeliveryOutcome::Mail)
    }
}

/// How long a mail waits that was tried so often.
fn backoff(attempts: u32) -> Duration {
    let factor = 1_u32 << attempts.saturating_sub(1).min(16);
    MAIL_BACKOFF.saturating_mul(factor).min(MAIL_BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_backoff_doubles_up_to_its_limit() {
        assert_eq!([1, 2, 3].map(backoff), [1, 2, 4].map(|factor| MAIL_BACKOFF * factor));
        assert_eq!([20, u32::MAX].map(backoff), [MAIL_BACKOFF_MAX; 2]);
        assert!(MAIL_LEASE > MAIL_SEND_TIMEOUT);
    }
}
