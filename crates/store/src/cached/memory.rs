//! The memory that all records share. It holds records by their id, and the id that each name had when it was
//! last looked up.
//!
//! # Pitfalls
//! The id of a name is only a hint. Its user gets the record and checks that the name still matches; that is
//! also why a hash of the name is enough as its key.

use super::coherence::{Coherence, Moment, View};
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction, EntryResult, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tenantry_domain::email::EmailKey;
use tenantry_domain::ids::{AccountId, ApiKeyId, IdentityId, OrganizationId, SessionId};
use tenantry_domain::name::Identifier;

/// The cost of an entry beside its bytes: its place in the cache's tables, two counters, the allocator's
/// rounding.
const ENTRY_BYTES: u64 = 120;
/// The expected total size of an entry; only a hint to the cache for how many evicted keys to remember.
const USUAL_ENTRY_BYTES: u64 = 256;

/// The key of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CacheKey {
    Organization(OrganizationId),
    Account(AccountId),
    Session(SessionId),
    ApiKey(ApiKeyId),
    Identity(IdentityId),
    /// The hash of an identifier.
    Identifier([u8; 8]),
    /// The hash of an e-mail address.
    Email([u8; 8]),
}

impl From<OrganizationId> for CacheKey {
    fn from(id: OrganizationId) -> Self {
        Self::Organization(id)
    }
}

impl From<AccountId> for CacheKey {
    fn from(id: AccountId) -> Self {
        Self::Account(id)
    }
}

impl From<SessionId> for CacheKey {
    fn from(id: SessionId) -> Self {
        Self::Session(id)
    }
}

impl From<ApiKeyId> for CacheKey {
    fn from(id: ApiKeyId) -> Self {
        Self::ApiKey(id)
    }
}

impl From<IdentityId> for CacheKey {
    fn from(id: IdentityId) -> Self {
        Self::Identity(id)
    }
}

/// The bytes of a record and the moment its read began; or those of a hint, which never expires.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) bytes: Arc<[u8]>,
    pub(super) read_at: Moment,
}

/// The placeholder of a record that is being loaded.
pub(super) type Placeholder<'a> = PlaceholderGuard<
    'a,
    CacheKey,
    Entry,
    EntryWeighter,
    DefaultHashBuilder,
    DefaultLifecycle<CacheKey, Entry>,
>;

/// The state when a search began.
#[derive(Clone, Copy)]
pub(super) struct WriteMark {
    writes: u64,
    pub(super) at: Moment,
}

/// Entries up to a total number of bytes; the least recently used ones make room.
pub(super) struct Memory {
    pub(super) entries: Cache<CacheKey, Entry, EntryWeighter>,
    pub(super) coherence: Coherence,
    /// Counts finished and reported writes, before their records are evicted.
    writes: AtomicU64,
    /// Different in each process, so that nobody can choose names whose hints collide.
    hasher: RandomState,
}

impl Memory {
    pub(super) fn new(bytes: u64, coherence: Coherence) -> Arc<Self> {
        let entries = usize::try_from(bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(entries)
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are set, and nothing else is required");
        let hasher = DefaultHashBuilder::default();
        let entries = Cache::with_options(options, EntryWeighter, hasher, DefaultLifecycle::default());
        Arc::new(Self { entries, coherence, writes: AtomicU64::new(0), hasher: RandomState::new() })
    }

    /// The bytes of `key` if they may be returned, else the placeholder to fill. Waits if another task is
    /// loading them.
    pub(super) async fn get_or_place(
        &self,
        key: &CacheKey,
        view: View,
    ) -> Result<Arc<[u8]>, Placeholder<'_>> {
        let look = |_: &CacheKey, entry: &mut Entry| match view.allows(entry.read_at) {
            true => EntryAction::Retain(entry.bytes.clone()),
            false => EntryAction::ReplaceWithGuard,
        };
        match self.entries.entry_async(key, look).await {
            EntryResult::Retained(bytes) => Ok(bytes),
            EntryResult::Replaced(placeholder, _) | EntryResult::Vacant(placeholder) => Err(placeholder),
            EntryResult::Removed(..) | EntryResult::Timeout => unreachable!("neither was asked for"),
        }
    }

    /// The current state, to take before a search.
    pub(super) fn mark(&self) -> WriteMark {
        WriteMark { writes: self.writes.load(Ordering::SeqCst), at: self.coherence.now() }
    }

    /// Whether no write has finished since then.
    pub(super) fn is_unchanged_since(&self, mark: WriteMark) -> bool {
        self.writes.load(Ordering::SeqCst) == mark.writes
    }

    /// Evicts the records that a write has changed, including those being loaded or found right now.
    pub(super) fn evict(&self, keys: impl IntoIterator<Item = CacheKey>) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        keys.into_iter().for_each(|key| drop(self.entries.remove(&key)));
    }

    /// Evicts everything, if it is unknown what was changed.
    pub(super) fn evict_all(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.entries.clear();
    }

    pub(super) fn identifier(&self, identifier: &Identifier) -> CacheKey {
        CacheKey::Identifier(self.hasher.hash_one(identifier).to_ne_bytes())
    }

    pub(super) fn email(&self, email: &EmailKey) -> CacheKey {
        CacheKey::Email(self.hasher.hash_one(email).to_ne_bytes())
    }

    /// The id that had this name at the last lookup.
    pub(super) fn holder(&self, name: &CacheKey) -> Option<[u8; 12]> {
        self.entries.get(name)?.bytes.as_ref().try_into().ok()
    }

    pub(super) fn set_holder(&self, name: CacheKey, id: &[u8; 12]) {
        let bytes = Arc::from(id.as_slice());
        self.entries.insert(name, Entry { bytes, read_at: Moment::default() });
    }
}

/// Weighs entries by their size.
#[derive(Clone)]
pub(super) struct EntryWeighter;

impl Weighter<CacheKey, Entry> for EntryWeighter {
    fn weight(&self, _key: &CacheKey, entry: &Entry) -> u64 {
        ENTRY_BYTES + entry.bytes.len() as u64
    }
}
