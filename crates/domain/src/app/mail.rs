//! The queue of mails: what is put into it, within limits, and how it is emptied.
//!
//! A request for a mail waits only until it is in the queue. Each instance sends mails from it; one that dies while
//! it does leaves the mail to the next, so a mail may arrive twice, and is never lost before its end.

mod send;

pub use send::MailRound;

use super::address_lookup::AddressLookup;
use super::clock_and_entropy::ClockAndEntropy;
use crate::account::Account;
use crate::clock;
use crate::email::{EmailAddress, EmailKey};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::OrganizationId;
use crate::limits::{MAIL_BACKOFF, MAIL_LIFETIME, MAIL_NOTICE_DELAY, MAILS_MAX};
use crate::mac_keys::MacKeys;
use crate::mail::{Mail, MailKind, QueuedMail};
use crate::rate_limit::{
    MAIL_ADDRESS, MAIL_INSTALLATION, MAIL_ORGANIZATION, RateLimit, RateLimitDecision, RateLimitKey,
};
use crate::store::{self, BoundedInsert, Store};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Why a mail was not sent. It says nothing of what the server answered: that may have an address in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The server cannot be used at all: it is away, or refuses us.
    Unreachable,
    /// The server does not take this mail now, with that code.
    Later(u16),
    /// The server, or the rules of addresses, will never take this mail.
    Refused(u16),
}

/// What mails are sent through.
#[async_trait]
pub trait MailTransport: Send + Sync {
    /// Sends a mail; `id` is the same each time it is tried. It ends within `MAIL_SEND_TIMEOUT`.
    async fn send(&self, id: &str, mail: &Mail) -> Result<(), SendError>;
}

/// Mails, in and out of the queue.
pub struct Mailer {
    mails: Arc<dyn store::Mails>,
    rate_limits: Arc<dyn store::RateLimits>,
    lookup: AddressLookup,
    transport: Option<Arc<dyn MailTransport>>,
    mac_keys: MacKeys,
    /// Whether mails are counted and refused.
    limited: bool,
    /// Wakes the worker of this instance.
    wake: Notify,
    sources: ClockAndEntropy,
}

/// The outcome of counting a mail to an address.
pub(super) enum MailBudget {
    /// It may be sent.
    Allowed,
    /// The address has got as many as it may for now.
    AddressFull(Duration),
}

