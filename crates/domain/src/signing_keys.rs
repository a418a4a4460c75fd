//! The keys that sign access tokens with EdDSA where they rotate: when each begins to sign, for how long it is accepted, and
//! what follows when one is retired. Pure: times and new keys come in.
//!
//! Which key signs follows from the time alone, so all instances change over at the same moment, and nothing has to run
//! for it. A key is published a day or more before it signs ([`SIGNING_KEY_AHEAD`]), and until the last token that it
//! signed has expired.
//!
//! # Pitfalls
//! A set is stored as a whole and replaced by compare-and-set; what an instance holds may be a second old.

mod seal;

pub use seal::{KeySeal, KeySeals, UnsealError};

use crate::clock::{after, before};
use crate::error::{Error, Result};
use crate::ids::Entropy;
use crate::limits::{
    EXCHANGED_TOKEN_MAX, RETIRED_KEYS_LISTED, SIGNING_KEY_AHEAD, SIGNING_KEY_MARGIN, SIGNING_KEY_PERIOD,
};
use crate::token::{PublicKey, PublishedKey, ed25519_public_key, generate_ed25519};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// The private half of a key: a PKCS#8 document.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl Serialize for PrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(&*text).map_err(serde::de::Error::custom)?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

/// A key of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSigningKey {
    /// The public half: the member `x` of its JWK.
    x: String,
    /// The private half, as long as it may have to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<PrivateKey>,
    /// Since when it is published.
    pub published_at: Timestamp,
    /// From when on it signs, until the next one does.
    pub signs_from: Timestamp,
    /// The longest lifetime of a token that it signs, in seconds.
    token_lifetime: u64,
    /// When it was retired: it is accepted no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
}

impl StoredSigningKey {
    fn new(
        private: Zeroizing<Vec<u8>>,
        now: Timestamp,
        signs_from: Timestamp,
        lifetime: u64,
    ) -> Result<Self> {
        let x = ed25519_public_key(&private)?.x();
        let private = Some(PrivateKey(private));
        Ok(Self { x, private, published_at: now, signs_from, token_lifetime: lifetime, retired_at: None })
    }

    fn public(&self) -> Result<PublicKey> {
        PublicKey::from_x(&self.x).ok_or_else(|| Error::internal("a stored signing key is no Ed25519 key"))
    }

    /// Its name in the header of a token.
    #[must_use]
    pub fn kid(&self) -> String {
        self.public().map(|public| public.kid().to_owned()).unwrap_or_default()
    }

    const fn is_accepted(&self) -> bool {
        self.retired_at.is_none()
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKeyState {
    /// It is published, and signs later.
    Next,
    /// It signs.
    Current,
    /// It signs no more; tokens that it signed are accepted until they expire.
    Former,
    /// It was retired: no token of it is accepted.
    Retired,
}

impl SigningKeyState {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Former => "former",
            Self::Retired => "retired",
        }
    }
}

/// A key as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyView {
    /// Its name in the header of a token.
    pub kid: String,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// Since when it is published.
    pub published_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// Until when it signs.
    pub signs_until: Option<Timestamp>,
    /// Until when it is published and accepted.
    pub accepted_until: Option<Timestamp>,
}

/// Why the next key cannot sign yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotYet {
    /// When it can.
    pub ready_at: Timestamp,
}

/// The keys of an installation. At least one signs, and one more is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeySet {
    /// In the order in which they begin to sign.
    keys: Vec<StoredSigningKey>,
}

impl SigningKeySet {
    /// The keys of a new installation: one signs at once, and the next is published.
    ///
    /// # Errors
    /// `internal`.
    pub fn new(now: Timestamp, token_lifetime: Duration, entropy: &dyn Entropy) -> Result<Self> {
        Self::default().upkept(now, token_lifetime, entropy)
    }

    /// The keys of an installation whose key did not rotate until `now`. `documents` are the one that signs and others
    /// that are accepted, as PKCS#8 documents.
    ///
    /// # Errors
    /// `internal`.
    pub fn adopting(
        documents: &[Zeroizing<Vec<u8>>],
        now: Timestamp,
        token_lifetime: Duration,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let mut keys = Vec::new();
        for (index, document) in documents.iter().enumerate() {
            // The others as if they had signed until the first began.
            let signs_from = if index == 0 { now } else { before(now, SIGNING_KEY_MARGIN) };
            keys.push(StoredSigningKey::new(document.clone(), now, signs_from, token_lifetime.as_secs())?);
        }
        let set = Self { keys }.upkept(now, token_lifetime, entropy)?;
        let signs_from = after(now, SIGNING_KEY_AHEAD);
        Ok(set.with_next(now, |next| next.signs_from = signs_from))
    }

