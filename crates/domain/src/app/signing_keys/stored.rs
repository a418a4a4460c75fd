//! Stored keys: read, kept up to date, and changed by compare-and-set.

use crate::app::clock_and_entropy::ClockAndEntropy;
use crate::app::operator;
use crate::audit::{AuditAction, AuditEvent};
use crate::error::{Error, Result};
use crate::failpoints::point;
use crate::limits::RECENT_READ_MAX_AGE;
use crate::operation::Actor;
use crate::signing_keys::{KeySeals, SigningKeySet, UnsealError};
use crate::store::{Installation, UpdateOutcome};
use crate::token::TokenKeys;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// The name of the installation value with the sealed keys.
pub const SIGNING_KEYS: &str = "signing_keys";

/// From this age on, one request reads the keys again while others go on with those that are known.
const EARLY: Duration = Duration::from_millis(500);

/// How an installation signs tokens, as far as its store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningState {
    /// It has never been started.
    New,
    /// Keys that rotate are stored.
    Stored,
    /// It was started, and has none: its settings say which secret or key signs.
    Settings,
}

/// See [`SigningState`].
///
/// # Errors
/// `store_unavailable`.
pub async fn read_state(installation: &dyn Installation) -> Result<SigningState> {
    // In this order: keys are stored before the operator key is.
    let is_new = operator::stored_hash(installation).await?.is_none();
    Ok(match installation.get_value(SIGNING_KEYS).await? {
        Some(_) => SigningState::Stored,
        None if is_new => SigningState::New,
        None => SigningState::Settings,
    })
}

/// What stored keys are read and kept up to date with.
pub struct StoredKeys {
    /// What opens and seals them.
    pub seals: KeySeals,
    /// The key that signs in an installation without stored keys, and others that are accepted there, as PKCS#8 documents.
    pub adopted: Vec<Zeroizing<Vec<u8>>>,
    /// The longest life of a token that is issued.
    pub token_lifetime: Duration,
}

/// The keys after a change, and its event.
pub(super) struct KeySetChange {
    pub(super) set: SigningKeySet,
    pub(super) event: AuditEvent,
}

pub(super) struct StoredKeyReader {
    keys: StoredKeys,
    installation: Arc<dyn Installation>,
    sources: ClockAndEntropy,
    /// Held while the keys are read or changed, so that no older ones come after newer ones.
    held: Mutex<LoadedKeys>,
    started: Instant,
    /// When they were read last, in milliseconds since `started`, plus one; 0 means never.
    read_at: AtomicU64,
    /// How often they could not be read.
    failures: AtomicU64,
}

/// The keys in use.
#[derive(Default)]
struct LoadedKeys {
    is_set_up: bool,
    /// Whether what is stored does not open with our secret.
    is_foreign: bool,
    /// What was stored when they were read.
    value: Option<Vec<u8>>,
    set: SigningKeySet,
}