impl Mailer {
    pub(super) fn new(
        store: &Store,
        lookup: AddressLookup,
        transport: Option<Arc<dyn MailTransport>>,
        mac_keys: MacKeys,
        limited: bool,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            mails: store.mails.clone(),
            rate_limits: store.rate_limits.clone(),
            lookup,
            transport,
            mac_keys,
            limited,
            wake: Notify::new(),
            sources: sources.clone(),
        }
    }

    /// Whether mails are sent at all.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.transport.is_some()
    }

    /// Refuses what needs mail.
    ///
    /// # Errors
    /// `mail_not_configured`.
    pub fn require(&self) -> Result<()> {
        if self.is_enabled() { Ok(()) } else { Err(ErrorCode::MailNotConfigured.into()) }
    }

    /// Counts a mail, or refuses it.
    ///
    /// # Errors
    /// `too_many_mails`.
    pub(super) async fn count(&self, to: &EmailKey, organization: Option<OrganizationId>) -> Result<()> {
        match self.try_count(to, organization).await? {
            MailBudget::Allowed => Ok(()),
            MailBudget::AddressFull(wait) => Err(too_many(wait).limited_by("mail-address", MAIL_ADDRESS)),
        }
    }

    /// Counts a mail; what refuses it for its address is returned, and what refuses it otherwise is an error.
    pub(super) async fn try_count(
        &self,
        to: &EmailKey,
        organization: Option<OrganizationId>,
    ) -> Result<MailBudget> {
        if !self.limited {
            return Ok(MailBudget::Allowed);
        }
        let now = self.sources.now();
        let address = ("mail-address", RateLimitKey::new("mail address", &[to.as_str()]), MAIL_ADDRESS);
        let mut counters = vec![address];
        if let Some(id) = organization {
            let key = RateLimitKey::new("mail organization", &[id.digits().as_str()]);
            counters.push(("mail-organization", key, MAIL_ORGANIZATION));
        }
        counters.push(("mail-installation", RateLimitKey::new("mail installation", &[]), MAIL_INSTALLATION));
        // The narrowest first: what its own limit refuses must not use up a shared one.
        for (index, (name, key, limit)) in counters.iter().enumerate() {
            let RateLimitDecision::Refused { wait } = self.rate_limits.acquire(key, *limit, now).await?
            else {
                continue;
            };
            self.refund(&counters[..index], now).await?;
            return if index == 0 {
                Ok(MailBudget::AddressFull(wait))
            } else {
                Err(too_many(wait).limited_by(name, *limit))
            };
        }
        Ok(MailBudget::Allowed)
    }

    async fn refund(&self, counted: &[(&str, RateLimitKey, RateLimit)], now: Timestamp) -> Result<()> {
        for (_, key, limit) in counted {
            self.rate_limits.refund(key, *limit, now).await?;
        }
        Ok(())
    }

    /// Puts a mail into the queue, to be sent after `delay`; once this returns, it survives a crash.
    ///
    /// # Errors
    /// `too_many_mails`.
    pub(super) async fn enqueue(
        &self,
        mail: &Mail,
        organization: Option<OrganizationId>,
        delay: Duration,
    ) -> Result<()> {
        self.insert(mail, organization, delay).await.map(|_| ())
    }

    async fn insert(
        &self,
        mail: &Mail,
        organization: Option<OrganizationId>,
        delay: Duration,
    ) -> Result<QueuedMail> {
        let now = self.sources.now();
        let last = clock::after(now, MAIL_LIFETIME);
        let expires_at = mail.link_expires_at.map_or(last, |end| end.min(last));
        let times = (now, clock::after(now, delay), expires_at);
        let queued = QueuedMail::new(mail, organization, times, &self.mac_keys, self.sources.entropy())?;
        match self.mails.insert_mail(&queued, MAILS_MAX).await? {
            BoundedInsert::Full => Err(too_many(MAIL_BACKOFF)),
            BoundedInsert::New | BoundedInsert::Exists => {
                self.wake.notify_one();
                Ok(queued)
            }
        }
    }

    /// Takes a mail back that waits, because what it tells of was refused.
    pub(super) async fn recall(&self, queued: &QueuedMail) {
        if let Err(error) = self.mails.delete_mail(queued.id, queued.version).await {
            tracing::warn!(mail = %queued.id, %error, "a mail about a refused change stays in the queue");
        }
    }

    /// Tells the address that an account is about to leave. The mail waits a moment, and is sent only if the account has
    /// left by then: so there is no change without word of it, even if this process dies in between. An operation of
    /// `organization` that makes the change is waited for.
    ///
    /// # Errors
    /// `too_many_mails`, if the queue is full.
    pub(super) async fn tell_former_address(
        &self,
        account: &Account,
        next: &EmailAddress,
        organization: Option<OrganizationId>,
    ) -> Result<Option<QueuedMail>> {
        if !self.is_enabled() || account.email.key() == next.key() {
            return Ok(None);
        }
        let mail = Mail {
            account_id: Some(account.id),
            other_address: Some(next.clone()),
            ..Mail::new(MailKind::EmailChanged, account.email.clone())
        };
        // Not counted: no limit may keep the person from hearing of it.
        self.insert(&mail, organization, MAIL_NOTICE_DELAY).await.map(Some)
    }

    /// How many mails wait.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn waiting(&self) -> Result<u64> {
        self.mails.count_mails().await
    }

    /// Waits for a new mail of this instance, at most for `time`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn wait(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.wake.notified()).await;
    }
}

fn too_many(wait: Duration) -> Error {
    Error::new(ErrorCode::TooManyMails).retry_after(wait).remaining(Some(0))
}