    /// The keys of an installation whose key does not rotate.
    ///
    /// # Errors
    /// `internal`.
    pub fn fixed(
        first: &Zeroizing<Vec<u8>>,
        others: &[Zeroizing<Vec<u8>>],
        lifetime: Duration,
    ) -> Result<Self> {
        let begin = Timestamp::UNIX_EPOCH;
        let signing = StoredSigningKey::new(first.clone(), begin, begin, lifetime.as_secs())?;
        let mut keys = vec![signing];
        for other in others {
            let began = before(begin, SIGNING_KEY_MARGIN);
            let other = StoredSigningKey::new(other.clone(), begin, began, lifetime.as_secs())?;
            keys.insert(0, StoredSigningKey { private: None, ..other });
        }
        Ok(Self { keys })
    }

    /// The name of a key that is published here and was not in `before`; of several, the first to sign.
    #[must_use]
    pub fn published_since(&self, before: &Self) -> Option<String> {
        let was_there = |key: &&StoredSigningKey| before.keys.iter().any(|other| other.x == key.x);
        self.keys.iter().find(|key| !was_there(key)).map(StoredSigningKey::kid)
    }

    /// Keys that are accepted, in the order in which they begin to sign.
    fn accepted(&self) -> impl DoubleEndedIterator<Item = &StoredSigningKey> {
        self.keys.iter().filter(|key| key.is_accepted())
    }

    /// The key that signs at `now`.
    fn current(&self, now: Timestamp) -> Option<&StoredSigningKey> {
        // With a clock that was set back none may have begun: then the first one signs.
        self.accepted().rev().find(|key| key.signs_from <= now).or_else(|| self.accepted().next())
    }

    /// The first key that signs after `now`.
    fn next(&self, now: Timestamp) -> Option<&StoredSigningKey> {
        let current = self.current(now).map(|key| &key.x);
        self.accepted().find(|key| key.signs_from > now && Some(&key.x) != current)
    }

    /// When the next key begins to sign instead of `key`.
    fn signs_until(&self, key: &StoredSigningKey) -> Option<Timestamp> {
        self.accepted().find(|other| other.signs_from > key.signs_from).map(|other| other.signs_from)
    }

    /// When the last token that `key` signed has expired.
    fn accepted_until(&self, key: &StoredSigningKey) -> Option<Timestamp> {
        let signed_until = self.signs_until(key)?;
        Some(after(signed_until, Duration::from_secs(key.token_lifetime) + SIGNING_KEY_MARGIN))
    }

    /// The set after `change` of the next key.
    fn with_next(mut self, now: Timestamp, change: impl FnOnce(&mut StoredSigningKey)) -> Self {
        let next = self.next(now).map(|key| key.x.clone());
        if let Some(key) = self.keys.iter_mut().find(|key| Some(&key.x) == next.as_ref()) {
            change(key);
        }
        self.keys.sort_by_key(|key| key.signs_from);
        self
    }

    /// The set without the times that a clock which was far ahead has written.
    fn without_future(mut self, now: Timestamp) -> Self {
        let limit = after(now, SIGNING_KEY_MARGIN);
        let current = self.current(now).map(|key| key.x.clone());
        for key in &mut self.keys {
            if key.published_at > limit {
                key.published_at = now;
            }
            if key.signs_from > limit && Some(&key.x) == current.as_ref() {
                key.signs_from = now;
            }
        }
        let latest = after(now, SIGNING_KEY_PERIOD.max(SIGNING_KEY_AHEAD));
        self.with_next(now, |next| next.signs_from = next.signs_from.min(latest))
    }

