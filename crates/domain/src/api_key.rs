//! API keys: service keys of the installation, for the backend of a product, and keys of one organization.
//!
//! A key is a secret of the form that [`crate::secret_text`] describes. The store knows only the SHA-256 of its
//! text.

use crate::ids::{AccountId, ApiKeyId, Entropy, OrganizationId};
use crate::permission::PermissionSet;
use crate::secret_text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiKeyKind {
    /// The operator's own; see [`crate::app::operator`].
    Operator,
    /// The backend's: it acts on organizations, and exchanges itself for tokens of one.
    Service,
    /// One organization's own.
    Organization,
}

impl ApiKeyKind {
    const ALL: [Self; 3] = [Self::Operator, Self::Service, Self::Organization];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Service => "service",
            Self::Organization => "organization",
        }
    }
}

/// The text of a key, well-formed but not known to be valid. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct ApiKeyText {
    kind: ApiKeyKind,
    id: ApiKeyId,
    text: Zeroizing<String>,
}

/// A text that begins like a key and is none: a part is missing, or a character is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedApiKey;

impl ApiKeyText {
    /// A new key.
    #[must_use]
    pub fn generate(kind: ApiKeyKind, id: ApiKeyId, entropy: &dyn Entropy) -> Self {
        let text = secret_text::generate(kind.as_str(), id, entropy);
        Self { kind, id, text }
    }

    /// Reads a key. The checksum is checked here, so a mistyped key costs no lookup.
    ///
    /// # Errors
    /// [`MalformedApiKey`].
    pub fn parse(text: &str) -> Result<Self, MalformedApiKey> {
        let (kind, id) = secret_text::parse(text).map_err(|_| MalformedApiKey)?;
        let kind = ApiKeyKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(MalformedApiKey)?;
        let id = id.parse().map_err(|_| MalformedApiKey)?;
        Ok(Self { kind, id, text: Zeroizing::new(text.to_owned()) })
    }

    /// What the key is for.
    #[must_use]
    pub const fn kind(&self) -> ApiKeyKind {
        self.kind
    }

    /// The id of its record.
    #[must_use]
    pub const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The whole text, to be shown once.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash::of(&self.text)
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyText({} {}, ..)", self.kind.as_str(), self.id)
    }
}

/// The SHA-256 of a key's text: 256 random bits need no slow hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyHash(#[serde(with = "hex::serde")] [u8; 32]);

impl ApiKeyHash {
    /// The hash of no text that anybody knows. Versions that know nothing of unconfirmed keys refuse a key with it, too.
    pub const NONE: Self = Self([0; 32]);

    /// The hash of these bytes, as it was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be kept.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(text: &str) -> Self {
        Self(secret_text::hash(text))
    }

    /// Whether it is the hash of `key`, in constant time.
    #[must_use]
    pub fn matches(&self, key: &ApiKeyText) -> bool {
        self.0.ct_eq(&key.hash().0).into()
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(..)")
    }
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyOwner {
    /// The installation's: a service key, made by the operator.
    Installation,
    /// One organization's.
    Organization(OrganizationId),
}

impl ApiKeyOwner {
    /// The kind of its keys.
    #[must_use]
    pub const fn kind(self) -> ApiKeyKind {
        match self {
            Self::Installation => ApiKeyKind::Service,
            Self::Organization(_) => ApiKeyKind::Organization,
        }
    }
}

/// The member who made a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyMaker {
    /// The account.
    pub account_id: AccountId,
    /// The epoch of its membership then: the key ends when that does, or is lowered.
    pub membership_epoch: u32,
}

/// The secret that a rotation replaced, while both are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedSecret {
    /// Its hash.
    pub hash: ApiKeyHash,
    /// Until when it is accepted.
    pub accepted_until: Timestamp,
}

/// The record of a key. One compare-and-set on `version` changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Never changes.
    pub id: ApiKeyId,
    /// Whose it is.
    pub owner: ApiKeyOwner,
    /// What people call it.
    pub name: String,
    /// The hash of its text.
    pub hash: ApiKeyHash,
    /// Of a key that an archive brought along and nobody has confirmed, the hash of its text; `hash` is then
    /// [`ApiKeyHash::NONE`], and the key opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<ApiKeyHash>,
    /// How often it was rotated. Tokens name the generation that issued them.
    pub generation: u32,
    /// The secret before the last rotation, if that left it valid for a while.
    pub replaced: Option<ReplacedSecret>,
    /// What it allows.
    pub permissions: PermissionSet,
    /// For a service key, the organizations that it is limited to; `None` means all.
    pub organizations: Option<Vec<OrganizationId>>,
    /// Who made it; `None` if the operator did. The key never allows more than its maker may do.
    pub maker: Option<ApiKeyMaker>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Counts the changes of this record, apart from its use.
    pub version: u64,
}

impl ApiKey {
    /// The generation of the secret in `key`, if the record accepts it at `now`.
    #[must_use]
    pub fn generation_of(&self, key: &ApiKeyText, now: Timestamp) -> Option<u32> {
        if key.id() != self.id || key.kind() != self.owner.kind() || self.is_expired(now) {
            return None;
        }
        if self.unconfirmed.is_some() {
            return None;
        }
        if self.hash.matches(key) {
            return Some(self.generation);
        }
        let replaced = self.replaced.as_ref().filter(|replaced| now < replaced.accepted_until)?;
        replaced.hash.matches(key).then(|| self.generation.wrapping_sub(1))
    }

    /// Whether tokens that were issued with the secret of `generation` are still valid at `now`.
    #[must_use]
    pub fn accepts_generation(&self, generation: u32, now: Timestamp) -> bool {
        let is_replaced = || {
            self.replaced.as_ref().is_some_and(|replaced| {
                now < replaced.accepted_until && generation == self.generation.wrapping_sub(1)
            })
        };
        let is_good = self.unconfirmed.is_none() && !self.is_expired(now);
        is_good && (generation == self.generation || is_replaced())
    }

    /// Whether its time has ended.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether it may act on that organization.
    #[must_use]
    pub fn covers(&self, organization_id: OrganizationId) -> bool {
        match self.owner {
            ApiKeyOwner::Installation => {
                self.organizations.as_ref().is_none_or(|listed| listed.contains(&organization_id))
            }
            ApiKeyOwner::Organization(id) => id == organization_id,
        }
    }

    /// The record after a rotation to `key`; the secret of before is accepted until `accepted_until`, if any.
    #[must_use]
    pub fn rotated(&self, key: &ApiKeyText, accepted_until: Option<Timestamp>) -> Self {
        // The secret of a key that nobody has confirmed is not accepted, not even for a while.
        let accepted_until = accepted_until.filter(|_| self.unconfirmed.is_none());
        let replaced =
            accepted_until.map(|accepted_until| ReplacedSecret { hash: self.hash.clone(), accepted_until });
        let (generation, version) = (self.generation.wrapping_add(1), self.version + 1);
        Self { hash: key.hash(), unconfirmed: None, generation, replaced, version, ..self.clone() }
    }

    /// The record once `maker` has confirmed a key that an archive brought along, and answers for it; `None` for a key
    /// that needs none.
    #[must_use]
    pub fn confirmed(&self, maker: Option<ApiKeyMaker>) -> Option<Self> {
        let hash = self.unconfirmed.clone()?;
        Some(Self { hash, unconfirmed: None, maker, version: self.version + 1, ..self.clone() })
    }
}

#[cfg(test)]
mod tests;