impl StoredKeyReader {
    pub(super) fn new(
        keys: StoredKeys,
        installation: Arc<dyn Installation>,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            keys,
            installation,
            sources: sources.clone(),
            held: Mutex::default(),
            started: Instant::now(),
            read_at: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    fn age(&self) -> Option<Duration> {
        let read_at = self.read_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(read_at)))
    }

    fn note_read(&self, began: Instant) {
        let since = began.saturating_duration_since(self.started).as_millis();
        self.read_at.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
    }

    /// Makes `tokens` use keys that are recent.
    pub(super) async fn refresh(&self, tokens: &TokenKeys) -> Result<()> {
        match self.age() {
            Some(age) if age < EARLY => Ok(()),
            Some(age) if age < RECENT_READ_MAX_AGE => {
                if let Ok(mut held) = self.held.try_lock()
                    && let Err(error) = self.read(&mut held, tokens).await
                {
                    tracing::debug!(%error, "the signing keys were not read again");
                }
                Ok(())
            }
            _ => {
                let failures = self.failures.load(Ordering::Acquire);
                let mut held = self.held.lock().await;
                // Another request may have read them meanwhile, or waited for the store in vain: one after the other would wait
                // for too long.
                if self.age().is_some_and(|age| age < EARLY) {
                    return Ok(());
                }
                if self.failures.load(Ordering::Acquire) != failures {
                    return Err(Error::unavailable("the signing keys could not be read"));
                }
                let read = self.read(&mut held, tokens).await;
                if read.is_err() {
                    self.failures.fetch_add(1, Ordering::Release);
                }
                read
            }
        }
    }

    /// Reads the keys; before they are set up, sets them up.
    async fn read(&self, held: &mut LoadedKeys, tokens: &TokenKeys) -> Result<()> {
        if held.is_set_up {
            self.read_again(held, tokens).await
        } else {
            self.bring_up_to_date(held, tokens).await
        }
    }

    async fn read_again(&self, held: &mut LoadedKeys, tokens: &TokenKeys) -> Result<()> {
        let began = Instant::now();
        let value = self.installation.get_value(SIGNING_KEYS).await?;
        if value != held.value {
            match value.as_deref().map(|value| self.keys.seals.open(value)).transpose() {
                Ok(Some((set, _))) => self.adopt(held, tokens, value, set)?,
                // A set is never removed; and where another secret sealed it, the settings of the instances disagree.
                Ok(None) | Err(UnsealError) => {
                    tracing::error!(
                        "the stored signing keys cannot be read with the secret of this instance, which goes on with those that \
                         it knows: give all instances the same JWT_SECRET"
                    );
                    held.value = value;
                    held.is_foreign = true;
                }
            }
        }
        self.note_read(began);
        Ok(())
    }

    fn adopt(
        &self,
        held: &mut LoadedKeys,
        tokens: &TokenKeys,
        value: Option<Vec<u8>>,
        set: SigningKeySet,
    ) -> Result<()> {
        // What they were known to have signed would have to be checked again.
        if !held.is_set_up || held.set != set {
            tokens.publish(&set.published()?)?;
        }
        *held = LoadedKeys { is_set_up: true, is_foreign: false, value, set };
        Ok(())
    }

    pub(super) async fn set_up(&self, tokens: &TokenKeys) -> Result<()> {
        let mut held = self.held.lock().await;
        self.bring_up_to_date(&mut held, tokens).await
    }

    /// The keys in use, read now.
    pub(super) async fn current_set(&self, tokens: &TokenKeys) -> Result<SigningKeySet> {
        let mut held = self.held.lock().await;
        self.read(&mut held, tokens).await?;
        Ok(held.set.clone())
    }

    /// Stores what is due, until nothing is.
    async fn bring_up_to_date(&self, held: &mut LoadedKeys, tokens: &TokenKeys) -> Result<()> {
        loop {
            let began = Instant::now();
            let state = read_state(&*self.installation).await?;
            let value = self.installation.get_value(SIGNING_KEYS).await?;
            let (set, is_due) = match &value {
                None if state == SigningState::Settings => {
                    self.adopt(held, tokens, None, self.unstored()?)?;
                    self.note_read(began);
                    return Ok(());
                }
                None => (SigningKeySet::default(), true),
                Some(value) => match self.keys.seals.open(value) {
                    // At a start alone: while a secret is replaced, instances with the old one would seal it back again.
                    Ok((set, is_current)) => (set, !is_current && !held.is_set_up),
                    Err(UnsealError) if held.is_set_up => return self.read_again(held, tokens).await,
                    Err(UnsealError) => {
                        tracing::warn!(
                            "the stored signing keys do not open with JWT_SECRET, nor with JWT_SECRET_PREVIOUS: new ones are \
                             made, and tokens of before are refused"
                        );
                        (SigningKeySet::default(), true)
                    }
                },
            };
            let upkept = self.upkept(&set)?;
            if upkept == set && !is_due {
                self.adopt(held, tokens, value, set)?;
                self.note_read(began);
                return Ok(());
            }
            let event = self.event_of_upkeep(&set, &upkept, value.is_some());
            if self.replace(held, tokens, value, upkept, event.as_ref()).await? {
                return Ok(());
            }
        }
    }

    /// The keys of an installation that has none stored: those that it adopts when it begins to rotate them.
    fn unstored(&self) -> Result<SigningKeySet> {
        let Some(first) = self.keys.adopted.first() else {
            return Err(Error::internal("no key signs, and none is stored"));
        };
        let others = &self.keys.adopted[1..];
        SigningKeySet::fixed(first, others, self.keys.token_lifetime)
    }

    fn upkept(&self, set: &SigningKeySet) -> Result<SigningKeySet> {
        set.upkept(self.sources.now(), self.keys.token_lifetime, self.sources.entropy())
    }

    /// A key that was published by itself is worth an event, and so are keys that were lost.
    fn event_of_upkeep(
        &self,
        before: &SigningKeySet,
        after: &SigningKeySet,
        is_stored: bool,
    ) -> Option<AuditEvent> {
        // The first ones begin the installation, and are nobody's doing.
        let published = after.published_since(before).filter(|_| is_stored)?;
        let is_lost = *before == SigningKeySet::default();
        let action = if is_lost { AuditAction::SigningKeyRetired } else { AuditAction::SigningKeyPublished };
        let event = self.sources.event(None, action, Actor::System);
        Some(if is_lost {
            event.detail("reason", Some("secret_replaced"))
        } else {
            event.detail("kid", Some(published))
        })
    }

    /// Stores `set` in place of `value`; `false` if another value is there.
    async fn replace(
        &self,
        held: &mut LoadedKeys,
        tokens: &TokenKeys,
        value: Option<Vec<u8>>,
        set: SigningKeySet,
        event: Option<&AuditEvent>,
    ) -> Result<bool> {
        let began = Instant::now();
        let sealed = self.keys.seals.seal(&set, self.sources.entropy())?;
        point("signing_keys", "store", "begun");
        let outcome = self.installation.update_value(SIGNING_KEYS, value.as_deref(), &sealed, event).await?;
        point("signing_keys", "store", "done");
        // A write whose answer was lost and that the driver has repeated finds its own value.
        let is_done = outcome == UpdateOutcome::Done
            || self.installation.get_value(SIGNING_KEYS).await?.as_ref() == Some(&sealed);
        if is_done {
            self.adopt(held, tokens, Some(sealed), set)?;
            self.note_read(began);
        }
        Ok(is_done)
    }

    /// Changes the keys. `change` gets them, and whether they are stored.
    pub(super) async fn change(
        &self,
        tokens: &TokenKeys,
        change: impl Fn(&SigningKeySet, bool) -> Result<KeySetChange>,
    ) -> Result<SigningKeySet> {
        let mut held = self.held.lock().await;
        loop {
            self.bring_up_to_date(&mut held, tokens).await?;
            if held.is_foreign {
                return Err(Error::unavailable("the signing keys are sealed under another secret"));
            }
            let (value, set) = (held.value.clone(), held.set.clone());
            let KeySetChange { set: changed, event } = match &value {
                Some(_) => change(&set, true)?,
                // From now on they are stored.
                None => {
                    let (now, entropy) = (self.sources.now(), self.sources.entropy());
                    let adopting =
                        SigningKeySet::adopting(&self.keys.adopted, now, self.keys.token_lifetime, entropy)?;
                    change(&adopting, false)?
                }
            };
            let changed = self.upkept(&changed)?;
            if changed == set && value.is_some() {
                return Ok(set);
            }
            if self.replace(&mut held, tokens, value, changed.clone(), Some(&event)).await? {
                return Ok(changed);
            }
        }
    }
}
