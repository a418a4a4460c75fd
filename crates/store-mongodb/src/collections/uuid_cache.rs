//! The UUIDs of collections that are in no record. The cache may be out of date, but every command carries the UUID,
//! so the server reports a mismatch.

use quick_cache::sync::Cache;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::ContainerId;

/// How many collections' UUIDs are cached.
const CACHED_COLLECTIONS: usize = 10_000;

/// See [`self`].
pub(crate) struct UuidCache(Cache<(OrganizationId, CollectionName), ContainerId>);

impl UuidCache {
    pub(crate) fn get(&self, organization: OrganizationId, name: &CollectionName) -> Option<ContainerId> {
        self.0.get(&(organization, name.clone()))
    }

    pub(crate) fn insert(&self, organization: OrganizationId, name: &CollectionName, id: ContainerId) {
        self.0.insert((organization, name.clone()), id);
    }

    /// Call if the cached UUID of a collection has proved wrong.
    pub(crate) fn remove(&self, organization: OrganizationId, name: &CollectionName) {
        self.0.remove(&(organization, name.clone()));
    }

    /// Caches the UUIDs in `found`, and returns the names, without those that no caller can name.
    pub(crate) fn insert_all(
        &self,
        organization: OrganizationId,
        found: impl IntoIterator<Item = (String, ContainerId)>,
    ) -> Vec<CollectionName> {
        let named = found.into_iter().filter_map(|(name, id)| Some((CollectionName::parse(&name).ok()?, id)));
        let remember = |(name, id): (CollectionName, _)| {
            self.insert(organization, &name, id);
            name
        };
        named.map(remember).collect()
    }
}

impl Default for UuidCache {
    fn default() -> Self {
        Self(Cache::new(CACHED_COLLECTIONS))
    }
}
