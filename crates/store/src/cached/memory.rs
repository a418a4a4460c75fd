//! The memory that all records share, and what is in it: records by their id, and who had a name when it was last
//! asked.
//!
//! What a newcomer gets wrong: the latter is only a hint. Whoever uses it gets the record and looks whether it is
//! still so; that is also why it may be kept under no more than a hash of the name.

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, OrganizationId, SessionId};
use tenantry_domain::name::Identifier;

/// What an entry costs beside its bytes: its place in the cache's tables, two counters, the allocator's rounding.
const ENTRY_BYTES: u64 = 112;
/// What an entry is expected to take in all; only a hint to the cache for how many it shall remember that it had.
const USUAL_ENTRY_BYTES: u64 = 256;

/// What bytes are kept under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Organization(OrganizationId),
    Account(AccountId),
    Session(SessionId),
    /// The hash of an identifier.
    Identifier([u8; 8]),
    /// The hash of an e-mail address.
    Email([u8; 8]),
}

impl From<OrganizationId> for Key {
    fn from(id: OrganizationId) -> Self {
        Self::Organization(id)
    }
}

impl From<AccountId> for Key {
    fn from(id: AccountId) -> Self {
        Self::Account(id)
    }
}

impl From<SessionId> for Key {
    fn from(id: SessionId) -> Self {
        Self::Session(id)
    }
}

/// Entries up to a number of bytes in all; those that were not asked for lately make room.
pub(super) struct Memory {
    pub(super) entries: Cache<Key, Arc<[u8]>, ByBytes>,
    /// Different in each process, so that nobody can choose names that push out each other's hints.
    hasher: RandomState,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Arc<Self> {
        let entries = usize::try_from(bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(entries)
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are set, and nothing else is required");
        let hasher = DefaultHashBuilder::default();
        let entries = Cache::with_options(options, ByBytes, hasher, DefaultLifecycle::default());
        Arc::new(Self { entries, hasher: RandomState::new() })
    }

    pub(super) fn identifier(&self, identifier: &Identifier) -> Key {
        Key::Identifier(self.hasher.hash_one(identifier).to_ne_bytes())
    }

    pub(super) fn email(&self, email: &EmailKey) -> Key {
        Key::Email(self.hasher.hash_one(email).to_ne_bytes())
    }

    /// Whose name it was when it was last asked.
    pub(super) fn holder(&self, name: &Key) -> Option<[u8; 12]> {
        self.entries.get(name)?.as_ref().try_into().ok()
    }

    pub(super) fn set_holder(&self, name: Key, id: &[u8; 12]) {
        self.entries.insert(name, Arc::from(id.as_slice()));
    }
}

/// Weighs entries by what they take.
#[derive(Clone)]
pub(super) struct ByBytes;

impl Weighter<Key, Arc<[u8]>> for ByBytes {
    fn weight(&self, _key: &Key, value: &Arc<[u8]>) -> u64 {
        ENTRY_BYTES + value.len() as u64
    }
}
