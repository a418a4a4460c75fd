//! Whose chain an entry is in, and where: what other records name an entry by.

use crate::ids::OrganizationId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A SHA-256.
pub type AuditHash = [u8; 32];

/// Whose chain it is: an organization's, or the installation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditChain(pub Option<OrganizationId>);

impl AuditChain {
    /// The chain of the installation.
    pub const INSTALLATION: Self = Self(None);

    /// Reads a chain as it is printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "installation" => Some(Self::INSTALLATION),
            id => id.parse().ok().map(|id| Self(Some(id))),
        }
    }
}

impl From<OrganizationId> for AuditChain {
    fn from(id: OrganizationId) -> Self {
        Self(Some(id))
    }
}

impl Serialize for AuditChain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AuditChain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("must be an id or `installation`"))
    }
}

impl fmt::Display for AuditChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.fmt(f),
            None => f.write_str("installation"),
        }
    }
}

/// A place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The sequence number of the entry.
    pub sequence: u64,
    /// Its hash.
    pub hash: AuditHash,
}

impl ChainHead {
    /// The hash in hexadecimal digits.
    #[must_use]
    pub fn hash_text(&self) -> String {
        hex::encode(self.hash)
    }
}