    /// The set after what is due at `now`: a next key is published, private halves that sign no more are forgotten, and
    /// keys without a valid token go. The same set if nothing is due.
    ///
    /// # Errors
    /// `internal`.
    pub fn upkept(&self, now: Timestamp, token_lifetime: Duration, entropy: &dyn Entropy) -> Result<Self> {
        let mut set = self.clone().without_future(now);
        let lifetime = token_lifetime.max(EXCHANGED_TOKEN_MAX).as_secs();
        let before = set.clone();
        let has_ended = |key: &StoredSigningKey| before.accepted_until(key).is_some_and(|end| end <= now);
        set.keys.retain(|key| !key.is_accepted() || !has_ended(key));
        for key in &mut set.keys {
            let signed_until = before.signs_until(key);
            if signed_until.is_some_and(|end| after(end, SIGNING_KEY_MARGIN) <= now) {
                key.private = None;
            } else if key.is_accepted() && signed_until.is_none_or(|end| end > now) {
                key.token_lifetime = key.token_lifetime.max(lifetime);
            }
        }
        if set.current(now).is_none() {
            set.keys.push(StoredSigningKey::new(generate_ed25519(entropy), now, now, lifetime)?);
        }
        if set.next(now).is_none() {
            let began = set.current(now).map_or(now, |key| key.signs_from);
            let signs_from = after(began, SIGNING_KEY_PERIOD).max(after(now, SIGNING_KEY_AHEAD));
            set.keys.push(StoredSigningKey::new(generate_ed25519(entropy), now, signs_from, lifetime)?);
        }
        let retired = set.keys.iter().filter(|key| !key.is_accepted()).count();
        let mut surplus = retired.saturating_sub(RETIRED_KEYS_LISTED);
        set.keys.retain(|key| {
            let goes = !key.is_accepted() && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
        Ok(set)
    }

    /// The set after the next key has taken over at `now`.
    ///
    /// # Errors
    /// [`NotYet`] if it has not been published for long enough: those who check tokens may not know it.
    pub fn rotated(&self, now: Timestamp) -> Result<Self, NotYet> {
        let next = self.next(now);
        // A clock that was ahead may have published it in the future.
        let published_at = next.map_or(now, |key| key.published_at).min(now);
        let ready_at = after(published_at, SIGNING_KEY_AHEAD);
        if ready_at > now {
            return Err(NotYet { ready_at });
        }
        Ok(self.clone().with_next(now, |next| next.signs_from = now))
    }

    /// The set after the key `kid` was retired at `now`; `None` if it has no such key. If it is the one that signs, the
    /// next takes over at once, however long it has been published.
    #[must_use]
    pub fn retired(&self, kid: &str, now: Timestamp) -> Option<Self> {
        let was_current = self.current(now).is_some_and(|key| key.kid() == kid);
        let mut set = if was_current {
            self.clone().with_next(now, |next| next.signs_from = now)
        } else {
            self.clone()
        };
        let key = set.keys.iter_mut().find(|key| key.kid() == kid)?;
        key.private = None;
        key.retired_at = Some(key.retired_at.unwrap_or(now));
        Some(set)
    }

    /// The name of the key that signs at `now`.
    #[must_use]
    pub fn current_kid(&self, now: Timestamp) -> Option<String> {
        self.current(now).map(StoredSigningKey::kid)
    }

    /// The name of the key that signs after that one.
    #[must_use]
    pub fn next_kid(&self, now: Timestamp) -> Option<String> {
        self.next(now).map(StoredSigningKey::kid)
    }

    /// The keys as others see them, and as tokens are signed and checked with them.
    ///
    /// # Errors
    /// `internal` if a stored key is damaged.
    pub fn published(&self) -> Result<Vec<PublishedKey>> {
        let publish = |key: &StoredSigningKey| {
            let private = key.private.as_ref().map(|private| (key.signs_from, private.0.clone()));
            Ok(PublishedKey { public: key.public()?, private })
        };
        self.accepted().map(publish).collect()
    }

    /// The keys as the operator sees them at `now`.
    #[must_use]
    pub fn views(&self, now: Timestamp) -> Vec<SigningKeyView> {
        let current = self.current(now).map(|key| &key.x);
        let view = |key: &StoredSigningKey| {
            let state = if !key.is_accepted() {
                SigningKeyState::Retired
            } else if Some(&key.x) == current {
                SigningKeyState::Current
            } else if key.signs_from > now {
                SigningKeyState::Next
            } else {
                SigningKeyState::Former
            };
            let (signs_until, accepted_until) = match key.retired_at {
                Some(_) => (key.retired_at, key.retired_at),
                None => (self.signs_until(key), self.accepted_until(key)),
            };
            SigningKeyView {
                kid: key.kid(),
                state,
                published_at: key.published_at,
                signs_from: key.signs_from,
                signs_until,
                accepted_until,
            }
        };
        self.keys.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests;
